import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.js';
import { loadCrypto } from '../../src/crypto/browser.js';
import { passesKnownAnswers } from '../../src/crypto/known-answers.js';
import { loadPrimitives } from '../../src/crypto/libsodium.js';
import { loadCrypto as loadLite } from '../../src/crypto/lite.js';

describe('The back ends in this engine', () => {
  it('are libsodium, called without the JavaScript around it, and noble', async () => {
    expect([(await loadCrypto()).name, (await loadLite()).name]).toEqual(['libsodium', 'noble']);
    const primitives = await loadPrimitives();
    expect(primitives.constructor.name).toBe('LibsodiumModule');
    expect(passesKnownAnswers(primitives)).toBe(true);
  });

  it('compute the same', async () => {
    const [a, b] = [await loadCrypto(), await loadLite()];
    for (const size of [0, 1, 64, 1_000, 300_000]) {
      const [key, nonce, message] = [a.randomBytes(32), b.randomBytes(12), b.randomBytes(size)];
      const out = [new Uint8Array(size + 19), new Uint8Array(size + 19)] as const;
      a.aeadSeal(key, nonce, message, out[0], 3);
      b.aeadSeal(key, nonce, message, out[1], 3);
      expect(toHex(out[0])).toBe(toHex(out[1]));
      expect(toHex(b.aeadOpen(key, nonce, out[0].subarray(3))!)).toBe(toHex(message));
      expect(toHex(a.aeadOpen(key, nonce, out[1].subarray(3))!)).toBe(toHex(message));
      expect(a.aeadOpen(key, a.randomBytes(12), out[1].slice(3))).toBeUndefined();
      expect(toHex(a.hash(message, key))).toBe(toHex(b.hash(message, key)));
      const signature = a.ed25519Sign(message, key);
      expect(toHex(signature)).toBe(toHex(b.ed25519Sign(message, key)));
      expect(b.ed25519Verify(signature, message, a.ed25519PublicKey(key))).toBe(true);
    }
    const [ours, theirs] = [a.randomBytes(32), b.randomBytes(32)];
    expect(toHex(a.x25519(ours, b.x25519PublicKey(theirs)))).toBe(
      toHex(b.x25519(theirs, a.x25519PublicKey(ours))),
    );
    expect(toHex(a.deriveKey(ours, 7, 'a letter'))).toBe(toHex(b.deriveKey(ours, 7, 'a letter')));
  });
});
