import { STATUS_CODES } from 'node:http';
import { describeError } from '../../core/describe-error.js';
import { ChannelRefusal } from '../../core/channel-refusal.js';
import { ADMISSION_ERROR_CODES, type ErrorCode, SecureWebSocketError } from '../../core/errors.js';
import { printable } from '../printable.js';

/** The most of a reason that is passed on, characters. */
const MAX_REASON = 200;

/** Why an upgrade is refused: an HTTP status, and words for whoever looks into it. Never a secret. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(printable(message).slice(0, MAX_REASON));
    this.name = 'Refusal';
    this.status = status;
    this.headers = headers;
  }
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  INVALID_ADDRESS_LENGTH: 400,
  INVALID_ADDRESS_CHARACTER: 400,
  NON_CANONICAL_ADDRESS: 400,
  LOW_ORDER_ADDRESS: 400,
  PEER_NOT_HERE: 404,
  PEER_GONE: 404,
  PEER_REFUSED: 404,
  PEER_NOT_ALLOWED: 403,
  SPACE_NOT_ALLOWED: 403,
  SPACE_REFUSED: 403,
  SPACE_REMOVED: 403,
  ...Object.fromEntries(ADMISSION_ERROR_CODES.map(code => [code, 403])),
  ADMISSION_UNAVAILABLE: 503,
  TOO_MANY_CONNECTIONS: 503,
  TOO_MANY_PEERS: 503,
  TOO_MANY_SPACES: 503,
  SPACE_FULL: 503,
  HANDSHAKES_LIMITED: 503,
  PEER_QUEUE_FULL: 503,
  RESTARTING: 503,
  REGISTRATION_TIMEOUT: 504,
  SESSION_TIMEOUT: 504,
};

/** The refusal that tells a plain client why the far side could not be reached. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof ChannelRefusal) {
    const status = errorStatus(error.status);
    return new Refusal(status, error.reason === '' ? (STATUS_CODES[status] ?? '') : error.reason);
  }
  if (error instanceof SecureWebSocketError)
    return new Refusal(STATUS[error.code] ?? 502, `${error.code}: ${error.message}`);
  return new Refusal(502, describeError(error));
}

/** `status` itself if it says that something is wrong; else what a gateway makes of an answer that it cannot use. */
export function errorStatus(status: number): number {
  return status >= 400 && status <= 599 ? status : 502;
}
