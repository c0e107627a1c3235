import type * as LibsodiumWrappers from 'libsodium-wrappers';
import { concat } from '../core/bytes.js';
import { HASH_LENGTH, KEY_LENGTH, type Primitives } from './primitives.js';

type Sodium = Pick<
  typeof LibsodiumWrappers,
  | 'crypto_aead_chacha20poly1305_ietf_decrypt'
  | 'crypto_aead_chacha20poly1305_ietf_encrypt'
  | 'crypto_generichash'
  | 'crypto_kdf_derive_from_key'
  | 'crypto_scalarmult'
  | 'crypto_scalarmult_base'
  | 'crypto_sign_detached'
  | 'crypto_sign_seed_keypair'
  | 'crypto_sign_verify_detached'
>;

/**
 * libsodium through the functions that `libsodium-wrappers` documents. They copy what they are given into WebAssembly
 * memory and free it without clearing, in every call: `LibsodiumModule` is faster and leaves less behind, this is what is
 * used where it finds another module than it knows.
 */
export class LibsodiumWrapped implements Primitives {
  readonly #sodium: Sodium;

  constructor(sodium: Sodium) {
    this.#sodium = sodium;
  }

  x25519PublicKey(secretKey: Uint8Array): Uint8Array {
    return this.#sodium.crypto_scalarmult_base(secretKey);
  }

  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
    try {
      return this.#sodium.crypto_scalarmult(secretKey, publicKey);
    } catch {
      // With sizes right, libsodium refuses one thing only: a result that is all zero.
      return undefined;
    }
  }

  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    out.set(this.#sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, ad, null, nonce, key), offset);
  }

  open(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    try {
      return this.#sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, sealed, ad, nonce, key);
    } catch {
      return undefined;
    }
  }

  hash(parts: readonly Uint8Array[]): Uint8Array {
    const input = concat(...parts);
    try {
      return this.#sodium.crypto_generichash(HASH_LENGTH, input, null);
    } finally {
      input.fill(0); // may hold an HMAC key
    }
  }

  deriveKey(key: Uint8Array, id: number, context: string): Uint8Array {
    return this.#sodium.crypto_kdf_derive_from_key(KEY_LENGTH, BigInt(id), context, key);
  }

  ed25519PublicKey(seed: Uint8Array): Uint8Array {
    const pair = this.#sodium.crypto_sign_seed_keypair(seed);
    pair.privateKey.fill(0);
    return pair.publicKey;
  }

  ed25519Sign(message: Uint8Array, seed: Uint8Array): Uint8Array {
    const pair = this.#sodium.crypto_sign_seed_keypair(seed);
    try {
      return this.#sodium.crypto_sign_detached(message, pair.privateKey);
    } finally {
      pair.privateKey.fill(0);
    }
  }

  ed25519Verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
    return this.#sodium.crypto_sign_verify_detached(signature, message, publicKey);
  }
}
