// All back ends are one: whatever one of them makes, every other one makes or understands.
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex, utf8 } from '../../../src/core/bytes.js';
import type { Crypto } from '../../../src/core/crypto.js';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import { BACK_ENDS } from '../../support/back-ends.js';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
/** Around the sizes at which one implementation takes over from another one, and where memory is allocated anew. */
const length = fc.oneof(
  fc.nat(200),
  fc.constantFrom(1_535, 1_536, 1_537, 16_383, 16_384, 16_385, 65_535, 262_144, 263_100, 263_200, 300_000),
);

/** What all of them answer: the same, or this fails. */
function unanimous(ask: (crypto: Crypto) => unknown): unknown {
  const answers = BACK_ENDS.map(crypto => {
    try {
      const answer = ask(crypto);
      return answer instanceof Uint8Array ? toHex(answer) : answer;
    } catch (error) {
      expect(error).toBeInstanceOf(SecureWebSocketError);
      return (error as SecureWebSocketError).code;
    }
  });
  for (const [i, answer] of answers.entries()) expect(answer, BACK_ENDS[i]?.name).toBe(answers[0]);
  return answers[0];
}

describe('All back ends', () => {
  it('seal and open the same', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(
        bytes(32),
        bytes(12),
        fc.uint8Array({ maxLength: 40 }),
        length,
        fc.nat(),
        (key, nonce, ad, n, at) => {
          const plaintext = Uint8Array.from({ length: n }, (_, i) => i * 7 + (i >> 8));
          unanimous(crypto => crypto.aeadEncrypt(key, nonce, ad, plaintext));
          const sealed = BACK_ENDS.map(crypto => {
            const out = new Uint8Array(n + 16 + 5).fill(0xa5);
            crypto.aeadSeal(key, nonce, plaintext, out, 3);
            return out;
          });
          for (const out of sealed) expect(Buffer.compare(out, sealed[0]!)).toBe(0);
          const ciphertext = sealed[0]!.subarray(3, -2);
          const changed = ciphertext.slice();
          changed[at % changed.length]! ^= 0x40;
          for (const crypto of BACK_ENDS) {
            expect(Buffer.compare(crypto.aeadOpen(key, nonce, ciphertext.slice())!, plaintext)).toBe(0);
            expect(crypto.aeadOpen(key, nonce, changed.slice()), crypto.name).toBeUndefined();
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('agree on secrets, with whatever public key', () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), bytes(32), (ours, theirs, anything) => {
        unanimous(crypto => crypto.x25519PublicKey(ours));
        const publicKey = BACK_ENDS[0]!.x25519PublicKey(theirs);
        const shared = unanimous(crypto => crypto.x25519(ours, publicKey));
        expect(unanimous(crypto => crypto.x25519(theirs, crypto.x25519PublicKey(ours)))).toBe(shared);
        unanimous(crypto => crypto.x25519(ours, anything));
      }),
      { numRuns: 30 },
    );
  });

  it('refuse every X25519 point of low order, however it is written', () => {
    const points = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ];
    for (const point of points) {
      for (const top of [0, 0x80]) {
        const publicKey = fromHex(point);
        publicKey[31]! |= top;
        expect(unanimous(crypto => crypto.x25519(new Uint8Array(32).fill(9), publicKey))).toBe(
          'ZERO_SHARED_SECRET',
        );
      }
    }
  });

  it('hash and derive the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
        bytes(32),
        fc.maxSafeNat(),
        (parts, key, id) => {
          unanimous(crypto => crypto.hash(...parts));
          unanimous(crypto => crypto.deriveKey(key, id, 'any text'));
        },
      ),
    );
    unanimous(crypto => crypto.hash(new Uint8Array(300_000).fill(1)));
    for (const id of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1])
      unanimous(crypto => crypto.deriveKey(fromHex('11'.repeat(32)), id, 'any text'));
  });

  it('sign the same, and believe each other', () => {
    fc.assert(
      fc.property(
        bytes(32),
        fc.uint8Array({ maxLength: 500 }),
        fc.nat(63),
        fc.nat(7),
        (seed, message, at, bit) => {
          const publicKey = fromHex(unanimous(crypto => crypto.ed25519PublicKey(seed)) as string);
          const signature = fromHex(unanimous(crypto => crypto.ed25519Sign(message, seed)) as string);
          expect(unanimous(crypto => crypto.ed25519Verify(signature, message, publicKey))).toBe(true);
          signature[at]! ^= 1 << bit;
          expect(unanimous(crypto => crypto.ed25519Verify(signature, message, publicKey))).toBe(false);
        },
      ),
      { numRuns: 20 },
    );
    unanimous(crypto => crypto.ed25519Sign(new Uint8Array(300_000), new Uint8Array(32)));
  });

  describe('judge signatures that no honest signer makes', () => {
    const { Point } = ed25519;
    const L = Point.Fn.ORDER;
    const message = utf8('message');
    const scalar = (le: Uint8Array): bigint => BigInt(`0x${toHex(le.slice().reverse())}`);
    const encode = (n: bigint): Uint8Array => fromHex(n.toString(16).padStart(64, '0')).reverse();
    const torsion = Array.from({ length: 8 }, (_, i) =>
      Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a').multiplyUnsafe(
        BigInt(i),
      ),
    );
    /** A signature for the secret `a` with the random `r`, where points of low order were added to A and R. */
    function forged(
      a: bigint,
      r: bigint,
      addA: number,
      addR: number,
    ): [signature: Uint8Array, publicKey: Uint8Array] {
      const publicKey = Point.BASE.multiplyUnsafe(a).add(torsion[addA]!).toBytes();
      const R = Point.BASE.multiplyUnsafe(r).add(torsion[addR]!).toBytes();
      const k = scalar(sha512(concat(R, publicKey, message))) % L;
      return [concat(R, encode((r + k * a) % L)), publicKey];
    }

    it('the same, when points of low order are added', () => {
      const answers = new Set<unknown>();
      for (let addA = 0; addA < 8; addA++) {
        for (let addR = 0; addR < 8; addR++) {
          const [signature, publicKey] = forged(12_345n, 67_890n, addA, addR);
          answers.add(unanimous(crypto => crypto.ed25519Verify(signature, message, publicKey)));
        }
      }
      expect(answers).toContain(true);
    });

    it('as invalid, when the public key or R has low order', () => {
      for (let i = 0; i < 8; i++) {
        for (const [a, r] of [
          [0n, 67_890n],
          [12_345n, 0n],
          [0n, 0n],
        ] as const) {
          const [signature, publicKey] = forged(a, r, a === 0n ? i : 0, r === 0n ? i : 0);
          expect(unanimous(crypto => crypto.ed25519Verify(signature, message, publicKey))).toBe(false);
        }
      }
    });

    it('as invalid, when S is not below the order of the group', () => {
      const [signature, publicKey] = forged(12_345n, 67_890n, 0, 0);
      expect(unanimous(crypto => crypto.ed25519Verify(signature, message, publicKey))).toBe(true);
      for (const factor of [1n, 2n, 14n]) {
        const other = concat(signature.subarray(0, 32), encode(scalar(signature.subarray(32)) + factor * L));
        expect(unanimous(crypto => crypto.ed25519Verify(other, message, publicKey))).toBe(false);
      }
    });

    it('as invalid, when the public key is no point, or is not canonical', () => {
      const [signature] = forged(12_345n, 67_890n, 0, 0);
      fc.assert(
        fc.property(bytes(32), publicKey => {
          expect(unanimous(crypto => crypto.ed25519Verify(signature, message, publicKey))).toBe(false);
        }),
        { numRuns: 50 },
      );
      for (let last = 0xed; last <= 0xff; last++) {
        const publicKey = fromHex(`${last.toString(16)}${'ff'.repeat(30)}7f`);
        expect(unanimous(crypto => crypto.ed25519Verify(signature, message, publicKey))).toBe(false);
      }
    });
  });
});
