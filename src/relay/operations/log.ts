import { describeError } from '../../core/describe-error.js';
import { SecureWebSocketError } from '../../core/errors.js';
import type { RelayClient } from '../relay-connection.js';
import type {
  RelayLimited,
  RelayObserver,
  RelayRefusal,
  RelaySpaceEnd,
  RelaySpaceEvent,
  RelaySpaceRefusal,
  RelayState,
  Reloadable,
} from '../relay-observer.js';
import type { LogLevel, LogOptions, RelayLogger } from '../relay-options.js';
import { LogDestination } from './log-destination.js';
import { shortKey, shortKeysIn } from './short-key.js';

/** A logger that was made here, and can be told that its file was moved away. */
export interface FileLogger extends RelayLogger {
  /** Opens the file anew: for log rotation. @throws SecureWebSocketError `INVALID_ARGUMENT` when that fails; the old one stays in use. */
  reopen(): void;
  close(): void;
}

const LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** Lines about refusals, limits and questions without an answer: not more than so many in a second. */
const LINES_PER_SECOND = 50;
/** The certificate is looked at so often, milliseconds. */
const CERTIFICATE_INTERVAL = 12 * 3_600_000;
/** A certificate that expires so soon is worth a warning, seconds. */
const EXPIRES_SOON = 14 * 86_400;

/** Whether somebody gave a logger of their own. */
function isLogger(options: LogOptions | RelayLogger): options is RelayLogger {
  return 'info' in options && typeof options.info === 'function';
}

/**
 * The logger that was given, or one that writes JSON lines with pino, which is loaded here: `level` as a word, `time` as
 * ISO 8601 in UTC, the fields of the event, and `msg` for people. Lines are written at once: none is lost at an exit.
 *
 * @throws SecureWebSocketError `INVALID_ARGUMENT` (as a rejection) for a level that there is not, or a file that cannot be opened
 */
export function createLogger(options: RelayLogger): Promise<RelayLogger>;
export function createLogger(options: LogOptions): Promise<FileLogger>;
export function createLogger(options: LogOptions | RelayLogger): Promise<RelayLogger | FileLogger>;
export async function createLogger(options: LogOptions | RelayLogger): Promise<RelayLogger | FileLogger> {
  if (isLogger(options)) return options;
  const { level = 'info', file } = options;
  if (!LEVELS.includes(level)) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      `"log.level" is one of ${LEVELS.join(', ')}, not ${JSON.stringify(level)}.`,
    );
  }
  const { pino } = await import('pino');
  const destination = new LogDestination(file);
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    destination,
  );
  return {
    error: (fields, message) => logger.error(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    info: (fields, message) => logger.info(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    reopen: () => destination.reopen(),
    close: () => destination.close(),
  };
}

/**
 * Writes what happens in a relay to a log. Each line has a stable `event`: `state`, `reloaded`, `reload_failed`,
 * `administered`, `refused`, `limited`, `unavailable`, `asked`, `registered`, `disconnected`, `space_entered`, `space_left`,
 * `space_refused`, `certificate` or `suppressed`.
 *
 * - `info`: the relay's state, what operators did, and who was turned away or ran into a limit.
 * - `warn`: what somebody should look after: a reload that failed, a certificate that soon expires, a hook that does not answer.
 * - `debug`: every single connection, and clients that went away before they had registered.
 *
 * Public keys are shortened to their first 8 hex digits. An IP address (`remoteAddress`) is in the lines about refusals and
 * limits, which nobody can act on without it; those about well-behaved clients have it, too, but only exist at `debug`.
 *
 * What strangers can cause is bounded: beyond 50 such lines in a second they are counted only (`suppressed`).
 */
export class LogObserver implements RelayObserver {
  readonly #logger: RelayLogger;
  readonly #certificateExpiresAt: () => number | undefined;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  /** The second, since 1970, that is being counted. */
  #second = 0;
  #lines = 0;
  #suppressed = 0;

  /**
   * @param certificateExpiresAt seconds since 1970, if there is a certificate
   * @param now milliseconds since 1970
   */
  constructor(
    logger: RelayLogger,
    certificateExpiresAt: () => number | undefined = () => undefined,
    now: () => number = Date.now,
  ) {
    this.#logger = logger;
    this.#certificateExpiresAt = certificateExpiresAt;
    this.#now = now;
  }

  registered({ publicKey, connectionId, remoteAddress }: RelayClient, seconds: number): void {
    this.#logger.debug(
      {
        event: 'registered',
        publicKey: shortKey(publicKey),
        connectionId,
        remoteAddress,
        seconds: rounded(seconds),
      },
      'A client has registered.',
    );
  }

  disconnected({ publicKey, connectionId, remoteAddress }: RelayClient, code: number, seconds: number): void {
    this.#logger.debug(
      {
        event: 'disconnected',
        publicKey: shortKey(publicKey),
        connectionId,
        remoteAddress,
        code,
        seconds: rounded(seconds),
      },
      'A connection has ended.',
    );
  }

  refused({ remoteAddress, publicKey, code, message }: RelayRefusal): void {
    const fields = { event: 'refused', code, remoteAddress, publicKey: optionalKey(publicKey) };
    // Health checks and port scanners do nothing else all day.
    if (code === 'LINK_LOST') this.#logger.debug(fields, shortKeysIn(message));
    else this.#bounded('info', fields, shortKeysIn(message));
  }

  limited({ limit, publicKey, remoteAddress }: RelayLimited): void {
    this.#bounded(
      'info',
      { event: 'limited', limit, remoteAddress, publicKey: optionalKey(publicKey) },
      'A limit was hit.',
    );
  }

  asked(
    about: 'admission' | 'reach' | 'space',
    seconds: number,
    outcome: 'yes' | 'no' | 'unavailable',
    error?: Error,
  ): void {
    if (outcome === 'unavailable') {
      const fields = {
        event: 'unavailable',
        about,
        seconds: rounded(seconds),
        error: error && describeError(error),
      };
      this.#bounded('warn', fields, `Whoever decides on ${about} could not be asked.`);
    } else {
      this.#logger.debug(
        { event: 'asked', about, outcome, seconds: rounded(seconds) },
        'A question was answered.',
      );
    }
  }

  spaceEntered(entered: RelaySpaceEvent): void {
    this.#logger.debug({ event: 'space_entered', ...memberOf(entered) }, 'A client has entered a space.');
  }

  spaceLeft(left: RelaySpaceEvent, reason: RelaySpaceEnd): void {
    this.#logger.debug({ event: 'space_left', ...memberOf(left), reason }, 'A client has left a space.');
  }

  spaceRefused({ space, publicKey, remoteAddress, code, message }: RelaySpaceRefusal): void {
    const fields = { event: 'space_refused', code, space, remoteAddress, publicKey: shortKey(publicKey) };
    this.#bounded('info', fields, message);
  }

  reloaded(what: Reloadable, error?: Error): void {
    if (error === undefined) {
      this.#logger.info({ event: 'reloaded', what }, 'It was read again, and is in use.');
    } else {
      this.#logger.warn(
        { event: 'reload_failed', what, error: shortKeysIn(error.message) },
        'It could not be read again: what was there before is still in use.',
      );
    }
    if (what === 'certificate') this.#checkCertificate();
  }

  administered(action: string, detail: Readonly<Record<string, string | number>>): void {
    const short = Object.entries(detail).map(([name, value]) => [
      name,
      typeof value === 'string' ? shortKeysIn(value) : value,
    ]);
    this.#logger.info(
      { event: 'administered', action, detail: Object.fromEntries(short) as Record<string, string | number> },
      `An operator's doing: ${action}.`,
    );
  }

  state(state: RelayState): void {
    this.#logger.info({ event: 'state', state }, `The relay is ${state}.`);
    if (state === 'listening') {
      this.#checkCertificate();
      this.#timer ??= setInterval(() => this.#checkCertificate(), CERTIFICATE_INTERVAL).unref();
    } else if (state === 'closed') {
      this.close();
    }
  }

  /** Tells what was suppressed, and stops to look at the certificate. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#tellSuppressed();
  }

  #checkCertificate(): void {
    const expiresAt = this.#certificateExpiresAt();
    if (expiresAt === undefined) return;
    const seconds = expiresAt - this.#now() / 1_000;
    if (seconds > EXPIRES_SOON) return;
    const fields = { event: 'certificate', expiresAt: new Date(expiresAt * 1_000).toISOString() };
    if (seconds <= 0) this.#logger.error(fields, 'The certificate has expired: clients refuse to connect.');
    else this.#logger.warn(fields, 'The certificate expires soon.');
  }

  /** One line about what strangers can cause as often as they like. */
  #bounded(level: 'info' | 'warn', fields: object, message: string): void {
    const second = Math.floor(this.#now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
      this.#tellSuppressed();
    }
    if (this.#lines < LINES_PER_SECOND) {
      this.#lines += 1;
      this.#logger[level](fields, message);
    } else {
      this.#suppressed += 1;
    }
  }

  #tellSuppressed(): void {
    if (this.#suppressed === 0) return;
    const fields = { event: 'suppressed', count: this.#suppressed };
    this.#suppressed = 0;
    this.#logger.warn(fields, 'There were more such lines than are written in a second.');
  }
}

function memberOf({ space, publicKey, connectionId, memberId }: RelaySpaceEvent): object {
  return { space, publicKey: shortKey(publicKey), connectionId, memberId };
}

function optionalKey(publicKey: string | undefined): string | undefined {
  return publicKey === undefined ? undefined : shortKey(publicKey);
}

/** Milliseconds are enough for people. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
