import { describeError } from '../../core/describe-error.js';
import type {
  RawSocket,
  RawSocketListener,
  WebSocketConstructor,
  WebSocketLike,
} from '../../websocket/raw-socket.js';
import { FailedSocket } from './failed-socket.js';

const OPEN = 1;
const CLOSING = 2;

/** Dials with a WHATWG WebSocket class. Never throws: what its constructor throws is told by `closed`, in a later task. */
export function connectWebSocket(
  WebSocket: WebSocketConstructor,
  url: string,
  listener: RawSocketListener,
): RawSocket {
  let socket: WebSocketLike;
  try {
    socket = new WebSocket(url);
  } catch (error) {
    return new FailedSocket(listener, describeError(error));
  }
  return wrapWebSocket(socket, listener);
}

/** Puts a WHATWG WebSocket behind the face of a RawSocket. Its `binaryType` becomes 'arraybuffer'. */
export function wrapWebSocket(socket: WebSocketLike, listener: RawSocketListener): RawSocket {
  return new WebRawSocket(socket, listener);
}

class WebRawSocket implements RawSocket {
  readonly tellsDrained = false;
  readonly #socket: WebSocketLike;
  readonly #listener: RawSocketListener;
  /** From then on the owner hears nothing but one `closed`, whatever the socket does. */
  #ended = false;
  #detail: string | undefined;

  constructor(socket: WebSocketLike, listener: RawSocketListener) {
    this.#socket = socket;
    this.#listener = listener;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => {
      if (!this.#ended) listener.open?.();
    });
    socket.addEventListener('message', (event: { data: unknown }) => {
      if (!this.#ended) this.#receive(event.data);
    });
    socket.addEventListener('error', (event: { message?: unknown }) => {
      // Browsers keep the reason to themselves; other classes tell it.
      if (typeof event.message === 'string' && event.message !== '') this.#detail ??= event.message;
      // The `close` event that follows could only say 1006, and some do not fire it when the connection could not be
      // made: WebKitGTK, Node 22.
      this.terminate();
    });
    socket.addEventListener('close', (event: { code: number; reason: string }) => {
      if (this.#ended) return;
      this.#ended = true;
      listener.closed(event.code, event.reason, this.#detail);
    });
  }

  get bufferedAmount(): number {
    return this.#ended ? 0 : this.#socket.bufferedAmount;
  }

  send(data: string | Uint8Array): void {
    if (!this.#ended && this.#socket.readyState === OPEN) this.#socket.send(data);
  }

  close(code?: number, reason?: string): void {
    if (this.#ended || this.#socket.readyState >= CLOSING) return;
    // WHATWG lets an application send these codes only, and throws at any other.
    const allowed = code !== undefined && (code === 1000 || (code >= 3000 && code <= 4999));
    if (allowed) this.#socket.close(code, reason);
    else this.#socket.close();
  }

  /**
   * A page cannot drop a connection: the browser goes through the closing handshake by itself. Here it is over now,
   * however long the other end takes.
   */
  terminate(): void {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.#socket.close();
    } catch {
      // A class of the application that throws here is left alone.
    }
    setTimeout(() => {
      this.#listener.closed(1006, '', this.#detail);
    }, 0);
  }

  /** A WHATWG WebSocket cannot stop reading. */
  pause(): void {
    // Nothing to do.
  }

  resume(): void {
    // Nothing to do.
  }

  #receive(data: unknown): void {
    if (typeof data === 'string') {
      this.#listener.text(data);
    } else if (ArrayBuffer.isView(data)) {
      this.#listener.binary(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    } else if (Object.prototype.toString.call(data) === '[object ArrayBuffer]') {
      // Not `instanceof`: it may come from another realm.
      this.#listener.binary(new Uint8Array(data as ArrayBuffer));
    } else {
      this.#detail ??= 'this WebSocket class delivers binary messages neither as ArrayBuffer nor as a view';
      this.terminate();
    }
  }
}
