/** An X25519 key pair, 32 bytes each (RFC 7748). */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/**
 * The cryptographic primitives that the core stands on, and its only source of random bytes.
 *
 * Back ends are byte-compatible. Every method is synchronous; a back end that must be loaded first is
 * loaded before anybody holds one of these.
 */
export interface Crypto {
  /** Name of the back end, for diagnostics. */
  readonly name: string;

  /** `length` unpredictable bytes. */
  randomBytes(length: number): Uint8Array;

  /** X25519 public key of a 32-byte secret key (RFC 7748 section 6.1). */
  x25519PublicKey(secretKey: Uint8Array): Uint8Array;

  /**
   * X25519 shared secret, 32 bytes (RFC 7748 section 6.1).
   * @throws SecureWebSocketError `ZERO_SHARED_SECRET` when the result is all zero (a low-order point).
   */
  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array;

  /** ChaCha20-Poly1305 (RFC 8439): ciphertext followed by the 16-byte tag. `nonce` is 12 bytes. */
  aeadEncrypt(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Uint8Array;

  /** The plaintext, or `undefined` when the tag does not match or there is none. */
  aeadDecrypt(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    ciphertext: Uint8Array,
  ): Uint8Array | undefined;

  /**
   * ChaCha20-Poly1305 without associated data, without an array of its own: writes the ciphertext and the 16-byte tag
   * to `out` from `offset` on. `out` must have room for them and must not share memory with `plaintext`.
   */
  aeadSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, out: Uint8Array, offset: number): void;

  /**
   * The plaintext of what {@link aeadSeal} wrote, or `undefined` when the tag does not match or there is none. The
   * result is the caller's to keep, and may be the beginning of `sealed` itself: whatever comes out, what was in
   * `sealed` is of no use afterwards.
   */
  aeadOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;

  /** BLAKE2b with 64 bytes of output over the concatenation of `parts` (RFC 7693, unkeyed). */
  hash(...parts: Uint8Array[]): Uint8Array;

  /** libsodium's `crypto_kdf_derive_from_key`: a 32-byte subkey of a 32-byte key. `context` is 8 ASCII characters. */
  deriveKey(key: Uint8Array, id: number, context: string): Uint8Array;

  /** Ed25519 public key (32 bytes) of a 32-byte seed (RFC 8032). */
  ed25519PublicKey(seed: Uint8Array): Uint8Array;

  /** Ed25519 signature, 64 bytes, under a 32-byte seed. */
  ed25519Sign(message: Uint8Array, seed: Uint8Array): Uint8Array;

  ed25519Verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;

  /** Constant-time comparison; false when the lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;

  /** Overwrites a secret with zeros. */
  wipe(secret: Uint8Array): void;
}

/**
 * What `#crypto` exports, by which the back end of a build is imported: loads it at the first call, and gives the same
 * one to all. Rejects when it cannot be loaded; a later call tries again.
 */
export type LoadCrypto = () => Promise<Crypto>;
