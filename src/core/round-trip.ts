import { INITIAL_RETRY, MAX_RETRY, MIN_RETRY } from './constants.js';

/** How long an answer may take: round trips as RFC 6298 section 2 estimates them. */
export class RoundTrip {
  #smoothed: number | undefined;
  #variation = 0;
  #backoff = 0;

  /** Estimate of a round trip, milliseconds; undefined before the first was measured. */
  get smoothed(): number | undefined {
    return this.#smoothed;
  }

  /** When what was not answered should be asked after, milliseconds. Doubles with every `expired`. */
  get timeout(): number {
    const estimate =
      this.#smoothed === undefined ? INITIAL_RETRY : MIN_RETRY / 2 + this.#smoothed + 4 * this.#variation;
    return Math.min(MAX_RETRY, Math.max(MIN_RETRY, estimate) * 2 ** this.#backoff);
  }

  /** An answer took `elapsed` milliseconds. */
  sample(elapsed: number): void {
    // A clock may be too coarse, or jump.
    const value = Math.min(MAX_RETRY, Math.max(0, elapsed));
    if (this.#smoothed === undefined) {
      this.#smoothed = value;
      this.#variation = value / 2;
      return;
    }
    this.#variation += (Math.abs(this.#smoothed - value) - this.#variation) / 4;
    this.#smoothed += (value - this.#smoothed) / 8;
  }

  /** Nothing came in time. */
  expired(): void {
    this.#backoff = Math.min(this.#backoff + 1, 16);
  }

  /** Something was heard that was waited for. */
  answered(): void {
    this.#backoff = 0;
  }
}
