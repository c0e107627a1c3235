import { TokenBucket } from './token-bucket.js';

/** Destinations of one connection that have a budget of their own at the same time. */
const MAX_DESTINATIONS = 1_024;
/** Budgets that are looked at for one that can be forgotten. */
const LOOK_AT = 8;

/**
 * How many handshakes one connection may send to each destination: `rate` per second, `burst` at once.
 *
 * The table of budgets is bounded, and forgetting is where such tables leak: whoever has used a budget up would only have to
 * write to many others to get a new one. So nothing is forgotten but budgets that are full again, which are as good
 * as new. While there is none of these among the oldest, destinations without a budget of their own share a single one.
 * That bounds what any destination can be made to answer within t seconds: `burst + rate * t` by its own budget, and the
 * same by the shared one, whatever the connection does. A connection that greets very many peers, once
 * each, hardly ever meets the shared one: a budget with one handshake taken is full after 1/rate seconds.
 */
export class HandshakeLimit {
  /** Milliseconds in which one handshake is earned back. */
  readonly #interval: number;
  /** A budget that is full again so many milliseconds from now is used up. */
  readonly #depth: number;
  readonly #maxDestinations: number;
  readonly #shared: TokenBucket;
  /** When the budget of each destination is full again, milliseconds. The one not used for longest is the first. */
  #fullAt: Map<string, number> | undefined;
  #now = -Infinity;

  /**
   * `rate`: handshakes per second. `burst`: the most at once, 1 or more.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when one is not positive and finite
   */
  constructor(rate: number, burst: number, maxDestinations = MAX_DESTINATIONS) {
    this.#shared = new TokenBucket(rate, burst);
    this.#interval = 1_000 / rate;
    // Sums of intervals are rounded: a thousandth of one keeps that from costing a handshake.
    this.#depth = (burst + 0.001) * this.#interval;
    this.#maxDestinations = maxDestinations;
  }

  /** Destinations with a budget of their own. */
  get destinations(): number {
    return this.#fullAt?.size ?? 0;
  }

  /**
   * Takes one handshake from the budget of `destination`; false when that is used up. `destination`: the address of a peer, in any
   * form that is always the same. `now`: monotonic milliseconds.
   */
  allows(destination: string, now: number): boolean {
    this.#now = Math.max(this.#now, now);
    const table = (this.#fullAt ??= new Map<string, number>());
    const known = table.get(destination);
    if (known === undefined && !this.#makeRoom(table)) return this.#shared.take(1, this.#now);

    const fullAt = Math.max(known ?? -Infinity, this.#now) + this.#interval;
    if (fullAt - this.#now > this.#depth) return false;
    // Deleted first: what was used last comes last.
    table.delete(destination);
    table.set(destination, fullAt);
    return true;
  }

  #makeRoom(table: Map<string, number>): boolean {
    let looked = 0;
    for (const [destination, fullAt] of table) {
      if (looked++ === LOOK_AT) break;
      // Also when there is room: so the table is no larger than what it has to remember.
      if (fullAt <= this.#now) table.delete(destination);
    }
    return table.size < this.#maxDestinations;
  }
}
