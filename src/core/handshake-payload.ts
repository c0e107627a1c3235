import { readUint32, readUint64, writeUint32, writeUint64 } from './bytes.js';
import { SecureWebSocketError } from './errors.js';

/**
 * Payloads of the two IK messages (docs/protocol.md, "Sessions"). Never application data: the first message has no
 * forward secrecy and can be replayed.
 */

/** time (8) | session id (16) | capabilities (4) */
export const INITIATION_PAYLOAD_LENGTH = 28;
/** Nothing is optional yet. Unknown bits are ignored by whoever receives them. */
const CAPABILITIES = 0;

export interface InitiationPayload {
  /** Milliseconds since 1970 at the initiator: a hint, never a reason to refuse. */
  readonly time: number;
  readonly sessionId: Uint8Array;
  readonly capabilities: number;
}

export function encodeInitiationPayload(time: number, sessionId: Uint8Array): Uint8Array {
  const payload = new Uint8Array(INITIATION_PAYLOAD_LENGTH);
  writeUint64(payload, 0, Math.max(0, Math.floor(time)));
  payload.set(sessionId, 8);
  writeUint32(payload, 24, CAPABILITIES);
  return payload;
}

/**
 * Longer payloads are allowed: a later version may say more.
 * @throws SecureWebSocketError `NOISE_MESSAGE_MALFORMED`
 */
export function decodeInitiationPayload(payload: Uint8Array): InitiationPayload {
  if (payload.length < INITIATION_PAYLOAD_LENGTH) {
    throw new SecureWebSocketError(
      'NOISE_MESSAGE_MALFORMED',
      'The payload of a handshake initiation is too short.',
    );
  }
  return {
    time: readUint64(payload, 0),
    sessionId: payload.slice(8, 24),
    capabilities: readUint32(payload, 24),
  };
}

/** capabilities (4) */
export function encodeResponsePayload(): Uint8Array {
  const payload = new Uint8Array(4);
  writeUint32(payload, 0, CAPABILITIES);
  return payload;
}
