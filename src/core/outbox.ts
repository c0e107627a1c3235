import { readUint64 } from './bytes.js';
import { ITEM_OVERHEAD, MIN_FRAGMENT } from './constants.js';
import { SecureWebSocketError } from './errors.js';
import { Opcode, payloadThatFits, type RecordWriter } from './record.js';
import type { Message } from './sent-records.js';

interface Outgoing {
  readonly opcode: Opcode;
  readonly data: Uint8Array;
  /** Bytes of `data` that have been written into records. */
  offset: number;
}

/** What was written of the message at the head of an outbox. */
export interface Written {
  /** Payload bytes, those of pings not counted. */
  readonly bytes: number;
  /** The message that ends here and began in an earlier record. */
  readonly spanning?: Message;
}

/** Messages and pings that wait for credit and for room in the network. */
export class Outbox {
  #queue: Outgoing[] = [];
  #head = 0;
  #bytes = 0;
  #creditLeft = 0;
  #creditGranted = 0;

  /** Payload bytes of messages that are in no record yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Payload bytes that are kept for them: a message that was begun is kept as a whole. */
  get bytesKept(): number {
    return this.#bytes + (this.#queue[this.#head]?.offset ?? 0);
  }

  get length(): number {
    return this.#queue.length - this.#head;
  }

  /** Whether the next of it may be sent, in part at least. */
  get isReady(): boolean {
    const next = this.#queue[this.#head];
    if (!next) return false;
    if (next.opcode === Opcode.PING) return true;
    return this.#creditLeft - ITEM_OVERHEAD >= Math.min(next.data.length - next.offset, MIN_FRAGMENT);
  }

  message(data: Uint8Array, isText: boolean): void {
    this.#queue.push({ opcode: isText ? Opcode.TEXT : Opcode.BINARY, data, offset: 0 });
    this.#bytes += data.length;
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

  /** Writes the next message, or as much of it as fits. Undefined when nothing fits any more. */
  write(writer: RecordWriter): Written | undefined {
    const next = this.#queue[this.#head];
    if (!next) return undefined;
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
    this.#bytes -= length;
    this.#creditLeft -= length + ITEM_OVERHEAD;
    if (!fin || isFirst) return { bytes: length };
    return { bytes: length, spanning: { data: next.data, isText: next.opcode === Opcode.TEXT } };
  }

  /** The messages that wait, one that was begun among them. */
  messages(): Message[] {
    return this.#queue
      .slice(this.#head)
      .filter(({ opcode }) => opcode !== Opcode.PING)
      .map(({ opcode, data }) => ({ data, isText: opcode === Opcode.TEXT }));
  }

  clear(): void {
    this.#queue = [];
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

const NOTHING: Written = { bytes: 0 };
const FINISHED: Outgoing = { opcode: Opcode.BINARY, data: new Uint8Array(0), offset: 0 };
