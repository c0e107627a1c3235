import { MIN_FRAGMENT } from '../constants.js';
import { itemLength, Opcode, payloadThatFits, RECORD_HEADER_LENGTH, RecordWriter } from '../record.js';

/** A message as it was given to `send`. */
export interface SentMessage {
  readonly data: Uint8Array;
  readonly isText: boolean;
}

interface Outgoing extends SentMessage {
  /** Bytes that are in records already. */
  offset: number;
}

/** What goes into one message to a space: a record, and which of what was sent ends in it. */
export interface OutgoingRecord {
  readonly record: Uint8Array;
  /** Payload bytes. */
  readonly bytes: number;
  readonly ended: readonly SentMessage[];
}

/** Messages that wait to be sent to a space. Those of one turn share a record; a large one is cut. */
export class SpaceOutbox {
  #queue: Outgoing[] = [];
  #head = 0;
  #bytes = 0;

  /** Payload bytes that are in no record yet. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#head === this.#queue.length;
  }

  /** Those of which not all is in a record. */
  get messages(): SentMessage[] {
    return this.#queue.slice(this.#head).map(({ data, isText }) => ({ data, isText }));
  }

  /** `data` is copied. */
  add(data: Uint8Array, isText: boolean): void {
    this.#queue.push({ data: data.slice(), isText, offset: 0 });
    this.#bytes += data.length;
  }

  /** Nobody is there to read what waits. Gives its payload bytes. */
  drop(): number {
    const bytes = this.#bytes;
    this.#queue = [];
    this.#head = this.#bytes = 0;
    return bytes;
  }

  /** As much as goes into a record of at most `capacity` bytes, header included. There must be something. */
  take(capacity: number, sequence: number): OutgoingRecord {
    const likely = RECORD_HEADER_LENGTH + this.#bytes + 16 * (this.#queue.length - this.#head);
    const writer = new RecordWriter(capacity, Math.min(capacity, likely));
    const ended: SentMessage[] = [];
    let bytes = 0;
    for (let next = this.#queue[this.#head]; next; next = this.#queue[this.#head]) {
      const { data, isText } = next;
      const left = data.length - next.offset;
      const isWhole = itemLength(left) <= writer.space;
      const length = isWhole ? left : payloadThatFits(writer.space);
      // A message is not cut for the sake of a little room at the end of a record.
      if (!isWhole && length < MIN_FRAGMENT) break;
      const opcode = next.offset > 0 ? Opcode.CONTINUATION : isText ? Opcode.TEXT : Opcode.BINARY;
      writer.item(opcode, isWhole, data.subarray(next.offset, next.offset + length));
      next.offset += length;
      bytes += length;
      if (!isWhole) break;
      ended.push({ data, isText });
      this.#head++;
    }
    this.#bytes -= bytes;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > 1_024) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    const record = writer.finish({
      channelId: 0,
      sequenced: true,
      opener: false,
      sequence,
      acknowledgement: 0,
    });
    return { record, bytes, ended };
  }
}
