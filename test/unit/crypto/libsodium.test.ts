import sodium from 'libsodium-wrappers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CheckedCrypto } from '../../../src/crypto/checked-crypto.js';
import { passesKnownAnswers } from '../../../src/crypto/known-answers.js';
import { LibsodiumModule } from '../../../src/crypto/libsodium-module.js';
import { LibsodiumWrapped } from '../../../src/crypto/libsodium-wrapped.js';

await sodium.ready;

interface Inside {
  HEAPU8: Uint8Array;
  _malloc(length: number): number;
}
const inside = (sodium as unknown as { libsodium: Inside }).libsodium;

describe('libsodium as it is inside of libsodium-wrappers', () => {
  it('is what is used', () => {
    expect(LibsodiumModule.of(sodium, passesKnownAnswers)).toBeInstanceOf(LibsodiumModule);
  });

  it('leaves nothing of a call in its memory', () => {
    const malloc = vi.spyOn(inside, '_malloc');
    const crypto = new CheckedCrypto(
      'libsodium',
      LibsodiumModule.of(sodium, () => true)!,
    );
    const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
    const [key, nonce, ad] = [bytes(32, 0xa1), bytes(12, 0xa2), bytes(21, 0xa3)];
    for (const size of [0, 5, 1_000, 263_000, 400_000]) {
      const sealed = crypto.aeadEncrypt(key, nonce, ad, bytes(size, 0xa4));
      crypto.aeadDecrypt(key, nonce, ad, sealed);
      crypto.aeadDecrypt(key, nonce, bytes(3, 0xa5), sealed);
      crypto.hash(bytes(size, 0xa6), key);
      crypto.ed25519Verify(crypto.ed25519Sign(bytes(size, 0xa7), key), key, crypto.ed25519PublicKey(key));
    }
    crypto.x25519(key, crypto.x25519PublicKey(key));
    expect(() => crypto.x25519(key, bytes(32, 0))).toThrow('all zero');
    crypto.deriveKey(key, 1, 'abcdefgh');
    const places = malloc.mock.calls.map(([length], i) => [malloc.mock.results[i]!.value as number, length]);
    malloc.mockRestore();
    // The piece that is kept, and those for what is larger.
    expect(places.length).toBeGreaterThan(5);
    for (const [start, length] of places as [number, number][]) {
      // The allocator writes where something was freed.
      const left = inside.HEAPU8.subarray(start + 64, start + length - 64);
      expect(left.every(byte => byte === 0)).toBe(true);
    }
  });

  it('goes on when its memory grows in the middle of a call', () => {
    const crypto = new CheckedCrypto(
      'libsodium',
      LibsodiumModule.of(sodium, () => true)!,
    );
    const wrapped = new CheckedCrypto('wrapped', new LibsodiumWrapped(sodium));
    const before = inside.HEAPU8.length;
    const plaintext = new Uint8Array(before).fill(3);
    const sealed = crypto.aeadEncrypt(new Uint8Array(32), new Uint8Array(12), new Uint8Array(5), plaintext);
    expect(inside.HEAPU8.length).toBeGreaterThan(before);
    const expected = wrapped.aeadEncrypt(
      new Uint8Array(32),
      new Uint8Array(12),
      new Uint8Array(5),
      plaintext,
    );
    expect(Buffer.compare(sealed, expected)).toBe(0);
    const opened = crypto.aeadDecrypt(new Uint8Array(32), new Uint8Array(12), new Uint8Array(5), sealed);
    expect(Buffer.compare(opened!, plaintext)).toBe(0);
  });

  describe('is left alone', () => {
    afterEach(() => {
      vi.doUnmock('libsodium-wrappers');
      vi.resetModules();
    });

    const changed = (functions: object): object => Object.assign(Object.create(inside) as object, functions);

    it('but not when it is what it should be', () => {
      expect(LibsodiumModule.of({ libsodium: changed({}) }, passesKnownAnswers)).toBeDefined();
    });

    it.each<[string, object | undefined]>([
      ['is not there', undefined],
      ['is no module', {}],
      ['has no functions', { HEAPU8: new Uint8Array(10) }],
      ['has others', changed({ _crypto_scalarmult: () => 0 })],
      ['takes lengths as bigints', changed({ _crypto_generichash: (n: bigint) => BigInt.asUintN(64, n) })],
      ['has no memory', changed({ _malloc: () => 0 })],
    ])('when it %s: the documented functions are used', async (_, libsodium) => {
      const other = { ...sodium, libsodium, ready: Promise.resolve() };
      expect(LibsodiumModule.of(other, passesKnownAnswers)).toBeUndefined();
      vi.resetModules();
      vi.doMock('libsodium-wrappers', () => ({ default: other }));
      const { loadPrimitives } = await import('../../../src/crypto/libsodium.js');
      const primitives = await loadPrimitives();
      expect(primitives.constructor.name).toBe('LibsodiumWrapped');
      expect(passesKnownAnswers(primitives)).toBe(true);
    });
  });

  it('is loaded once, and again after a failure', async () => {
    const { once } = await import('../../../src/crypto/once.js');
    let attempts = 0;
    const crypto = new CheckedCrypto('wrapped', new LibsodiumWrapped(sodium));
    const load = once(() =>
      attempts++ === 0 ? Promise.reject(new Error('offline')) : Promise.resolve(crypto),
    );
    await expect(load()).rejects.toThrow('offline');
    expect(await load()).toBe(crypto);
    expect(await load()).toBe(crypto);
    expect(attempts).toBe(2);
  });
});
