/** Why a relay does not let a client in whose key is proven. */
export const ADMISSION_ERROR_CODES = [
  'KEY_NOT_ALLOWED',
  'KEY_DENIED',
  'TOKEN_REQUIRED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'TOKEN_NOT_YOURS',
  'ADMISSION_REFUSED',
  /** Whoever has to decide could not be asked. */
  'ADMISSION_UNAVAILABLE',
] as const;
export type AdmissionErrorCode = (typeof ADMISSION_ERROR_CODES)[number];

/** Every way in which this library fails, as a stable identifier for programs. */
export type ErrorCode =
  // what the caller gave
  | 'INVALID_ARGUMENT'
  | 'INVALID_SEED'
  | 'INVALID_ADDRESS_LENGTH'
  | 'INVALID_ADDRESS_CHARACTER'
  | 'NON_CANONICAL_ADDRESS'
  | 'LOW_ORDER_ADDRESS'
  | 'PLAINTEXT_REFUSED'
  // keys kept on this machine
  | 'KEY_STORE_UNREADABLE'
  | 'KEY_STORE_UNSAFE'
  | 'KEY_STORE_CORRUPT'
  | 'KEY_STORE_UNAVAILABLE'
  | 'KEY_STORE_EXISTS'
  // Noise
  | 'DECRYPT_FAILED'
  | 'NOISE_MESSAGE_MALFORMED'
  | 'NOISE_STATE'
  | 'ZERO_SHARED_SECRET'
  | 'NONCE_EXHAUSTED'
  // registration of a link
  | 'LINK_FAILED'
  | 'REGISTRATION_TIMEOUT'
  | 'REGISTRATION_MALFORMED'
  | 'REGISTRATION_REFUSED'
  | 'VERSION_MISMATCH'
  | 'SERVER_KEY_MISMATCH'
  | 'SERVER_KEY_CHANGED'
  | 'ADDRESS_NOT_CLAIMED'
  | 'DIALLED_ELSEWHERE'
  | 'DEVICE_INFORMATION_INVALID'
  | 'DEVICE_INFORMATION_EXPIRED'
  | 'TOO_MANY_CONNECTIONS'
  | AdmissionErrorCode
  // frames, sessions, channels
  | 'FRAME_MALFORMED'
  | 'FRAME_TOO_LARGE'
  | 'SOURCE_MISMATCH'
  | 'REPLAYED'
  | 'SESSION_FAILED'
  | 'SESSION_TIMEOUT'
  | 'SESSION_EXPIRED'
  | 'RECORD_MALFORMED'
  | 'PROTOCOL_VIOLATION'
  | 'FLOW_CONTROL'
  | 'MESSAGE_TOO_LARGE'
  | 'INVALID_UTF8'
  | 'CHANNEL_REFUSED'
  | 'CHANNEL_RESET'
  | 'PROTOCOL_NOT_OFFERED'
  | 'CLOSE_TIMEOUT'
  | 'BLOB_UNREADABLE'
  | 'LINK_LOST'
  /** More was given to send than may wait. */
  | 'BUFFER_FULL'
  /** The peer does not know the channel any more: its process is another one, or it gave the channel up. */
  | 'CHANNEL_LOST'
  /** This connection was replaced by a newer one of the same owner. */
  | 'REPLACED'
  /** The relay starts anew: what it carries moves to another connection. */
  | 'RESTARTING'
  /** The relay has no patience with a client that does not read. */
  | 'TOO_SLOW'
  // told by a relay
  | 'PEER_NOT_HERE'
  | 'PEER_QUEUE_FULL'
  | 'PEER_REFUSED'
  | 'PEER_GONE'
  /** The relay's rules do not let this client reach the peer. */
  | 'PEER_NOT_ALLOWED'
  /** The relay limits how often one may begin a handshake with the same peer. */
  | 'HANDSHAKES_LIMITED'
  /** The relay limits with how many peers one connection may talk. */
  | 'TOO_MANY_PEERS'
  // spaces
  /** The relay does not let us in, or not any longer, for a reason that has no code of its own. */
  | 'SPACE_REFUSED'
  /** The relay's rules do not let this client into the space. */
  | 'SPACE_NOT_ALLOWED'
  /** The space has as many members as it may. */
  | 'SPACE_FULL'
  /** This client is in as many spaces as it may, or the relay has as many as it may. */
  | 'TOO_MANY_SPACES'
  /** Whoever runs the relay has put us out of the space. */
  | 'SPACE_REMOVED'
  /** The relay shows a member who is none, or shows different members different things. */
  | 'ROSTER_MISMATCH'
  /** The relay has dropped, added or reordered what is said in the space. */
  | 'SPACE_ORDER'
  // presence
  /** The relay tells nobody who is present, or not this client. */
  | 'PRESENCE_REFUSED'
  | 'ABORTED';

/** An error of this library. `code` is stable; the message is for people and may change. */
export class SecureWebSocketError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SecureWebSocketError';
    this.code = code;
  }
}

/** `error` itself when it is one of ours; else a new one with `code` and `message`, and `error` as its cause. */
export function asSecureWebSocketError(
  error: unknown,
  code: ErrorCode,
  message: string,
): SecureWebSocketError {
  return error instanceof SecureWebSocketError
    ? error
    : new SecureWebSocketError(code, message, { cause: error });
}

/** @throws SecureWebSocketError `PROTOCOL_VIOLATION`, always: the peer did `what`. */
export function violation(what: string): never {
  throw new SecureWebSocketError('PROTOCOL_VIOLATION', `The peer ${what}.`);
}
