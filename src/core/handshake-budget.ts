import { toHex } from './bytes.js';
import { HANDSHAKE_BURST, HANDSHAKE_INTERVAL } from './constants.js';

/** Peer addresses whose budget is remembered; the one unseen for longest is forgotten first. */
const MAX_ADDRESSES = 4_096;

/** How many handshakes one peer address may make us answer: a token bucket each. */
export class HandshakeBudget {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** Takes one handshake from the budget of `address`; false when it is used up. */
  take(address: Uint8Array, now: number): boolean {
    const key = toHex(address);
    const bucket = this.#buckets.get(key) ?? { tokens: HANDSHAKE_BURST, at: now };
    // A clock that jumped back must not empty the bucket.
    const elapsed = Math.max(0, now - bucket.at);
    bucket.tokens = Math.min(HANDSHAKE_BURST, bucket.tokens + elapsed / HANDSHAKE_INTERVAL);
    bucket.at = now;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > MAX_ADDRESSES) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
