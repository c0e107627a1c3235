/**
 * ChaCha20-Poly1305 of one implementation. Sizes are checked already: keys of 32 bytes, nonces of 12, room for
 * ciphertext and tag from `offset` on, at least a tag in `sealed`.
 */
export interface Aead {
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void;

  /**
   * The plaintext, or undefined when the tag does not match. In memory of its own, or in `room`, which is as long and
   * may be the beginning of `sealed`.
   */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    sealed: Uint8Array,
    room?: Uint8Array,
  ): Uint8Array | undefined;
}

/**
 * What implementations differ in. `CheckedCrypto` makes a `Crypto` of it: arguments are what they should be when they
 * arrive here, so that all back ends refuse the same things in the same way.
 */
export interface Primitives extends Aead {
  x25519PublicKey(secretKey: Uint8Array): Uint8Array;

  /** The shared secret. Zeros or undefined when the result is all zero. */
  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;

  /** BLAKE2b-512 over the concatenation of `parts`. */
  hash(parts: readonly Uint8Array[]): Uint8Array;

  /** `crypto_kdf_derive_from_key`, 32 bytes. */
  deriveKey(key: Uint8Array, id: number, context: string): Uint8Array;

  ed25519PublicKey(seed: Uint8Array): Uint8Array;
  ed25519Sign(message: Uint8Array, seed: Uint8Array): Uint8Array;

  /** `signature` has 64 bytes; neither its first half nor `publicKey` is a point of low order. */
  ed25519Verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
}

export const KEY_LENGTH = 32;
export const NONCE_LENGTH = 12;
export const TAG_LENGTH = 16;
export const HASH_LENGTH = 64;
export const SIGNATURE_LENGTH = 64;
export const KDF_CONTEXT_LENGTH = 8;
