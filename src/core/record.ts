import { readUint64, writeUint32, writeUint64 } from './bytes.js';
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
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = RECORD_HEADER_LENGTH;
  #items = 0;

  /** `capacity`: the most bytes that the record may have, header included. */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get isEmpty(): boolean {
    return this.#offset === RECORD_HEADER_LENGTH;
  }

  /** Bytes that are left for items: none once there are as many items as a record may have. */
  get space(): number {
    return this.#items >= MAX_RECORD_ITEMS ? 0 : this.#bytes.length - this.#offset;
  }

  item(opcode: Opcode, fin: boolean, payload: Uint8Array): void {
    this.#bytes[this.#offset++] = fin ? opcode | FIN : opcode;
    this.#offset = writeVarint(this.#view, this.#offset, payload.length);
    this.#bytes.set(payload, this.#offset);
    this.#offset += payload.length;
    this.#items++;
  }

  /** The record. The writer must not be used afterwards. */
  finish(header: RecordHeader): Uint8Array {
    this.#view.setUint32(0, header.channelId);
    this.#bytes[4] = (header.sequenced ? RecordFlag.SEQUENCED : 0) | (header.opener ? RecordFlag.OPENER : 0);
    writeUint64(this.#bytes, 5, header.sequence);
    writeUint64(this.#bytes, 13, header.acknowledgement);
    return this.#bytes.subarray(0, this.#offset);
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
  const view = viewOf(record);
  return {
    channelId: view.getUint32(0),
    sequenced: (flags & RecordFlag.SEQUENCED) !== 0,
    opener: (flags & RecordFlag.OPENER) !== 0,
    sequence: safe(readUint64(record, 5)),
    acknowledgement: safe(readUint64(record, 13)),
  };
}

/**
 * Reads the items of a record; payloads are views of it. The whole record is checked before anything of it is used.
 * @throws SecureWebSocketError `RECORD_MALFORMED`
 */
export function decodeItems(record: Uint8Array): Item[] {
  const view = viewOf(record);
  const items: Item[] = [];
  let offset = RECORD_HEADER_LENGTH;
  while (offset < record.length) {
    const first = record[offset++] ?? 0;
    const opcode = first & ~FIN;
    if (items.length === MAX_RECORD_ITEMS)
      throw malformed(`holds more than ${String(MAX_RECORD_ITEMS)} items`);
    if (!isOpcode(opcode)) throw malformed('holds an item with an unknown opcode');
    if (offset >= record.length) throw malformed('ends inside an item');
    const fieldLength = 1 << ((record[offset] ?? 0) >> 6);
    if (offset + fieldLength > record.length) throw malformed('ends inside an item');
    const length = readVarint(view, offset, fieldLength);
    offset += fieldLength;
    if (length > record.length - offset) throw malformed('holds an item that is longer than the record');
    items.push({ opcode, fin: (first & FIN) !== 0, payload: record.subarray(offset, offset + length) });
    offset += length;
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

function writeVarint(view: DataView, offset: number, value: number): number {
  const length = varintLength(value);
  if (length === 1) view.setUint8(offset, value);
  else if (length === 2) view.setUint16(offset, value | 0x4000);
  else if (length === 4) view.setUint32(offset, (value | 0x80000000) >>> 0);
  else {
    view.setUint32(offset, (Math.floor(value / 2 ** 32) | 0xc0000000) >>> 0);
    view.setUint32(offset + 4, value >>> 0);
  }
  return offset + length;
}

function readVarint(view: DataView, offset: number, length: number): number {
  if (length === 1) return view.getUint8(offset) & 0x3f;
  if (length === 2) return view.getUint16(offset) & 0x3fff;
  if (length === 4) return view.getUint32(offset) & 0x3fffffff;
  return safe((view.getUint32(offset) & 0x3fffffff) * 2 ** 32 + view.getUint32(offset + 4));
}

function safe(value: number): number {
  if (value > Number.MAX_SAFE_INTEGER) throw malformed('holds a number above 2^53');
  return value;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** What went wrong with a record of the peer. */
export function asRecordError(error: unknown): SecureWebSocketError {
  return asSecureWebSocketError(error, 'PROTOCOL_VIOLATION', 'A record from the peer could not be handled.');
}

function malformed(what: string): SecureWebSocketError {
  return new SecureWebSocketError('RECORD_MALFORMED', `A record from the peer ${what}.`);
}
