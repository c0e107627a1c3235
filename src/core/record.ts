import { readUint32, readUint64, writeUint32, writeUint64 } from './bytes.js';
import { largeBuffers } from './buffer-pool.js';
import { MAX_RECORD_ITEMS } from './constants.js';
import { asSecureWebSocketError, SecureWebSocketError } from './errors.js';

/**
 * Records: the plaintext of one transport message (docs/protocol.md, "Records"). A record belongs to one channel: a
 * header, then one or more items. An empty plaintext is no record but a keepalive.
 *
 * ```
 * channel id (4) | flags (1) | sequence number (8) | acknowledgement (8) | items …
 * item: FIN and opcode (1) | length (1, 2, 4 or 8: RFC 9000 section 16) | payload
 * ```
 */
export const RECORD_HEADER_LENGTH = 21;

export const RecordFlag = {
  /** The record takes a sequence number; without it the field says which number would come next. */
  SEQUENCED: 0x01,
  /** The channel id is one that the sender of the record has chosen: it opened the channel. */
  OPENER: 0x02,
} as const;

/**
 * Item opcodes; where RFC 6455 section 5.2 has one for the purpose it is the same. RESET and those from PROBE on are
 * about the channel and not part of what it carries: only they may be in a record without a sequence number.
 */
export const Opcode = {
  CONTINUATION: 0x0,
  TEXT: 0x1,
  BINARY: 0x2,
  OPEN: 0x3,
  OPEN_ACCEPT: 0x4,
  OPEN_REFUSE: 0x5,
  CREDIT: 0x6,
  RESET: 0x7,
  CLOSE: 0x8,
  PING: 0x9,
  PONG: 0xa,
  PROBE: 0xb,
  PROBE_ANSWER: 0xc,
  GAP: 0xd,
  RESUME: 0xe,
} as const;
export type Opcode = (typeof Opcode)[keyof typeof Opcode];

const FIN = 0x80;
const HIGHEST_OPCODE = Opcode.RESUME;

export interface RecordHeader {
  readonly channelId: number;
  readonly sequenced: boolean;
  readonly opener: boolean;
  readonly sequence: number;
  readonly acknowledgement: number;
}

export interface Item {
  readonly opcode: Opcode;
  readonly fin: boolean;
  readonly payload: Uint8Array;
  /** True when the record holds nothing else: then its memory is free once the payload is. */
  readonly isAlone?: boolean;
}

/** Bytes that an item with `payloadLength` bytes of payload takes in a record. */
export function itemLength(payloadLength: number): number {
  return 1 + varintLength(payloadLength) + payloadLength;
}

/** A payload so large surely fits into `space` bytes as an item; -1 when not even an empty one does. */
export function payloadThatFits(space: number): number {
  return space < 2 ? -1 : space - 1 - varintLength(space);
}

/** Writes one record into memory of its own, item after item. */
export class RecordWriter {
  #capacity: number;
  #bytes: Uint8Array;
  #offset = RECORD_HEADER_LENGTH;
  #items = 0;

  /** `capacity`: the most bytes that the record may have, header included. `expected`: how many it is likely to have. */
  constructor(capacity: number, expected = capacity) {
    this.#capacity = capacity;
    const length = Math.min(capacity, Math.max(expected, RECORD_HEADER_LENGTH));
    this.#bytes = largeBuffers.take(length);
  }

  get isEmpty(): boolean {
    return this.#offset === RECORD_HEADER_LENGTH;
  }

  /** Bytes that the record has so far, header included. */
  get length(): number {
    return this.#offset;
  }

  /** Bytes that are left for items: none once there are as many items as a record may have. */
  get space(): number {
    return this.#items >= MAX_RECORD_ITEMS ? 0 : this.#capacity - this.#offset;
  }

  /** Lowers the capacity, if it is higher. False when the record is longer than that already. */
  limit(capacity: number): boolean {
    this.#capacity = Math.min(this.#capacity, capacity);
    return this.#offset <= capacity;
  }

  /** Takes over all items of another record that is being written; false, and nothing was done, when there is no room. */
  append(other: RecordWriter): boolean {
    const length = other.#offset - RECORD_HEADER_LENGTH;
    if (this.#items + other.#items > MAX_RECORD_ITEMS || length > this.space) return false;
    this.#reserve(length);
    this.#bytes.set(other.#bytes.subarray(RECORD_HEADER_LENGTH, other.#offset), this.#offset);
    this.#offset += length;
    this.#items += other.#items;
    return true;
  }

  /** Keeps no more memory than it needs, as nothing will be added soon. */
  compact(): void {
    if (this.#bytes.length > this.#offset) this.#move(new Uint8Array(this.#offset));
  }

  item(opcode: Opcode, fin: boolean, payload: Uint8Array): void {
    const { length } = payload;
    this.#reserve(itemLength(length));
    this.#bytes[this.#offset++] = fin ? opcode | FIN : opcode;
    this.#offset = writeVarint(this.#bytes, this.#offset, length);
    this.#bytes.set(payload, this.#offset);
    this.#offset += length;
    this.#items++;
  }

  /** The items so far; payloads are views of the record. */
  items(): Item[] {
    return decodeItems(this.#bytes.subarray(0, this.#offset));
  }

  /** The record. The writer must not be used afterwards. */
  finish(header: RecordHeader): Uint8Array {
    const bytes = this.#bytes;
    writeUint32(bytes, 0, header.channelId);
    bytes[4] = (header.sequenced ? RecordFlag.SEQUENCED : 0) | (header.opener ? RecordFlag.OPENER : 0);
    writeUint64(bytes, 5, header.sequence);
    writeUint64(bytes, 13, header.acknowledgement);
    // It may be kept for long: what is much larger than the record is not.
    if (bytes.length <= 2 * this.#offset) return bytes.subarray(0, this.#offset);
    const record = bytes.slice(0, this.#offset);
    largeBuffers.give(bytes.buffer);
    return record;
  }

  #reserve(more: number): void {
    const length = this.#offset + more;
    if (length <= this.#bytes.length) return;
    this.#move(largeBuffers.take(Math.min(this.#capacity, Math.max(length, 2 * this.#bytes.length))));
  }

  #move(bytes: Uint8Array): void {
    bytes.set(this.#bytes.subarray(0, this.#offset));
    largeBuffers.give(this.#bytes.buffer);
    this.#bytes = bytes;
  }
}

/** A record without items: it acknowledges, and says nothing else. */
export function encodeAcknowledgement(header: RecordHeader): Uint8Array {
  return new RecordWriter(RECORD_HEADER_LENGTH).finish(header);
}

/** A record of one item. */
export function encodeSingleItem(header: RecordHeader, opcode: Opcode, payload: Uint8Array): Uint8Array {
  const writer = new RecordWriter(RECORD_HEADER_LENGTH + itemLength(payload.length));
  writer.item(opcode, true, payload);
  return writer.finish(header);
}

/** Whether an item of this kind stands outside of the sequence: it is neither acknowledged nor sent again. */
export function isUnsequenced(opcode: Opcode): boolean {
  return opcode === Opcode.RESET || opcode >= Opcode.PROBE;
}

/** One bit for each opcode that does. */
const UNSEQUENCED = Object.values(Opcode).reduce<number>(
  (bits, opcode) => (isUnsequenced(opcode) ? bits | (1 << opcode) : bits),
  0,
);

/** Writes anew what may have changed since a record was sent: its channel was resumed under another id, records arrived. */
export function updateHeader(record: Uint8Array, channelId: number, acknowledgement: number): void {
  writeUint32(record, 0, channelId);
  writeUint64(record, 13, acknowledgement);
}

/**
 * Reads the header of a record.
 * @throws SecureWebSocketError `RECORD_MALFORMED`
 */
export function decodeRecordHeader(record: Uint8Array): RecordHeader {
  const flags = record[4];
  if (record.length < RECORD_HEADER_LENGTH || flags === undefined)
    throw malformed('is shorter than its header');
  if ((flags & ~(RecordFlag.SEQUENCED | RecordFlag.OPENER)) !== 0) throw malformed('has unknown flags');
  return {
    channelId: readUint32(record, 0),
    sequenced: (flags & RecordFlag.SEQUENCED) !== 0,
    opener: (flags & RecordFlag.OPENER) !== 0,
    sequence: safe(readUint64(record, 5)),
    acknowledgement: safe(readUint64(record, 13)),
  };
}

/**
 * Reads the items of a record one after the other, without an object for each: a record may hold thousands. It is
 * itself the item that was read last; `payload` is a view of the record.
 */
export class ItemReader implements Item {
  opcode: Opcode = Opcode.CONTINUATION;
  fin = false;
  isAlone = false;
  readonly #record: Uint8Array;
  #start = RECORD_HEADER_LENGTH;
  #end = RECORD_HEADER_LENGTH;
  #kinds = 0;

  /**
   * Checks the whole record before anything of it is used.
   * @throws SecureWebSocketError `RECORD_MALFORMED`
   */
  constructor(record: Uint8Array) {
    this.#record = record;
    let count = 0;
    for (; this.next(); count++) {
      if (count === MAX_RECORD_ITEMS) throw malformed(`holds more than ${String(MAX_RECORD_ITEMS)} items`);
      this.#kinds |= 1 << this.opcode;
    }
    this.isAlone = count === 1;
    this.#end = RECORD_HEADER_LENGTH;
  }

  /** Whether the record holds an item that stands outside of the sequence, and whether it holds one that does not. */
  get hasUnsequenced(): boolean {
    return (this.#kinds & UNSEQUENCED) !== 0;
  }

  get hasSequenced(): boolean {
    return (this.#kinds & ~UNSEQUENCED) !== 0;
  }

  get payload(): Uint8Array {
    return this.#record.subarray(this.#start, this.#end);
  }

  /** Moves on to the next item; false when there is none. */
  next(): boolean {
    const record = this.#record;
    let offset = this.#end;
    if (offset >= record.length) return false;
    const first = record[offset++] ?? 0;
    const opcode = first & ~FIN;
    if (!isOpcode(opcode)) throw malformed('holds an item with an unknown opcode');
    if (offset >= record.length) throw malformed('ends inside an item');
    const fieldLength = 1 << ((record[offset] ?? 0) >> 6);
    if (offset + fieldLength > record.length) throw malformed('ends inside an item');
    const length = readVarint(record, offset, fieldLength);
    offset += fieldLength;
    if (length > record.length - offset) throw malformed('holds an item that is longer than the record');
    this.opcode = opcode;
    this.fin = (first & FIN) !== 0;
    this.#start = offset;
    this.#end = offset + length;
    return true;
  }
}

/**
 * The items of a record; payloads are views of it. The whole record is checked before anything of it is used.
 * @throws SecureWebSocketError `RECORD_MALFORMED`
 */
export function decodeItems(record: Uint8Array): Item[] {
  const items: Item[] = [];
  const reader = new ItemReader(record);
  while (reader.next()) {
    const { opcode, fin, payload } = reader;
    items.push({ opcode, fin, payload });
  }
  return items;
}

function isOpcode(value: number): value is Opcode {
  return value <= HIGHEST_OPCODE;
}

// Variable-length integers of RFC 9000 section 16: the two highest bits of the first byte say how long the field is.

function varintLength(value: number): 1 | 2 | 4 | 8 {
  if (value < 2 ** 6) return 1;
  if (value < 2 ** 14) return 2;
  if (value < 2 ** 30) return 4;
  return 8;
}

// Byte by byte where it is done for every message: a DataView costs more than all the rest of a small one.

function writeVarint(bytes: Uint8Array, offset: number, value: number): number {
  const length = varintLength(value);
  if (length === 1) {
    bytes[offset] = value;
  } else if (length === 2) {
    bytes[offset] = (value >> 8) | 0x40;
    bytes[offset + 1] = value;
  } else if (length === 4) {
    writeUint32(bytes, offset, value + 2 ** 31);
  } else {
    writeUint64(bytes, offset, value);
    bytes[offset] = (bytes[offset] ?? 0) | 0xc0;
  }
  return offset + length;
}

function readVarint(bytes: Uint8Array, offset: number, length: number): number {
  const first = (bytes[offset] ?? 0) & 0x3f;
  if (length === 1) return first;
  if (length === 2) return (first << 8) | (bytes[offset + 1] ?? 0);
  if (length === 4) return readUint32(bytes, offset) & 0x3fffffff;
  return safe((readUint32(bytes, offset) & 0x3fffffff) * 2 ** 32 + readUint32(bytes, offset + 4));
}

function safe(value: number): number {
  if (value > Number.MAX_SAFE_INTEGER) throw malformed('holds a number above 2^53');
  return value;
}

/** What went wrong with a record of the peer. */
export function asRecordError(error: unknown): SecureWebSocketError {
  return asSecureWebSocketError(error, 'PROTOCOL_VIOLATION', 'A record from the peer could not be handled.');
}

function malformed(what: string): SecureWebSocketError {
  return new SecureWebSocketError('RECORD_MALFORMED', `A record from the peer ${what}.`);
}
