import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageData } from '../../../src/link/platform/message-data.js';

const dataOf = (bytes: Uint8Array) => new MessageData(bytes.buffer, bytes.byteOffset, bytes.byteLength);

describe('MessageData', () => {
  it('reads as Buffer does, whatever the bytes', () => {
    // Mostly bytes that begin, continue, end or spoil a character, so that every kind of mistake comes up.
    const telling = fc.constantFrom(
      ...[0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbb, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf],
      ...[0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff],
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(telling, fc.nat(255)), { maxLength: 40 }), values => {
        const bytes = Buffer.from(values);
        expect(dataOf(bytes).toString()).toBe(bytes.toString());
        expect(dataOf(bytes).toString('hex')).toBe(bytes.toString('hex'));
      }),
    );
    const withMark = Buffer.from('\ufeffgrüß 😀');
    expect(dataOf(withMark).toString()).toBe(withMark.toString());
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
