import { dialChannel, type DialOptions } from '../../src/link/dial.js';
import type { ChannelInformation, ChannelPort } from '../../src/link/channel-port.js';
import { EventQueue } from './event-queue.js';
import type { FacePeer, PeerEvent } from './server-face.js';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

/** Every server of a test is a new one, some at the port of one that is gone. */
export const trustStore = { check: (): boolean => true };

/** A client beneath the face of a WebSocket: it can ping, and sees pings. It answers them. */
export class DialledPeer implements FacePeer {
  readonly events = new EventQueue<PeerEvent>();
  /** Resolves once the channel is open, rejects when it does not come to that. */
  readonly opened: Promise<ChannelInformation>;
  readonly port: ChannelPort;
  readonly #waiting: (() => void)[] = [];
  #isOpen = false;

  constructor(url: string, options: DialOptions, protocols: readonly string[] = []) {
    const { promise, resolve, reject } = withResolvers<ChannelInformation>();
    this.opened = promise;
    this.port = dialChannel(
      new URL(url),
      protocols,
      { trustStore, ...options },
      {
        opened: information => {
          this.#isOpen = true;
          resolve(information);
          for (const act of this.#waiting) act();
        },
        message: (data, isText) => {
          this.events.push(isText ? ['text', Buffer.from(data).toString()] : ['binary', hex(data)]);
        },
        ping: data => {
          this.events.push(['ping', hex(data)]);
          this.port.pong(data.slice());
        },
        pong: data => {
          this.events.push(['pong', hex(data)]);
        },
        closed: ({ code, reason, error }) => {
          this.events.push(['close', code, reason]);
          reject(error ?? new Error(`closed with ${String(code)} before it was open`));
        },
      },
    );
  }

  text(text: string): void {
    this.#whenOpen(() => {
      this.port.send(encode(text), true);
    });
  }

  binary(...bytes: number[]): void {
    this.#whenOpen(() => {
      this.port.send(Uint8Array.from(bytes), false);
    });
  }

  ping(...bytes: number[]): void {
    this.#whenOpen(() => {
      this.port.ping(Uint8Array.from(bytes));
    });
  }

  pong(...bytes: number[]): void {
    this.#whenOpen(() => {
      this.port.pong(Uint8Array.from(bytes));
    });
  }

  close(code?: number, reason?: string): void {
    this.#whenOpen(() => {
      this.port.close(code, reason);
    });
  }

  drop(): void {
    this.#whenOpen(() => {
      this.port.terminate();
    });
  }

  #whenOpen(act: () => void): void {
    if (this.#isOpen) act();
    else this.#waiting.push(act);
  }
}

function withResolvers<Value>(): {
  promise: Promise<Value>;
  resolve: (value: Value) => void;
  reject: (error: Error) => void;
} {
  let resolve!: (value: Value) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<Value>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Not every test waits for it.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
