import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { constants, open as openFile, stat, type FileHandle } from 'node:fs/promises';
import { describeError } from '../core/describe-error.js';
import { SecureWebSocketError } from '../core/errors.js';

/** Bytes that are read of a watched file, unless the options say otherwise. */
const DEFAULT_MAX_BYTES = 16_777_216;
/** Milliseconds between two looks at a file. */
const DEFAULT_INTERVAL = 1_000;
/** A file that has changed is looked at again so much later, milliseconds: who writes it may not be done. */
const SETTLE = 100;
/** What cannot be read looks like this. */
const UNREADABLE = 'unreadable';

/** Who is told of a {@link WatchedFile}. Must not throw. */
export interface WatchedFileListener {
  /** The file holds something else than when it was last read. */
  changed(content: string): void;
  /** It cannot be read. Told once, until it can be read again; by `reload` each time. */
  failed(error: Error): void;
}

export interface WatchedFileOptions {
  /** Larger files are refused. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
  /** Milliseconds between two looks. Default 1 s. */
  readonly interval?: number | undefined;
}

/**
 * A text file (UTF-8) that is read again when it changes: replaced by rename, by a symbolic link that moves, or written
 * in place. It is looked at from time to time rather than watched by the system, which loses sight of a file that is
 * replaced, and sees nothing on many network drives. What is being written is read when it has come to rest.
 * Watching keeps no process alive.
 */
export class WatchedFile {
  readonly path: string;
  readonly #listener: WatchedFileListener;
  readonly #maxBytes: number;
  readonly #interval: number;
  /** How the file looked when it was last read, if that went well. */
  #stamp = '';
  /** How it looked when it was last looked at, if that differs. */
  #unsettled: string | undefined;
  #digest: string | undefined;
  #failed = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** One thing at a time. */
  #queue: Promise<void> = Promise.resolve();

  constructor(path: string, listener: WatchedFileListener, options: WatchedFileOptions = {}) {
    this.path = path;
    this.#listener = listener;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#interval = options.interval ?? DEFAULT_INTERVAL;
  }

  /**
   * Reads it and begins to watch.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` naming the path when it cannot be read
   */
  async open(): Promise<string> {
    const { content, stamp } = await this.#read();
    this.#stamp = stamp;
    this.#digest = digest(content);
    this.#schedule(this.#interval);
    return content;
  }

  /**
   * Reads it now; `changed` is called if the content differs from what was last read. Resolves when done; a failure
   * goes to `failed`.
   */
  reload(): Promise<void> {
    return this.#enqueue(() => this.#refresh(true));
  }

  /** Nobody is told anything any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(async () => {
      if (!this.#closed) await task();
    });
    return this.#queue;
  }

  #schedule(delay: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.#enqueue(() => this.#look());
    }, delay);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const now = await look(this.path);
    if (now === this.#stamp) {
      this.#unsettled = undefined;
      this.#schedule(this.#interval);
    } else if (now === this.#unsettled) {
      await this.#refresh(false);
      this.#schedule(this.#interval);
    } else {
      this.#unsettled = now;
      this.#schedule(Math.min(SETTLE, this.#interval));
    }
  }

  async #refresh(asked: boolean): Promise<void> {
    this.#unsettled = undefined;
    let read;
    try {
      read = await this.#read();
    } catch (error) {
      // It may be for want of file handles: so long as it fails it is tried again at each look.
      this.#stamp = UNREADABLE;
      this.#fail(error as Error, asked);
      return;
    }
    this.#stamp = read.stamp;
    this.#failed = false;
    const now = digest(read.content);
    if (now === this.#digest || this.#closed) return;
    this.#digest = now;
    this.#listener.changed(read.content);
  }

  #fail(error: Error, asked: boolean): void {
    const known = this.#failed;
    this.#failed = true;
    if ((asked || !known) && !this.#closed) this.#listener.failed(error);
  }

  async #read(): Promise<{ content: string; stamp: string }> {
    let file: FileHandle | undefined;
    try {
      // Whoever opens a pipe without a writer would wait for one.
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- Windows does not know it
      file = await openFile(this.path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      // Taken before it is read: what is written meanwhile is seen at the next look.
      const status = await file.stat({ bigint: true });
      if (!status.isFile()) throw new Error('it is not a regular file');
      const content = decode(await this.#bytes(file));
      return { content, stamp: stampOf(status) };
    } catch (error) {
      // Node repeats the path, and the name of a system call that helps nobody.
      const reason = describeError(error).replace(/, \w+(?: '.*')?$/s, '');
      throw new SecureWebSocketError('INVALID_ARGUMENT', `Cannot read the file ${this.path}: ${reason}.`, {
        cause: error,
      });
    } finally {
      await file?.close();
    }
  }

  async #bytes(file: FileHandle): Promise<Buffer> {
    const parts: Buffer[] = [];
    let length = 0;
    // `end` is the last byte that is read: one more than may be there.
    const stream = file.createReadStream({ autoClose: false, start: 0, end: this.#maxBytes });
    for await (const part of stream as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
    }
    if (length > this.#maxBytes) throw new Error(`it is larger than ${this.#maxBytes} bytes`);
    return Buffer.concat(parts, length);
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('it is not text in UTF-8');
  }
}

function digest(content: string): string {
  return createHash('sha256').update(content).digest('base64');
}

async function look(path: string): Promise<string> {
  try {
    return stampOf(await stat(path, { bigint: true }));
  } catch {
    return UNREADABLE;
  }
}

/** Differs whenever the file was replaced or written: the change time cannot be set by hand, as others can. */
function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}
