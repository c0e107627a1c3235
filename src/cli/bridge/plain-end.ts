import type { WebSocket } from 'ws';
import { SecureWebSocketError } from '../../core/errors.js';
import { cutCloseReason } from '../../socket/web-socket-arguments.js';
import type { BridgeEnd, ConnectionEnd, EndListener } from './bridge-end.js';

/** RFC 6455 section 7.4.1, IANA registry: a gateway got no valid answer from the server behind it. */
const BAD_GATEWAY = 1014;

/** Text of an error that may be told to the program at the plain end, in a close reason (at most 123 bytes). */
export function closeReasonOf(error: Error): string {
  return cutCloseReason(
    error instanceof SecureWebSocketError ? `${error.code}: ${error.message}` : error.message,
  );
}

/** A plain WebSocket of `ws`, made with `autoPong: false`. It is paused until `start`. */
export class PlainEnd implements BridgeEnd {
  readonly isPausable = true;
  readonly #socket: WebSocket;
  readonly #explains: boolean;
  #listener: EndListener | undefined;
  #end: ConnectionEnd | undefined;
  #error: Error | undefined;

  /** @param explains Whether the program there is told why the connection behind us was lost. Else it is merely lost. */
  constructor(socket: WebSocket, explains: boolean) {
    this.#socket = socket;
    this.#explains = explains;
    socket.pause();
    socket.on('error', error => {
      this.#error = error;
    });
    socket.on('close', (code, reason) => {
      this.#end = { code, reason: reason.toString(), error: this.#error };
      this.#listener?.closed(this.#end);
    });
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  start(listener: EndListener): void {
    this.#listener = listener;
    const socket = this.#socket;
    socket.on('message', (data, isBinary) => {
      // A Buffer: `binaryType` is the default.
      listener.message(data as Buffer, !isBinary);
    });
    socket.on('ping', data => {
      listener.ping(data);
    });
    socket.on('pong', data => {
      listener.pong(data);
    });
    if (this.#end) listener.closed(this.#end);
    else socket.resume();
  }

  send(data: Uint8Array, isText: boolean): void {
    this.#socket.send(data, { binary: !isText }, () => this.#listener?.progress());
  }

  ping(data: Uint8Array): void {
    this.#socket.ping(data);
  }

  pong(data: Uint8Array): void {
    this.#socket.pong(data);
  }

  close(code: number | undefined, reason: string): void {
    if (code === undefined) this.#socket.close();
    else this.#socket.close(code, reason);
    // Its answer comes behind what was not read.
    this.#socket.resume();
  }

  abort(error: Error | undefined): void {
    if (this.#explains) this.close(BAD_GATEWAY, error === undefined ? '' : closeReasonOf(error));
    else this.terminate();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
