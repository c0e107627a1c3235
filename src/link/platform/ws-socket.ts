import type { Duplex } from 'node:stream';
import type { RawData, WebSocket as WsWebSocket } from 'ws';
import { describeError } from '../../core/describe-error.js';
import type { RawSocketListener, SettledSocket } from '../../websocket/raw-socket.js';

// WHATWG readyState. Of `ws` only the types are imported here: the object may come from another copy of it.
const OPEN = 1;
const CLOSED = 3;

const NOBODY: RawSocketListener = { text: () => undefined, binary: () => undefined, closed: () => undefined };

/**
 * Puts an accepted WebSocket of `ws` behind the face of a RawSocket. Node only.
 *
 * It may be in any state: messages are told from now on, `closed` is told once whatever happens. Its `error` events have
 * a listener from now on, so they cannot end the process. Its `binaryType` becomes 'nodebuffer'. The `send` method that it
 * has now is kept: replacing it does not change what this sends with.
 *
 * Without `listener` there has to be one before this tick is over. `network`: the TCP or TLS socket under it, where
 * `arrived` is wanted.
 */
export function wrapWsSocket(
  ws: WsWebSocket,
  listener: RawSocketListener = NOBODY,
  network?: Duplex,
): SettledSocket {
  return new WsRawSocket(ws, listener, network);
}

class WsRawSocket implements SettledSocket {
  readonly tellsDrained = true;
  listener: RawSocketListener;
  readonly #ws: WsWebSocket;
  readonly #send: (data: string | Uint8Array, done: (error?: Error | null) => void) => void;
  #terminated = false;
  #closed = false;
  #drainedIsDue = false;
  #detail: string | undefined;

  constructor(ws: WsWebSocket, listener: RawSocketListener, network: Duplex | undefined) {
    this.#ws = ws;
    this.listener = listener;
    // eslint-disable-next-line @typescript-eslint/unbound-method -- bound by each call: a server has many of these
    this.#send = ws.send;
    ws.binaryType = 'nodebuffer';
    network?.on('data', (chunk: Uint8Array) => {
      this.listener.arrived?.(chunk.length);
    });
    ws.on('message', (data, isBinary) => {
      this.#receive(data, isBinary);
    });
    ws.on('error', error => {
      this.#detail ??= describeError(error);
    });
    ws.on('close', (code, reason) => {
      this.#end(code, reason.toString());
    });
    if (ws.readyState === CLOSED) {
      setTimeout(() => {
        this.#end(1006, '');
      }, 0);
    }
  }

  get bufferedAmount(): number {
    return this.#ws.bufferedAmount;
  }

  send(data: string | Uint8Array): void {
    if (this.#ws.readyState === OPEN) this.#send.call(this.#ws, data, this.#sent);
  }

  close(code?: number, reason?: string): void {
    try {
      this.#ws.close(code, reason);
    } catch {
      // A code that must not be sent (1005, 1006) or a reason that is too long: neither is worth a crash.
      this.#ws.close();
    }
  }

  terminate(): void {
    this.#terminated = true;
    this.#ws.terminate();
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  #receive(data: RawData, isBinary: boolean): void {
    // What the kernel had delivered before `terminate` would still come.
    if (this.#terminated) return;
    const bytes = toBytes(data);
    if (isBinary) this.listener.binary(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    else this.listener.text(bytes.toString());
  }

  /** Many messages can leave in one write: the owner hears of it once. */
  readonly #sent = (error?: Error | null): void => {
    if (error || this.#drainedIsDue) return;
    this.#drainedIsDue = true;
    queueMicrotask(() => {
      this.#drainedIsDue = false;
      if (!this.#closed && !this.#terminated) this.listener.drained?.();
    });
  };

  #end(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.listener.closed(code, reason, this.#detail);
  }
}

/** Always the first case, unless somebody changed the `binaryType` of an accepted socket behind our back. */
function toBytes(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
