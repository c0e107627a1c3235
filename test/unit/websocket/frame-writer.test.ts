import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as ws from 'ws';
import { CLIENT_FRAME_HEADROOM, frameInPlace } from '../../../src/link/platform/client-frame.js';
import { runs } from '../../support/fuzz.js';

/** A payload of its own with room in front of it. */
function payloadOf(content: Uint8Array, headroom = CLIENT_FRAME_HEADROOM): Uint8Array {
  const payload = new Uint8Array(headroom + content.length).subarray(headroom);
  payload.set(content);
  return payload;
}

/** The parser of `ws`, which its types do not tell of. */
const { Receiver } = ws as unknown as {
  Receiver: new (options: {
    isServer: boolean;
    allowSynchronousEvents: boolean;
  }) => import('node:stream').Writable;
};

/** What a server of `ws` makes of bytes from a client. */
function received(...frames: Uint8Array[]): Promise<{ data: Uint8Array; isBinary: boolean }[]> {
  return new Promise((resolve, reject) => {
    const messages: { data: Uint8Array; isBinary: boolean }[] = [];
    const receiver = new Receiver({ isServer: true, allowSynchronousEvents: true });
    receiver.on('message', (data: Buffer, isBinary: boolean) => {
      messages.push({ data: new Uint8Array(data), isBinary });
    });
    receiver.on('error', reject);
    receiver.on('finish', () => {
      resolve(messages);
    });
    for (const frame of frames) receiver.write(frame);
    receiver.end();
  });
}

const random = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 0xff);

describe('frameInPlace', () => {
  it.each([0, 1, 2, 3, 4, 5, 15, 16, 17, 125, 126, 127, 65_535, 65_536, 65_537, 262_144])(
    'makes a binary message of %i bytes that a server understands',
    async length => {
      const content = random(length);
      expect(await received(frameInPlace(payloadOf(content)))).toEqual([{ data: content, isBinary: true }]);
    },
  );

  it('does so wherever the payload stands, and for one message behind the other', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(9)), { maxLength: 8 }),
        async list => {
          const frames = list.map(([content, more]) =>
            frameInPlace(payloadOf(content, CLIENT_FRAME_HEADROOM + more)),
          );
          const expected = list.map(([content]) => ({ data: content, isBinary: true }));
          expect(await received(...frames)).toEqual(expected);
        },
      ),
      runs(100),
    );
  });

  it('takes no memory of its own, and touches nothing but the headroom', () => {
    const all = new Uint8Array(40 + 500 + 40).fill(0xaa);
    const frame = frameInPlace(all.subarray(40, 540));
    expect(frame.buffer).toBe(all.buffer);
    expect(frame.byteOffset).toBeGreaterThanOrEqual(40 - CLIENT_FRAME_HEADROOM);
    expect(frame.byteOffset + frame.length).toBe(540);
    expect(all.subarray(0, frame.byteOffset).every(byte => byte === 0xaa)).toBe(true);
    expect(all.subarray(540).every(byte => byte === 0xaa)).toBe(true);
  });

  // RFC 6455 section 5.3: a fresh, unpredictable key for each frame.
  it('masks with another key each time', () => {
    const keys = new Set<string>();
    const count = 5_000;
    for (let i = 0; i < count; i++) {
      const frame = frameInPlace(payloadOf(new Uint8Array(8)));
      const key = Buffer.from(frame.subarray(2, 6));
      // Zeros under a key are the key.
      expect(Buffer.from(frame.subarray(6, 10)).equals(key)).toBe(true);
      keys.add(key.toString('hex'));
    }
    // Of 5,000 random numbers below 2^32 more than a few alike are out of the question.
    expect(keys.size).toBeGreaterThan(count - 5);
  });
});
