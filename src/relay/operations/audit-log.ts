import { describeError } from '../../core/describe-error.js';
import { SecureWebSocketError } from '../../core/errors.js';
import type { RelayClient } from '../relay-connection.js';
import type {
  RelayLimited,
  RelayObserver,
  RelayRefusal,
  RelaySpaceRefusal,
  RelayState,
  Reloadable,
} from '../relay-observer.js';
import type { AuditOptions, AuditSink } from '../relay-options.js';
import { type AuditEvent, auditLine, auditText, NO_HEAD, readAuditLine } from './audit-record.js';
import { FileAuditSink } from './file-audit-sink.js';
import { shortKey, shortKeysIn } from './short-key.js';

export { verifyAuditLog, type VerifiedAuditLog } from './audit-verify.js';

/** A record that waits to be written. */
interface Entry {
  readonly event: AuditEvent;
  readonly time: string;
  readonly fields: object;
}

/** What is to be done between two records. */
interface Task {
  readonly run: () => Promise<void>;
  /** It will never be done. */
  readonly abandon: (error: Error) => void;
}

/** Numbers that tests make small. */
export interface AuditTuning {
  /** Records that may wait for the sink. Default 10,000: some megabytes. */
  readonly maxWaiting?: number;
  /** Milliseconds until a sink that failed is tried again; twice as long each time, up to 32 times. Default 1 s. */
  readonly retryAfter?: number;
  /** `close` waits no longer for a sink, milliseconds. Default 5 s. */
  readonly closeTime?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const MAX_WAITING = 10_000;
/** Records of one second that strangers can cause, who have proven no key: else a flood of them would fill the disk. */
const MAX_OF_STRANGERS = 20;
const RETRY_AFTER = 1_000;
const RETRY_GROWTH = 32;
const CLOSE_TIME = 5_000;
/** The longest that an IP address, or a code, is; characters. */
const MAX_NAME = 64;
/** Of what an operator did. */
const MAX_DETAILS = 8;
const MAX_DETAIL = 100;

/**
 * Writes down what happens in a relay, one JSON line for each event, each with the hash of the one before: see
 * `verifyAuditLog` for what the lines are like.
 *
 * ```json
 * {"sequence":7,"time":"2026-01-01T00:00:00.000Z","event":"registered","publicKey":"9f86d081",…,"previous":"…","hash":"…"}
 * ```
 *
 * `opened` is the first record of each process, and of each file; with `torn` where a crash has left the beginning of a
 * line. `closed` is the last one. The relay never waits: records do, up to 10,000. What came when there was no room is
 * counted, in its place, in a record `lost`. Of refusals and limits of strangers, whose key is not proven, 20 are written in
 * a second; a record `suppressed` counts the others. A sink that fails is tried again and again, with the same record: what `write`
 * has rejected, a sink must not have kept.
 */
export class AuditLog implements RelayObserver {
  readonly #sink: AuditSink;
  readonly #failed: (error: Error) => void;
  readonly #fullKeys: boolean;
  readonly #maxWaiting: number;
  readonly #retryAfter: number;
  readonly #closeTime: number;
  readonly #now: () => number;

  #head = NO_HEAD;
  #sequence = 0;
  /** What waits, oldest first. */
  #waiting: (Entry | Task)[] = [];
  /** Records that found no room since there was some, and when the first of them was. */
  #lost = 0;
  #lostTime = '';
  /** The second, since 1970, in which strangers are being counted, how many were, and how many of them were not written. */
  #second = 0;
  #ofStrangers = 0;
  #suppressed = 0;
  #writing: Promise<void> | undefined;
  #isFailing = false;
  /** The hash of a record that was given to the sink, and what it is of, until the sink has said that it has it. */
  #attempt: { readonly hash: string; readonly entry: Entry } | undefined;
  #isClosing = false;
  #closing: Promise<void> | undefined;
  /** Ends the pause before the next try. */
  #wake: (() => void) | undefined;

  /**
   * Opens the log and writes its first record: whoever cannot do that does not begin at all.
   *
   * @param failed told once whenever the sink begins to fail
   * @throws SecureWebSocketError `INVALID_ARGUMENT` (as a rejection) when options do not fit, or the file is no audit log;
   *   and whatever a sink throws
   */
  static async open(
    options: AuditOptions,
    failed: (error: Error) => void,
    tuning: AuditTuning = {},
  ): Promise<AuditLog> {
    if ((options.file === undefined) === (options.sink === undefined)) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        'Give exactly one of "audit.file" and "audit.sink".',
      );
    }
    const log = new AuditLog(options, failed, tuning);
    try {
      await log.#begin();
    } catch (error) {
      await log.#closeSink().catch(() => undefined);
      throw error;
    }
    return log;
  }

  private constructor(options: AuditOptions, failed: (error: Error) => void, tuning: AuditTuning) {
    this.#sink = options.sink ?? new FileAuditSink(options.file as string);
    this.#failed = failed;
    this.#fullKeys = options.fullKeys ?? false;
    this.#maxWaiting = tuning.maxWaiting ?? MAX_WAITING;
    this.#retryAfter = tuning.retryAfter ?? RETRY_AFTER;
    this.#closeTime = tuning.closeTime ?? CLOSE_TIME;
    this.#now = tuning.now ?? Date.now;
  }

  /** The hash of the last record that was written: whoever notes it elsewhere can notice a removed end. */
  get head(): string {
    return this.#head;
  }

  /** Resolves when all that has happened so far is written, or `close` has given up. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  /**
   * Goes on in the file that is at the path now, after somebody has moved the old one away: the first record there names
   * the last one of the old file, so that both can be verified as one log. Does nothing with a sink, or when the file is
   * the same.
   *
   * @throws SecureWebSocketError `INVALID_ARGUMENT` (as a rejection) when the new file cannot be opened, or is not empty;
   *   the old one stays in use. `ABORTED` when the log was closed before
   */
  reopen(): Promise<void> {
    const sink = this.#sink;
    if (!(sink instanceof FileAuditSink) || this.#isClosing) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          if (await sink.reopen()) this.#waiting.unshift(entryOf('opened', { why: 'rotated' }));
          resolve();
        } catch (error) {
          reject(asError(error));
        }
      };
      this.#flushLost();
      this.#waiting.push({ run, abandon: reject });
      this.#write();
    });
  }

  /**
   * Writes the last record and closes the sink. Waits for it 5 s and no longer; how many records are lost then, `failed`
   * is told.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    this.#flushSuppressed();
    this.#flushLost();
    this.#waiting.push(entryOf('closed', {}));
    this.#write();
    // What has failed is tried once more, and then given up.
    this.#wake?.();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, this.#closeTime);
    });
    await Promise.race([this.#writing, late]);
    this.#giveUp();
    try {
      await Promise.race([this.#closeSink(), late]);
    } catch (error) {
      this.#tell(asError(error));
    } finally {
      clearTimeout(timer);
    }
  }

  async #closeSink(): Promise<void> {
    await this.#sink.close?.();
  }

  #giveUp(): void {
    let records = 0;
    for (const each of this.#waiting) {
      if ('run' in each) each.abandon(new SecureWebSocketError('ABORTED', 'The audit log was closed.'));
      else records += 1;
    }
    this.#waiting = [];
    if (records > 0)
      this.#tell(new Error(`The last records of the audit log, ${records}, could not be written.`));
  }

  registered(client: RelayClient, seconds: number): void {
    this.#add('registered', { ...this.#client(client), seconds: rounded(seconds) });
  }

  disconnected(client: RelayClient, code: number, seconds: number): void {
    this.#add('disconnected', { ...this.#client(client), code, seconds: rounded(seconds) });
  }

  refused({ remoteAddress, publicKey, code, message }: RelayRefusal): void {
    if (publicKey === undefined && !this.#hasRoomForStranger()) return;
    this.#add('refused', {
      remoteAddress: optionalText(remoteAddress),
      publicKey: this.#key(publicKey),
      code: auditText(code, MAX_NAME),
      message: this.#text(message),
    });
  }

  limited({ limit, publicKey, remoteAddress }: RelayLimited): void {
    if (publicKey === undefined && !this.#hasRoomForStranger()) return;
    this.#add('limited', {
      limit,
      publicKey: this.#key(publicKey),
      remoteAddress: optionalText(remoteAddress),
    });
  }

  spaceRefused({ space, publicKey, remoteAddress, code, message }: RelaySpaceRefusal): void {
    this.#add('space_refused', {
      space: auditText(space),
      publicKey: this.#key(publicKey),
      remoteAddress: optionalText(remoteAddress),
      code: auditText(code, MAX_NAME),
      message: this.#text(message),
    });
  }

  reloaded(what: Reloadable, error?: Error): void {
    this.#add('reloaded', { what, error: error && this.#text(error.message) });
  }

  administered(action: string, detail: Readonly<Record<string, string | number>>): void {
    const details = Object.entries(detail)
      .slice(0, MAX_DETAILS)
      .map(([name, value]) => [
        auditText(name, MAX_DETAIL),
        typeof value === 'string' ? this.#text(value, MAX_DETAIL) : value,
      ]);
    this.#add('administered', {
      action: auditText(action, MAX_DETAIL),
      detail: Object.fromEntries(details) as object,
    });
  }

  state(state: RelayState): void {
    this.#add('state', { state });
  }

  #client({ publicKey, connectionId, remoteAddress }: RelayClient): object {
    return { publicKey: this.#key(publicKey), connectionId, remoteAddress: optionalText(remoteAddress) };
  }

  #key(publicKey: string | undefined): string | undefined {
    return publicKey === undefined || this.#fullKeys ? publicKey : shortKey(publicKey);
  }

  #text(text: string, max?: number): string {
    return auditText(this.#fullKeys ? text : shortKeysIn(text), max);
  }

  #hasRoomForStranger(): boolean {
    const second = Math.floor(this.#now() / 1_000);
    if (second !== this.#second) {
      this.#flushSuppressed();
      this.#second = second;
      this.#ofStrangers = 0;
    }
    if (this.#ofStrangers++ < MAX_OF_STRANGERS) return true;
    this.#suppressed++;
    return false;
  }

  /** How many records were not written since the last that was. */
  #flushSuppressed(): void {
    const count = this.#suppressed;
    // Without room it is told later.
    if (count === 0 || (this.#waiting.length >= this.#maxWaiting && !this.#isClosing)) return;
    this.#suppressed = 0;
    this.#waiting.push(entryOf('suppressed', { count }));
    this.#write();
  }

  #add(event: AuditEvent, fields: object): void {
    if (this.#isClosing) return;
    if (event !== 'refused' && event !== 'limited') this.#flushSuppressed();
    const entry = entryOf(event, fields);
    if (this.#waiting.length >= this.#maxWaiting) {
      if (this.#lost++ === 0) this.#lostTime = entry.time;
      return;
    }
    this.#flushLost();
    this.#waiting.push(entry);
    this.#write();
  }

  /** There is room again: those that found none get their record, behind all that came before them. */
  #flushLost(): void {
    if (this.#lost === 0) return;
    this.#waiting.push({ event: 'lost', time: this.#lostTime, fields: { count: this.#lost } });
    this.#lost = 0;
  }

  #write(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    // Whoever tells of an event goes on first.
    await Promise.resolve();
    let delay = this.#retryAfter;
    for (;;) {
      if (this.#waiting.length === 0) this.#flushLost();
      const [next] = this.#waiting;
      if (next === undefined) return;
      const isLastTry = this.#isClosing;
      try {
        if (this.#isFailing && this.#sink instanceof FileAuditSink) await this.#recover(this.#sink);
        if (next !== this.#waiting[0]) continue;
        if ('run' in next) {
          this.#waiting.shift();
          await next.run();
        } else {
          await this.#put(next);
          this.#written(next);
        }
        delay = this.#retryAfter;
      } catch (error) {
        if (!this.#isFailing) this.#tell(asError(error));
        this.#isFailing = true;
        if (isLastTry) return;
        await this.#pause(delay);
        delay = Math.min(2 * delay, RETRY_GROWTH * this.#retryAfter);
      }
    }
  }

  /** Hands one record to the sink. */
  async #put(entry: Entry): Promise<void> {
    const { event, time, fields } = entry;
    const place = { sequence: this.#sequence, time, event, previous: this.#head };
    const { line, hash } = auditLine(place, fields);
    this.#attempt = { hash, entry };
    await this.#sink.write(line);
    this.#advance(hash);
    this.#isFailing = false;
  }

  #advance(hash: string): void {
    this.#attempt = undefined;
    this.#head = hash;
    this.#sequence += 1;
  }

  #written(entry: Entry): void {
    if (this.#waiting[0] === entry) this.#waiting.shift();
  }

  /** Finds out where the chain goes on, and writes the first record of this process. */
  async #begin(): Promise<void> {
    const line = await this.#sink.last?.();
    if (line !== undefined) {
      const record = readAuditLine(line);
      if (record === undefined) {
        throw new SecureWebSocketError(
          'INVALID_ARGUMENT',
          'What "audit.sink" gives as its last line is no record of an audit log, or was changed.',
        );
      }
      this.#head = record.hash;
      this.#sequence = record.sequence + 1;
    }
    const torn = this.#sink instanceof FileAuditSink ? this.#sink.torn : undefined;
    await this.#put(entryOf('opened', { why: 'start', torn }));
  }

  /** A write has failed, and may have left anything from nothing to the whole line. */
  async #recover(sink: FileAuditSink): Promise<void> {
    const line = await sink.last();
    const hash = line === undefined ? NO_HEAD : readAuditLine(line)?.hash;
    const attempt = this.#attempt;
    if (attempt !== undefined && hash === attempt.hash) {
      this.#advance(hash);
      this.#written(attempt.entry);
    } else if (hash !== this.#head) {
      throw new Error('Somebody else writes to the audit log, too.');
    }
    if (sink.torn) await this.#put(entryOf('opened', { why: 'recovered', torn: sink.torn }));
  }

  /** Waits `delay` ms, or until `close` is called. */
  async #pause(delay: number): Promise<void> {
    if (this.#isClosing) return;
    await new Promise<void>(resolve => {
      this.#wake = resolve;
      setTimeout(resolve, delay).unref();
    });
    this.#wake = undefined;
  }

  #tell(error: Error): void {
    try {
      this.#failed(error);
    } catch {
      // Whoever is told must not be able to stop the log.
    }
  }
}

function entryOf(event: AuditEvent, fields: object): Entry {
  return { event, time: new Date().toISOString(), fields };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(describeError(error), { cause: error });
}

function optionalText(text: string | undefined): string | undefined {
  return text === undefined ? undefined : auditText(text, MAX_NAME);
}

/** Milliseconds are enough for people. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
