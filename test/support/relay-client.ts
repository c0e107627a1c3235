import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { decodeFrame, type Frame, peerAddress } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { RegistrationClient } from '../../src/core/registration.js';
import type { TransportKeys } from '../../src/core/transport-keys.js';
import { EventQueue } from './event-queue.js';

/** A raw `ws` client of a relay that has registered, and then speaks frames and nothing above them. */
export class RelayClient {
  readonly frames = new EventQueue<Frame>();
  readonly closed: Promise<{ code: number; reason: string }>;

  private constructor(
    readonly ws: WebSocket,
    readonly identity: Identity,
    readonly connectionId: number,
    /** The server's public key, 32 bytes, and the keys of the link itself: for direct use. */
    readonly serverKey: Uint8Array,
    readonly keys: TransportKeys,
  ) {
    ws.on('message', (data, isBinary) => {
      if (isBinary) this.frames.push(decodeFrame(new Uint8Array(data as Buffer)));
    });
    this.closed = closing(ws);
  }

  static async connect(
    url: string,
    options: { identity?: Identity; address?: string; autoPong?: boolean } = {},
  ): Promise<RelayClient> {
    const identity = options.identity ?? (await Identity.generate());
    const ws = new WebSocket(url, { autoPong: options.autoPong ?? true });
    const messages = new EventQueue<string>();
    const onMessage = (data: unknown): void => {
      messages.push(String(data));
    };
    ws.on('message', onMessage);
    ws.on('error', () => undefined);
    const lost = once(ws, 'close').then(([code, reason]) => {
      throw new Error(`closed before it was registered: ${String(code)} ${String(reason)}`);
    });
    lost.catch(() => undefined);
    const next = (): Promise<string> => Promise.race([messages.next(), lost]);

    const registration = new RegistrationClient(
      { identity, now: Date.now() },
      options.address ?? new URL(url).origin,
    );
    const { serverKey } = registration.challenge(await next(), Date.now());
    ws.send(registration.response(Date.now()));
    const { connectionId, keys } = registration.success(await next(), performance.now());
    ws.off('message', onMessage);
    return new RelayClient(ws, identity, connectionId, serverKey, keys);
  }

  /** Exact peer address. */
  get address(): Uint8Array {
    return peerAddress(this.identity.publicKeyBytes, this.connectionId);
  }

  send(frame: Uint8Array): void {
    this.ws.send(frame);
  }
}

/** A `ws` client that says nothing after its upgrade: open, or the HTTP status with which it was refused. */
export async function silentClient(
  url: string,
  options: ConstructorParameters<typeof WebSocket>[2] = {},
): Promise<WebSocket | number> {
  const ws = new WebSocket(url, options);
  ws.on('error', () => undefined);
  return new Promise(resolve => {
    ws.once('open', () => {
      resolve(ws);
    });
    ws.once('unexpected-response', (_request, response: IncomingMessage) => {
      response.resume();
      resolve(response.statusCode ?? 0);
      ws.terminate();
    });
  });
}

export async function closing(ws: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(ws, 'close')) as [number, Buffer];
  return { code, reason: reason.toString() };
}
