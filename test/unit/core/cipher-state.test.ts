import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex, utf8 } from '../../../src/core/bytes.js';
import { REJECT_AFTER_MESSAGES } from '../../../src/core/constants.js';
import { CipherState } from '../../../src/core/noise/cipher-state.js';
import { loadLibsodium } from '../../../src/crypto/libsodium.js';
import { expectCode } from '../../support/errors.js';

const crypto = await loadLibsodium();
const EMPTY = new Uint8Array(0);
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i);
const pair = (): [CipherState, CipherState] => [new CipherState(crypto, KEY), new CipherState(crypto, KEY)];
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });

describe('CipherState: nonce', () => {
  it.each([
    [0, '0000000000000000'],
    [1, '0100000000000000'],
    [0x1234, '3412000000000000'],
    [0xffff_ffff, 'ffffffff00000000'],
    [0x1_0000_0000, '0000000001000000'],
    [0x1_2345_6789_abcd, 'cdab896745230100'],
    [REJECT_AFTER_MESSAGES - 1, 'ffffffffffff0300'],
  ])('%i is 4 zero bytes and %s', (n, hex) => {
    const [sender, receiver] = pair();
    sender.setNonce(n);
    receiver.setNonce(n);
    const ciphertext = sender.encryptWithAd(utf8('ad'), utf8('plaintext'));
    expect(ciphertext).toEqual(
      crypto.aeadEncrypt(KEY, fromHex(`00000000${hex}`), utf8('ad'), utf8('plaintext')),
    );
    expect(receiver.decryptWithAd(utf8('ad'), ciphertext)).toEqual(utf8('plaintext'));
    expect(sender.n).toBe(n + 1);
    expect(receiver.n).toBe(n + 1);
  });

  it('is never used twice: it rises with each message', () => {
    const [sender] = pair();
    const ciphertexts = Array.from({ length: 100 }, () =>
      toHex(sender.encryptWithAd(EMPTY, utf8('the same'))),
    );
    expect(new Set(ciphertexts).size).toBe(100);
  });

  it('is exhausted at REJECT_AFTER_MESSAGES, in both directions', () => {
    const [sender, receiver] = pair();
    for (const state of [sender, receiver]) state.setNonce(REJECT_AFTER_MESSAGES - 1);
    const last = sender.encryptWithAd(EMPTY, utf8('last'));
    expect(receiver.decryptWithAd(EMPTY, last)).toEqual(utf8('last'));
    for (const beyond of [REJECT_AFTER_MESSAGES, REJECT_AFTER_MESSAGES + 1, Number.MAX_SAFE_INTEGER]) {
      sender.setNonce(beyond);
      receiver.setNonce(beyond);
      expectCode(() => sender.encryptWithAd(EMPTY, EMPTY), 'NONCE_EXHAUSTED');
      expectCode(() => receiver.decryptWithAd(EMPTY, last), 'NONCE_EXHAUSTED');
    }
  });

  it('cannot be set to what no counter can be', () => {
    const [state] = pair();
    for (const n of [-1, 0.5, NaN, Infinity, 2 ** 53, '1', 1n, undefined]) {
      expectCode(() => {
        state.setNonce(n as number);
      }, 'INVALID_ARGUMENT');
    }
    expect(state.n).toBe(0);
  });

  it('makes out-of-order messages readable when it is sent along', () => {
    const [sender, receiver] = pair();
    const ciphertexts = [0, 1, 2, 3].map(i => sender.encryptWithAd(EMPTY, Uint8Array.of(i)));
    for (const n of [2, 0, 3, 1]) {
      receiver.setNonce(n);
      expect(receiver.decryptWithAd(EMPTY, ciphertexts[n] ?? EMPTY)).toEqual(Uint8Array.of(n));
    }
  });
});

describe('CipherState: forgeries', () => {
  it('of any kind throw DECRYPT_FAILED, and the true message still opens afterwards', () => {
    fc.assert(
      fc.property(
        bytes(300),
        bytes(30),
        fc.oneof(
          fc.tuple(fc.nat(), fc.nat(7)).map(([at, bit]) => (message: Uint8Array): Uint8Array => {
            const changed = message.slice();
            changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ (1 << bit);
            return changed;
          }),
          fc.nat().map(length => (message: Uint8Array) => message.subarray(0, length % message.length)),
          bytes(20).map(more => (message: Uint8Array) => Uint8Array.from([...message, ...more, 0])),
          bytes(400).map(garbage => () => garbage),
        ),
        (plaintext, ad, forge) => {
          const [sender, receiver] = pair();
          const ciphertext = sender.encryptWithAd(ad, plaintext);
          expectCode(() => receiver.decryptWithAd(ad, forge(ciphertext)), 'DECRYPT_FAILED');
          expectCode(() => receiver.decryptWithAd(Uint8Array.from([...ad, 0]), ciphertext), 'DECRYPT_FAILED');
          expect(receiver.n).toBe(0);
          expect(receiver.decryptWithAd(ad, ciphertext)).toEqual(plaintext);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('replayed, skipped or swapped messages throw DECRYPT_FAILED', () => {
    const [sender, receiver] = pair();
    const [first, second, third] = [1, 2, 3].map(i => sender.encryptWithAd(EMPTY, Uint8Array.of(i))) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    expectCode(() => receiver.decryptWithAd(EMPTY, second), 'DECRYPT_FAILED');
    receiver.decryptWithAd(EMPTY, first);
    expectCode(() => receiver.decryptWithAd(EMPTY, first), 'DECRYPT_FAILED');
    expectCode(() => receiver.decryptWithAd(EMPTY, third), 'DECRYPT_FAILED');
    receiver.decryptWithAd(EMPTY, second);
    receiver.decryptWithAd(EMPTY, third);
  });

  it('under another key throw DECRYPT_FAILED', () => {
    const other = new CipherState(crypto, new Uint8Array(32).fill(1));
    expectCode(() => other.decryptWithAd(EMPTY, pair()[0].encryptWithAd(EMPTY, EMPTY)), 'DECRYPT_FAILED');
  });
});

describe('CipherState: key', () => {
  it('is copied', () => {
    const key = KEY.slice();
    const state = new CipherState(crypto, key);
    key.fill(0);
    expect(state.encryptWithAd(EMPTY, EMPTY)).toEqual(pair()[0].encryptWithAd(EMPTY, EMPTY));
    state.wipe();
    const untouched = KEY.slice();
    new CipherState(crypto, untouched).wipe();
    expect(untouched).toEqual(KEY);
  });

  it('of another size is refused', () => {
    for (const length of [0, 16, 31, 33, 64]) {
      expectCode(() => new CipherState(crypto, new Uint8Array(length)), 'INVALID_ARGUMENT');
    }
  });

  it('is needed: without one, nothing passes through in plaintext', () => {
    const wiped = new CipherState(crypto, KEY);
    expect(wiped.hasKey()).toBe(true);
    wiped.wipe();
    for (const state of [wiped, new CipherState(crypto)]) {
      expect(state.hasKey()).toBe(false);
      expectCode(() => state.encryptWithAd(EMPTY, utf8('secret')), 'NOISE_STATE');
      expectCode(() => state.decryptWithAd(EMPTY, utf8('a message of some length')), 'NOISE_STATE');
      expectCode(() => {
        state.rekey();
      }, 'NOISE_STATE');
    }
  });

  it('is replaced by rekey() as the specification says, on both sides alike; the nonce stays', () => {
    const [sender, receiver] = pair();
    for (const state of [sender, receiver]) {
      state.setNonce(7);
      state.rekey();
      expect(state.n).toBe(7);
    }
    const newKey = crypto
      .aeadEncrypt(KEY, fromHex('00000000ffffffffffffffff'), EMPTY, new Uint8Array(32))
      .subarray(0, 32);
    const ciphertext = sender.encryptWithAd(EMPTY, utf8('new key'));
    expect(ciphertext).toEqual(
      crypto.aeadEncrypt(newKey, fromHex('000000000700000000000000'), EMPTY, utf8('new key')),
    );
    const old = new CipherState(crypto, KEY);
    old.setNonce(7);
    expectCode(() => old.decryptWithAd(EMPTY, ciphertext), 'DECRYPT_FAILED');
    expect(receiver.decryptWithAd(EMPTY, ciphertext)).toEqual(utf8('new key'));
  });

  it('starts again at nonce 0 when it is initialized anew', () => {
    const [state] = pair();
    const first = state.encryptWithAd(EMPTY, EMPTY);
    state.initializeKey(KEY);
    expect(state.n).toBe(0);
    expect(state.encryptWithAd(EMPTY, EMPTY)).toEqual(first);
  });
});
