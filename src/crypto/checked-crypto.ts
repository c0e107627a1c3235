import { toHex } from '../core/bytes.js';
import type { Crypto } from '../core/crypto.js';
import { SecureWebSocketError } from '../core/errors.js';
import {
  KDF_CONTEXT_LENGTH,
  KEY_LENGTH,
  NONCE_LENGTH,
  type Primitives,
  SIGNATURE_LENGTH,
  TAG_LENGTH,
} from './primitives.js';

/**
 * {@link Crypto} over some implementation of the primitives: everything that must not depend on which one it is.
 *
 * An argument of a wrong size is a mistake of the caller and throws `INVALID_ARGUMENT`; sizes that a remote party
 * chooses (a ciphertext, a signature) do not.
 */
export class CheckedCrypto implements Crypto {
  readonly name: string;
  readonly #primitives: Primitives;

  constructor(name: string, primitives: Primitives) {
    this.name = name;
    this.#primitives = primitives;
  }

  /**
   * From the Web Crypto API, which browsers, workers and Node have: the source that every implementation would ask
   * too. (`libsodium-wrappers` asks it for four bytes at a time, which takes forty times as long.)
   */
  randomBytes(length: number): Uint8Array {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        'The number of random bytes must be a non-negative integer.',
      );
    }
    const bytes = new Uint8Array(length);
    for (let start = 0; start < length; start += MAX_RANDOM_BYTES) {
      globalThis.crypto.getRandomValues(bytes.subarray(start, start + MAX_RANDOM_BYTES));
    }
    return bytes;
  }

  x25519PublicKey(secretKey: Uint8Array): Uint8Array {
    checkLength('X25519 secret key', secretKey, KEY_LENGTH);
    return this.#primitives.x25519PublicKey(secretKey);
  }

  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
    checkLength('X25519 secret key', secretKey, KEY_LENGTH);
    checkLength('X25519 public key', publicKey, KEY_LENGTH);
    const shared = this.#primitives.x25519(secretKey, publicKey);
    if (shared === undefined || isZero(shared)) {
      throw new SecureWebSocketError(
        'ZERO_SHARED_SECRET',
        'The X25519 shared secret is all zero: the public key is a point of low order.',
      );
    }
    return shared;
  }

  aeadEncrypt(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    checkAead(key, nonce);
    checkBytes('associated data', ad);
    checkBytes('plaintext', plaintext);
    const sealed = new Uint8Array(plaintext.length + TAG_LENGTH);
    this.#primitives.seal(key, nonce, ad, plaintext, sealed, 0);
    return sealed;
  }

  aeadDecrypt(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    ciphertext: Uint8Array,
  ): Uint8Array | undefined {
    checkAead(key, nonce);
    checkBytes('associated data', ad);
    checkBytes('ciphertext', ciphertext);
    if (ciphertext.length < TAG_LENGTH) return undefined;
    return this.#primitives.open(key, nonce, ad, ciphertext);
  }

  aeadSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, out: Uint8Array, offset: number): void {
    checkAead(key, nonce);
    checkBytes('plaintext', plaintext);
    checkBytes('output', out);
    const hasRoom = offset >= 0 && out.length - offset >= plaintext.length + TAG_LENGTH;
    if (!Number.isInteger(offset) || !hasRoom) {
      throw new SecureWebSocketError('INVALID_ARGUMENT', 'The output has no room for ciphertext and tag.');
    }
    this.#primitives.seal(key, nonce, EMPTY, plaintext, out, offset);
  }

  aeadOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    checkAead(key, nonce);
    checkBytes('ciphertext', sealed);
    if (sealed.length < TAG_LENGTH) return undefined;
    const room = sealed.subarray(0, sealed.length - TAG_LENGTH);
    return this.#primitives.open(key, nonce, EMPTY, sealed, room);
  }

  hash(...parts: Uint8Array[]): Uint8Array {
    for (const part of parts) checkBytes('hash input', part);
    return this.#primitives.hash(parts);
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
    return this.#primitives.deriveKey(key, id, context);
  }

  ed25519PublicKey(seed: Uint8Array): Uint8Array {
    checkLength('Ed25519 seed', seed, KEY_LENGTH);
    return this.#primitives.ed25519PublicKey(seed);
  }

  ed25519Sign(message: Uint8Array, seed: Uint8Array): Uint8Array {
    checkBytes('message', message);
    checkLength('Ed25519 seed', seed, KEY_LENGTH);
    return this.#primitives.ed25519Sign(message, seed);
  }

  /**
   * Points of low order are refused here, as public key and as the signature's R: libsodium refuses them, others accept
   * some, and no honest signature has them.
   */
  ed25519Verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
    checkBytes('signature', signature);
    checkBytes('message', message);
    checkLength('Ed25519 public key', publicKey, KEY_LENGTH);
    if (signature.length !== SIGNATURE_LENGTH) return false;
    if (isLowOrder(publicKey) || isLowOrder(signature.subarray(0, KEY_LENGTH))) return false;
    return this.#primitives.ed25519Verify(signature, message, publicKey);
  }

  equal(a: Uint8Array, b: Uint8Array): boolean {
    if (a.length !== b.length) return false;
    let difference = 0;
    // Through to the end, whatever was found: the time must not tell where they differ.
    for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
    return difference === 0;
  }

  wipe(secret: Uint8Array): void {
    secret.fill(0);
  }
}

const EMPTY = new Uint8Array(0);

/** `getRandomValues` gives no more in one call (Web Cryptography API, section 10.1.1). */
const MAX_RANDOM_BYTES = 65_536;

/** The y coordinates of the points of edwards25519 whose order divides 8; p and p + 1 are 0 and 1 once more. */
const LOW_ORDER_POINTS: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Of an encoded point, whatever the sign of its x. Points are public: this need not take constant time. */
function isLowOrder(point: Uint8Array): boolean {
  const y = point.slice();
  y[31] = (y[31] as number) & 0x7f;
  return LOW_ORDER_POINTS.has(toHex(y));
}

function checkAead(key: Uint8Array, nonce: Uint8Array): void {
  checkLength('ChaCha20-Poly1305 key', key, KEY_LENGTH);
  checkLength('ChaCha20-Poly1305 nonce', nonce, NONCE_LENGTH);
}

// Some implementations would take a string for its UTF-8: a hex key would pass for a key.
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
