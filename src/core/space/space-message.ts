import { concat, readUint32, readUint64, writeUint32, writeUint64 } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import { digest, encodeLabel, encodePlace, type SpacePlace } from './space-place.js';

/**
 * Space messages: what one member says to all others, sealed once (docs/protocol.md, "Spaces").
 *
 * ```
 * header (97) | length of the body (u32) | body | signature (64, kind 2 only)
 *
 * header: kind (u8) | sender's member id (16) | sequence (u64) | epoch (8) | seen offset (u64) | roster version (u64)
 *       | view hash (32) | generation (u32) | iteration (u32) | first sequence of the generation (u64)
 * ```
 */
export const HEADER_LENGTH = 97;
/** Where the body of a space message begins. */
export const BODY_OFFSET = HEADER_LENGTH + 4;
/** Bytes of the signature at the end of a message of kind 2. */
export const MESSAGE_SIGNATURE_LENGTH = 64;
const TAG_LENGTH = 16;

export const MessageKind = {
  /** The key of the body is wrapped for each recipient. */
  WRAPPED: 1,
  /** The key of the body comes from the sender's chain, and the message is signed. */
  SENDER_KEY: 2,
} as const;
export type MessageKind = (typeof MessageKind)[keyof typeof MessageKind];

export interface MessageHeader {
  readonly kind: MessageKind;
  /** Member id, 16 bytes. */
  readonly sender: Uint8Array;
  /** Of the sender's messages, from 1 on, one by one. */
  readonly sequence: number;
  /** Of the space, 8 bytes. */
  readonly epoch: Uint8Array;
  /** The last item that the sender had seen. */
  readonly seen: number;
  /** Of the roster that the generation is for. */
  readonly version: number;
  /** Of the log at `seen` and of the roster as it was then, 32 bytes: see space-log.ts. */
  readonly viewHash: Uint8Array;
  /** Which of the sender's keys, from 1 on. */
  readonly generation: number;
  /** How many messages were sealed with these keys before. */
  readonly iteration: number;
  /** The sequence of the first message of the generation. */
  readonly first: number;
}

/** A space message taken apart. Everything but the numbers is a view of it. */
export interface SpaceMessage {
  readonly header: MessageHeader;
  readonly headerBytes: Uint8Array;
  /** Ciphertext and tag. */
  readonly body: Uint8Array;
  /** Of kind 2 only. */
  readonly signature: Uint8Array | undefined;
}

/** The 97 bytes of a header. */
export function encodeHeader(header: MessageHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_LENGTH);
  bytes[0] = header.kind;
  bytes.set(header.sender, 1);
  writeUint64(bytes, 17, header.sequence);
  bytes.set(header.epoch, 25);
  writeUint64(bytes, 33, header.seen);
  writeUint64(bytes, 41, header.version);
  bytes.set(header.viewHash, 49);
  writeUint32(bytes, 81, header.generation);
  writeUint32(bytes, 85, header.iteration);
  writeUint64(bytes, 89, header.first);
  return bytes;
}

/** A whole space message. */
export function encodeSpaceMessage(
  headerBytes: Uint8Array,
  body: Uint8Array,
  signature: Uint8Array = EMPTY,
): Uint8Array {
  const message = new Uint8Array(BODY_OFFSET + body.length + signature.length);
  message.set(headerBytes);
  writeUint32(message, HEADER_LENGTH, body.length);
  message.set(body, BODY_OFFSET);
  message.set(signature, BODY_OFFSET + body.length);
  return message;
}

/**
 * Takes a space message apart.
 * @throws SecureWebSocketError `FRAME_MALFORMED`
 */
export function decodeSpaceMessage(bytes: Uint8Array): SpaceMessage {
  const length = spaceMessageLength(bytes);
  if (length !== bytes.length)
    throw malformed(`of ${String(bytes.length)} bytes where it says ${String(length)}`);
  const header: MessageHeader = {
    // Known from the length on.
    kind: bytes[0] as MessageKind,
    sender: bytes.subarray(1, 17),
    sequence: count(bytes, 17),
    epoch: bytes.subarray(25, 33),
    seen: count(bytes, 33),
    version: count(bytes, 41),
    viewHash: bytes.subarray(49, 81),
    generation: readUint32(bytes, 81),
    iteration: readUint32(bytes, 85),
    first: count(bytes, 89),
  };
  if (header.generation === 0) throw malformed('of generation 0');
  if (header.first === 0 || header.first > header.sequence) {
    throw malformed('whose generation does not begin at or before it');
  }
  const end = BODY_OFFSET + readUint32(bytes, HEADER_LENGTH);
  return {
    header,
    headerBytes: bytes.subarray(0, HEADER_LENGTH),
    body: bytes.subarray(BODY_OFFSET, end),
    signature: end < bytes.length ? bytes.subarray(end) : undefined,
  };
}

/**
 * How long the space message is that stands at the beginning of `bytes`, as it says itself.
 * @throws SecureWebSocketError `FRAME_MALFORMED` when `bytes` are fewer, or begin with none
 */
export function spaceMessageLength(bytes: Uint8Array): number {
  if (bytes.length < BODY_OFFSET + TAG_LENGTH) throw malformed('that is shorter than every one');
  const kind = bytes[0];
  if (kind !== MessageKind.WRAPPED && kind !== MessageKind.SENDER_KEY) {
    throw malformed(`of the unknown kind ${String(kind)}`);
  }
  const bodyLength = readUint32(bytes, HEADER_LENGTH);
  if (bodyLength < TAG_LENGTH) throw malformed('whose body has no tag');
  const signed = kind === MessageKind.SENDER_KEY ? MESSAGE_SIGNATURE_LENGTH : 0;
  const length = BODY_OFFSET + bodyLength + signed;
  if (length > bytes.length) throw malformed('that ends too early');
  return length;
}

/**
 * What the signature of a message of kind 2 is over: the space, its sender, its header, and the digest of its body.
 * @param senderKey X25519 public key of the sender, 32 bytes
 */
export function signedOf(
  crypto: Crypto,
  place: SpacePlace,
  senderKey: Uint8Array,
  headerBytes: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  return concat(
    encodeLabel('space message'),
    encodePlace(place),
    senderKey,
    headerBytes,
    digest(crypto, body),
  );
}

/**
 * All 64 bytes of the hash that wraps are bound to. No two messages have the same one, as no two bodies are sealed under
 * the same key: so it gives the nonce of the wraps, too.
 */
export function wrapBinding(
  crypto: Crypto,
  place: SpacePlace,
  senderKey: Uint8Array,
  headerBytes: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  return crypto.hash(encodeLabel('wrap'), encodePlace(place), senderKey, headerBytes, digest(crypto, body));
}

function count(bytes: Uint8Array, offset: number): number {
  const value = readUint64(bytes, offset);
  if (value > Number.MAX_SAFE_INTEGER) throw malformed('that holds a number above 2^53');
  return value;
}

function malformed(what: string): SecureWebSocketError {
  return new SecureWebSocketError('FRAME_MALFORMED', `Received a space message ${what}.`);
}

const EMPTY = new Uint8Array(0);
