import { MAX_UNACKNOWLEDGED_BYTES, MAX_UNACKNOWLEDGED_RECORDS } from './constants.js';
import { largeBuffers } from './buffer-pool.js';
import { decodeItems, Opcode } from './record.js';

/**
 * After a loss no more than about half of what was under way then is under way at once, but always this much, bytes; and
 * so much more with every round trip, until something is lost again (as in RFC 5681, section 3.1).
 */
const LEAST_UNDER_WAY = 65_536;

/** A whole message, as the application gave it. */
export interface Message {
  readonly data: Uint8Array;
  readonly isText: boolean;
}

interface Sent {
  readonly record: Uint8Array;
  /** When it was first written; undefined once it was written again: which of the two was acknowledged is unknown then. */
  writtenAt: number | undefined;
}

/**
 * The records of one channel that the peer has not acknowledged: plaintext, to be sealed afresh whenever they are sent
 * again. Bounded: while it is full nothing new may be added.
 */
export class SentRecords {
  #records: Sent[] = [];
  /** Index in `#records` of the oldest that is not acknowledged. */
  #head = 0;
  #first = 0;
  #next = 0;
  #bytes = 0;
  /** Bytes of the records from `#first` to `#next`: sent, and not known to have arrived. */
  #underWay = 0;
  /** How many of these there may be. Without a loss it is for the peer's credit to say. */
  #limit = Infinity;
  /** Messages that are in more than one record, with the number of the last of these. */
  readonly #spanning: { readonly message: Message; readonly last: number }[] = [];

  /** Number of the oldest record that is not acknowledged: everything before it has reached the peer. */
  get first(): number {
    return this.#first;
  }

  /** Number of the record that is written next, be it an old one or a new one. */
  get next(): number {
    return this.#next;
  }

  /** Number that the next new record gets. */
  get end(): number {
    return this.#first + this.#records.length - this.#head;
  }

  get isEmpty(): boolean {
    return this.#head === this.#records.length;
  }

  get isFull(): boolean {
    return (
      this.#records.length - this.#head >= MAX_UNACKNOWLEDGED_RECORDS ||
      this.#bytes >= MAX_UNACKNOWLEDGED_BYTES ||
      this.#isHeldBack
    );
  }

  /** Whether `rewrite` has something to give. */
  get mustRewrite(): boolean {
    return this.#next < this.end && !this.#isHeldBack;
  }

  /** What is under way has to arrive first: whatever lies between could not take more. */
  get #isHeldBack(): boolean {
    return this.#underWay >= this.#limit;
  }

  /** Bytes of plaintext that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that are kept, with those of whole messages of which the end is not acknowledged. */
  get bytesKept(): number {
    return this.#spanning.reduce((sum, { message }) => sum + message.data.length, this.#bytes);
  }

  /** A new record was written: its number is `end`. */
  add(record: Uint8Array, now: number): void {
    this.#records.push({ record, writtenAt: now });
    this.#bytes += record.length;
    this.#underWay += record.length;
    this.#next++;
  }

  /** The record that is about to be added, or was added last, ends a message that began in an earlier one. */
  addSpanning(message: Message, last: number): void {
    this.#spanning.push({ message, last });
  }

  /** The next record that has to be written again. */
  rewrite(): Uint8Array | undefined {
    if (!this.mustRewrite) return undefined;
    const sent = this.#records[this.#head + this.#next - this.#first];
    if (!sent) return undefined;
    this.#underWay += sent.record.length;
    this.#next++;
    sent.writtenAt = undefined;
    return sent.record;
  }

  /**
   * The peer has everything before number `upTo`, which must not be above `end`. Gives when the last of these was
   * written, if it was written once: a round trip can be measured with it (Karn's rule, RFC 6298 section 3).
   */
  acknowledge(upTo: number): number | undefined {
    let writtenAt: number | undefined;
    while (this.#first < upTo) {
      const sent = this.#records[this.#head];
      if (!sent) break;
      this.#records[this.#head++] = GONE;
      if (this.#first < this.#next) {
        this.#underWay -= sent.record.length;
        this.#limit += LEAST_UNDER_WAY * Math.min(1, sent.record.length / this.#limit);
      }
      this.#first++;
      this.#bytes -= sent.record.length;
      writtenAt = sent.writtenAt;
      largeBuffers.give(sent.record.buffer);
    }
    if (this.#next < this.#first) this.#next = this.#first;
    for (let oldest = this.#spanning[0]; oldest && oldest.last < this.#first; oldest = this.#spanning[0]) {
      this.#spanning.shift();
      largeBuffers.give(oldest.message.data.buffer);
    }
    if (this.#head === this.#records.length || this.#head >= 1_024) {
      this.#records = this.#records.slice(this.#head);
      this.#head = 0;
    }
    return writtenAt;
  }

  /** Everything from number `from` on has to be written again. `wasLost`: whatever it went through had no room for it. */
  rewind(from: number, wasLost = false): void {
    const next = Math.max(from, this.#first);
    if (next >= this.#next) return;
    if (wasLost) this.#limit = Math.max(LEAST_UNDER_WAY, Math.min(this.#limit, this.#underWay) / 2);
    for (; this.#next > next; this.#next--) {
      this.#underWay -= this.#records[this.#head + this.#next - 1 - this.#first]?.record.length ?? 0;
    }
  }

  /** It goes on over another path: what is known of the one before says nothing about it. */
  forgetPath(): void {
    this.#limit = Infinity;
  }

  /** Length of the longest record that is kept. */
  get longest(): number {
    return this.#records.reduce((longest, { record }) => Math.max(longest, record.length), 0);
  }

  /** The messages that end in a record that is not acknowledged, in order. */
  unacknowledged(): Message[] {
    const messages: Message[] = [];
    const spanning = this.#spanning.map(({ message }) => message);
    for (const { record } of this.#records.slice(this.#head)) {
      for (const { opcode, fin, payload } of decodeItems(record)) {
        if (!fin) continue;
        if (opcode === Opcode.CONTINUATION) {
          const message = spanning.shift();
          if (message) messages.push(message);
        } else if (opcode === Opcode.TEXT || opcode === Opcode.BINARY) {
          messages.push({ data: payload.slice(), isText: opcode === Opcode.TEXT });
        }
      }
    }
    return messages;
  }

  clear(): void {
    this.#records = [];
    this.#head = 0;
    this.#bytes = this.#underWay = 0;
    this.#spanning.length = 0;
    this.#first = this.#next;
  }
}

const GONE: Sent = { record: new Uint8Array(0), writtenAt: undefined };
