import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { describeError } from '../../core/describe-error.js';
import { SecureWebSocketError } from '../../core/errors.js';
import type { AuditSink } from '../relay-options.js';
import { FileLock } from './file-lock.js';
import { describeTorn, looksWhole, MAX_AUDIT_LINE, readAuditLine, type TornEnd } from './audit-record.js';

/** Nothing further from the end of a file is read: several torn lines, and a whole one before them. */
const MAX_END = 8 * MAX_AUDIT_LINE;
const NEWLINE = 0x0a;
const START = '{"sequence":';

// Without O_NONBLOCK (undefined in Windows, which counts as 0) a named pipe would hold us until somebody reads.
const FLAGS = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/**
 * An audit log in a file, to which is only ever appended: it may be made append-only (`chattr +a`). It is made with mode
 * 0600 if it is not there. One process writes it. It is synced to the disk when it is closed, and else when the system
 * sees fit: what was written survives the end of the process, not always that of the machine.
 */
export class FileAuditSink implements AuditSink {
  readonly #path: string;
  #handle: FileHandle | undefined;
  /** The file does not end with a line break. */
  #isOpenEnded = false;
  #torn: TornEnd | undefined;
  #lock: FileLock | undefined;

  constructor(path: string) {
    if (path === '') throw new SecureWebSocketError('INVALID_ARGUMENT', 'An audit log needs a path.');
    this.#path = path;
  }

  /**
   * What was found behind the last whole line by `last`, if anything. It stays where it is, on lines of its own, and
   * whoever writes the next record names it there.
   */
  get torn(): TornEnd | undefined {
    return this.#torn;
  }

  /**
   * Opens the file, unless it is open, and reads its last whole line.
   *
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when the file cannot be opened, is no audit log, or is that of another
   *   relay
   */
  async last(): Promise<string | undefined> {
    if (this.#handle === undefined) await this.#begin();
    const handle = this.#handle as unknown as FileHandle;
    const { size } = await handle.stat();
    const start = Math.max(0, size - MAX_END);
    const end = await readFrom(handle, start, size - start);
    this.#isOpenEnded = end.length > 0 && end.at(-1) !== NEWLINE;
    const { line, torn } = this.#lastLine(end, start === 0);
    this.#torn = torn;
    return line;
  }

  async write(line: string): Promise<void> {
    if (this.#handle === undefined) throw new Error(`The audit log ${this.#path} is not open.`);
    // In one go: a crash leaves a whole line or the beginning of one, never a gap.
    await this.#handle.appendFile(`${this.#isOpenEnded ? '\n' : ''}${line}\n`);
    this.#isOpenEnded = false;
    this.#torn = undefined;
  }

  /**
   * Goes on in the file that is at the path now. Resolves to false, and nothing has changed, when that is the same file.
   *
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when it cannot be opened or holds something; the old one stays in use
   */
  async reopen(): Promise<boolean> {
    const old = this.#handle;
    const fresh = await this.#open();
    try {
      const [before, after] = [await old?.stat(), await fresh.stat()];
      if (before !== undefined && before.ino === after.ino && before.dev === after.dev) {
        await fresh.close();
        return false;
      }
      if (after.size > 0) throw this.#invalid('is not empty, so that another chain would be in the way');
    } catch (error) {
      await fresh.close().catch(() => undefined);
      throw error;
    }
    this.#handle = fresh;
    this.#isOpenEnded = false;
    this.#torn = undefined;
    await finish(old);
    return true;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    const lock = this.#lock;
    this.#handle = this.#lock = undefined;
    try {
      await finish(handle);
    } finally {
      await lock?.release();
    }
  }

  /** Two that write to one file would each go on from their own last line, and neither chain could be verified. */
  async #begin(): Promise<void> {
    const lock = await FileLock.acquire(this.#path);
    if (lock === 'taken')
      throw this.#invalid('is being written by another relay: give each of them a file of its own');
    try {
      this.#handle = await this.#open();
    } catch (error) {
      await lock?.release();
      throw error;
    }
    this.#lock = lock;
  }

  async #open(): Promise<FileHandle> {
    let handle: FileHandle;
    try {
      handle = await open(this.#path, FLAGS, 0o600);
    } catch (error) {
      throw this.#invalid(`cannot be opened: ${describeError(error)}`, error);
    }
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    throw this.#invalid('is not a regular file; give a sink of your own to write elsewhere');
  }

  /** The last record in the end of a file, and what is behind it. */
  #lastLine(end: Buffer, isAll: boolean): { line: string | undefined; torn: TornEnd | undefined } {
    // `after`: where what was looked at begins. `until`: where the line before that ends.
    let after = end.length;
    let until = this.#isOpenEnded ? end.length : end.length - 1;
    while (until >= 0) {
      const from = until === 0 ? 0 : end.lastIndexOf(NEWLINE, until - 1) + 1;
      // A line without a beginning is none.
      if (from === 0 && !isAll) break;
      const line = end.toString('latin1', from, until);
      if (readAuditLine(line) !== undefined) return { line, torn: tornEnd(end.subarray(after)) };
      if (looksWhole(line))
        throw this.#invalid('was changed: its last line does not have the hash that it names');
      after = from;
      until = from - 1;
    }
    if (end.length === 0) return { line: undefined, torn: undefined };
    const lines = end.toString('latin1').split('\n');
    const areBeginnings = lines.every(line => START.startsWith(line.slice(0, START.length)));
    // The very first line may be what is torn. (What ends with a line break has nothing behind it.)
    if (isAll && areBeginnings && lines[0] !== '') return { line: undefined, torn: tornEnd(end) };
    throw this.#invalid('holds something else than an audit log at its end');
  }

  #invalid(what: string, cause?: unknown): SecureWebSocketError {
    return new SecureWebSocketError('INVALID_ARGUMENT', `The audit log ${this.#path} ${what}.`, { cause });
  }
}

/** What is torn, without the line break that was put behind it later. */
function tornEnd(end: Buffer): TornEnd | undefined {
  if (end.length === 0) return undefined;
  return describeTorn(end.at(-1) === NEWLINE ? end.subarray(0, -1) : end);
}

async function finish(handle: FileHandle | undefined): Promise<void> {
  if (handle === undefined) return;
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readFrom(handle: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(bytes, read, length - read, start + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}
