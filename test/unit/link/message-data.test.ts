import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageData } from '../../../src/link/platform/message-data.js';

const dataOf = (bytes: Uint8Array) => new MessageData(bytes.buffer, bytes.byteOffset, bytes.byteLength);

describe('MessageData', () => {
  it('reads as Buffer does, whatever the bytes', () => {
    const pieces = fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.string({ unit: 'binary', maxLength: 20 }).map(text => new Uint8Array(Buffer.from(text))),
      fc.constantFrom(
        Uint8Array.of(0xef, 0xbb, 0xbf),
        Uint8Array.of(0xf0, 0x9f, 0x98),
        Uint8Array.of(0xed, 0xa0, 0x80),
      ),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 4 }), parts => {
        const bytes = Buffer.concat(parts);
        expect(dataOf(bytes).toString()).toBe(bytes.toString());
        expect(dataOf(bytes).toString('hex')).toBe(bytes.toString('hex'));
      }),
    );
  });

  it('serves handlers written for Buffer', () => {
    const data = dataOf(Buffer.from('{"a":"ä"}'));
    expect(String(data)).toBe('{"a":"ä"}');
    expect(JSON.parse(data as unknown as string)).toEqual({ a: 'ä' });
    expect(data).toBeInstanceOf(Uint8Array);
    expect(data.toString('UTF-8')).toBe('{"a":"ä"}');
  });

  it('does not pretend to know other encodings', () => {
    expect(() => dataOf(Buffer.from('a')).toString('base64')).toThrow(TypeError);
  });

  it('copies nothing', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
    const data = dataOf(bytes);
    bytes[0] = 9;
    expect([...data]).toEqual([9, 3]);
  });
});
