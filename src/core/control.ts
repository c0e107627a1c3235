import { fromUtf8 } from './bytes.js';
import { MAX_CONTROL_MESSAGE } from './constants.js';

/**
 * What a relay says of the link itself (docs/protocol.md, "Control"). It is not authenticated, as little as a notice is: a
 * relay can end a link at any time, and so can the network.
 */
export type Control =
  /**
   * The relay goes down, and ends this link in `reconnectIn` milliseconds. It, or another one at its address, can be expected
   * within `tryFor` milliseconds.
   */
  | { readonly type: 'RESTARTING'; readonly reconnectIn: number; readonly tryFor: number }
  /** More was sent than `perSecond` of what `limit` names, and is read later. Told once. */
  | { readonly type: 'THROTTLED'; readonly limit: ThrottledLimit; readonly perSecond: number }
  /** The token that was shown last is good. Without `expiresIn`, milliseconds, for as long as the link lives. */
  | { readonly type: 'TOKEN_ACCEPTED'; readonly expiresIn?: number }
  /** It is not: the link ends when the one before expires. */
  | { readonly type: 'TOKEN_REFUSED'; readonly reason: string; readonly message: string };

/** What is counted: of one connection, or of all connections of one key. */
export type ThrottledLimit = 'frames' | 'bytes' | 'key_frames' | 'key_bytes';

const LIMITS: ReadonlySet<unknown> = new Set<ThrottledLimit>(['frames', 'bytes', 'key_frames', 'key_bytes']);

/** Undefined: of a kind that is not known, or with members that are not; a later version may say more. False: malformed. */
export function decodeControl(bytes: Uint8Array): Control | undefined | false {
  if (bytes.length > MAX_CONTROL_MESSAGE) return false;
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes) ?? '');
  } catch {
    return false;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { type, reconnectIn, tryFor, limit, perSecond, expiresIn, reason, message } = value as Record<
    string,
    unknown
  >;
  if (typeof type !== 'string') return false;
  switch (type) {
    case 'RESTARTING':
      return isAmount(reconnectIn) && isAmount(tryFor) ? { type, reconnectIn, tryFor } : undefined;
    case 'THROTTLED':
      return LIMITS.has(limit) && isAmount(perSecond)
        ? { type, limit: limit as ThrottledLimit, perSecond }
        : undefined;
    case 'TOKEN_ACCEPTED':
      if (expiresIn === undefined) return { type };
      return isAmount(expiresIn) ? { type, expiresIn } : undefined;
    case 'TOKEN_REFUSED':
      return typeof reason === 'string' && typeof message === 'string'
        ? { type, reason, message }
        : undefined;
    default:
      return undefined;
  }
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
