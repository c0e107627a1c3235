import { compareBytes, readUint32, utf8, writeUint32 } from './bytes.js';
import { type Control, decodeControl } from './control.js';
import { MAX_TOKEN_FRAME } from './constants.js';
import { SecureWebSocketError } from './errors.js';

/**
 * Frames: what one binary WebSocket message of a registered link is (docs/protocol.md, "Frames").
 * One type byte, then the body.
 */
export const FrameType = {
  ENVELOPE: 0x01,
  NOTICE: 0x02,
  LISTEN: 0x03,
  CONTROL: 0x04,
  TOKEN: 0x05,
  SPACE: 0x06,
  MULTICAST: 0x07,
} as const;

/** Why the router could not deliver an envelope, or what became of a peer. */
export const NoticeReason = {
  NOT_HERE: 1,
  QUEUE_FULL: 2,
  REFUSED: 3,
  TOO_LARGE: 4,
  PEER_GONE: 5,
  NOT_ALLOWED: 6,
  HANDSHAKES_LIMITED: 7,
  TOO_MANY_PEERS: 8,
} as const;
export type NoticeReason = (typeof NoticeReason)[keyof typeof NoticeReason];

export const PUBLIC_KEY_LENGTH = 32;
/** A public key and a big-endian connection id; id 0 is "the newest listening connection of this key". */
export const PEER_ADDRESS_LENGTH = 36;
/** Type byte and peer address. */
export const ENVELOPE_HEADER_LENGTH = 1 + PEER_ADDRESS_LENGTH;
export const NOTICE_LENGTH = 2 + PEER_ADDRESS_LENGTH;
export const LISTEN_LENGTH = 2;
/** Type byte and membership: what SPACE and MULTICAST frames begin with. */
export const MEMBERSHIP_HEADER_LENGTH = 5;

export type Frame =
  | { readonly type: 'envelope'; readonly address: Uint8Array; readonly body: Uint8Array }
  | { readonly type: 'notice'; readonly reason: NoticeReason; readonly address: Uint8Array }
  | { readonly type: 'listen'; readonly listening: boolean }
  /** Undefined: of a kind that this version does not know. */
  | { readonly type: 'control'; readonly control: Control | undefined }
  | { readonly type: 'token'; readonly sealed: Uint8Array }
  /** What a relay and a member of a space tell each other. `membership`: the member's own number for it, from 1 on. */
  | {
      readonly type: 'space';
      readonly membership: number;
      readonly operation: number;
      readonly body: Uint8Array;
    }
  /** What a member says to all others of a space. */
  | { readonly type: 'multicast'; readonly membership: number; readonly body: Uint8Array };

/** The peer address of a key and a connection id. */
export function peerAddress(publicKey: Uint8Array, connectionId: number): Uint8Array {
  const address = new Uint8Array(PEER_ADDRESS_LENGTH);
  address.set(publicKey);
  writeUint32(address, PUBLIC_KEY_LENGTH, connectionId);
  return address;
}

export function connectionIdOf(address: Uint8Array): number {
  return readUint32(address, PUBLIC_KEY_LENGTH);
}

/** Whether the connection at `source` may answer what was dialled to `dialled`: the same key, and the same connection unless any would do. */
export function isReachedBy(dialled: Uint8Array, source: Uint8Array): boolean {
  const dialledId = connectionIdOf(dialled);
  if (dialledId !== 0 && dialledId !== connectionIdOf(source)) return false;
  return compareBytes(dialled.subarray(0, PUBLIC_KEY_LENGTH), source.subarray(0, PUBLIC_KEY_LENGTH)) === 0;
}

/** One ENVELOPE frame: the peer address, then the sealed body. */
export function encodeEnvelope(address: Uint8Array, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ENVELOPE_HEADER_LENGTH + body.length);
  writeEnvelopeHeader(frame, address);
  frame.set(body, ENVELOPE_HEADER_LENGTH);
  return frame;
}

/** Makes an ENVELOPE frame of `frame`, in which the sealed body has its place behind `ENVELOPE_HEADER_LENGTH` bytes. */
export function writeEnvelopeHeader(frame: Uint8Array, address: Uint8Array): void {
  frame[0] = FrameType.ENVELOPE;
  frame.set(address, 1);
}

/** One NOTICE frame. `address` is the 36-byte peer address that it is about. */
export function encodeNotice(reason: NoticeReason, address: Uint8Array): Uint8Array {
  const frame = new Uint8Array(NOTICE_LENGTH);
  frame[0] = FrameType.NOTICE;
  frame[1] = reason;
  frame.set(address, 2);
  return frame;
}

/** One LISTEN frame: from now on envelopes to our key with connection id 0 may come here, or no longer. */
export function encodeListen(listening: boolean): Uint8Array {
  return Uint8Array.of(FrameType.LISTEN, listening ? 1 : 0);
}

/** One CONTROL frame: what a relay says of the link itself. */
export function encodeControl(control: Control): Uint8Array {
  return encodeTyped(FrameType.CONTROL, utf8(JSON.stringify(control)));
}

/** One TOKEN frame. `sealed`: a transport message under the keys of the registration, whose plaintext is the token. */
export function encodeToken(sealed: Uint8Array): Uint8Array {
  return encodeTyped(FrameType.TOKEN, sealed);
}

function encodeTyped(type: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + body.length);
  frame[0] = type;
  frame.set(body, 1);
  return frame;
}

/**
 * Reads one frame. The parts of the result are views of `bytes`.
 * @throws SecureWebSocketError `FRAME_MALFORMED`
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  switch (bytes[0]) {
    case FrameType.ENVELOPE:
      if (bytes.length <= ENVELOPE_HEADER_LENGTH) throw malformed('an ENVELOPE frame without a body');
      return {
        type: 'envelope',
        address: bytes.subarray(1, ENVELOPE_HEADER_LENGTH),
        body: bytes.subarray(ENVELOPE_HEADER_LENGTH),
      };
    case FrameType.NOTICE: {
      const reason = bytes[1];
      if (bytes.length !== NOTICE_LENGTH) throw malformed(`a NOTICE frame of ${String(bytes.length)} bytes`);
      if (!isNoticeReason(reason))
        throw malformed(`a NOTICE frame with the unknown reason ${String(reason)}`);
      return { type: 'notice', reason, address: bytes.subarray(2) };
    }
    case FrameType.LISTEN:
      if (bytes.length !== LISTEN_LENGTH || bytes[1] === undefined || bytes[1] > 1) {
        throw malformed('a LISTEN frame that is not exactly a flag of 0 or 1');
      }
      return { type: 'listen', listening: bytes[1] === 1 };
    case FrameType.CONTROL: {
      const control = decodeControl(bytes.subarray(1));
      if (control === false) throw malformed('a CONTROL frame that is no JSON object with a type');
      return { type: 'control', control };
    }
    case FrameType.TOKEN:
      if (bytes.length > MAX_TOKEN_FRAME) throw malformed('a TOKEN frame that is too long');
      return { type: 'token', sealed: bytes.subarray(1) };
    case FrameType.SPACE: {
      const membership = membershipIn(bytes, 'SPACE');
      const operation = bytes[MEMBERSHIP_HEADER_LENGTH];
      if (operation === undefined) throw malformed('a SPACE frame without an operation');
      return { type: 'space', membership, operation, body: bytes.subarray(MEMBERSHIP_HEADER_LENGTH + 1) };
    }
    case FrameType.MULTICAST: {
      const membership = membershipIn(bytes, 'MULTICAST');
      return { type: 'multicast', membership, body: bytes.subarray(MEMBERSHIP_HEADER_LENGTH) };
    }
    default:
      throw malformed(
        bytes.length === 0 ? 'an empty frame' : `a frame of the unknown type ${String(bytes[0])}`,
      );
  }
}

function membershipIn(bytes: Uint8Array, name: string): number {
  if (bytes.length < MEMBERSHIP_HEADER_LENGTH) throw malformed(`a ${name} frame without a membership`);
  const membership = readUint32(bytes, 1);
  if (membership === 0) throw malformed(`a ${name} frame of the membership 0`);
  return membership;
}

function isNoticeReason(value: number | undefined): value is NoticeReason {
  return value !== undefined && value >= NoticeReason.NOT_HERE && value <= NoticeReason.TOO_MANY_PEERS;
}

function malformed(what: string): SecureWebSocketError {
  return new SecureWebSocketError('FRAME_MALFORMED', `Received ${what}.`);
}
