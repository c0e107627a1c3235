import { REPAIR_BYTES, REPAIR_MESSAGES, REPAIR_TIME } from '../constants.js';

/** One message is given to one reader again not before so long has passed, and not more often than this. */
const REPEAT_INTERVAL = 4_000;
const MAX_REPEATS = 8;

interface Retained {
  readonly plaintext: Uint8Array;
  readonly sentAt: number;
  readers: ReadonlySet<string>;
  /** To whom it was given, how often, and from when on it may be again. */
  given: Map<string, Given> | undefined;
}

interface Given {
  readonly count: number;
  readonly notBefore: number;
}

/** What we have sent lately, for those who were to read it and whom it did not reach: nobody else is ever given it. */
export class RetainedMessages {
  readonly #messages = new Map<number, Retained>();
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#messages.size === 0;
  }

  /** When `expire` wants to be called, or Infinity. */
  get wakeAt(): number {
    for (const { sentAt } of this.#messages.values()) return sentAt + REPAIR_TIME;
    return Infinity;
  }

  add(sequence: number, plaintext: Uint8Array, readers: ReadonlySet<string>, now: number): void {
    this.#messages.set(sequence, { plaintext, readers, sentAt: now, given: undefined });
    this.#bytes += plaintext.length;
    for (const oldest of this.#messages.keys()) {
      if (this.#messages.size <= REPAIR_MESSAGES && this.#bytes <= REPAIR_BYTES) break;
      this.#drop(oldest);
    }
  }

  /** It was sealed again, for others: only these may have it. */
  setReaders(sequence: number, readers: ReadonlySet<string>): void {
    const retained = this.#messages.get(sequence);
    if (retained) retained.readers = readers;
  }

  expire(now: number): void {
    for (const [sequence, { sentAt }] of this.#messages) {
      if (now < sentAt + REPAIR_TIME) return;
      this.#drop(sequence);
    }
  }

  /** What `reader` may have. 'later': it has had it a moment ago, or too often. */
  take(sequence: number, reader: string, now: number): Uint8Array | 'later' | undefined {
    const retained = this.#messages.get(sequence);
    if (retained?.readers.has(reader) !== true) return undefined;
    const given = (retained.given ??= new Map<string, Given>());
    const { count, notBefore } = given.get(reader) ?? { count: 0, notBefore: 0 };
    if (now < notBefore || count >= MAX_REPEATS) return 'later';
    given.set(reader, { count: count + 1, notBefore: now + REPEAT_INTERVAL });
    return retained.plaintext;
  }

  clear(): void {
    this.#messages.clear();
    this.#bytes = 0;
  }

  #drop(sequence: number): void {
    const retained = this.#messages.get(sequence);
    if (!retained) return;
    this.#messages.delete(sequence);
    this.#bytes -= retained.plaintext.length;
  }
}
