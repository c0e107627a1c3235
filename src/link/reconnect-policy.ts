import type { ErrorCode, SecureWebSocketError } from '../core/errors.js';

/**
 * When a connection that was lost is made again, and when it is not. Nothing here reads a clock, starts a timer or throws
 * dice: times (milliseconds of any clock that only goes forward) and randomness are arguments.
 */

/** How a connection that was lost, or could not be made, is made again. Everything is optional. */
export interface ReconnectOptions {
  /**
   * The first attempt is made after at most so many milliseconds; the limit doubles with each further one. 0: without
   * any delay, however often it fails. Default: 500, or `maxDelay` if that is less.
   */
  readonly minDelay?: number;
  /** No attempt is put off for longer, milliseconds. Default: 20,000, or `minDelay` if that is more. */
  readonly maxDelay?: number;
  /**
   * So many attempts in a row without success, and the connection is given up. A connection that was lost before
   * `stableTime` had passed is no success. A positive integer. Default: Infinity.
   */
  readonly maxAttempts?: number;
  /**
   * A connection must have lasted so many milliseconds before delays and attempts are counted anew: else a server that
   * takes connections and drops them at once would be dialled without pause. Default: 10,000.
   */
  readonly stableTime?: number;
}

/** The option `reconnect`: true for the defaults. */
export type Reconnect = boolean | ReconnectOptions;

const MIN_DELAY = 500;
const MAX_DELAY = 20_000;
const STABLE_TIME = 10_000;

const MEMBERS: ReadonlySet<string> = new Set<keyof ReconnectOptions>([
  'minDelay',
  'maxDelay',
  'maxAttempts',
  'stableTime',
]);

/**
 * The option `reconnect` with every default filled in, or undefined for no reconnection.
 * @throws TypeError for anything but a boolean, undefined or valid `ReconnectOptions`.
 */
export function parseReconnect(value: unknown): Required<ReconnectOptions> | undefined {
  if (value === undefined || value === false) return undefined;
  if (value !== true && (typeof value !== 'object' || value === null || Array.isArray(value))) {
    const given = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
    throw new TypeError(`"reconnect" is true, false or an object, not ${given}`);
  }
  const options = value === true ? {} : (value as Readonly<Record<string, unknown>>);
  for (const name of Object.keys(options)) {
    if (MEMBERS.has(name)) continue;
    throw new TypeError(`"reconnect" has no member "${name}": it knows ${[...MEMBERS].join(', ')}`);
  }
  const minDelay = milliseconds(options, 'minDelay');
  const maxDelay = milliseconds(options, 'maxDelay');
  if (minDelay !== undefined && maxDelay !== undefined && minDelay > maxDelay) {
    throw new TypeError(
      `"reconnect.minDelay" must not be more than "maxDelay", which is ${maxDelay}, not ${minDelay}`,
    );
  }
  return {
    minDelay: minDelay ?? Math.min(MIN_DELAY, maxDelay ?? MIN_DELAY),
    maxDelay: maxDelay ?? Math.max(MAX_DELAY, minDelay ?? MAX_DELAY),
    maxAttempts: attempts(options['maxAttempts']),
    stableTime: milliseconds(options, 'stableTime') ?? STABLE_TIME,
  };
}

function milliseconds(
  options: Readonly<Record<string, unknown>>,
  name: keyof ReconnectOptions,
): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw new TypeError(
    `"reconnect.${name}" is a finite number of milliseconds, at least 0, not ${shown(value)}`,
  );
}

function attempts(value: unknown): number {
  if (value === undefined || value === Infinity) return Infinity;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1) return value;
  throw new TypeError(
    `"reconnect.maxAttempts" is an integer of at least 1, or Infinity, not ${shown(value)}`,
  );
}

/** What an application gave in place of a number, as far as it is short. */
function shown(value: unknown): string {
  if (value === null || typeof value === 'number') return String(value);
  return `a ${typeof value}`;
}

/** While a server restarts attempts are put off for at most so long, milliseconds. */
const HURRIED_DELAY = 1_000;
/** Beyond this exponent a doubling changes nothing that a double could hold, and 0 times Infinity would be NaN. */
const MAX_EXPONENT = 1_023;

/**
 * The delays between attempts: exponential back-off with full jitter, that is uniform in [0, limit], so that the many
 * that lost a connection together do not come back together.
 */
export class Backoff {
  readonly #options: Required<ReconnectOptions>;
  readonly #random: () => number;
  #attempt = 0;
  #connectedAt: number | undefined;
  /** Until then the server is known to be about to come back; and whether an attempt was made meanwhile. */
  #tryUntil = -Infinity;
  #tried = false;
  /** Attempts that do not count, as the server restarts. */
  #hurried = 0;

  /** `random`: a number from 0 to 1, uniformly distributed. */
  constructor(options: Required<ReconnectOptions>, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** How many attempts `next` has granted since the last connection that lasted. */
  get attempt(): number {
    return this.#attempt + this.#hurried;
  }

  /** Milliseconds before the next attempt at `now`, or undefined when there have been as many as allowed. */
  next(now = Infinity): number | undefined {
    if (now < this.#tryUntil) {
      // Whoever restarts has spread its clients already, so that the first one need not wait.
      this.#hurried++;
      const isFirst = !this.#tried;
      this.#tried = true;
      return isFirst ? 0 : this.#random() * Math.min(HURRIED_DELAY, this.#options.maxDelay);
    }
    const { minDelay, maxDelay, maxAttempts } = this.#options;
    if (this.#attempt >= maxAttempts) return undefined;
    const limit = Math.min(maxDelay, minDelay * 2 ** Math.min(this.#attempt, MAX_EXPONENT));
    this.#attempt++;
    return this.#random() * limit;
  }

  /** The connection came to be at `now`. */
  connected(now: number): void {
    this.#connectedAt ??= now;
  }

  /**
   * It was lost at `now`: starts anew if it had lasted `stableTime`. Without a connection nothing. `tryUntil`: the server had
   * said before that it restarts, and will be back by then; attempts until then do not count.
   */
  lost(now: number, tryUntil?: number): void {
    if (tryUntil !== undefined && tryUntil !== this.#tryUntil) {
      this.#tryUntil = tryUntil;
      this.#tried = false;
    }
    if (this.#connectedAt !== undefined && now - this.#connectedAt >= this.#options.stableTime) {
      this.#attempt = this.#hurried = 0;
    }
    this.#connectedAt = undefined;
  }
}

/**
 * Which failures no further attempt can mend. What fails because of what was given here, of who the other end is, or of
 * what it says about us comes out the same each time. What can come of the network, of a relay or of timing does not;
 * where in doubt another attempt is made, as it proves every key anew.
 */
const TERMINAL: Readonly<Record<ErrorCode, boolean>> = {
  // What was given, and what is kept here.
  INVALID_ARGUMENT: true,
  INVALID_SEED: true,
  INVALID_ADDRESS_LENGTH: true,
  INVALID_ADDRESS_CHARACTER: true,
  NON_CANONICAL_ADDRESS: true,
  LOW_ORDER_ADDRESS: true,
  PLAINTEXT_REFUSED: true,
  KEY_STORE_UNREADABLE: true,
  KEY_STORE_UNSAFE: true,
  KEY_STORE_CORRUPT: true,
  KEY_STORE_UNAVAILABLE: true,
  KEY_STORE_EXISTS: true,

  // Noise: a handshake that was tampered with, or keys that are used up. The next one starts with fresh keys, and one
  // forged message must not be able to end a connection for good.
  DECRYPT_FAILED: false,
  NOISE_MESSAGE_MALFORMED: false,
  NOISE_STATE: false,
  ZERO_SHARED_SECRET: false,
  NONCE_EXHAUSTED: false,

  // Registration: nobody there, or busy.
  LINK_FAILED: false,
  REGISTRATION_TIMEOUT: false,
  TOO_MANY_CONNECTIONS: false,
  // Registration: somebody is there who is not the one that is meant, does not speak this protocol, or does not want us.
  REGISTRATION_MALFORMED: true,
  REGISTRATION_REFUSED: true,
  VERSION_MISMATCH: true,
  SERVER_KEY_MISMATCH: true,
  SERVER_KEY_CHANGED: true,
  ADDRESS_NOT_CLAIMED: true,
  DIALLED_ELSEWHERE: true,
  DEVICE_INFORMATION_INVALID: true,
  DEVICE_INFORMATION_EXPIRED: true,
  // Admission: what the relay has decided of this key, or of this token. A function for the token may have another one.
  KEY_NOT_ALLOWED: true,
  KEY_DENIED: true,
  TOKEN_REQUIRED: true,
  TOKEN_INVALID: true,
  TOKEN_EXPIRED: true,
  TOKEN_NOT_YOURS: true,
  ADMISSION_REFUSED: true,
  ADMISSION_UNAVAILABLE: false,

  // What a link, or a relay, garbled, lost, repeated or misdirected. A new link tells its frame limit anew.
  FRAME_MALFORMED: false,
  FRAME_TOO_LARGE: false,
  SOURCE_MISMATCH: false,
  REPLAYED: false,
  LINK_LOST: false,
  RESTARTING: false,
  TOO_SLOW: false,
  HANDSHAKES_LIMITED: false,
  // Peers go, and make room for others.
  TOO_MANY_PEERS: false,
  // The peer does not answer at present.
  SESSION_FAILED: false,
  SESSION_TIMEOUT: false,
  SESSION_EXPIRED: false,
  PEER_NOT_HERE: false,
  PEER_QUEUE_FULL: false,
  PEER_GONE: false,
  // The relay takes nothing for this address: the URL lacks the key of a peer.
  PEER_REFUSED: true,
  // The relay's rules, or a token, do not let us reach it.
  PEER_NOT_ALLOWED: true,

  // One of the two ends breaks the protocol inside the encryption, where nobody else can.
  RECORD_MALFORMED: true,
  PROTOCOL_VIOLATION: true,
  FLOW_CONTROL: true,
  MESSAGE_TOO_LARGE: true,
  INVALID_UTF8: true,
  PROTOCOL_NOT_OFFERED: true,
  // What this end was given to send cannot be sent.
  BLOB_UNREADABLE: true,
  BUFFER_FULL: true,

  // Spaces: what the relay has decided of us. Members go, and make room for others.
  SPACE_REFUSED: true,
  SPACE_NOT_ALLOWED: true,
  SPACE_FULL: false,
  TOO_MANY_SPACES: true,
  SPACE_REMOVED: true,
  // The relay does not do what it has to: it would do no better for the next.
  ROSTER_MISMATCH: true,
  SPACE_ORDER: true,

  PRESENCE_REFUSED: true,

  // One of the two ends wants no channel, or no longer. For CHANNEL_REFUSED see PASSING_STATUS.
  CHANNEL_REFUSED: true,
  CHANNEL_RESET: true,
  CHANNEL_LOST: true,
  REPLACED: true,
  CLOSE_TIMEOUT: true,
  ABORTED: true,
};

/**
 * HTTP statuses of a refusal that passes: request timeout, too early, too many requests, internal server error, bad
 * gateway, service unavailable, gateway timeout.
 */
const PASSING_STATUS: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Whether no further attempt can mend what a connection, or an attempt to make one, failed with.
 *
 * @param status of `CHANNEL_REFUSED`: the HTTP status that the peer refused the channel with. Without meaning for other
 *   codes; a refusal whose status is not known is terminal.
 */
export function isTerminal(error: SecureWebSocketError, status?: number): boolean {
  if (error.code === 'CHANNEL_REFUSED' && status !== undefined && PASSING_STATUS.has(status)) return false;
  return TERMINAL[error.code];
}

/** Whether a close code ends a connection for good: said by the peer in a sealed CLOSE, and said of the link in the clear. */
interface CloseCodeMeaning {
  readonly sealed: boolean;
  readonly link: boolean;
}

/**
 * Only the sealed CLOSE is the peer's word: it ends the channel, unless the code says that the peer will be there again,
 * and then a new channel is opened in its place. The close of a link is the word of a relay, a server or a proxy in the
 * clear, and says nothing about the peer: another link is dialled, unless the code says that this end would be turned
 * away again.
 */
const UNLISTED: CloseCodeMeaning = { sealed: true, link: false };
const CLOSE_CODES: ReadonlyMap<number, CloseCodeMeaning> = new Map([
  // going away
  [1001, { sealed: false, link: false }],
  // protocol error
  [1002, { sealed: true, link: false }],
  // unsupported data
  [1003, { sealed: true, link: false }],
  // not UTF-8
  [1007, { sealed: true, link: false }],
  // policy violation
  [1008, { sealed: true, link: true }],
  // message too big
  [1009, { sealed: true, link: false }],
  // extension missing
  [1010, { sealed: true, link: false }],
  // service restart
  [1012, { sealed: false, link: false }],
  // try again later
  [1013, { sealed: false, link: false }],
  // replaced by a newer connection of the same owner. In a CLOSE it is a code of the application.
  [4001, { sealed: true, link: true }],
  // too slow, token expired: the next link begins afresh, with a fresh token
  [4002, { sealed: true, link: false }],
  [4003, { sealed: true, link: false }],
  // admitted no longer
  [4004, { sealed: true, link: true }],
]);

/** Whether the sealed CLOSE of a peer ends the connection for good; else a new channel is opened in its place. */
export function isTerminalCloseCode(code: number): boolean {
  return (CLOSE_CODES.get(code) ?? UNLISTED).sealed;
}

/** Whether the close code of a link (its WebSocket, in the clear) means that no other link is to be dialled. */
export function isTerminalLinkCode(code: number): boolean {
  return (CLOSE_CODES.get(code) ?? UNLISTED).link;
}

/** Bounds of the time that a peer's old process is waited for, milliseconds. */
const MIN_GRACE = 2_000;
const MAX_GRACE = 20_000;

/**
 * How long the process that a channel was open with is waited for when another process answers at its key.
 *
 * That one answers from another connection of the key and does not know the channel need not mean that the right one is
 * gone: several processes may serve one key, and whatever cut us off may have cut them off too. The right one may
 * still be on its way back, using the same back-off as we do: by now its delays may have grown to about the time that the
 * channel has been suspended, so that twice that time covers its next attempt.
 */
export class PeerReturn {
  readonly #suspendedAt: number;
  #graceEnd: number | undefined;

  /** `suspendedAt`: when the channel was suspended. */
  constructor(suspendedAt: number) {
    this.#suspendedAt = suspendedAt;
  }

  /**
   * To be called each time a process that does not know the channel answered from another connection of the same key.
   * True when the channel is to be given up.
   */
  unknown(now: number): boolean {
    this.#graceEnd ??= now + Math.min(Math.max(2 * (now - this.#suspendedAt), MIN_GRACE), MAX_GRACE);
    return now >= this.#graceEnd;
  }
}
