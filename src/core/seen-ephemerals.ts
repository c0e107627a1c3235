import { toHex } from './bytes.js';
import { MAX_SEEN_EPHEMERALS } from './constants.js';

/** The ephemeral key is the first part of an IK message. */
const EPHEMERAL_LENGTH = 32;

/**
 * The ephemeral keys of handshake initiations that were seen, so that a replayed one costs and changes nothing. The
 * oldest are forgotten: a replay of theirs would cost one answer, and still change nothing.
 */
export class SeenEphemerals {
  readonly #seen = new Set<string>();

  /** Whether the ephemeral key of this IK message has been seen. */
  has(noise: Uint8Array): boolean {
    return this.#seen.has(keyOf(noise));
  }

  add(noise: Uint8Array): void {
    this.#seen.add(keyOf(noise));
    if (this.#seen.size <= MAX_SEEN_EPHEMERALS) return;
    const [oldest] = this.#seen;
    if (oldest !== undefined) this.#seen.delete(oldest);
  }
}

function keyOf(noise: Uint8Array): string {
  return toHex(noise.subarray(0, EPHEMERAL_LENGTH));
}
