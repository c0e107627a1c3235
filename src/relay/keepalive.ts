/** One connection that is watched. */
export interface Watched {
  /** Something came from the client since the last ping, if there was one. */
  heard: boolean;
  ping(): void;
  terminate(): void;
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

  watch(connection: Watched): void {
    this.#watched.add(connection);
  }

  /** To be called when the connection is closed. */
  unwatch(connection: Watched): void {
    this.#watched.delete(connection);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#watched.clear();
  }

  #round(): void {
    for (const watched of this.#watched) {
      if (watched.heard) {
        watched.heard = false;
        watched.ping();
      } else {
        watched.terminate();
      }
    }
  }
}
