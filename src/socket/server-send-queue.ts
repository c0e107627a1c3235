import { concat } from '../core/bytes.js';
import type { ChannelPort, UnacknowledgedMessage } from '../link/channel-port.js';
import { payloadSize, type Payload } from './payload.js';
import { callGuarded } from './tasks.js';

/** Called without an argument once the data was handed to the network, or with the reason why it will not be. */
export type SendCallback = (error?: Error) => void;

/** Options of `send`, as in `ws`. */
export interface SendOptions {
  /** Whether this is a binary message. Default: everything but a string is. */
  readonly binary?: boolean | undefined;
  /** False for every fragment of a message but the last. Fragments are sent as one message. Default: true. */
  readonly fin?: boolean | undefined;
  /** Without effect: nothing is compressed. */
  readonly compress?: boolean | undefined;
  /** Without effect. */
  readonly mask?: boolean | undefined;
}

/** As in the types of `ws`; without an error when all is well, as {@link SendCallback}. */
export type ControlCallback = (error: Error) => void;

/** What waits for the Blob before it. */
interface Waiting {
  readonly payload: Payload;
  readonly size: number;
  /** Whether it is text, if it is a whole message. */
  readonly isText: boolean | undefined;
  readonly pass: (bytes: Uint8Array) => void;
}

/** A stretch of what was sent, up to and with the message that `callback` belongs to. */
interface Stretch {
  bytes: number;
  readonly callback: SendCallback | undefined;
}

/**
 * The sending half of a `ws`-style socket: keeps the order of messages while a Blob is being read, puts fragments
 * together and calls callbacks, in order, when the bytes have been handed to the network.
 */
export class ServerSendQueue {
  readonly #port: ChannelPort;
  readonly #blobFailed: (error: Error) => void;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #reading = false;
  #stretches: Stretch[] = [];
  #settling = false;
  #fragments: { isText: boolean; parts: Payload[]; bytes: number } | undefined;
  #unsentBytes = 0;
  #unsent: readonly UnacknowledgedMessage[] = [];
  #suspended = false;
  #ended = false;

  /** `blobFailed` is called when a Blob could not be read: what follows it cannot be sent any more. */
  constructor(port: ChannelPort, blobFailed: (error: Error) => void) {
    this.#port = port;
    this.#blobFailed = blobFailed;
  }

  /** Bytes that `send` took and that were not handed to the network, with those that never will be. */
  get bufferedAmount(): number {
    return this.#port.bufferedAmount + this.#waitingBytes + (this.#fragments?.bytes ?? 0) + this.#unsentBytes;
  }

  /** Messages that waited for a Blob when it came to an end. Without Blobs: they were not read. */
  get unsent(): readonly UnacknowledgedMessage[] {
    return this.#unsent;
  }

  /**
   * Sends one message, or one fragment of it when `fin` is false: the fragments go out as one message with the last,
   * and the first says whether it is text.
   */
  send(payload: Payload, isText: boolean, fin: boolean, callback?: SendCallback): void {
    const size = payloadSize(payload);
    this.#expect(size, callback);
    if (fin && this.#fragments === undefined) {
      if (!this.#reading && payload instanceof Uint8Array) this.#port.send(payload, isText);
      else this.#passMessage(payload, isText);
      return;
    }
    this.#fragments ??= { isText, parts: [], bytes: 0 };
    this.#fragments.parts.push(own(payload));
    this.#fragments.bytes += size;
    if (fin) this.#passFragments();
  }

  /** Sends a ping or a pong behind what waits for a Blob. */
  control(kind: 'ping' | 'pong', payload: Payload, callback?: SendCallback): void {
    this.#expect(0, callback);
    this.#pass(own(payload), bytes => {
      this.#port[kind](bytes);
    });
  }

  /** Closes behind what waits for a Blob. */
  close(code: number | undefined, reason: string): void {
    this.#pass(new Uint8Array(), () => {
      if (code === undefined) this.#port.close();
      else this.#port.close(code, reason);
    });
  }

  /** Counts what was given to `send` when it was too late. */
  drop(payload: Payload): void {
    this.#unsentBytes += payloadSize(payload);
  }

  /** The port handed so many bytes to the network. */
  sent(bytes: number): void {
    let left = bytes;
    for (const stretch of this.#stretches) {
      const taken = Math.min(stretch.bytes, left);
      stretch.bytes -= taken;
      left -= taken;
      if (stretch.bytes > 0) break;
    }
    this.#settle();
  }

  /** The peer cannot be reached: nothing counts as handed to the network until `resume`. */
  suspend(): void {
    this.#suspended = true;
  }

  resume(): void {
    this.#suspended = false;
    this.#settle();
  }

  /** Nothing is sent any more: every callback that is still to come gets `error`. */
  end(error: Error): void {
    this.#ended = true;
    this.#unsentBytes += this.#waitingBytes + (this.#fragments?.bytes ?? 0);
    const unsent = this.#waiting.flatMap(({ payload, isText }) =>
      payload instanceof Uint8Array && isText !== undefined ? [{ data: payload, isText }] : [],
    );
    this.#unsent = [...this.#unsent, ...unsent];
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#fragments = undefined;
    const stretches = this.#stretches;
    this.#stretches = [];
    for (const { callback } of stretches) {
      callGuarded(() => callback?.(error));
    }
  }

  #expect(bytes: number, callback: SendCallback | undefined): void {
    const last = this.#stretches.at(-1);
    if (last !== undefined && last.callback === undefined && callback === undefined) {
      last.bytes += bytes;
      return;
    }
    this.#stretches.push({ bytes, callback });
    // Without bytes of its own it is done when all before it is, and nothing may come that would tell.
    if (bytes === 0 && !this.#settling) {
      this.#settling = true;
      queueMicrotask(() => {
        this.#settling = false;
        this.#settle();
      });
    }
  }

  #settle(): void {
    if (this.#suspended) return;
    let done = 0;
    while (this.#stretches[done]?.bytes === 0) done++;
    for (const { callback } of this.#stretches.splice(0, done)) {
      callGuarded(() => callback?.());
    }
  }

  #passFragments(): void {
    const fragments = this.#fragments;
    if (fragments === undefined) return;
    this.#fragments = undefined;
    const { isText, parts } = fragments;
    if (parts.every(part => part instanceof Uint8Array)) {
      this.#passMessage(concat(...parts), isText);
      return;
    }
    const message = new Uint8Array(fragments.bytes);
    let offset = 0;
    for (const [index, part] of parts.entries()) {
      this.#pass(part, bytes => {
        message.set(bytes, offset);
        offset += bytes.length;
        if (index === parts.length - 1) this.#port.send(message, isText);
      });
    }
  }

  #passMessage(payload: Payload, isText: boolean): void {
    const pass = (bytes: Uint8Array): void => {
      this.#port.send(bytes, isText);
    };
    this.#pass(payload, pass, isText);
  }

  #pass(payload: Payload, pass: (bytes: Uint8Array) => void, isText?: boolean): void {
    if (!this.#reading && payload instanceof Uint8Array) {
      pass(payload);
      return;
    }
    const size = payloadSize(payload);
    this.#waiting.push({ payload: own(payload), size, isText, pass });
    this.#waitingBytes += size;
    if (!this.#reading) this.#passWaiting();
  }

  #passWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!(next.payload instanceof Uint8Array)) {
        this.#read(next.payload);
        return;
      }
      this.#passFirst(next.payload);
    }
  }

  #passFirst(bytes: Uint8Array): void {
    const first = this.#waiting.shift();
    if (first === undefined) return;
    this.#waitingBytes -= first.size;
    first.pass(bytes);
  }

  #read(blob: Exclude<Payload, Uint8Array>): void {
    this.#reading = true;
    blob.arrayBuffer().then(
      buffer => {
        this.#reading = false;
        this.#passFirst(new Uint8Array(buffer));
        this.#passWaiting();
      },
      (cause: unknown) => {
        this.#reading = false;
        if (this.#ended) return;
        const error = cause instanceof Error ? cause : new Error('The Blob could not be read', { cause });
        this.end(error);
        this.#blobFailed(error);
      },
    );
  }
}

/** What the caller does to its bytes later must change nothing. */
function own(payload: Payload): Payload {
  // Not `slice`: that of a Buffer copies nothing.
  return payload instanceof Uint8Array ? new Uint8Array(payload) : payload;
}
