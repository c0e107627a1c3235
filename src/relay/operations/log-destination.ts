import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { describeError } from '../../core/describe-error.js';
import { SecureWebSocketError } from '../../core/errors.js';

const STANDARD_ERROR = 2;
const EMPTY = new Uint8Array(0);

/**
 * Where pino writes: each line at once, so that nothing is lost when the process ends, however it ends. A line that cannot
 * be written (a full disk, a pipe that nobody reads) is left out and counted: no log is worth a relay that stands still.
 */
export class LogDestination {
  readonly #file: string | undefined;
  readonly #flags: number;
  #descriptor: number;
  /** What is left of a line of which a part was written. */
  #rest: Uint8Array = EMPTY;
  #lost = 0;

  /**
   * @param file appended to, and made, readable by its group, if it is not there. Default: standard error.
   * @param flags of open(2), beside those for appending
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when the file cannot be opened
   */
  constructor(file: string | undefined, flags = 0) {
    this.#file = file;
    this.#flags = flags;
    this.#descriptor = file === undefined ? STANDARD_ERROR : open(file, flags);
  }

  /** Lines that could not be written since one could. */
  get lost(): number {
    return this.#lost;
  }

  /** Called by pino with one line, its end included. Never throws. */
  write(line: string): void {
    // Nothing may come between the two halves of a line.
    this.#rest = this.#put(this.#rest);
    if (this.#rest.length > 0) {
      this.#lost += 1;
      return;
    }
    const bytes = Buffer.from(this.#lost === 0 ? line : lostLine(this.#lost) + line);
    const rest = this.#put(bytes);
    if (rest.length === bytes.length) {
      this.#lost += 1;
    } else {
      this.#lost = 0;
      this.#rest = rest;
    }
  }

  /**
   * Opens the file anew, after somebody has moved it away. The old one stays in use when that fails.
   *
   * @throws SecureWebSocketError `INVALID_ARGUMENT`
   */
  reopen(): void {
    if (this.#file === undefined) return;
    const descriptor = open(this.#file, this.#flags);
    closeSync(this.#descriptor);
    this.#descriptor = descriptor;
    this.#rest = EMPTY;
  }

  /** Closes the file. Nothing may be written any more. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#descriptor);
  }

  /** Writes as much as can be written, and returns the rest. */
  #put(bytes: Uint8Array): Uint8Array {
    let rest = bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#descriptor, rest));
    } catch {
      // What could not be written is what is returned.
    }
    return rest;
  }
}

function lostLine(count: number): string {
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: 'warn', time, event: 'lost', count, msg: 'Lines of this log could not be written.' })}\n`;
}

function open(file: string, flags: number): number {
  try {
    return openSync(file, flags | constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o640);
  } catch (error) {
    const why = describeError(error);
    throw new SecureWebSocketError('INVALID_ARGUMENT', `The log file ${file} cannot be opened: ${why}.`, {
      cause: error,
    });
  }
}
