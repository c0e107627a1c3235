import { checkPublicKey } from '../address.js';
import { compareBytes, concat, fromHex, readUint64, toHex } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import { uint64 } from './byte-fields.js';
import type { JoinRecord, Signer } from './join-record.js';
import { checkSpaceName } from './space-name.js';
import { encodeLabel, encodeName } from './space-place.js';

/**
 * An invitation: an admin says that the owner of a key may read what is said in a space (docs/protocol.md, "Spaces").
 *
 * ```
 * box key of the invited (32) | expires (u64, milliseconds since 1970; 0: never) | signing key of the admin (32) | signature (64)
 * ```
 */
export const INVITATION_LENGTH = 136;
/** What of it is signed. */
const STATED_LENGTH = 72;

/**
 * Makes and signs an invitation. It holds for the space of that name at every relay.
 * @param signer the admin
 * @param invited X25519 public key, 32 bytes
 * @param expires milliseconds since 1970, or 0: never
 * @throws SecureWebSocketError `INVALID_ARGUMENT` for the name or the time, `INVALID_ADDRESS_LENGTH`,
 *   `NON_CANONICAL_ADDRESS` or `LOW_ORDER_ADDRESS` for the key
 */
export function createInvitation(
  signer: Signer,
  space: string,
  invited: Uint8Array,
  expires: number,
): Uint8Array {
  checkSpaceName(space);
  checkPublicKey(invited);
  if (!Number.isSafeInteger(expires) || expires < 0) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      'An invitation expires at a time in whole milliseconds since 1970, or never: 0.',
    );
  }
  const stated = concat(invited, uint64(expires), fromHex(signer.signingKey));
  return concat(stated, signer.sign(signedBytes(space, stated)));
}

/**
 * Whether a member is given keys: always when there are no `admins`; else when it is one of them, or when one of them
 * has invited its key into this space, and the invitation has not expired.
 * @param join an authentic record: its own signature is not checked here
 * @param admins their Ed25519 public keys, 64 lowercase hex characters each
 * @param wallClock milliseconds since 1970
 */
export function isAdmitted(
  crypto: Crypto,
  space: string,
  join: JoinRecord,
  admins: ReadonlySet<string> | undefined,
  wallClock: number,
): boolean {
  if (admins === undefined || admins.has(toHex(join.signingKey))) return true;
  const { invitation } = join;
  if (invitation.length !== INVITATION_LENGTH) return false;
  if (compareBytes(invitation.subarray(0, 32), join.boxKey) !== 0) return false;
  const expires = readUint64(invitation, 32);
  if (expires !== 0 && expires <= wallClock) return false;
  const admin = invitation.subarray(40, STATED_LENGTH);
  if (!admins.has(toHex(admin))) return false;
  const message = signedBytes(space, invitation.subarray(0, STATED_LENGTH));
  return crypto.ed25519Verify(invitation.subarray(STATED_LENGTH), message, admin);
}

function signedBytes(space: string, stated: Uint8Array): Uint8Array {
  return concat(encodeLabel('invitation'), encodeName(space), stated);
}
