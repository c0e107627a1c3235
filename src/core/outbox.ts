import { largeBuffers } from './buffer-pool.js';
import { readUint64 } from './bytes.js';
import { DEFAULT_MAX_FRAME, ITEM_OVERHEAD, MIN_FRAGMENT } from './constants.js';
import { SecureWebSocketError } from './errors.js';
import { ENVELOPE_HEADER_LENGTH } from './frame.js';
import { itemLength, Opcode, payloadThatFits, RECORD_HEADER_LENGTH, RecordWriter } from './record.js';
import type { Message } from './sent-records.js';
import { TRANSPORT_OVERHEAD } from './transport-keys.js';

/** A message or ping that waits: for credit, or because it is too large for a batch. */
interface Outgoing {
  readonly opcode: Opcode;
  readonly data: Uint8Array;
  /** Bytes of `data` that have been written into records. */
  offset: number;
}

/** Whole messages that have credit, written as the items of a record to come. */
interface Batch {
  readonly writer: RecordWriter;
  /** Payload bytes. */
  bytes: number;
}

/** What was written of the message at the head of an outbox. */
export interface Written {
  /** Payload bytes, those of pings not counted. */
  readonly bytes: number;
  /** The message that ends here and began in an earlier record. */
  readonly spanning?: Message;
}

/**
 * Messages and pings that wait for credit and for room in the network.
 *
 * What is sent in one turn is copied once, into the record that it will go out in: nothing is kept for a single message.
 */
export class Outbox {
  #queue: (Outgoing | Batch)[] = [];
  #head = 0;
  /** Messages in the queue that are in no batch: what comes later must not overtake them. */
  #unbatched = 0;
  #bytes = 0;
  #creditLeft = 0;
  #creditGranted = 0;
  /** The most bytes that a record may have: what it was when one was written last. */
  #capacity = FIRST_CAPACITY;
  /** Bytes of the batches before: the next is likely to be as large. */
  #expected = 0;

  /** Payload bytes of messages that are in no record yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Payload bytes that are kept for them: a message that was begun is kept as a whole. */
  get bytesKept(): number {
    const next = this.#queue[this.#head];
    return this.#bytes + (next && 'offset' in next ? next.offset : 0);
  }

  get isEmpty(): boolean {
    return this.#queue.length === this.#head;
  }

  /** Whether the next of it may be sent, in part at least. */
  get isReady(): boolean {
    const next = this.#queue[this.#head];
    if (!next) return false;
    if ('writer' in next || next.opcode === Opcode.PING) return true;
    return this.#creditLeft - ITEM_OVERHEAD >= Math.min(next.data.length - next.offset, MIN_FRAGMENT);
  }

  /** Room that the next record should have for what is not in a batch. */
  get estimate(): number {
    return this.#unbatched === 0 ? 0 : this.#bytes + 16 * (this.#queue.length - this.#head);
  }

  /** Takes a message. `data` is copied. */
  message(data: Uint8Array, isText: boolean): void {
    this.#bytes += data.length;
    const opcode = isText ? Opcode.TEXT : Opcode.BINARY;
    const batch = this.#batchFor(data.length);
    if (batch) {
      batch.writer.item(opcode, true, data);
      batch.bytes += data.length;
      this.#creditLeft -= data.length + ITEM_OVERHEAD;
    } else {
      this.#queue.push({ opcode, data: largeBuffers.copy(data), offset: 0 });
      this.#unbatched++;
    }
  }

  ping(data: Uint8Array): void {
    this.#queue.push({ opcode: Opcode.PING, data, offset: 0 });
  }

  /** The credit that came with OPEN or OPEN_ACCEPT. */
  offered(window: number): void {
    this.#creditGranted = window;
    this.#creditLeft = window;
  }

  /**
   * Takes the payload of a CREDIT: how much may be sent in all.
   * @throws SecureWebSocketError `PROTOCOL_VIOLATION`
   */
  credit(payload: Uint8Array): void {
    const limit = payload.length === 8 ? readUint64(payload, 0) : Infinity;
    if (limit > Number.MAX_SAFE_INTEGER) {
      throw new SecureWebSocketError('PROTOCOL_VIOLATION', 'The peer sent a CREDIT that is not valid.');
    }
    if (limit > this.#creditGranted) {
      this.#creditLeft += limit - this.#creditGranted;
      this.#creditGranted = limit;
    }
  }

  /**
   * The batch that is next, as a record of at most `capacity` bytes to which at least `reserve` may be added, with its
   * payload bytes. Undefined when something else is next, or there is no such room.
   */
  takeBatch(capacity: number, reserve = 0): Readonly<Batch> | undefined {
    this.#capacity = capacity;
    const next = this.#queue[this.#head];
    if (!next || !('writer' in next)) return undefined;
    if (!next.writer.limit(capacity)) {
      // It was begun for a link with larger frames.
      this.#undo();
      return undefined;
    }
    if (next.writer.space < reserve) return undefined;
    this.#taken(next);
    return next;
  }

  /** Writes the next message, or as much of it as fits. Undefined when nothing fits any more. */
  write(writer: RecordWriter): Written | undefined {
    const next = this.#queue[this.#head];
    if (!next) return undefined;
    if ('writer' in next) {
      if (!writer.append(next.writer)) return undefined;
      this.#taken(next);
      return { bytes: next.bytes };
    }
    const isControl = next.opcode === Opcode.PING;
    const rest = next.data.length - next.offset;
    const room = payloadThatFits(writer.space);
    const length = isControl ? rest : Math.min(rest, room, this.#creditLeft - ITEM_OVERHEAD);
    // What does not fit here goes into the next record, rather than a sliver of it.
    if (length > room || length < Math.min(rest, MIN_FRAGMENT)) return undefined;
    const isFirst = next.offset === 0;
    const fin = length === rest;
    writer.item(
      isFirst ? next.opcode : Opcode.CONTINUATION,
      fin,
      next.data.subarray(next.offset, next.offset + length),
    );
    next.offset += length;
    if (fin) this.#dequeue();
    if (isControl) return NOTHING;
    if (fin) this.#unbatched--;
    this.#bytes -= length;
    this.#creditLeft -= length + ITEM_OVERHEAD;
    if (fin && isFirst) largeBuffers.give(next.data.buffer);
    if (!fin || isFirst) return { bytes: length };
    return { bytes: length, spanning: { data: next.data, isText: next.opcode === Opcode.TEXT } };
  }

  /** The messages that wait, one that was begun among them. */
  messages(): Message[] {
    return this.#queue
      .slice(this.#head)
      .flatMap(entry => ('writer' in entry ? unwrap(entry) : entry))
      .filter(({ opcode }) => opcode !== Opcode.PING)
      .map(({ opcode, data }) => ({ data, isText: opcode === Opcode.TEXT }));
  }

  /** Nothing carries it for now, perhaps for long. */
  rest(): void {
    this.#expected = 0;
    for (const entry of this.#queue) if ('writer' in entry) entry.writer.compact();
  }

  clear(): void {
    this.#queue = [];
    this.#head = 0;
    this.#unbatched = 0;
  }

  /** The batch that a message of so many bytes goes into: none when it has to wait for credit, or is too large. */
  #batchFor(length: number): Batch | undefined {
    if (this.#unbatched > 0 || this.#creditLeft < length + ITEM_OVERHEAD) return undefined;
    const needed = itemLength(length);
    const last = this.isEmpty ? undefined : this.#queue[this.#queue.length - 1];
    if (last && 'writer' in last && last.writer.space >= needed) return last;
    if (RECORD_HEADER_LENGTH + needed > this.#capacity) return undefined;
    const expected = Math.max(RECORD_HEADER_LENGTH + needed, this.#expected);
    const batch = { writer: new RecordWriter(this.#capacity, expected), bytes: 0 };
    this.#queue.push(batch);
    return batch;
  }

  #taken(batch: Batch): void {
    this.#dequeue();
    this.#bytes -= batch.bytes;
    // The last of a turn may be small: that says little about the next.
    this.#expected = Math.max(batch.writer.length, this.#expected >> 1);
  }

  /** Makes single messages again out of all batches: those behind must not keep credit that those before them need. */
  #undo(): void {
    const queue: Outgoing[] = [];
    for (const entry of this.#queue.slice(this.#head)) {
      if (!('writer' in entry)) {
        queue.push(entry);
        continue;
      }
      const messages = unwrap(entry);
      queue.push(...messages);
      this.#creditLeft += entry.bytes + ITEM_OVERHEAD * messages.length;
      this.#unbatched += messages.length;
    }
    this.#queue = queue;
    this.#head = 0;
  }

  #dequeue(): void {
    this.#queue[this.#head++] = FINISHED;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head >= 1_024 && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** The messages of a batch, each in memory of its own. */
function unwrap({ writer }: Batch): Outgoing[] {
  return writer.items().map(({ opcode, payload }) => ({ opcode, data: payload.slice(), offset: 0 }));
}

/** Until a record has been written it is not known how long one may be: what a link usually allows. */
const FIRST_CAPACITY = DEFAULT_MAX_FRAME - ENVELOPE_HEADER_LENGTH - TRANSPORT_OVERHEAD;
const NOTHING: Written = { bytes: 0 };
const FINISHED: Outgoing = { opcode: Opcode.BINARY, data: new Uint8Array(0), offset: 0 };
