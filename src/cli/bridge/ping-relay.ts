/** Where pings go that come from one end of a bridge. */
export interface PingRoute {
  /** Asks whoever is at the other end. */
  ask(data: Uint8Array): void;
  /** Answers whoever has asked. */
  answer(data: Uint8Array): void;
}

/**
 * Takes pings from one end of a bridge to the other, and pongs back. One is under way at a time, and of those that come
 * meanwhile the latest is next (RFC 6455 section 5.5.3 lets an end answer that alone): a flood takes no memory.
 */
export class PingRelay {
  readonly #route: PingRoute;
  readonly #patience: number | undefined;
  #asked: Uint8Array | undefined;
  #next: Uint8Array | undefined;
  #isAway = false;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param patience Milliseconds after which a ping is answered from here, as long as the bridge stands; undefined: only
   *   by the other end.
   */
  constructor(route: PingRoute, patience: number | undefined) {
    this.#route = route;
    this.#patience = patience;
  }

  /** One end asks. */
  ping(data: Uint8Array): void {
    if (this.#isAway) this.#route.answer(data);
    else if (this.#asked === undefined) this.#ask(data);
    else this.#next = data;
  }

  /** The other end answers. */
  pong(data: Uint8Array): void {
    // Nobody here has asked for others.
    if (this.#asked === undefined || Buffer.compare(this.#asked, data) !== 0) return;
    this.#route.answer(data);
    const next = this.#next;
    this.stop();
    if (next !== undefined) this.#ask(next);
  }

  /** The other end is out of reach, but will be back: this end answers meanwhile. */
  suspend(): void {
    this.#isAway = true;
    this.#answerAll();
  }

  resume(): void {
    this.#isAway = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#asked = this.#next = undefined;
  }

  #ask(data: Uint8Array): void {
    this.#asked = data;
    if (this.#patience !== undefined) {
      this.#timer = setTimeout(() => {
        this.#answerAll();
      }, this.#patience);
    }
    this.#route.ask(data);
  }

  /** The latest answers those before it. */
  #answerAll(): void {
    const latest = this.#next ?? this.#asked;
    this.stop();
    if (latest !== undefined) this.#route.answer(latest);
  }
}
