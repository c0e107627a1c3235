import type { Crypto } from '../crypto.js';
import { uint32, uint64, uint8 } from './byte-fields.js';
import { type LeaveReason, leaveReasonCode } from './space-frame.js';
import { BODY_OFFSET, HEADER_LENGTH } from './space-message.js';
import { digest, encodeLabel, encodeName, type SpacePlace } from './space-place.js';

/**
 * The order of a space as a chain of hashes, 32 bytes each: whoever has the same one at an offset has seen the same
 * items, in the same order (docs/protocol.md, "Spaces").
 */

/** The hash before the first item. `epoch`: 8 bytes. */
export function firstLogHash(crypto: Crypto, place: SpacePlace, epoch: Uint8Array): Uint8Array {
  return digest(crypto, encodeLabel('space'), place.relayKey, epoch, encodeName(place.name));
}

/** The hash after the item at `offset`, which follows the one `before`. */
export function nextLogHash(
  crypto: Crypto,
  before: Uint8Array,
  offset: number,
  itemDigest: Uint8Array,
): Uint8Array {
  return digest(crypto, before, uint64(offset), itemDigest);
}

/** What stands for an item JOINED in the log. */
export function joinedDigest(
  crypto: Crypto,
  version: number,
  rosterHash: Uint8Array,
  number: number,
  join: Uint8Array,
): Uint8Array {
  return digest(crypto, uint8(1), uint64(version), rosterHash, uint32(number), join);
}

/** What stands for an item LEFT in the log. */
export function leftDigest(
  crypto: Crypto,
  version: number,
  rosterHash: Uint8Array,
  number: number,
  reason: LeaveReason,
): Uint8Array {
  const code = uint8(leaveReasonCode(reason));
  return digest(crypto, uint8(2), uint64(version), rosterHash, uint32(number), code);
}

/**
 * What stands for an item MESSAGE in the log.
 * @param message a whole space message: its wraps differ from member to member, and are no part of it
 */
export function messageDigest(crypto: Crypto, message: Uint8Array): Uint8Array {
  // Body and signature, which stand side by side.
  const sealed = digest(crypto, message.subarray(BODY_OFFSET));
  return digest(crypto, uint8(3), message.subarray(0, HEADER_LENGTH), sealed);
}

/**
 * What members tell each other of what they have seen: the log, and the roster, 32 bytes. A relay that shows different
 * things to two members cannot make their messages agree.
 */
export function viewHash(crypto: Crypto, logHash: Uint8Array, rosterHash: Uint8Array): Uint8Array {
  return digest(crypto, encodeLabel('view'), logHash, rosterHash);
}
