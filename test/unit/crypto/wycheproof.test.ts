import { describe, expect, it } from 'vitest';
import { checkPublicKey } from '../../../src/core/address.js';
import type { Crypto } from '../../../src/core/crypto.js';
import { concat, fromHex, toHex } from '../../../src/core/bytes.js';
import { BACK_ENDS } from '../../support/back-ends.js';
import { expectCode } from '../../support/errors.js';
import { describeVectors } from '../../support/vectors.js';

interface Wycheproof<Group> {
  numberOfTests: number;
  testGroups: Group[];
}

interface Test {
  tcId: number;
  comment: string;
  flags: string[];
  result: 'valid' | 'invalid' | 'acceptable';
}

interface X25519Test extends Test {
  public: string;
  private: string;
  shared: string;
}

interface Ed25519Test extends Test {
  msg: string;
  sig: string;
}

interface AeadTest extends Test {
  key: string;
  iv: string;
  aad: string;
  msg: string;
  ct: string;
  tag: string;
}

const P = 2n ** 255n - 19n;

const title = ({ tcId, comment, flags, result }: Test): string =>
  `${tcId} ${result} ${comment} [${flags.join(', ')}]`;

describeVectors('Wycheproof X25519', 'wycheproof-x25519-test.json', content => {
  const { testGroups, numberOfTests } = content as Wycheproof<{ tests: X25519Test[] }>;
  const tests = testGroups.flatMap(group => group.tests);

  it('is complete', () => {
    expect(tests).toHaveLength(numberOfTests);
    expect(tests.filter(test => test.result === 'invalid')).toHaveLength(0);
  });

  // "acceptable" leaves a choice. Ours:
  // - a shared secret of zero is refused: the peer contributed nothing (RFC 7748 section 6.1, Noise section 12.1);
  // - a point on the twist, or a key that is not canonical, is computed as RFC 7748 section 5 says.
  describe('refuses a shared secret of zero', () => {
    for (const test of tests.filter(({ flags }) => flags.includes('ZeroSharedSecret'))) {
      it(title(test), () => {
        expect(test.shared).toBe('0'.repeat(64));
        for (const crypto of BACK_ENDS)
          expectCode(() => crypto.x25519(fromHex(test.private), fromHex(test.public)), 'ZERO_SHARED_SECRET');
      });
    }
  });

  describe('computes all others', () => {
    for (const test of tests.filter(({ flags }) => !flags.includes('ZeroSharedSecret'))) {
      it(title(test), () => {
        for (const crypto of BACK_ENDS) {
          const shared = crypto.x25519(fromHex(test.private), fromHex(test.public));
          expect(toHex(shared), crypto.name).toBe(test.shared);
        }
      });
    }
  });

  // As addresses the same keys are judged more strictly, before any computation: one key, one address.
  describe('as an address', () => {
    for (const test of tests) {
      // Little-endian. Every key whose shared secret is zero is of low order.
      const u = BigInt(`0x${toHex(fromHex(test.public).reverse())}`);
      const lowOrder = test.flags.includes('ZeroSharedSecret');
      const expected = u >= P ? 'NON_CANONICAL_ADDRESS' : lowOrder ? 'LOW_ORDER_ADDRESS' : undefined;
      it(`${expected ?? 'accepted'}: ${title(test)}`, () => {
        const check = (): void => {
          checkPublicKey(fromHex(test.public));
        };
        if (expected) expectCode(check, expected);
        else expect(check).not.toThrow();
      });
    }
  });
});

describeVectors('Wycheproof Ed25519', 'wycheproof-ed25519-test.json', content => {
  const { testGroups, numberOfTests } = content as Wycheproof<{
    publicKey: { pk: string };
    tests: Ed25519Test[];
  }>;
  it('is complete', () => {
    const tests = testGroups.flatMap(group => group.tests);
    expect(tests).toHaveLength(numberOfTests);
    expect(tests.filter(test => test.result === 'acceptable')).toHaveLength(0);
  });

  for (const { publicKey, tests } of testGroups) {
    for (const test of tests) {
      it(title(test), () => {
        for (const crypto of BACK_ENDS) {
          const verified = crypto.ed25519Verify(fromHex(test.sig), fromHex(test.msg), fromHex(publicKey.pk));
          expect(verified, crypto.name).toBe(test.result === 'valid');
        }
      });
    }
  }
});

describeVectors('Wycheproof ChaCha20-Poly1305', 'wycheproof-chacha20-poly1305-test.json', content => {
  const { testGroups, numberOfTests } = content as Wycheproof<{ ivSize: number; tests: AeadTest[] }>;
  it('is complete', () => {
    const tests = testGroups.flatMap(group => group.tests);
    expect(tests).toHaveLength(numberOfTests);
    expect(tests.filter(test => test.result === 'acceptable')).toHaveLength(0);
  });

  for (const { ivSize, tests } of testGroups) {
    for (const test of tests) {
      it(title(test), () => {
        for (const crypto of BACK_ENDS) checkAead(crypto, test, ivSize);
      });
    }
  }
});

function checkAead(crypto: Crypto, test: AeadTest, ivSize: number): void {
  const [key, nonce] = [fromHex(test.key), fromHex(test.iv)];
  const [ad, plaintext] = [fromHex(test.aad), fromHex(test.msg)];
  const ciphertext = concat(fromHex(test.ct), fromHex(test.tag));
  if (ivSize !== 96) {
    // The size of a nonce is never the peer's choice: a caller's mistake, not a failed decryption.
    expect(test.flags).toContain('InvalidNonceSize');
    expectCode(() => crypto.aeadEncrypt(key, nonce, ad, plaintext), 'INVALID_ARGUMENT');
    expectCode(() => crypto.aeadDecrypt(key, nonce, ad, ciphertext), 'INVALID_ARGUMENT');
  } else if (test.result === 'valid') {
    expect(toHex(crypto.aeadEncrypt(key, nonce, ad, plaintext)), crypto.name).toBe(toHex(ciphertext));
    expect(crypto.aeadDecrypt(key, nonce, ad, ciphertext), crypto.name).toEqual(plaintext);
  } else {
    expect(crypto.aeadDecrypt(key, nonce, ad, ciphertext), crypto.name).toBeUndefined();
  }
}
