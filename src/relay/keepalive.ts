import type { WebSocket as WsWebSocket } from 'ws';

/** One connection that is watched. */
export class Watched {
  readonly ws: WsWebSocket;
  /** Something came from the client since the last ping, if there was one. Set for each frame, so it is a plain field. */
  heard = true;

  constructor(ws: WsWebSocket) {
    this.ws = ws;
    ws.on('pong', () => {
      this.heard = true;
    });
  }
}

/**
 * Pings every connection once in an interval, which also keeps it open in the eyes of proxies, and ends those from
 * which nothing came since the ping before: a half-open connection lives two intervals at most.
 */
export class Keepalive {
  readonly #watched = new Set<Watched>();
  readonly #timer: ReturnType<typeof setInterval>;

  /** `interval` in milliseconds. */
  constructor(interval: number) {
    this.#timer = setInterval(() => {
      // Not at once: after a long pause of the process the answers are there, but have not been read yet.
      setImmediate(() => {
        this.#round();
      });
    }, interval);
    this.#timer.unref();
  }

  /** Watches a connection until it is closed. */
  watch(ws: WsWebSocket): Watched {
    const watched = new Watched(ws);
    this.#watched.add(watched);
    ws.once('close', () => {
      this.#watched.delete(watched);
    });
    return watched;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#watched.clear();
  }

  #round(): void {
    for (const watched of this.#watched) {
      if (watched.heard) {
        watched.heard = false;
        watched.ws.ping();
      } else {
        watched.ws.terminate();
      }
    }
  }
}
