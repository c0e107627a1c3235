import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { link, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fromBase64Url, toBase64Url } from '../core/bytes.js';
import { SecureWebSocketError } from '../core/errors.js';
import { describeError } from '../core/describe-error.js';
import type { KeyStore } from './key-store.js';
import { copySeed } from './seed.js';

const PREFIX = 'secure-websocket-seed-1:';
/** The prefix, 32 bytes as base64url without padding, and the line's end, which an editor may have changed or removed. */
const CONTENT = /^secure-websocket-seed-1:([A-Za-z0-9_-]{43})(?:\r?\n)?$/;
/** Nothing beyond this is read. A key file has 68 bytes, so one that is longer matches nothing either. */
const MAX_FILE_SIZE = 256;

/**
 * Keeps the seed in a file that only its owner can read. Node only.
 *
 * The file is one line of text: `secure-websocket-seed-1:`, the 32 bytes as 43 characters of base64url, a newline. Its
 * mode is 0600; directories that are missing are made with mode 0700. It appears under its name whole or not at all,
 * and never in place of another: it is written and synced under a temporary name in the same directory, then linked.
 * A process that is killed in between leaves a `.tmp` file that nobody reads and that may be deleted.
 *
 * A file that belongs to another user, or that others may read or write, is refused. Windows keeps access lists
 * instead of modes, and there neither is checked.
 *
 * Symbolic links are followed, as mounted secrets are made of them. What is checked is the opened file itself, so
 * a link that somebody swaps can only lead to a private file of the same user.
 */
export class FileKeyStore implements KeyStore {
  /** Absolute. */
  readonly path: string;

  /**
   * @param path Where the file is, or will be. Resolved against the working directory at once.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when it is empty.
   */
  constructor(path: string) {
    if (path === '') throw new SecureWebSocketError('INVALID_ARGUMENT', 'A key file needs a path.');
    this.path = resolve(path);
  }

  /**
   * The seed, or undefined when there is no file.
   *
   * @throws SecureWebSocketError `KEY_STORE_UNREADABLE`; `KEY_STORE_UNSAFE` when others have access to the file;
   *   `KEY_STORE_CORRUPT` when it holds anything else.
   */
  async load(): Promise<Uint8Array | undefined> {
    try {
      // Without O_NONBLOCK (undefined in Windows, which counts as 0) a named pipe would hold us until somebody writes.
      const handle = await open(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        this.#checkFile(await handle.stat());
        return this.#parse(await readStart(handle, MAX_FILE_SIZE));
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (error instanceof SecureWebSocketError) throw error;
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw this.#unreadable(describeError(error), error);
    }
  }

  /**
   * Writes the file unless there is one, and resolves to the seed that the file then holds.
   *
   * @throws SecureWebSocketError `INVALID_SEED`; `KEY_STORE_UNAVAILABLE` when the file cannot be written; and what `load` throws.
   */
  async create(seed: Uint8Array): Promise<Uint8Array> {
    await this.#place(copySeed(seed), link);
    const kept = await this.load();
    if (kept !== undefined) return kept;
    throw this.#unreadable('it is a symbolic link to a file that does not exist, or it was removed just now');
  }

  /**
   * Writes the file for a tool that makes keys: unlike `create` it is not content with what is there already.
   *
   * @param options.force Replaces the file that is there. What it held is lost.
   * @throws SecureWebSocketError `INVALID_SEED`; `KEY_STORE_EXISTS` when there is a file; `KEY_STORE_UNAVAILABLE` when it cannot be written.
   */
  async write(seed: Uint8Array, options: { readonly force?: boolean | undefined } = {}): Promise<void> {
    const written = await this.#place(copySeed(seed), options.force === true ? rename : link);
    if (!written) {
      throw new SecureWebSocketError(
        'KEY_STORE_EXISTS',
        `There is a key at ${this.path} already, and it was left as it is.`,
      );
    }
  }

  /** False when `move` found something at the path. `link` never replaces what is there, `rename` always does. */
  async #place(seed: Uint8Array, move: (from: string, to: string) => Promise<void>): Promise<boolean> {
    const directory = dirname(this.path);
    const temporary = `${this.path}.${randomBytes(9).toString('hex')}.tmp`;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      try {
        await writeSynced(temporary, `${PREFIX}${toBase64Url(seed)}\n`);
        try {
          await move(temporary, this.path);
        } catch (error) {
          if (errnoOf(error) === 'EEXIST') return false;
          throw error;
        }
      } finally {
        await rm(temporary, { force: true });
      }
      await syncDirectory(directory);
      return true;
    } catch (error) {
      throw new SecureWebSocketError(
        'KEY_STORE_UNAVAILABLE',
        `No key can be kept at ${this.path} (${describeError(error)}). Choose a place on a local file system where this user may write.`,
        { cause: error },
      );
    }
  }

  #checkFile(stats: Stats): void {
    if (!stats.isFile()) throw this.#unreadable('it is not a regular file');
    const user = process.geteuid?.();
    if (user === undefined) return;
    if (stats.uid !== user) {
      throw new SecureWebSocketError(
        'KEY_STORE_UNSAFE',
        `The key file ${this.path} belongs to user ${stats.uid}, and this process runs as user ${user}. ` +
          `Run it as the file's owner, or choose another file.`,
      );
    }
    if ((stats.mode & 0o077) !== 0) {
      throw new SecureWebSocketError(
        'KEY_STORE_UNSAFE',
        `The key file ${this.path} has mode ${(stats.mode & 0o777).toString(8).padStart(4, '0')}: other users have access to it. ` +
          `Run: chmod 600 ${shellQuote(this.path)} (and make a new key if somebody may have read this one). ` +
          `Where the mode cannot be changed, the file system has no permissions: choose another.`,
      );
    }
  }

  #parse(content: Buffer): Uint8Array {
    const encoded = CONTENT.exec(content.toString('latin1'))?.[1];
    content.fill(0);
    const seed = encoded === undefined ? undefined : fromBase64Url(encoded);
    if (seed !== undefined) return seed;
    throw new SecureWebSocketError(
      'KEY_STORE_CORRUPT',
      `The file ${this.path} holds no key: it should be one line, "${PREFIX}" and 43 characters of base64url. ` +
        'Bring it back from a backup; or move it away, and a new key (with a new address) will be made.',
    );
  }

  #unreadable(why: string, cause?: unknown): SecureWebSocketError {
    return new SecureWebSocketError(
      'KEY_STORE_UNREADABLE',
      `The key file ${this.path} cannot be read: ${why}.`,
      { cause },
    );
  }
}

/** Up to `size` bytes from the beginning of a file. */
async function readStart(handle: FileHandle, size: number): Promise<Buffer> {
  const buffer = Buffer.alloc(size);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, size - length, length);
    length += bytesRead;
    if (bytesRead === 0 || length === size) return buffer.subarray(0, length);
  }
}

async function writeSynced(path: string, content: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    // The umask may have taken bits away from the mode above.
    await handle.chmod(0o600);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a new name survive a power failure. Some systems cannot, and then there is nothing that could be done about it. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const handle = await open(path, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // The file itself is whole and synced.
  }
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** The path as a POSIX shell takes it, so that the command in a message can be pasted. */
function shellQuote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
