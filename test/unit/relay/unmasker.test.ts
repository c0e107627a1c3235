import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Unmasker } from '../../../src/relay/unmasker.js';

interface Frame {
  readonly opcode: number;
  readonly payload: Uint8Array;
  readonly key: Uint8Array | undefined;
}

/** RFC 6455 section 5.2. */
function encode({ opcode, payload, key }: Frame): Buffer {
  const { length } = payload;
  const mask = key ? 0x80 : 0;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  header[0] = 0x80 | opcode;
  header[1] = mask | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
  if (!key) return Buffer.concat([header, payload]);
  return Buffer.concat([header, key, payload.map((byte, i) => byte ^ (key[i % 4] ?? 0))]);
}

const ZERO = new Uint8Array(4);
const bytes = (max: number) => fc.uint8Array({ maxLength: max });
const frame: fc.Arbitrary<Frame> = fc.record({
  opcode: fc.constantFrom(0, 1, 2, 8, 9, 10),
  payload: fc.oneof(
    bytes(20),
    bytes(300),
    fc.nat(70_000).map(length => new Uint8Array(length).fill(0xa5)),
  ),
  key: fc.option(fc.uint8Array({ minLength: 4, maxLength: 4 }), { nil: undefined, freq: 10 }),
});

/** `stream` after it has gone through in pieces of these lengths, each somewhere in a buffer of its own. */
function through(stream: Uint8Array, lengths: readonly number[]): Buffer {
  const unmasker = new Unmasker();
  const pieces: Uint8Array[] = [];
  for (let at = 0, i = 0; at < stream.length; i++) {
    const length = Math.min(lengths[i % lengths.length] ?? stream.length, stream.length - at);
    const offset = i % 7;
    const piece = new Uint8Array(offset + length + 5).fill(0x77).subarray(offset, offset + length);
    piece.set(stream.subarray(at, at + length));
    unmasker.unmask(piece);
    const around = new Uint8Array(piece.buffer);
    expect([...around.subarray(0, offset), ...around.subarray(offset + length)]).toEqual(
      new Array(offset + 5).fill(0x77),
    );
    pieces.push(piece);
    at += length;
  }
  return Buffer.concat(pieces);
}

describe('a stream that is unmasked', () => {
  it('says the same with keys that are zero, however it is cut into chunks', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 40_000 })), {
          minLength: 1,
          maxLength: 6,
        }),
        (frames, lengths) => {
          const masked = Buffer.concat(frames.map(encode));
          const plain = Buffer.concat(frames.map(each => encode({ ...each, key: each.key && ZERO })));
          // Thousands of chunks of one byte take long and show nothing new.
          const chunks = masked.length > 20_000 ? lengths.map(length => length + 1_000) : lengths;
          expect(through(masked, chunks).equals(plain)).toBe(true);
        },
      ),
    );
  });

  it('is right at every length at which words and lengths change, for every alignment', () => {
    const key = Uint8Array.of(0x12, 0x34, 0xf5, 0x80);
    for (const length of [0, 1, 3, 4, 125, 126, 191, 192, 193, 194, 195, 196, 207, 65_535, 65_536, 65_541]) {
      const payload = Uint8Array.from({ length }, (_, i) => i * 7);
      const masked = encode({ opcode: 2, payload, key });
      const plain = encode({ opcode: 2, payload, key: ZERO });
      for (let first = 1; first < 24; first++) {
        expect(through(masked, [first, masked.length]).equals(plain), `${length} ${first}`).toBe(true);
      }
    }
  });

  it('may be anything', () => {
    fc.assert(
      fc.property(
        bytes(2_000),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (junk, lengths) => {
          expect(through(junk, lengths)).toHaveLength(junk.length);
        },
      ),
    );
  });
});
