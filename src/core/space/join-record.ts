import { checkPublicKey } from '../address.js';
import { concat, fromHex } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import { FieldReader, uint64 } from './byte-fields.js';
import { INVITATION_LENGTH } from './invitation.js';
import { encodeLabel, encodePlace, type SpacePlace } from './space-place.js';

export type { SpacePlace };

/** Who signs. An `Identity` is one. */
export interface Signer {
  /** X25519 public key, 32 bytes: the address. */
  readonly publicKeyBytes: Uint8Array;
  /** Ed25519 public key, 64 lowercase hex characters. */
  readonly signingKey: string;
  /** Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

/**
 * What somebody signs who enters a space (docs/protocol.md, "Spaces").
 *
 * ```
 * member id (16) | box key (32) | signing key (32) | time (u64) | length of the invitation (u16) | invitation | signature (64)
 * ```
 */
export interface JoinRecord {
  /** Tells this entry apart from every other one, also of the same identity: 16 random bytes. */
  readonly memberId: Uint8Array;
  /** X25519 public key: the member's address. */
  readonly boxKey: Uint8Array;
  /** Ed25519 public key. */
  readonly signingKey: Uint8Array;
  /** When it was made, by the member's clock, milliseconds since 1970. A hint. */
  readonly time: number;
  /** Empty when there is none. */
  readonly invitation: Uint8Array;
  /** The whole record, signature included. */
  readonly bytes: Uint8Array;
}

const MEMBER_ID_LENGTH = 16;
const SIGNATURE_LENGTH = 64;
/** Bytes of a join record without an invitation. */
export const JOIN_LENGTH = MEMBER_ID_LENGTH + 32 + 32 + 8 + 2 + SIGNATURE_LENGTH;
/** The most bytes that a join record has. */
export const MAX_JOIN_LENGTH = JOIN_LENGTH + INVITATION_LENGTH;

/**
 * Makes and signs a join record.
 * @param memberId 16 random bytes
 * @param time milliseconds since 1970
 * @throws SecureWebSocketError `INVALID_ARGUMENT` for a member id or an invitation of another length
 */
export function createJoin(
  signer: Signer,
  place: SpacePlace,
  memberId: Uint8Array,
  time: number,
  invitation: Uint8Array = EMPTY,
): Uint8Array {
  if (memberId.length !== MEMBER_ID_LENGTH) {
    throw invalid(`A member id is ${String(MEMBER_ID_LENGTH)} bytes, got ${String(memberId.length)}.`);
  }
  if (!isInvitationLength(invitation.length)) {
    throw invalid(
      `An invitation is ${String(INVITATION_LENGTH)} bytes, got ${String(invitation.length)}: it was not copied whole.`,
    );
  }
  const unsigned = concat(
    memberId,
    signer.publicKeyBytes,
    fromHex(signer.signingKey),
    uint64(Math.max(0, Math.floor(time))),
    Uint8Array.of(invitation.length >> 8, invitation.length),
    invitation,
  );
  return concat(unsigned, signer.sign(signedBytes(place, unsigned)));
}

/**
 * Reads a join record: its form only. Whether it is authentic says {@link isJoinAuthentic}. Nothing of the result
 * shares memory with `bytes`.
 * @throws SecureWebSocketError `FRAME_MALFORMED`, also for a box key that is no address
 */
export function decodeJoin(bytes: Uint8Array): JoinRecord {
  // A copy: rosters are kept for long, and must not hold on to the frames in which they came.
  const copy = bytes.slice();
  const reader = new FieldReader(copy, 'a join record');
  const memberId = reader.take(MEMBER_ID_LENGTH);
  const boxKey = reader.take(32);
  const signingKey = reader.take(32);
  const time = reader.uint64();
  const length = reader.uint16();
  if (!isInvitationLength(length)) throw reader.malformed('holds an invitation of another length');
  const invitation = reader.take(length);
  reader.take(SIGNATURE_LENGTH);
  reader.end();
  try {
    checkPublicKey(boxKey);
  } catch (error) {
    if (!(error instanceof SecureWebSocketError)) throw error;
    throw reader.malformed('holds a public key that is no address');
  }
  return { memberId, boxKey, signingKey, time, invitation, bytes: copy };
}

/** Whether whoever has the signing key has made this record, for this space at this relay. */
export function isJoinAuthentic(crypto: Crypto, place: SpacePlace, join: JoinRecord): boolean {
  const at = join.bytes.length - SIGNATURE_LENGTH;
  const message = signedBytes(place, join.bytes.subarray(0, at));
  return crypto.ed25519Verify(join.bytes.subarray(at), message, join.signingKey);
}

/** Whether a join record may have so many bytes. */
export function isJoinLength(length: number): boolean {
  return length === JOIN_LENGTH || length === MAX_JOIN_LENGTH;
}

function isInvitationLength(length: number): boolean {
  return length === 0 || length === INVITATION_LENGTH;
}

function signedBytes(place: SpacePlace, unsigned: Uint8Array): Uint8Array {
  return concat(encodeLabel('join'), encodePlace(place), unsigned);
}

function invalid(message: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', message);
}

const EMPTY = new Uint8Array(0);
