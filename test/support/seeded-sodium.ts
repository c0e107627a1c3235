import type { Crypto } from '../../src/core/crypto.js';
import { loadLibsodium } from '../../src/crypto/libsodium.js';

const libsodium = await loadLibsodium();

/** The real cryptography, libsodium unless given, with "random" bytes that follow from the seed. */
export function seededSodium(
  randomBytes: (length: number) => Uint8Array,
  sodium: Crypto = libsodium,
): Crypto {
  return {
    name: 'seeded',
    randomBytes,
    x25519PublicKey: secretKey => sodium.x25519PublicKey(secretKey),
    x25519: (secretKey, publicKey) => sodium.x25519(secretKey, publicKey),
    aeadEncrypt: (key, nonce, ad, plaintext) => sodium.aeadEncrypt(key, nonce, ad, plaintext),
    aeadDecrypt: (key, nonce, ad, ciphertext) => sodium.aeadDecrypt(key, nonce, ad, ciphertext),
    aeadSeal: (key, nonce, plaintext, out, offset) => {
      sodium.aeadSeal(key, nonce, plaintext, out, offset);
    },
    aeadOpen: (key, nonce, sealed) => sodium.aeadOpen(key, nonce, sealed),
    hash: (...parts) => sodium.hash(...parts),
    deriveKey: (key, id, context) => sodium.deriveKey(key, id, context),
    ed25519PublicKey: seed => sodium.ed25519PublicKey(seed),
    ed25519Sign: (message, seed) => sodium.ed25519Sign(message, seed),
    ed25519Verify: (signature, message, publicKey) => sodium.ed25519Verify(signature, message, publicKey),
    equal: (a, b) => sodium.equal(a, b),
    wipe: secret => {
      sodium.wipe(secret);
    },
  };
}
