import { fromUtf8 } from '../../core/bytes.js';
import type { ServerSecureWebSocket } from '../../socket/node-server-secure-web-socket.js';
import type { BridgeEnd, EndListener } from './bridge-end.js';

/**
 * A channel that a server of ours has accepted, made with `autoPong: false`. To be made, and started, in the `connection`
 * handler.
 */
export class AcceptedEnd implements BridgeEnd {
  readonly isPausable = true;
  readonly #socket: ServerSecureWebSocket;
  #listener: EndListener | undefined;

  constructor(socket: ServerSecureWebSocket) {
    this.#socket = socket;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  start(listener: EndListener): void {
    this.#listener = listener;
    const socket = this.#socket;
    // `close` follows, and `failure` keeps the reason.
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => {
      // A Buffer: `binaryType` is the default.
      listener.message(data as Uint8Array, !isBinary);
    });
    socket.on('ping', data => {
      listener.ping(data);
    });
    socket.on('pong', data => {
      listener.pong(data);
    });
    socket.on('suspended', error => {
      listener.suspended(error);
    });
    socket.on('resumed', () => {
      listener.resumed();
    });
    socket.on('close', (code, reason) => {
      listener.closed({ code, reason: fromUtf8(reason) ?? '', error: socket.failure });
    });
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
    this.#socket.close(code, reason);
    // Its answer comes behind what was not read.
    this.#socket.resume();
  }

  abort(): void {
    this.terminate();
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
