import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareBytes,
  concat,
  fromBase64Url,
  fromHex,
  fromUtf8,
  readUint32,
  readUint64,
  toBase64Url,
  toHex,
  utf8,
  writeUint32,
  writeUint64,
} from '../../../src/core/bytes.js';
import { expectCode } from '../../support/errors.js';

const bytes = (): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: 200 });

describe('concat', () => {
  it('puts parts in order, into a new array', () => {
    fc.assert(
      fc.property(fc.array(bytes()), parts => {
        expect([...concat(...parts)]).toEqual(parts.flatMap(part => [...part]));
      }),
    );
    const part = Uint8Array.of(1);
    expect(concat(part)).not.toBe(part);
  });

  it('respects the window of a view', () => {
    expect(concat(Uint8Array.of(1, 2, 3, 4).subarray(1, 3))).toEqual(Uint8Array.of(2, 3));
  });
});

describe('hex', () => {
  it('agrees with Buffer and round-trips', () => {
    fc.assert(
      fc.property(bytes(), value => {
        expect(toHex(value)).toBe(Buffer.from(value).toString('hex'));
        expect(fromHex(toHex(value))).toEqual(value);
        expect(fromHex(toHex(value).toUpperCase())).toEqual(value);
      }),
    );
  });

  it.each(['0', 'abc', '0g', 'g0', '0x00', ' 00 ', '0\u0660', '٠٠', '-1', '+1', '1.'])('refuses %j', text => {
    expectCode(() => fromHex(text), 'INVALID_ARGUMENT');
  });

  it('refuses every text with a character that is not a hex digit, and does not repeat the text', () => {
    fc.assert(
      fc.property(bytes(), fc.nat(), fc.integer({ min: 0, max: 0xffff }), (value, at, unit) => {
        const bad = String.fromCharCode(unit);
        fc.pre(!/^[0-9a-fA-F]$/.test(bad));
        const hex = toHex(value);
        const position = at % (hex.length + 1);
        const text = hex.slice(0, position) + bad + hex.slice(position + 1);
        const error = expectCode(() => fromHex(text), 'INVALID_ARGUMENT');
        if (value.length > 4) expect(error.message).not.toContain(hex.slice(0, 8));
      }),
    );
  });
});

describe('base64url', () => {
  it('agrees with Buffer and round-trips', () => {
    fc.assert(
      fc.property(bytes(), value => {
        expect(toBase64Url(value)).toBe(Buffer.from(value).toString('base64url'));
        expect(fromBase64Url(toBase64Url(value))).toEqual(value);
      }),
    );
  });

  // RFC 4648 section 10
  it.each([
    ['', ''],
    ['f', 'Zg'],
    ['fo', 'Zm8'],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg'],
    ['fooba', 'Zm9vYmE'],
    ['foobar', 'Zm9vYmFy'],
  ])('encodes %j as %j', (text, encoded) => {
    expect(toBase64Url(utf8(text))).toBe(encoded);
    expect(fromBase64Url(encoded)).toEqual(utf8(text));
  });

  it.each(['Zg==', 'Zg=', 'Zm8=', 'A', 'AAAAA', 'Zm 9v', 'Zm9v\n', '+/+/', 'Zm9v.', 'Zm9vé', '\u{1f600}'])(
    'refuses %j',
    text => {
      expect(fromBase64Url(text)).toBeUndefined();
    },
  );

  it('refuses leftover bits that are not zero', () => {
    expect(fromBase64Url('Zg')).toEqual(utf8('f'));
    expect(fromBase64Url('Zh')).toBeUndefined();
    expect(fromBase64Url('Zm8')).toEqual(utf8('fo'));
    expect(fromBase64Url('Zm9')).toBeUndefined();
  });

  it('is canonical: whatever it accepts is exactly what the encoder writes', () => {
    const digits = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(...digits), maxLength: 20 }),
      fc.string({ unit: fc.constantFrom(...digits, '=', '+', '/', ' '), maxLength: 20 }),
      fc.string({ maxLength: 20 }),
    );
    fc.assert(
      fc.property(text, candidate => {
        const value = fromBase64Url(candidate);
        if (value) expect(toBase64Url(value)).toBe(candidate);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('UTF-8', () => {
  it('round-trips every well-formed string', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(fromUtf8(utf8(text))).toBe(text);
      }),
    );
  });

  it('agrees with Buffer, lone surrogates included', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), units => {
        const text = String.fromCharCode(...units);
        expect(utf8(text)).toEqual(Uint8Array.from(Buffer.from(text)));
      }),
    );
  });

  it('keeps a byte order mark', () => {
    expect(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa');
  });

  it.each([
    ['a lone continuation byte', [0x80]],
    ['a truncated sequence', [0xe2, 0x82]],
    ['an overlong encoding', [0xc0, 0x80]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a number beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['0xff', [0x61, 0xff]],
  ])('refuses %s', (_, invalid) => {
    expect(fromUtf8(Uint8Array.from(invalid))).toBeUndefined();
  });

  it('is as strict as it is after a failure', () => {
    expect(fromUtf8(Uint8Array.of(0xe2, 0x82))).toBeUndefined();
    expect(fromUtf8(Uint8Array.of(0xac))).toBeUndefined();
    expect(fromUtf8(Uint8Array.of(0x61))).toBe('a');
  });
});

describe('compareBytes', () => {
  it('orders as Buffer.compare does', () => {
    const short = fc.uint8Array({ maxLength: 4, max: 2 });
    fc.assert(
      fc.property(fc.oneof(short, bytes()), fc.oneof(short, bytes()), (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
      }),
      { numRuns: 500 },
    );
  });

  it('compares values, not signs', () => {
    expect(compareBytes(Uint8Array.of(0x80), Uint8Array.of(0x7f))).toBeGreaterThan(0);
  });
});

describe('big-endian integers', () => {
  it('of 32 bits round-trip at any offset and touch nothing else', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.nat(8), fc.nat(3), (value, offset, window) => {
        const buffer = new Uint8Array(16).fill(0xee);
        const bytes = buffer.subarray(window);
        writeUint32(bytes, offset, value);
        expect(readUint32(bytes, offset)).toBe(value);
        const expected = Buffer.alloc(16, 0xee);
        expected.writeUInt32BE(value, window + offset);
        expect(toHex(buffer)).toBe(expected.toString('hex'));
      }),
    );
  });

  it('of 64 bits round-trip up to 2^53 at any offset and touch nothing else', () => {
    const values = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 0xffff_ffff, 2 ** 32, 2 ** 50, 2 ** 53 - 1));
    fc.assert(
      fc.property(values, fc.nat(4), fc.nat(3), (value, offset, window) => {
        const buffer = new Uint8Array(16).fill(0xee);
        const bytes = buffer.subarray(window);
        writeUint64(bytes, offset, value);
        expect(readUint64(bytes, offset)).toBe(value);
        const expected = Buffer.alloc(16, 0xee);
        expected.writeBigUInt64BE(BigInt(value), window + offset);
        expect(toHex(buffer)).toBe(expected.toString('hex'));
      }),
    );
  });

  it('of 64 bits beyond 2^53 are never read as less', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }), value => {
        const bytes = new Uint8Array(8);
        new DataView(bytes.buffer).setBigUint64(0, value);
        expect(readUint64(bytes, 0)).toBe(Number(value));
        expect(readUint64(bytes, 0)).toBeGreaterThanOrEqual(2 ** 53);
      }),
    );
  });
});
