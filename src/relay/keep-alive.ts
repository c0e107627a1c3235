import type { WebSocket as WsWebSocket } from 'ws';

/** Pings the WebSockets that it watches, and drops those that have not answered by the next time (RFC 6455 section 5.5.2). */
export class KeepAlive {
  readonly #interval: number;
  /** Whether each has been heard of since it was last pinged. */
  readonly #alive = new Map<WsWebSocket, boolean>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `interval`: milliseconds. */
  constructor(interval: number) {
    this.#interval = interval;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#round();
    }, this.#interval);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  watch(ws: WsWebSocket): void {
    this.#alive.set(ws, true);
    const heard = (): void => {
      this.#alive.set(ws, true);
    };
    ws.on('pong', heard);
    ws.once('close', () => {
      ws.off('pong', heard);
      this.#alive.delete(ws);
    });
  }

  #round(): void {
    for (const [ws, alive] of this.#alive) {
      if (alive) {
        this.#alive.set(ws, false);
        ws.ping();
      } else {
        ws.terminate();
      }
    }
  }
}
