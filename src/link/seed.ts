import { SecureWebSocketError } from '../core/errors.js';

/** Bytes in the seed of an identity. */
export const SEED_SIZE = 32;

/**
 * A checked copy of a seed. Always a plain `Uint8Array`: the `slice` of a Buffer would share its memory.
 *
 * @throws SecureWebSocketError `INVALID_SEED` when it is not 32 bytes long.
 */
export function copySeed(seed: Uint8Array): Uint8Array {
  if (seed.length !== SEED_SIZE) {
    throw new SecureWebSocketError(
      'INVALID_SEED',
      `A seed is ${SEED_SIZE} bytes long, and this one is ${seed.length}.`,
    );
  }
  return Uint8Array.from(seed);
}
