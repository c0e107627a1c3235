import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex, utf8 } from '../../../src/core/bytes.js';
import { BACK_ENDS } from '../../support/back-ends.js';
import { expectCode } from '../../support/errors.js';

const sized = (length: number): Uint8Array => new Uint8Array(length).fill(7);

describe.each(BACK_ENDS.map(crypto => [crypto.name, crypto] as const))('%s', (_name, crypto) => {
  it('seals in place what it seals elsewhere, and nothing beside it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40), fc.nat(40), (plaintext, before, after) => {
        const out = new Uint8Array(before + plaintext.length + 16 + after).fill(0xa5);
        crypto.aeadSeal(sized(32), sized(12), plaintext, out, before);
        const sealed = crypto.aeadEncrypt(sized(32), sized(12), sized(0), plaintext);
        expect(out.subarray(before, before + sealed.length)).toEqual(sealed);
        const beside = [...out.subarray(0, before), ...out.subarray(before + sealed.length)];
        expect(beside.every(byte => byte === 0xa5)).toBe(true);
        expect(crypto.aeadOpen(sized(32), sized(12), sealed)).toEqual(plaintext);
      }),
    );
  });

  it('opens nothing that was changed', () => {
    const sealed = crypto.aeadEncrypt(sized(32), sized(12), sized(0), sized(20));
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.map((byte, j) => (j === i ? byte ^ 0x10 : byte));
      expect(crypto.aeadOpen(sized(32), sized(12), changed)).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(crypto.aeadOpen(sized(32), sized(12), sealed.slice(0, length))).toBeUndefined();
    }
    expect(crypto.aeadOpen(sized(32), sized(12), sealed)).toEqual(sized(20));
  });

  it('gives plaintexts that later calls leave alone', () => {
    const sealed = [1, 2, 3].map(n =>
      crypto.aeadEncrypt(sized(32), sized(12), sized(0), new Uint8Array(50).fill(n)),
    );
    const opened = sealed.map(bytes => crypto.aeadOpen(sized(32), sized(12), bytes));
    expect(opened.map(plaintext => plaintext?.[49])).toEqual([1, 2, 3]);
  });

  it('seals only where there is room', () => {
    for (const [length, offset] of [
      [35, 0],
      [36, 1],
      [36, -1],
      [40, 0.5],
      [40, NaN],
      [40, 40],
      [0, 0],
    ] as const) {
      const out = sized(length);
      expectCode(() => {
        crypto.aeadSeal(sized(32), sized(12), sized(20), out, offset);
      }, 'INVALID_ARGUMENT');
      expect(out).toEqual(sized(length));
    }
  });

  it('hashes the concatenation of the parts with BLAKE2b-512, as node:crypto does', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), parts => {
        const expected = createHash('blake2b512');
        for (const part of parts) expected.update(part);
        expect(toHex(crypto.hash(...parts))).toBe(expected.digest('hex'));
      }),
    );
  });

  it('leaves the hashed parts as they were', () => {
    const part = sized(10);
    crypto.hash(part);
    expect(part).toEqual(sized(10));
  });

  it('derives keys as crypto_kdf does', () => {
    // Python: hashlib.blake2b(b'', key=seed, salt=id.to_bytes(16, 'little'), person=context.ljust(16, b'\0'), digest_size=32)
    const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(toHex(crypto.deriveKey(seed, 1, 'SWSX2551'))).toBe(
      '720f0e642e14a8f24029a57fa5805c796c731a81ea4c517c51cd11e40939826e',
    );
    expect(toHex(crypto.deriveKey(seed, 2, 'SWSED255'))).toBe(
      '587466c941c5d642e7db8275e71818e1dbd39d395ba2b4f73394f7d4e7f1ca85',
    );
    expect(toHex(crypto.deriveKey(seed, 2 ** 40, 'SWSED255'))).toBe(
      '707b01f1bd4019ab53532b62625925d91f9c8ef3123a603e3bf05f3f45a70d1e',
    );
  });

  it('makes random bytes of the length asked for', () => {
    expect(crypto.randomBytes(0)).toHaveLength(0);
    expect(crypto.randomBytes(1_000)).toHaveLength(1_000);
    // More than the Web Crypto API gives at once; the end is random too.
    const many = crypto.randomBytes(200_000);
    expect(many.subarray(-64).some(byte => byte !== 0)).toBe(true);
    expect(crypto.randomBytes(32)).not.toEqual(crypto.randomBytes(32));
    for (const length of [-1, 1.5, NaN, Infinity])
      expectCode(() => crypto.randomBytes(length), 'INVALID_ARGUMENT');
  });

  it('computes X25519 of RFC 7748 section 6.1', () => {
    const alice = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
    const bob = fromHex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
    expect(toHex(crypto.x25519PublicKey(alice))).toBe(
      '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
    );
    expect(toHex(crypto.x25519PublicKey(bob))).toBe(
      'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    );
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(toHex(crypto.x25519(alice, crypto.x25519PublicKey(bob)))).toBe(shared);
    expect(toHex(crypto.x25519(bob, crypto.x25519PublicKey(alice)))).toBe(shared);
  });

  it('compares', () => {
    expect(crypto.equal(sized(5), sized(5))).toBe(true);
    expect(crypto.equal(sized(0), sized(0))).toBe(true);
    expect(crypto.equal(sized(5), sized(6))).toBe(false);
    expect(crypto.equal(sized(6), sized(5))).toBe(false);
    for (let i = 0; i < 5; i++) {
      const other = sized(5);
      other[i] = 6;
      expect(crypto.equal(sized(5), other)).toBe(false);
    }
  });

  it('wipes', () => {
    const secret = sized(40);
    crypto.wipe(secret.subarray(0, 39));
    expect([...secret]).toEqual([...new Uint8Array(39), 7]);
  });

  it('answers what a remote party may have got wrong without an exception', () => {
    for (let length = 0; length < 16; length++) {
      expect(crypto.aeadDecrypt(sized(32), sized(12), sized(0), sized(length))).toBeUndefined();
    }
    const publicKey = crypto.ed25519PublicKey(sized(32));
    for (const length of [0, 1, 63, 65, 128]) {
      expect(crypto.ed25519Verify(sized(length), utf8('message'), publicKey)).toBe(false);
    }
  });

  // A hex string must never pass for a key: libsodium-wrappers itself would take its UTF-8.
  const text = 'x'.repeat(32) as unknown as Uint8Array;
  const calls: [string, (key: Uint8Array) => unknown][] = [
    ['x25519PublicKey', key => crypto.x25519PublicKey(key)],
    ['x25519, secret key', key => crypto.x25519(key, sized(32))],
    ['x25519, public key', key => crypto.x25519(sized(32), key)],
    ['aeadEncrypt', key => crypto.aeadEncrypt(key, sized(12), sized(0), sized(3))],
    ['aeadDecrypt', key => crypto.aeadDecrypt(key, sized(12), sized(0), sized(32))],
    ['deriveKey', key => crypto.deriveKey(key, 1, '8letters')],
    ['ed25519PublicKey', key => crypto.ed25519PublicKey(key)],
    ['ed25519Sign', key => crypto.ed25519Sign(utf8('m'), key)],
    ['ed25519Verify', key => crypto.ed25519Verify(sized(64), utf8('m'), key)],
  ];
  it.each(calls)('%s refuses a key of another size or type', (_, call) => {
    for (const key of [sized(0), sized(31), sized(33), sized(64), text]) {
      expectCode(() => call(key), 'INVALID_ARGUMENT');
    }
  });

  it('refuses other arguments of a wrong size or type', () => {
    for (const nonce of [
      sized(0),
      sized(8),
      sized(11),
      sized(13),
      sized(24),
      'x'.repeat(12) as unknown as Uint8Array,
    ]) {
      expectCode(() => crypto.aeadEncrypt(sized(32), nonce, sized(0), sized(3)), 'INVALID_ARGUMENT');
      expectCode(() => crypto.aeadDecrypt(sized(32), nonce, sized(0), sized(32)), 'INVALID_ARGUMENT');
    }
    expectCode(() => crypto.aeadEncrypt(sized(32), sized(12), text, sized(3)), 'INVALID_ARGUMENT');
    expectCode(() => crypto.aeadEncrypt(sized(32), sized(12), sized(0), text), 'INVALID_ARGUMENT');
    expectCode(() => crypto.aeadDecrypt(sized(32), sized(12), sized(0), text), 'INVALID_ARGUMENT');
    expectCode(() => crypto.hash(text), 'INVALID_ARGUMENT');
    expectCode(() => crypto.ed25519Sign(text, sized(32)), 'INVALID_ARGUMENT');
    for (const context of ['', 'short', 'too long!', '8 lettér']) {
      expectCode(() => crypto.deriveKey(sized(32), 1, context), 'INVALID_ARGUMENT');
    }
    for (const id of [-1, 0.5, NaN, 2 ** 53]) {
      expectCode(() => crypto.deriveKey(sized(32), id, '8letters'), 'INVALID_ARGUMENT');
    }
  });
});
