import { SecureWebSocketError } from '../../core/errors.js';
import { WatchedFile } from '../watched-file.js';
import type { Lines } from './list-lines.js';

/** Bytes of the largest file: four million keys. */
const MAX_LIST_BYTES = 268_435_456;

/** Where a list comes from: an array, or a file that is read again when it changes. */
export type ListSource = readonly string[] | { readonly file: string };

/** Who is told of a {@link WatchedList}. */
export interface WatchedListListener {
  /** There is a new value. */
  changed(): void;
  /** What is there now cannot be read, or makes no sense. The value from before is still in use. */
  failed(error: Error): void;
}

/** Something that is made of lines, and made again when the file that holds them changes. */
export class WatchedList<Value> {
  readonly #name: string;
  readonly #source: ListSource;
  readonly #parse: (name: string, lines: Lines) => Promise<Value>;
  readonly #listener: WatchedListListener;
  readonly #file: WatchedFile | undefined;
  #value: Value | undefined;
  /** Parsing takes a while: one after the other, so that the last one stays. */
  #parsing: Promise<void> = Promise.resolve();
  #closed = false;

  /**
   * @param name the option, for messages
   * @param parse rejects with `INVALID_ARGUMENT`
   * @throws SecureWebSocketError `INVALID_ARGUMENT` unless `source` is an array or names a file
   */
  constructor(
    name: string,
    source: ListSource,
    parse: (name: string, lines: Lines) => Promise<Value>,
    listener: WatchedListListener,
  ) {
    this.#name = name;
    this.#source = source;
    this.#parse = parse;
    this.#listener = listener;
    if (isArray(source)) return;
    // Callers in plain JavaScript, and files of options, bring anything.
    const file = (source as { file?: unknown } | null | undefined)?.file;
    if (typeof file !== 'string' || file === '') {
      throw new SecureWebSocketError('INVALID_ARGUMENT', `"${name}" is an array, or { file: 'path' }.`);
    }
    this.#file = new WatchedFile(
      file,
      {
        changed: content => void this.#changed(content),
        failed: error => listener.failed(error),
      },
      { maxBytes: MAX_LIST_BYTES },
    );
  }

  /** What the list holds. Only after `open`. */
  get value(): Value {
    if (this.#value === undefined) throw new Error(`"${this.#name}" has not been read.`);
    return this.#value;
  }

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when it cannot be read, or makes no sense */
  async open(): Promise<void> {
    const name = this.#file?.path ?? `"${this.#name}"`;
    const lines = isArray(this.#source) ? this.#source : ((await this.#file?.open()) ?? '');
    const parsing = this.#parse(name, lines).then(value => {
      this.#value = value;
    });
    // What changes while this is parsed comes after it.
    this.#parsing = parsing.catch(() => this.close());
    await parsing;
  }

  /** Reads the file now. Resolves when what it holds is in use, or the listener has been told why not. */
  async reload(): Promise<void> {
    await this.#file?.reload();
    await this.#parsing;
  }

  close(): void {
    this.#closed = true;
    this.#file?.close();
  }

  #changed(content: string): Promise<void> {
    this.#parsing = this.#parsing.then(async () => {
      let error: Error | undefined;
      try {
        this.#value = await this.#parse(this.#file?.path ?? this.#name, content);
      } catch (reason) {
        error = reason as Error;
      }
      if (this.#closed) return;
      if (error === undefined) this.#listener.changed();
      else this.#listener.failed(error);
    });
    return this.#parsing;
  }
}

/** `Array.isArray` does not narrow to arrays that cannot be written. */
function isArray(source: ListSource): source is readonly string[] {
  return Array.isArray(source);
}
