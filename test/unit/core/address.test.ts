import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPublicKey, formatAddress, isCanonical, parseAddress } from '../../../src/core/address.js';
import { fromHex, toHex } from '../../../src/core/bytes.js';
import { loadLibsodium } from '../../../src/crypto/libsodium.js';
import { expectCode } from '../../support/errors.js';

const crypto = await loadLibsodium();

const P = 2n ** 255n - 19n;

/** 32 bytes, little-endian. */
function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** Every u-coordinate below p of a point whose order divides 8, on the curve or its twist. */
const LOW_ORDER = [
  0n,
  1n,
  P - 1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
];

const secretKey = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('an address', () => {
  it('of any key pair can be written and read', () => {
    fc.assert(
      fc.property(secretKey, secret => {
        const publicKey = crypto.x25519PublicKey(secret);
        const address = formatAddress(publicKey);
        expect(address).toMatch(/^[0-9a-f]{64}$/);
        expect(parseAddress(address)).toEqual(publicKey);
      }),
    );
  });

  const valid = formatAddress(crypto.x25519PublicKey(new Uint8Array(32).fill(9)));

  it('of another length is refused', () => {
    for (const text of ['', 'a', valid.slice(1), valid + '0', valid + valid, ` ${valid}`, `${valid}\n`]) {
      const error = expectCode(() => parseAddress(text), 'INVALID_ADDRESS_LENGTH');
      expect(error.message).toContain(`${text.length} characters`);
    }
  });

  it('in uppercase is refused, and the message says so', () => {
    const upper = `${valid.slice(0, 63)}B`;
    expect(expectCode(() => parseAddress(upper), 'INVALID_ADDRESS_CHARACTER').message).toMatch(
      /63.*uppercase/,
    );
    expectCode(() => parseAddress('A'.repeat(64)), 'INVALID_ADDRESS_CHARACTER');
  });

  it('with any character but 0-9 and a-f is refused', () => {
    fc.assert(
      fc.property(fc.nat({ max: 63 }), fc.integer({ min: 0, max: 0xffff }), (position, unit) => {
        const character = String.fromCharCode(unit);
        fc.pre(!/[0-9a-f]/.test(character));
        const text = valid.slice(0, position) + character + valid.slice(position + 1);
        const error = expectCode(() => parseAddress(text), 'INVALID_ADDRESS_CHARACTER');
        expect(error.message).toContain(`position ${position} `);
      }),
    );
    expectCode(() => parseAddress(`0x${valid.slice(2)}`), 'INVALID_ADDRESS_CHARACTER');
  });

  it('that is no string is refused', () => {
    for (const value of [undefined, null, 5, {}, new Uint8Array(64), [valid]]) {
      expectCode(() => parseAddress(value as string), 'INVALID_ARGUMENT');
    }
  });

  it('of low order is refused, and X25519 agrees that it is', () => {
    for (const u of LOW_ORDER) {
      const publicKey = littleEndian(u);
      expectCode(() => parseAddress(toHex(publicKey)), 'LOW_ORDER_ADDRESS');
      expectCode(() => {
        checkPublicKey(publicKey);
      }, 'LOW_ORDER_ADDRESS');
      expectCode(() => formatAddress(publicKey), 'LOW_ORDER_ADDRESS');
      expectCode(() => crypto.x25519(new Uint8Array(32).fill(9), publicKey), 'ZERO_SHARED_SECRET');
    }
  });

  it('not below p is refused: all 19 numbers of 255 bits', () => {
    for (let u = P; u < 2n ** 255n; u++) {
      expectCode(() => parseAddress(toHex(littleEndian(u))), 'NON_CANONICAL_ADDRESS');
    }
    expect(toHex(parseAddress(toHex(littleEndian(P - 2n))))).toBe(toHex(littleEndian(P - 2n)));
  });

  it('with the top bit set is refused, although X25519 would take it for the same key', () => {
    fc.assert(
      fc.property(secretKey, secret => {
        const publicKey = crypto.x25519PublicKey(secret);
        const twin = publicKey.slice();
        twin[31] = (twin[31] ?? 0) | 0x80;
        expect(crypto.x25519(secret, twin)).toEqual(crypto.x25519(secret, publicKey));
        expectCode(() => parseAddress(toHex(twin)), 'NON_CANONICAL_ADDRESS');
      }),
    );
  });

  it('is canonical exactly when its number is below p', () => {
    const nearP = fc.bigInt({ min: P - 1000n, max: P + 18n });
    const any = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
    // Numbers that differ from p in one byte.
    const almostP = fc.tuple(fc.nat({ max: 31 }), fc.nat({ max: 255 })).map(([at, byte]) => {
      const shift = BigInt(8 * at);
      return (P & ~(0xffn << shift)) | (BigInt(byte) << shift);
    });
    fc.assert(
      fc.property(fc.oneof(nearP, any, almostP), u => {
        expect(isCanonical(littleEndian(u))).toBe(u < P);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('checkPublicKey', () => {
  it('refuses other lengths', () => {
    for (const length of [0, 1, 31, 33, 64]) {
      expectCode(() => {
        checkPublicKey(new Uint8Array(length).fill(9));
      }, 'INVALID_ADDRESS_LENGTH');
    }
  });

  it('accepts the base point', () => {
    expect(() => {
      checkPublicKey(fromHex('09'.padEnd(64, '0')));
    }).not.toThrow();
  });
});
