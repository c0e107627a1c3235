import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME_HEADROOM, Opcode } from '../../../src/websocket/frame.js';
import { encodeFrame, frameInPlace } from '../../../src/websocket/frame-writer.js';
import { runs } from '../../support/fuzz.js';
import { content, encode, headerLength, readByWs, show } from './frames.js';

/** A payload of its own with room in front of it. */
function payloadOf(content: Uint8Array, headroom = FRAME_HEADROOM): Uint8Array {
  const payload = new Uint8Array(headroom + content.length).subarray(headroom);
  payload.set(content);
  return payload;
}

/** What `ws` makes of frames: a server of those that are masked. */
const received = (masked: boolean, ...frames: Uint8Array[]) =>
  readByWs(frames, { masked, maxPayload: 1_000_000 });

const told = (...events: string[]) => ({ events, code: undefined });

const LENGTHS = [0, 1, 2, 3, 4, 5, 15, 16, 17, 125, 126, 127, 65_535, 65_536, 65_537, 262_144];

describe.each([{ masked: true }, { masked: false }])('frameInPlace, masked: $masked', ({ masked }) => {
  it.each(LENGTHS)('makes a binary message of %i bytes that the other end understands', async length => {
    const payload = content(length);
    expect(await received(masked, frameInPlace(payloadOf(payload), masked))).toEqual(
      told(`binary ${show(payload)}`),
    );
  });

  it('does so wherever the payload stands, and for one message behind the other', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(9)), { maxLength: 8 }),
        async list => {
          const frames = list.map(([content, more]) =>
            frameInPlace(payloadOf(content, FRAME_HEADROOM + more), masked),
          );
          expect(await received(masked, ...frames)).toEqual(
            told(...list.map(([content]) => `binary ${show(content)}`)),
          );
        },
      ),
      runs(100),
    );
  });

  it('takes no memory of its own, and touches nothing but the headroom', () => {
    for (const length of LENGTHS) {
      const all = new Uint8Array(40 + length + 40).fill(0xaa);
      const frame = frameInPlace(all.subarray(40, 40 + length), masked);
      expect(frame.buffer).toBe(all.buffer);
      expect(frame.byteOffset).toBeGreaterThanOrEqual(40 - FRAME_HEADROOM);
      expect(frame.byteOffset + frame.length).toBe(40 + length);
      expect(all.subarray(0, frame.byteOffset).every(byte => byte === 0xaa)).toBe(true);
      expect(all.subarray(40 + length).every(byte => byte === 0xaa)).toBe(true);
    }
  });
});

describe('an unmasked frame in place', () => {
  it.each(LENGTHS)('of %i bytes fits where a header of an unmasked frame was', length => {
    const payload = content(length);
    const frame = frameInPlace(payloadOf(payload, headerLength(length)), false);
    expect(frame.byteOffset).toBe(0);
    expect(encode({ opcode: Opcode.BINARY, payload }).equals(frame)).toBe(true);
  });
});

describe('encodeFrame', () => {
  it.each([true, false])('makes frames of every kind, masked: %s', async masked => {
    const text = Buffer.from('Grüße');
    const frames = [
      encodeFrame(Opcode.TEXT, text, masked),
      ...LENGTHS.map(length => encodeFrame(Opcode.BINARY, content(length), masked)),
      encodeFrame(Opcode.PING, content(125), masked),
      encodeFrame(Opcode.PONG, content(0), masked),
      encodeFrame(Opcode.CLOSE, Buffer.from('\x03\xe8bye', 'latin1'), masked),
    ];
    expect(await received(masked, ...frames)).toEqual(
      told(
        `text ${show(text)}`,
        ...LENGTHS.map(length => `binary ${show(content(length))}`),
        `ping ${show(content(125))}`,
        'pong',
        'close 1000 bye',
      ),
    );
  });

  it('leaves the payload as it is, and what is around it', () => {
    for (const masked of [true, false]) {
      const all = content(1_000);
      encodeFrame(Opcode.BINARY, all.subarray(100, 900), masked);
      expect(Buffer.from(content(1_000)).equals(all)).toBe(true);
    }
  });
});

// RFC 6455 section 5.3: a fresh, unpredictable key for each frame.
describe('the masking key', () => {
  it('is another one each time', () => {
    const keys = new Set<string>();
    const count = 5_000;
    for (let i = 0; i < count; i++) {
      const payload = new Uint8Array(8);
      const frame =
        i % 2 === 0 ? frameInPlace(payloadOf(payload), true) : encodeFrame(Opcode.BINARY, payload, true);
      const key = Buffer.from(frame.subarray(2, 6));
      // Zeros under a key are the key.
      expect(Buffer.from(frame.subarray(6, 10)).equals(key)).toBe(true);
      keys.add(key.toString('hex'));
    }
    // Of 5,000 random numbers below 2^32 more than a few alike are out of the question.
    expect(keys.size).toBeGreaterThan(count - 5);
  });
});
