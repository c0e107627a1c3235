import { compareBytes } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { uint32, uint64 } from './byte-fields.js';
import { digest, encodeLabel } from './space-place.js';

/** What stands for one member in the hash of the roster: its number at the relay, and its join record. 32 bytes. */
export function entryDigest(crypto: Crypto, number: number, join: Uint8Array): Uint8Array {
  return digest(crypto, ENTRY, uint32(number), join);
}

/**
 * The hash of a roster, 32 bytes: whoever has the same one sees the same members.
 * @param epoch 8 bytes
 * @param version how many changes the roster has had
 * @param digests of all its entries, in any order
 */
export function rosterHash(
  crypto: Crypto,
  epoch: Uint8Array,
  version: number,
  digests: Iterable<Uint8Array>,
): Uint8Array {
  const sorted = [...digests].sort(compareBytes);
  return digest(crypto, encodeLabel('roster'), epoch, uint64(version), ...sorted);
}

/** So that a digest of an entry is none of an item of the log. */
const ENTRY = Uint8Array.of(0x00);
