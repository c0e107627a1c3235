import { fromUtf8, toBase64Url, utf8 } from './bytes.js';
import { MAX_OPEN_PAYLOAD } from './constants.js';
import { SecureWebSocketError } from './errors.js';

/**
 * Payloads of OPEN, OPEN_ACCEPT and OPEN_REFUSE: JSON objects, at most 16 KiB (docs/protocol.md, "Opening a channel").
 * Members that are not known are ignored: a later version may say more.
 */

export interface OpenParameters {
  /** Path and query as dialled: '/chat?x=1'. */
  readonly target: string;
  readonly protocols: readonly string[];
  readonly origin?: string | undefined;
  /** Bytes that the sender of this is ready to receive. */
  readonly window: number;
  /** Whether the channel is to outlive its link. */
  readonly resume?: boolean | undefined;
}

export interface OpenAccept {
  /** One of the offered subprotocols, or ''. */
  readonly protocol: string;
  readonly window: number;
  /** Which session OPEN came in: the first 16 bytes of its handshake hash, base64url. OPEN may have been sent in several. */
  readonly session: string;
  /** Milliseconds that the channel is kept while its opener is out of reach; 0 when it ends with its link. */
  readonly resume?: number | undefined;
}

export interface OpenRefuse {
  /** An HTTP status code. */
  readonly status: number;
  readonly reason: string;
}

export function encodeOpen(open: OpenParameters | OpenAccept | OpenRefuse): Uint8Array {
  const payload = utf8(JSON.stringify(open));
  if (payload.length > MAX_OPEN_PAYLOAD) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      `Path, query and subprotocols together are too long: ${String(payload.length)} of at most ${String(MAX_OPEN_PAYLOAD)} bytes.`,
    );
  }
  return payload;
}

/** @throws SecureWebSocketError `RECORD_MALFORMED` */
export function decodeOpen(payload: Uint8Array): OpenParameters {
  const { target, protocols, origin, window, resume } = parse(payload, 'OPEN');
  if (typeof target !== 'string' || !target.startsWith('/')) throw malformed('OPEN', 'target');
  if (!Array.isArray(protocols) || !protocols.every(isToken)) throw malformed('OPEN', 'protocols');
  if (origin !== undefined && typeof origin !== 'string') throw malformed('OPEN', 'origin');
  if (!isCount(window)) throw malformed('OPEN', 'window');
  if (resume !== undefined && typeof resume !== 'boolean') throw malformed('OPEN', 'resume');
  return { target, protocols, origin, window, resume: resume === true };
}

/** @throws SecureWebSocketError `RECORD_MALFORMED` */
export function decodeOpenAccept(payload: Uint8Array): OpenAccept {
  const { protocol, window, session, resume = 0 } = parse(payload, 'OPEN_ACCEPT');
  if (protocol !== '' && !isToken(protocol)) throw malformed('OPEN_ACCEPT', 'protocol');
  if (!isCount(window)) throw malformed('OPEN_ACCEPT', 'window');
  if (typeof session !== 'string') throw malformed('OPEN_ACCEPT', 'session');
  if (!isCount(resume)) throw malformed('OPEN_ACCEPT', 'resume');
  return { protocol, window, session, resume };
}

/** @throws SecureWebSocketError `RECORD_MALFORMED` */
export function decodeOpenRefuse(payload: Uint8Array): OpenRefuse {
  const { status, reason } = parse(payload, 'OPEN_REFUSE');
  if (!isCount(status)) throw malformed('OPEN_REFUSE', 'status');
  if (typeof reason !== 'string') throw malformed('OPEN_REFUSE', 'reason');
  return { status, reason };
}

function parse(payload: Uint8Array, name: string): Record<string, unknown> {
  const text = payload.length > MAX_OPEN_PAYLOAD ? undefined : fromUtf8(payload);
  if (text === undefined) throw malformed(name);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw malformed(name);
}

/** A token of RFC 9110 section 5.6.2: what a subprotocol name may be (RFC 6455 section 4.1). */
export function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function malformed(name: string, member?: string): SecureWebSocketError {
  const where = member === undefined ? 'is not a JSON object of a sensible size' : `has no valid "${member}"`;
  return new SecureWebSocketError('RECORD_MALFORMED', `${name} from the peer ${where}.`);
}

/** How OPEN_ACCEPT names the session of this handshake hash. */
export function sessionName(handshakeHash: Uint8Array): string {
  return toBase64Url(handshakeHash.subarray(0, 16));
}
