import { SecureWebSocketError } from '../../core/errors.js';
import { MAX_DELAY } from '../../link/clock.js';

/**
 * A bucket of `burst` tokens into which `rate` tokens fall per second. It is full in the beginning.
 *
 * Within any time of t seconds, `take` gives no more than `burst + rate * t`. `now` is in milliseconds, of any clock
 * that does not go back; a step back is taken for standing still.
 */
export class TokenBucket {
  readonly #rate: number;
  // Thousandths of a token: with whole milliseconds and rates nothing is ever rounded.
  readonly #burst: number;
  #level: number;
  #at = -Infinity;

  /**
   * `rate`: tokens per second. `burst`: the most that may be taken at once.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when one is not positive and finite
   */
  constructor(rate: number, burst: number) {
    if (!(rate > 0 && rate < Infinity && burst > 0 && burst < Infinity)) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        `A rate and a burst are more than 0, not ${String(rate)} and ${String(burst)}.`,
      );
    }
    this.#rate = rate;
    this.#burst = this.#level = burst * 1_000;
  }

  /** Takes `count` tokens, all or none. */
  take(count: number, now: number): boolean {
    this.#fill(now);
    if (count * 1_000 > this.#level) return false;
    this.#level -= count * 1_000;
    return true;
  }

  /**
   * Takes `count` tokens in any case: of what has happened already. Returns how many milliseconds it takes until the
   * bucket is out of debt, at least 1, rounded up; 0 when it is in none.
   */
  spend(count: number, now: number): number {
    this.#fill(now);
    this.#level -= count * 1_000;
    return this.#level >= 0 ? 0 : Math.min(Math.ceil(-this.#level / this.#rate), MAX_DELAY);
  }

  #fill(now: number): void {
    if (now <= this.#at) return;
    // The first time nothing is missing, and the time since is infinite.
    if (this.#level < this.#burst) {
      this.#level = Math.min(this.#burst, this.#level + (now - this.#at) * this.#rate);
    }
    this.#at = now;
  }
}
