import { parseAddress } from '../../core/address.js';
import type { Admitted } from './admission-options.js';

/** Characters of a reason that are told to a client. */
const MAX_REASON = 200;
/** Characters of the name of a user: it is kept as long as the connection. */
const MAX_USER_ID = 256;
/** Peers that one client may be bound to. */
const MAX_PEERS = 65_536;
/** The last moment that `Date` knows, milliseconds since 1970. */
const MAX_TIME = 8.64e15;

/** What came of asking somebody. `reason` is fit to be told to a client. */
export type HookAnswer =
  | { readonly allow: true; readonly admitted: Admitted }
  | { readonly allow: false; readonly reason: string | undefined };

/**
 * What an HTTP hook answered: `{"allow": true|false, "reason"?, "expiresAt"?: seconds since 1970, "userId"?, "peers"?: [keys]}`.
 * Names that are not known are ignored.
 * @throws Error saying what is wrong with it, without the answer
 */
export function parseHookAnswer(text: string): HookAnswer {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error('The answer is not JSON.');
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    throw new Error('The answer is not a JSON object.');
  }
  const { allow, reason, expiresAt, userId, peers } = answer as Record<string, unknown>;
  if (typeof allow !== 'boolean') throw new Error('"allow" in the answer is neither true nor false.');
  if (!allow) return { allow, reason: presentable(reason) };
  if (expiresAt !== undefined && typeof expiresAt !== 'number') {
    throw new Error('"expiresAt" in the answer is not a number.');
  }
  return {
    allow,
    admitted: checkAdmitted({
      expiresAt: expiresAt === undefined ? undefined : expiresAt * 1_000,
      userId,
      peers,
    }),
  };
}

/**
 * Checks what others say that a client is admitted for, and copies it.
 * @throws Error saying which part is wrong, without its value
 */
export function checkAdmitted(given: { readonly [Key in keyof Admitted]: unknown }): Admitted {
  const { expiresAt, userId, peers } = given;
  const known = <Value>(value: Value | null | undefined): value is Value =>
    value !== undefined && value !== null;
  return {
    ...(known(expiresAt) && { expiresAt: checkTime(expiresAt) }),
    ...(known(userId) && { userId: checkUserId(userId) }),
    ...(known(peers) && { peers: checkPeers(peers) }),
  };
}

function checkTime(time: unknown): number {
  if (typeof time === 'number' && time >= 0 && time <= MAX_TIME) return time;
  throw new Error('"expiresAt" is no time.');
}

/** @throws Error unless it is a string of at most 256 characters without control characters */
export function checkUserId(userId: unknown): string {
  if (typeof userId !== 'string' || userId.length > MAX_USER_ID || /\p{Cc}/u.test(userId)) {
    throw new Error(`The user is not a string of at most ${MAX_USER_ID} characters.`);
  }
  return userId;
}

/** @throws Error unless it is an array of public keys, 64 hex digits each */
export function checkPeers(peers: unknown): readonly string[] {
  if (!Array.isArray(peers) || peers.length > MAX_PEERS) {
    throw new Error('"peers" is not an array of public keys.');
  }
  return peers.map(peer => {
    parseAddress(peer as string);
    return peer as string;
  });
}

/** A reason as a client may read it: one line, cut to 200 characters; undefined when there is none. */
export function presentable(reason: unknown): string | undefined {
  if (typeof reason !== 'string') return undefined;
  // Cut before it is searched, as it may be long; and after, between characters rather than in the middle of one.
  const line = reason
    .slice(0, 4 * MAX_REASON)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  const cut = Array.from(line).slice(0, MAX_REASON).join('');
  return cut === '' ? undefined : cut;
}
