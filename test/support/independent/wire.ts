/** What docs/protocol.md says about bytes: addresses, locations, frames, sealed bodies and records. */
import { boxKeyPair, dh } from './primitives.js';

export const u8 = (value: number): Buffer => Buffer.of(value);

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** Reads from the front; throws at the end of the bytes. */
export class Reader {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Error('a message that is too short');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  rest(): Buffer {
    return this.take(this.#bytes.length - this.#at);
  }

  number(length: number): number {
    const value = BigInt(`0x${this.take(length).toString('hex')}`);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error('a number above 2^53 - 1');
    return Number(value);
  }

  /** RFC 9000, section 16. */
  varint(): number {
    const first = this.#bytes[this.#at];
    if (first === undefined) throw new Error('a message that is too short');
    const length = 1 << (first >> 6);
    const bytes = Buffer.from(this.take(length));
    bytes[0]! &= 0x3f;
    return new Reader(bytes).number(length);
  }
}

/** RFC 9000, section 16, in as few bytes as possible. */
export function varint(value: number): Buffer {
  if (value < 0x40) return u8(value);
  if (value < 0x4000) return u32(value + 0x4000).subarray(2);
  if (value < 0x4000_0000) return u32(value + 0x8000_0000);
  const bytes = u64(value);
  bytes[0]! |= 0xc0;
  return bytes;
}

// -- Keys and addresses, locations ------------------------------------------------------------------------------------

const P = (1n << 255n) - 19n;

/** Why these 64 characters are no address, or undefined. */
export function whyNoAddress(
  text: string,
): 'length' | 'character' | 'not canonical' | 'low order' | undefined {
  if (text.length !== 64) return 'length';
  if (!/^[0-9a-f]+$/.test(text)) return 'character';
  const key = Buffer.from(text, 'hex');
  if (BigInt(`0x${Buffer.from(key).reverse().toString('hex')}`) >= P) return 'not canonical';
  try {
    dh(boxKeyPair(Buffer.alloc(32, 0x55)).secretKey, key);
  } catch {
    return 'low order';
  }
  return undefined;
}

export interface Location {
  /** The server location. */
  readonly server: string;
  readonly dialled: string;
  /** The key of the peer, in hex, when the URL is relayed. */
  readonly address: string | undefined;
  readonly target: string;
  /** The name of the space, as it stands in the URL, when one is meant. */
  readonly space?: string;
}

export function parseLocation(text: string): Location {
  const url = new URL(text);
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') throw new Error('neither ws nor wss');
  const server = `${url.protocol}//${url.host}`;
  const segments = url.pathname.split('/');
  const at = segments.findIndex(segment => /^[0-9a-fA-F]{64}$/.test(segment));
  if (at === -1) {
    const [path, name] = segments.slice(-2);
    if (path === 'space' && name !== undefined && name !== '') {
      if (url.search !== '') throw new Error('no address: a space with a query');
      const dialled = server + (segments.slice(0, -2).join('/') || '/');
      return { server, dialled, address: undefined, target: '/', space: name };
    }
    const target = url.pathname + url.search;
    return { server, dialled: server + target, address: undefined, target };
  }
  const problem = whyNoAddress(segments[at]!);
  if (problem) throw new Error(`no address: ${problem}`);
  return {
    server,
    dialled: server + (segments.slice(0, at).join('/') || '/'),
    address: segments[at],
    target: `/${segments.slice(at + 1).join('/')}${url.search}`,
  };
}

export const peerAddress = (key: Uint8Array, connectionId: number): Buffer =>
  Buffer.concat([key, u32(connectionId)]);

// -- Frames -----------------------------------------------------------------------------------------------------------

export const envelope = (address: Uint8Array, body: Uint8Array): Buffer =>
  Buffer.concat([u8(0x01), address, body]);

export const listenFrame = (flag: boolean): Buffer => Buffer.of(0x03, flag ? 1 : 0);

export type ServerFrame =
  | { readonly type: 'ENVELOPE'; readonly address: Buffer; readonly body: Buffer }
  | { readonly type: 'NOTICE'; readonly reason: number; readonly address: Buffer }
  | { readonly type: 'CONTROL'; readonly control: Readonly<Record<string, unknown>> };

const MAX_CONTROL = 1_024;

export function readServerFrame(frame: Uint8Array): ServerFrame {
  const reader = new Reader(frame);
  switch (reader.number(1)) {
    case 0x01: {
      const address = reader.take(36);
      const body = reader.rest();
      if (body.length === 0) throw new Error('an ENVELOPE without a body');
      return { type: 'ENVELOPE', address, body };
    }
    case 0x02: {
      const reason = reader.number(1);
      const address = reader.take(36);
      if (!reader.isAtEnd || reason < 1 || reason > 5) throw new Error('a NOTICE of another form');
      return { type: 'NOTICE', reason, address };
    }
    case 0x04: {
      const json = reader.rest();
      if (json.length > MAX_CONTROL) throw new Error('a CONTROL that is too long');
      const control: unknown = JSON.parse(json.toString('utf8'));
      if (typeof control !== 'object' || control === null || !('type' in control)) {
        throw new Error('a CONTROL of another form');
      }
      return { type: 'CONTROL', control: { ...control } };
    }
    default:
      throw new Error('a frame of another type');
  }
}

// -- Sealed bodies ----------------------------------------------------------------------------------------------------

export type SealedBody =
  | { readonly type: 'HANDSHAKE_INITIATION'; readonly senderIndex: number; readonly noise: Buffer }
  | {
      readonly type: 'HANDSHAKE_RESPONSE';
      readonly senderIndex: number;
      readonly receiverIndex: number;
      readonly noise: Buffer;
    }
  | {
      readonly type: 'TRANSPORT';
      readonly receiverIndex: number;
      readonly counter: number;
      readonly ciphertext: Buffer;
    };

export function readSealedBody(body: Uint8Array): SealedBody {
  const reader = new Reader(body);
  switch (reader.number(1)) {
    case 0x01:
      return { type: 'HANDSHAKE_INITIATION', senderIndex: reader.number(4), noise: reader.rest() };
    case 0x02:
      return {
        type: 'HANDSHAKE_RESPONSE',
        senderIndex: reader.number(4),
        receiverIndex: reader.number(4),
        noise: reader.rest(),
      };
    case 0x04:
      return {
        type: 'TRANSPORT',
        receiverIndex: reader.number(4),
        counter: reader.number(8),
        ciphertext: reader.rest(),
      };
    default:
      throw new Error('a sealed body of another type');
  }
}

export function writeSealedBody(body: SealedBody): Buffer {
  switch (body.type) {
    case 'HANDSHAKE_INITIATION':
      return Buffer.concat([u8(0x01), u32(body.senderIndex), body.noise]);
    case 'HANDSHAKE_RESPONSE':
      return Buffer.concat([u8(0x02), u32(body.senderIndex), u32(body.receiverIndex), body.noise]);
    case 'TRANSPORT':
      return Buffer.concat([u8(0x04), u32(body.receiverIndex), u64(body.counter), body.ciphertext]);
  }
}

export const sessionPrologue = (initiator: Uint8Array, responder: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from('secure-websocket/1 session', 'ascii'), initiator, responder]);

// -- Records ----------------------------------------------------------------------------------------------------------

export const SEQUENCED = 0x01;
export const OPENER = 0x02;
export const FIN = 0x80;

export const OPCODE = {
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

export interface Item {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface WireRecord {
  readonly channelId: number;
  readonly sequenced: boolean;
  readonly opener: boolean;
  readonly sequenceNumber: number;
  readonly acknowledgement: number;
  readonly items: readonly Item[];
}

export const isData = (item: Item): boolean => item.opcode <= OPCODE.BINARY;

/** Whether an item is about the channel, and no part of what it carries. */
export const isUnsequenced = ({ opcode }: Item): boolean => opcode === OPCODE.RESET || opcode > OPCODE.PONG;

export function readRecord(bytes: Uint8Array): WireRecord {
  const reader = new Reader(bytes);
  const channelId = reader.number(4);
  const flags = reader.number(1);
  if ((flags & ~(SEQUENCED | OPENER)) !== 0) throw new Error('a record with unknown flags');
  const sequenceNumber = reader.number(8);
  const acknowledgement = reader.number(8);
  const items: Item[] = [];
  while (!reader.isAtEnd) {
    const first = reader.number(1);
    const item = { fin: (first & FIN) !== 0, opcode: first & ~FIN, payload: reader.take(reader.varint()) };
    if (item.opcode > OPCODE.RESUME) throw new Error('an item with an unknown opcode');
    if (!item.fin && !isData(item)) throw new Error('an item without FIN that is no data');
    items.push(item);
  }
  if (items.length > 4096) throw new Error('a record with too many items');
  const sequenced = (flags & SEQUENCED) !== 0;
  if (items.some(its => isUnsequenced(its) === sequenced))
    throw new Error('an item in the wrong kind of record');
  if (sequenced && items.length === 0) throw new Error('a number for nothing');
  return { channelId, sequenced, opener: (flags & OPENER) !== 0, sequenceNumber, acknowledgement, items };
}

export function writeRecord(record: WireRecord): Buffer {
  return Buffer.concat([
    u32(record.channelId),
    u8((record.sequenced ? SEQUENCED : 0) | (record.opener ? OPENER : 0)),
    u64(record.sequenceNumber),
    u64(record.acknowledgement),
    ...record.items.flatMap(({ fin, opcode, payload }) => [
      u8(opcode | (fin ? FIN : 0)),
      varint(payload.length),
      payload,
    ]),
  ]);
}

export const item = (opcode: number, payload: Uint8Array = Buffer.alloc(0), fin = true): Item => ({
  opcode,
  fin,
  payload: Buffer.from(payload),
});

/** What a frame holds beside a record: type, address, and type, index, counter and tag of the sealed body. */
export const RECORD_OVERHEAD = 1 + 36 + 1 + 4 + 8 + 16;
