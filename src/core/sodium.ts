import type * as LibsodiumWrappers from 'libsodium-wrappers';
import { concat } from './bytes.js';
import type { Crypto } from './crypto.js';
import { SecureWebSocketError } from './errors.js';

type Sodium = typeof LibsodiumWrappers;

const KEY_LENGTH = 32;
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const HASH_LENGTH = 64;
const SIGNATURE_LENGTH = 64;
const KDF_CONTEXT_LENGTH = 8;

let loading: Promise<Crypto> | undefined;

/**
 * The back end over `libsodium-wrappers`. It is fetched and compiled at the first call; later calls share the result.
 * Rejects when the module or WebAssembly cannot be had; a later call then tries again.
 */
export function loadSodium(): Promise<Crypto> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<Crypto> {
  // The package's types declare named exports. At run time there is one, the default.
  const module = (await import('libsodium-wrappers')) as unknown as { default: Sodium };
  await module.default.ready;
  return new SodiumCrypto(module.default);
}

/**
 * libsodium behind {@link Crypto}.
 *
 * An argument of a wrong size is a mistake of the caller and throws `INVALID_ARGUMENT`; sizes that a remote party
 * chooses (a ciphertext, a signature) do not. `libsodium-wrappers` copies what it is given into its own WebAssembly
 * memory and frees it without clearing, so wiping shortens the life of a secret but cannot promise its end.
 */
class SodiumCrypto implements Crypto {
  readonly name = 'libsodium';
  readonly #sodium: Sodium;

  constructor(sodium: Sodium) {
    this.#sodium = sodium;
  }

  randomBytes(length: number): Uint8Array {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        'The number of random bytes must be a non-negative integer.',
      );
    }
    return this.#sodium.randombytes_buf(length);
  }

  x25519PublicKey(secretKey: Uint8Array): Uint8Array {
    checkLength('X25519 secret key', secretKey, KEY_LENGTH);
    return this.#sodium.crypto_scalarmult_base(secretKey);
  }

  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
    checkLength('X25519 secret key', secretKey, KEY_LENGTH);
    checkLength('X25519 public key', publicKey, KEY_LENGTH);
    let shared: Uint8Array | undefined;
    try {
      shared = this.#sodium.crypto_scalarmult(secretKey, publicKey);
    } catch {
      // With sizes right, libsodium refuses one thing only: a result that is all zero.
    }
    if (shared === undefined || isZero(shared)) {
      throw new SecureWebSocketError(
        'ZERO_SHARED_SECRET',
        'The X25519 shared secret is all zero: the public key is a point of low order.',
      );
    }
    return shared;
  }

  aeadEncrypt(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    checkAead(key, nonce, ad);
    checkBytes('plaintext', plaintext);
    return this.#sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, ad, null, nonce, key);
  }

  aeadDecrypt(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    ciphertext: Uint8Array,
  ): Uint8Array | undefined {
    checkAead(key, nonce, ad);
    checkBytes('ciphertext', ciphertext);
    if (ciphertext.length < TAG_LENGTH) return undefined;
    try {
      return this.#sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, ciphertext, ad, nonce, key);
    } catch {
      return undefined;
    }
  }

  hash(...parts: Uint8Array[]): Uint8Array {
    for (const part of parts) checkBytes('hash input', part);
    const input = concat(...parts);
    try {
      return this.#sodium.crypto_generichash(HASH_LENGTH, input, null);
    } finally {
      input.fill(0); // may hold an HMAC key
    }
  }

  deriveKey(key: Uint8Array, id: number, context: string): Uint8Array {
    checkLength('master key', key, KEY_LENGTH);
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new SecureWebSocketError('INVALID_ARGUMENT', 'The subkey id must be a non-negative integer.');
    }
    if (context.length !== KDF_CONTEXT_LENGTH || !/^[\x20-\x7e]*$/.test(context)) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        'The subkey context must be 8 printable ASCII characters.',
      );
    }
    return this.#sodium.crypto_kdf_derive_from_key(KEY_LENGTH, BigInt(id), context, key);
  }

  ed25519PublicKey(seed: Uint8Array): Uint8Array {
    checkLength('Ed25519 seed', seed, KEY_LENGTH);
    const pair = this.#sodium.crypto_sign_seed_keypair(seed);
    this.wipe(pair.privateKey);
    return pair.publicKey;
  }

  ed25519Sign(message: Uint8Array, seed: Uint8Array): Uint8Array {
    checkBytes('message', message);
    checkLength('Ed25519 seed', seed, KEY_LENGTH);
    const pair = this.#sodium.crypto_sign_seed_keypair(seed);
    try {
      return this.#sodium.crypto_sign_detached(message, pair.privateKey);
    } finally {
      this.wipe(pair.privateKey);
    }
  }

  ed25519Verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
    checkBytes('signature', signature);
    checkBytes('message', message);
    checkLength('Ed25519 public key', publicKey, KEY_LENGTH);
    if (signature.length !== SIGNATURE_LENGTH) return false;
    return this.#sodium.crypto_sign_verify_detached(signature, message, publicKey);
  }

  equal(a: Uint8Array, b: Uint8Array): boolean {
    if (a.length !== b.length) return false;
    return this.#sodium.memcmp(a, b);
  }

  wipe(secret: Uint8Array): void {
    secret.fill(0);
  }
}

function checkAead(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array): void {
  checkLength('ChaCha20-Poly1305 key', key, KEY_LENGTH);
  checkLength('ChaCha20-Poly1305 nonce', nonce, NONCE_LENGTH);
  checkBytes('associated data', ad);
}

// libsodium-wrappers would take a string for its UTF-8: a hex key would pass for a key.
function checkBytes(what: string, value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw new SecureWebSocketError('INVALID_ARGUMENT', `The ${what} must be a Uint8Array.`);
  }
}

function checkLength(what: string, value: unknown, length: number): void {
  checkBytes(what, value);
  if (value.length !== length) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      `The ${what} must be ${length} bytes, got ${value.length}.`,
    );
  }
}

/** In constant time. */
function isZero(bytes: Uint8Array): boolean {
  let bits = 0;
  for (const byte of bytes) bits |= byte;
  return bits === 0;
}
