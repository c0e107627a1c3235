/** The counters of one end of a channel, as docs/protocol.md describes them: nothing is lost, nothing comes twice. */
import { type Item, item, OPCODE, Reader, u64, type WireRecord } from './wire.js';

export type Numbered = Pick<WireRecord, 'sequenced' | 'sequenceNumber' | 'acknowledgement' | 'items'>;

/** Milliseconds. */
const ACK_DELAY = 200;
const ACK_EVERY = 32;
const FIRST_RETRY = 500;
const MAX_RETRY = 10_000;

export interface ReliabilityOptions {
  /** Whether the peer may not know the channel yet: it cannot be asked then. */
  isUnheard(): boolean;
  write(record: Numbered): void;
}

export class Reliability {
  /** Counted for tests. */
  readonly seen = { gaps: 0, duplicates: 0, questions: 0, rewinds: 0 };
  readonly #options: ReliabilityOptions;
  #expected = 0;
  /** Records that came and were not acknowledged. */
  #owed = 0;
  /** The number last seen beyond what is expected. */
  #beyond: number | undefined;
  #ackTimer: NodeJS.Timeout | undefined;

  /** What the peer has not acknowledged, from number `#first` on. */
  #kept: (readonly Item[])[] = [];
  #first = 0;
  /** What had been sent when a question was put, by its number. */
  readonly #questions = new Map<number, number>();
  #lastQuestion = 0;
  #retry = FIRST_RETRY;
  #retryTimer: NodeJS.Timeout | undefined;
  #isCarried = true;

  constructor(options: ReliabilityOptions) {
    this.#options = options;
  }

  /** Number of the oldest record that is not acknowledged. */
  get first(): number {
    return this.#first;
  }

  /** Number that the next record gets. */
  get end(): number {
    return this.#first + this.#kept.length;
  }

  /** Items of the records that are not acknowledged, in order. */
  get kept(): readonly Item[] {
    return this.#kept.flat();
  }

  /** A new record. While nothing carries the channel it waits. */
  send(...items: Item[]): void {
    this.#kept.push(items);
    if (!this.#isCarried) return;
    this.#transmit(this.end - 1);
    this.#arm();
  }

  /** A record without a number; without items it acknowledges. */
  report(...items: Item[]): void {
    this.#write({ sequenced: false, sequenceNumber: this.end, items });
  }

  /** Whether the items of a record are to be taken. */
  receive(record: WireRecord): boolean {
    const { sequenced, sequenceNumber, acknowledgement, items } = record;
    if (acknowledgement > this.end) throw new Error('an acknowledgement of what was not sent');
    this.#heard(acknowledgement);
    const reports: Item[] = [];
    if (sequenceNumber > this.#expected) {
      this.seen.gaps++;
      if (this.#beyond === undefined || sequenceNumber < this.#beyond) reports.push(item(OPCODE.GAP));
      this.#beyond = sequenceNumber;
    }
    for (const { opcode, payload } of items) {
      if (opcode === OPCODE.PROBE) reports.push(item(OPCODE.PROBE_ANSWER, numberIn(payload)));
      else if (opcode === OPCODE.PROBE_ANSWER) this.#answered(numberIn(payload), acknowledgement);
      else if (opcode === OPCODE.GAP) this.rewind(acknowledgement);
    }
    if (reports.length > 0) this.report(...reports);
    if (!sequenced || sequenceNumber > this.#expected) return false;
    if (sequenceNumber < this.#expected) {
      this.seen.duplicates++;
      this.acknowledge();
      return false;
    }
    this.#expected++;
    this.#beyond = undefined;
    this.#owed++;
    if (this.#owed >= ACK_EVERY) this.acknowledge();
    else
      this.#ackTimer ??= setTimeout(() => {
        this.acknowledge();
      }, ACK_DELAY).unref();
    return true;
  }

  acknowledge(): void {
    if (this.#isCarried) this.report();
  }

  /** Everything that is not acknowledged, from a number on, is sent again. */
  rewind(from: number): void {
    this.seen.rewinds++;
    this.#questions.clear();
    for (let number = Math.max(from, this.#first); number < this.end; number++) this.#transmit(number);
  }

  /** Nothing carries the channel any more. */
  suspend(): void {
    this.stop();
    this.#isCarried = false;
    this.#beyond = undefined;
    this.#questions.clear();
  }

  /** RESUME has come; `acknowledgement` was in its header. */
  resume(acknowledgement: number): void {
    if (acknowledgement > this.end) throw new Error('a RESUME beyond what was sent');
    this.#isCarried = true;
    this.#retry = FIRST_RETRY;
    this.#heard(acknowledgement);
    this.rewind(acknowledgement);
    this.#arm();
  }

  /** A record with RESUME: it goes out while nothing else does. */
  writeResume(payload: Uint8Array): void {
    this.#write({ sequenced: false, sequenceNumber: this.#first, items: [item(OPCODE.RESUME, payload)] });
  }

  stop(): void {
    clearTimeout(this.#ackTimer);
    clearTimeout(this.#retryTimer);
    this.#ackTimer = this.#retryTimer = undefined;
  }

  #heard(acknowledgement: number): void {
    if (acknowledgement <= this.#first) return;
    this.#kept.splice(0, acknowledgement - this.#first);
    this.#first = acknowledgement;
    this.#retry = FIRST_RETRY;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#arm();
  }

  /** What had been sent before the question and is not acknowledged was lost. */
  #answered(number: Buffer, acknowledgement: number): void {
    const asked = new Reader(number).number(8);
    const end = this.#questions.get(asked);
    this.#questions.delete(asked);
    if (end === undefined) return;
    this.#retry = FIRST_RETRY;
    if (acknowledgement < end) this.rewind(acknowledgement);
  }

  #arm(): void {
    if (this.#kept.length === 0 || !this.#isCarried) return;
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      this.#retry = Math.min(2 * this.#retry, MAX_RETRY);
      if (this.#options.isUnheard()) this.rewind(this.#first);
      else this.#ask();
      this.#arm();
    }, this.#retry).unref();
  }

  #ask(): void {
    this.seen.questions++;
    this.#questions.set(++this.#lastQuestion, this.end);
    this.report(item(OPCODE.PROBE, u64(this.#lastQuestion)));
  }

  #transmit(number: number): void {
    const items = this.#kept[number - this.#first]!;
    this.#write({ sequenced: true, sequenceNumber: number, items });
  }

  #write(record: Omit<Numbered, 'acknowledgement'>): void {
    this.#owed = 0;
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#options.write({ ...record, acknowledgement: this.#expected });
  }
}

function numberIn(payload: Buffer): Buffer {
  if (payload.length !== 8) throw new Error('a question that is not 8 bytes');
  return payload;
}
