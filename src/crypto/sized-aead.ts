import { type Aead, type Primitives, TAG_LENGTH } from './primitives.js';

/** `small` for everything, and `large` for the ChaCha20-Poly1305 of `from` bytes and more. */
export function withLargeAead(small: Primitives, large: Aead, from: number): Primitives {
  return {
    seal: (key, nonce, ad, plaintext, out, offset) => {
      (plaintext.length < from ? small : large).seal(key, nonce, ad, plaintext, out, offset);
    },
    open: (key, nonce, ad, sealed, room) =>
      (sealed.length - TAG_LENGTH < from ? small : large).open(key, nonce, ad, sealed, room),
    x25519PublicKey: secretKey => small.x25519PublicKey(secretKey),
    x25519: (secretKey, publicKey) => small.x25519(secretKey, publicKey),
    hash: parts => small.hash(parts),
    deriveKey: (key, id, context) => small.deriveKey(key, id, context),
    ed25519PublicKey: seed => small.ed25519PublicKey(seed),
    ed25519Sign: (message, seed) => small.ed25519Sign(message, seed),
    ed25519Verify: (signature, message, publicKey) => small.ed25519Verify(signature, message, publicKey),
  };
}
