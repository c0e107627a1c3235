import { fromUtf8, utf8 } from './bytes.js';
import { type ErrorCode, SecureWebSocketError } from './errors.js';

/** How channels end on the wire: payloads of CLOSE and RESET (docs/protocol.md, "Channels"). */

/** What a CLOSE says: a status code of RFC 6455 section 7.4, and a reason. */
export interface CloseStatus {
  readonly code: number;
  readonly reason: string;
}

/** Status code of a CLOSE without one (RFC 6455 section 7.1.5). */
const NO_STATUS = 1005;
/** Never on the wire: a connection that ended without a CLOSE. */
export const ABNORMAL = 1006;
const MESSAGE_TOO_BIG = 1009;
const NOT_UTF8 = 1007;
const EMPTY = new Uint8Array(0);

/** The payload of CLOSE: nothing, or a status code and a reason (RFC 6455 section 5.5.1). */
export function encodeClose(code: number | undefined, reason = ''): Uint8Array {
  if (code === undefined) return EMPTY;
  const text = utf8(reason);
  const payload = new Uint8Array(2 + text.length);
  payload[0] = code >> 8;
  payload[1] = code & 0xff;
  payload.set(text, 2);
  return payload;
}

/** @throws SecureWebSocketError `PROTOCOL_VIOLATION` */
export function decodeClose(payload: Uint8Array): CloseStatus {
  if (payload.length === 0) return { code: NO_STATUS, reason: '' };
  const reason = fromUtf8(payload.subarray(2));
  const code = ((payload[0] ?? 0) << 8) | (payload[1] ?? 0);
  if (payload.length === 1 || payload.length > 125 || reason === undefined || !isCloseCode(code)) {
    throw new SecureWebSocketError('PROTOCOL_VIOLATION', 'The peer sent a CLOSE that is not valid.');
  }
  return { code, reason };
}

/** Status codes that may be on the wire (RFC 6455 section 7.4). */
export function isCloseCode(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== NO_STATUS && code !== ABNORMAL) ||
    (code >= 3000 && code <= 4999)
  );
}

/** The item that tells a peer that a channel is over, and why. */
export function resetPayload(code: ErrorCode | typeof SUSPENSION): Uint8Array {
  return utf8(code);
}

/** The RESET of an end that gave up a session but not its channels: they are to be resumed in another. */
export const SUSPENSION = 'SUSPENDED';

export function isSuspension(payload: Uint8Array): boolean {
  return fromUtf8(payload) === SUSPENSION;
}

/** The RESET of an end that knows no channel of this name, in this session. It may know the channel all the same. */
export const UNKNOWN_CHANNEL = 'CHANNEL_RESET';

export function isUnknownChannel(payload: Uint8Array): boolean {
  return fromUtf8(payload) === UNKNOWN_CHANNEL;
}

/** What a RESET of the peer means here. Its code is shown, and acted on by nobody. */
export function resetError(payload: Uint8Array): SecureWebSocketError {
  const code = fromUtf8(payload.subarray(0, 64)) ?? '';
  if (code === 'CHANNEL_LOST') {
    return new SecureWebSocketError(
      'CHANNEL_LOST',
      'The peer does not know the connection any more: it was started anew, or has given the connection up.',
    );
  }
  const why = /^[A-Z0-9_]+$/.test(code) ? ` (${code})` : '';
  return new SecureWebSocketError(
    'CHANNEL_RESET',
    `The peer ended the channel without a closing handshake${why}.`,
  );
}

/** The status code with which the peer is told of a failure, or undefined when a RESET says it better. */
export function closeCodeFor(error: SecureWebSocketError): number | undefined {
  if (error.code === 'MESSAGE_TOO_LARGE') return MESSAGE_TOO_BIG;
  if (error.code === 'INVALID_UTF8') return NOT_UTF8;
  return undefined;
}
