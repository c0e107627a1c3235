import { utf8 } from '../core/bytes.js';
import { HASH_LENGTH, KEY_LENGTH, type Primitives, SIGNATURE_LENGTH, TAG_LENGTH } from './primitives.js';

/** What is used of the package `sodium-native`, which has no types of its own. Each writes to its first argument. */
export interface SodiumNative {
  crypto_scalarmult_base(q: Uint8Array, n: Uint8Array): void;
  crypto_scalarmult(q: Uint8Array, n: Uint8Array, p: Uint8Array): void;
  crypto_aead_chacha20poly1305_ietf_encrypt(
    c: Uint8Array,
    m: Uint8Array,
    ad: Uint8Array | null,
    nsec: null,
    npub: Uint8Array,
    k: Uint8Array,
  ): number;
  crypto_aead_chacha20poly1305_ietf_decrypt(
    m: Uint8Array,
    nsec: null,
    c: Uint8Array,
    ad: Uint8Array | null,
    npub: Uint8Array,
    k: Uint8Array,
  ): number;
  crypto_generichash_batch(output: Uint8Array, inputs: readonly Uint8Array[]): void;
  crypto_kdf_derive_from_key(subkey: Uint8Array, id: number, context: Uint8Array, key: Uint8Array): void;
  crypto_sign_seed_keypair(pk: Uint8Array, sk: Uint8Array, seed: Uint8Array): void;
  crypto_sign_detached(sig: Uint8Array, m: Uint8Array, sk: Uint8Array): void;
  crypto_sign_verify_detached(sig: Uint8Array, m: Uint8Array, pk: Uint8Array): boolean;
}

/** libsodium as machine code. It works on the caller's memory: no secret is copied anywhere. */
export class SodiumNativePrimitives implements Primitives {
  readonly #sodium: SodiumNative;

  constructor(sodium: SodiumNative) {
    this.#sodium = sodium;
  }

  x25519PublicKey(secretKey: Uint8Array): Uint8Array {
    const publicKey = new Uint8Array(KEY_LENGTH);
    this.#sodium.crypto_scalarmult_base(publicKey, secretKey);
    return publicKey;
  }

  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
    const shared = new Uint8Array(KEY_LENGTH);
    try {
      this.#sodium.crypto_scalarmult(shared, secretKey, publicKey);
    } catch {
      // With sizes right, libsodium refuses one thing only: a result that is all zero.
      return undefined;
    }
    return shared;
  }

  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    const sealed = out.subarray(offset, offset + plaintext.length + TAG_LENGTH);
    this.#sodium.crypto_aead_chacha20poly1305_ietf_encrypt(sealed, plaintext, orNull(ad), null, nonce, key);
  }

  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    sealed: Uint8Array,
    room?: Uint8Array,
  ): Uint8Array | undefined {
    const plaintext = room ?? new Uint8Array(sealed.length - TAG_LENGTH);
    try {
      this.#sodium.crypto_aead_chacha20poly1305_ietf_decrypt(plaintext, null, sealed, orNull(ad), nonce, key);
    } catch {
      return undefined;
    }
    return plaintext;
  }

  hash(parts: readonly Uint8Array[]): Uint8Array {
    const hash = new Uint8Array(HASH_LENGTH);
    this.#sodium.crypto_generichash_batch(hash, parts);
    return hash;
  }

  deriveKey(key: Uint8Array, id: number, context: string): Uint8Array {
    const subkey = new Uint8Array(KEY_LENGTH);
    this.#sodium.crypto_kdf_derive_from_key(subkey, id, utf8(context), key);
    return subkey;
  }

  ed25519PublicKey(seed: Uint8Array): Uint8Array {
    const { publicKey, secretKey } = this.#signingKey(seed);
    secretKey.fill(0);
    return publicKey;
  }

  ed25519Sign(message: Uint8Array, seed: Uint8Array): Uint8Array {
    const { secretKey } = this.#signingKey(seed);
    const signature = new Uint8Array(SIGNATURE_LENGTH);
    try {
      this.#sodium.crypto_sign_detached(signature, message, secretKey);
    } finally {
      secretKey.fill(0);
    }
    return signature;
  }

  ed25519Verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
    return this.#sodium.crypto_sign_verify_detached(signature, message, publicKey);
  }

  #signingKey(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
    const publicKey = new Uint8Array(KEY_LENGTH);
    const secretKey = new Uint8Array(2 * KEY_LENGTH);
    this.#sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed);
    return { publicKey, secretKey };
  }
}

/** The package takes no empty associated data. */
function orNull(ad: Uint8Array): Uint8Array | null {
  return ad.length === 0 ? null : ad;
}
