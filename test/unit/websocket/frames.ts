import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import fc from 'fast-check';
import * as ws from 'ws';
import { BufferPool } from '../../../src/core/buffer-pool.js';
import { encodeClose } from '../../../src/core/close-status.js';
import { FRAME_HEADROOM, Opcode } from '../../../src/websocket/frame.js';
import { FrameError, type FrameListener, type FrameReader } from '../../../src/websocket/frame-reader.js';

/** A frame of RFC 6455 section 5.2, valid or not. */
export interface Frame {
  readonly opcode: number;
  readonly payload: Uint8Array;
  readonly fin?: boolean;
  readonly key?: Uint8Array | undefined;
  /** The first byte, in place of the one that belongs to `fin` and `opcode`. */
  readonly first?: number;
  /** Bytes of the length field. */
  readonly lengthField?: 0 | 2 | 8;
}

/** Bytes of the length field that a length needs. */
function lengthFieldOf(length: number): 0 | 2 | 8 {
  return length < 126 ? 0 : length < 65_536 ? 2 : 8;
}

/** Length of an unmasked header, bytes. */
export const headerLength = (length: number): number => 2 + lengthFieldOf(length);

/** The header of a frame of this length, of which the payload need not exist. */
export function encodeHeader(
  frame: Omit<Frame, 'payload'>,
  length: number,
  lengthField = lengthFieldOf(length),
): Buffer {
  const { opcode, fin = true, key, first = (fin ? 0x80 : 0) | opcode } = frame;
  const mask = key ? 0x80 : 0;
  const header = Buffer.alloc(2 + lengthField);
  header[0] = first;
  header[1] = mask | (lengthField === 0 ? length : lengthField === 2 ? 126 : 127);
  if (lengthField === 2) header.writeUInt16BE(length, 2);
  if (lengthField === 8) header.writeBigUInt64BE(BigInt(length), 2);
  return key ? Buffer.concat([header, key]) : header;
}

export function encode(frame: Frame): Buffer {
  const { payload, key, lengthField } = frame;
  const header = encodeHeader(frame, payload.length, lengthField);
  return Buffer.concat([header, key ? payload.map((byte, i) => byte ^ key[i % 4]!) : payload]);
}

/** So many bytes that look random and are the same each time. */
export function content(length: number, seed = length): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + (i >> 8) + seed;
  return bytes;
}

/** Text of so many bytes, with characters of every length. */
export function textOf(length: number): string {
  return 'aé€😀'.repeat(Math.floor(length / 10)) + 'z'.repeat(length % 10);
}

/** Data in a line of an event. */
export function show(data: Uint8Array): string {
  return `${data.length} ${data.length <= 40 ? Buffer.from(data).toString('hex') : hash(data)}`;
}

export const hash = (data: Uint8Array): string => createHash('sha1').update(data).digest('hex');

/** Notes what a FrameReader tells. */
export class Recorder implements FrameListener {
  readonly events: string[] = [];
  /** What was delivered, and what was in it then. */
  readonly delivered: { readonly data: Uint8Array; readonly was: Buffer }[] = [];
  /** Called with each message that was delivered. */
  onData: (data: Uint8Array) => void = () => undefined;

  onMessage(data: Uint8Array, isText: boolean): void {
    this.#note(isText ? 'text' : 'binary', data);
    this.onData(data);
  }

  onPing(data: Uint8Array): void {
    this.#note('ping', data);
  }

  onPong(): void {
    this.events.push('pong');
  }

  onClose(code: number, reason: string): void {
    this.events.push(`close ${code} ${reason}`);
  }

  /** Whether everything that was delivered is as it was. */
  isIntact(): boolean {
    return this.delivered.every(({ data, was }) => was.equals(data));
  }

  #note(name: string, data: Uint8Array): void {
    this.events.push(`${name} ${show(data)}`);
    this.delivered.push({ data, was: Buffer.from(data) });
  }
}

/** Reads chunk by chunk. Gives the status code of the FrameError that ended it. */
export function readAll(
  reader: FrameReader,
  chunks: Iterable<Uint8Array>,
  afterEach: (chunk: Uint8Array) => void = () => undefined,
): number | undefined {
  for (const chunk of chunks) {
    try {
      reader.read(chunk);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      return error.code;
    }
    afterEach(chunk);
  }
  return undefined;
}

/** The parser of `ws`, which its types do not tell of. */
const { Receiver } = ws as unknown as {
  Receiver: new (options: Record<string, unknown>) => Writable;
};

interface WsError extends Error {
  [code: symbol]: number;
}

/** What the parser of `ws` makes of a stream, told as a Recorder tells it. */
export function readByWs(
  chunks: readonly Uint8Array[],
  { masked, maxPayload }: { masked: boolean; maxPayload: number },
): Promise<{ events: string[]; code: number | undefined }> {
  return new Promise(resolve => {
    const events: string[] = [];
    const receiver = new Receiver({ isServer: masked, maxPayload, maxFragments: 1_024 });
    receiver.on('message', (data: Buffer, isBinary: boolean) => {
      events.push(`${isBinary ? 'binary' : 'text'} ${show(data)}`);
    });
    receiver.on('ping', (data: Buffer) => events.push(`ping ${show(data)}`));
    receiver.on('pong', () => events.push('pong'));
    receiver.on('conclude', (code: number, reason: Buffer) => {
      events.push(`close ${code} ${reason.toString()}`);
      resolve({ events, code: undefined });
    });
    receiver.on('error', (error: WsError) => {
      const status = Object.getOwnPropertySymbols(error).find(({ description }) =>
        description?.includes('status-code'),
      );
      resolve({ events, code: status && error[status] });
    });
    receiver.on('finish', () => {
      resolve({ events, code: undefined });
    });
    // It unmasks in place.
    for (const chunk of chunks) if (!receiver.writableEnded) receiver.write(Buffer.from(chunk));
    if (!receiver.writableEnded) receiver.end();
  });
}

const GUARD = 0x77;

/** A stream in pieces of these lengths, again and again, each somewhere in memory of its own. */
export function cut(stream: Uint8Array, lengths: readonly number[]): Buffer<ArrayBuffer>[] {
  const chunks: Buffer<ArrayBuffer>[] = [];
  for (let at = 0, i = 0; at < stream.length; i++) {
    const length = Math.min(lengths[i % lengths.length] ?? stream.length, stream.length - at);
    const offset = FRAME_HEADROOM + (i % 7);
    const memory = new Uint8Array(offset + length + 5).fill(GUARD);
    memory.set(stream.subarray(at, at + length), offset);
    chunks.push(Buffer.from(memory.buffer, offset, length));
    at += length;
  }
  return chunks;
}

/** Whether what lies around a chunk that `cut` made is as it was. */
export function isGuarded(chunk: Uint8Array): boolean {
  const memory = new Uint8Array(chunk.buffer);
  const { byteOffset, length } = chunk;
  return [...memory.subarray(0, byteOffset), ...memory.subarray(byteOffset + length)].every(
    byte => byte === GUARD,
  );
}

/** Where to cut a stream: lengths of its pieces. */
export const cuts = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 300 }),
    fc.integer({ min: 1, max: 70_000 }),
  ),
  { minLength: 1, maxLength: 8 },
);

/** Thousands of chunks of a few bytes take long and show nothing new: small ones beside large ones do. */
export function bearable(lengths: readonly number[], total: number): readonly number[] {
  return total / Math.min(...lengths) > 5_000 ? [...lengths, 30_000] : lengths;
}

/** What a peer says: whole frames, and what a reader has to tell of them. */
export interface Conversation {
  readonly frames: readonly Frame[];
  readonly events: readonly string[];
}

const smallLength = fc.oneof(fc.nat(20), fc.constantFrom(0, 1, 124, 125, 126, 127, 128, 191, 192, 2_033));
const anyLength = fc.oneof(
  { weight: 6, arbitrary: fc.nat(20) },
  { weight: 4, arbitrary: fc.constantFrom(0, 1, 124, 125, 126, 127, 128, 191, 192, 2_031, 2_032, 2_033) },
  { weight: 1, arbitrary: fc.constantFrom(65_534, 65_535, 65_536, 65_537) },
  { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 140_000 }) },
);

const control = fc.record({ opcode: fc.constantFrom(Opcode.PING, Opcode.PONG), length: fc.nat(125) });

const message = (length: fc.Arbitrary<number>) =>
  fc.record({
    isText: fc.boolean(),
    length,
    seed: fc.nat(255),
    cuts: fc.oneof(fc.constant<number[]>([]), fc.array(fc.nat(), { maxLength: 4 })),
    /** Before each of its fragments. */
    controls: fc.array(fc.option(control), { maxLength: 5 }),
  });

const closing: fc.Arbitrary<{ code: number | undefined; reason: string } | null> = fc.option(
  fc.record({ code: fc.constantFrom(undefined, 1000, 1001, 1012, 3000, 4999), reason: fc.string() }),
  { freq: 3 },
);

/** Everything that RFC 6455 allows. */
export const conversation = conversationOf(anyLength);
export const smallConversation = conversationOf(smallLength);

function conversationOf(length: fc.Arbitrary<number>): fc.Arbitrary<Conversation> {
  return fc.tuple(fc.array(message(length), { maxLength: 8 }), closing).map(([messages, closing]) => {
    const frames: Frame[] = [];
    const events: string[] = [];
    for (const { isText, length, seed, cuts, controls } of messages) {
      const payload = isText ? Buffer.from(textOf(length)) : content(length, seed);
      const ends = [...cuts.map(cut => cut % (length + 1)).sort((a, b) => a - b), length];
      ends.forEach((end, i) => {
        const between = controls[i];
        if (between) {
          const data = content(between.length, seed);
          frames.push({ opcode: between.opcode, payload: data });
          events.push(between.opcode === Opcode.PING ? `ping ${show(data)}` : 'pong');
        }
        frames.push({
          opcode: i > 0 ? Opcode.CONTINUATION : isText ? Opcode.TEXT : Opcode.BINARY,
          fin: i === ends.length - 1,
          payload: payload.subarray(ends[i - 1] ?? 0, end),
        });
      });
      events.push(`${isText ? 'text' : 'binary'} ${show(payload)}`);
    }
    if (closing) {
      const { code } = closing;
      const reason = code === undefined ? '' : closing.reason.slice(0, 20);
      frames.push({ opcode: Opcode.CLOSE, payload: encodeClose(code, reason) });
      events.push(`close ${code ?? 1005} ${Buffer.from(reason).toString()}`);
    }
    const shown = frames.map(({ opcode, fin, payload }) => `${opcode} ${fin ?? true} ${payload.length}`);
    return { frames, events, [fc.toStringMethod]: () => `[${shown.join(', ')}]` };
  });
}

/** The masking key of the frame of this number. */
const keyOf = (i: number, seed: number): Uint8Array => content(4, seed * 7 + i * 13 + 1);

/** A stream of frames, and the same with payloads that are not masked under the same headers. */
export function streamOf(
  frames: readonly Frame[],
  masked: boolean,
  seed = 0,
): { stream: Buffer; plain: Buffer } {
  const parts = frames.map((frame, i) => {
    const whole = { ...frame, key: masked ? keyOf(i, seed) : undefined };
    const header = encodeHeader(whole, frame.payload.length, frame.lengthField);
    return { stream: encode(whole), plain: Buffer.concat([header, frame.payload]) };
  });
  return {
    stream: Buffer.concat(parts.map(({ stream }) => stream)),
    plain: Buffer.concat(parts.map(({ plain }) => plain)),
  };
}

/** Counts the bytes that were asked for. */
export class CountingPool extends BufferPool {
  /** Taken and not given back. */
  live = 0;
  largest = 0;
  given = 0;
  readonly #taken = new WeakMap<ArrayBufferLike, number>();

  override take(length: number): Uint8Array<ArrayBuffer> {
    const bytes = super.take(length);
    this.#taken.set(bytes.buffer, length);
    this.live += length;
    this.largest = Math.max(this.largest, length);
    return bytes;
  }

  override give(buffer: ArrayBufferLike): void {
    const length = this.#taken.get(buffer);
    if (length !== undefined) {
      this.#taken.delete(buffer);
      this.live -= length;
      this.given++;
    }
    super.give(buffer);
  }
}
