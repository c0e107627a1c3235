import { loadCrypto } from '#crypto';
import { toHex } from './bytes.js';
import type { Crypto, KeyPair } from './crypto.js';
import { SecureWebSocketError } from './errors.js';

const SEED_LENGTH = 32;

/**
 * Who one endpoint is: a 32-byte seed, and the two key pairs derived from it with libsodium's `crypto_kdf`.
 *
 * | subkey | context    | is                                                                 |
 * | ------ | ---------- | ------------------------------------------------------------------ |
 * | 1      | `SWSX2551` | the X25519 secret key; its public key is the address               |
 * | 2      | `SWSED255` | the Ed25519 seed: signs device information, never used for DH      |
 *
 * Secrets are private fields: they do not show in `JSON.stringify`, `console.log`, spread or structured clone.
 */
export class Identity {
  readonly #crypto: Crypto;
  readonly #seed: Uint8Array;
  readonly #signingSeed: Uint8Array;
  readonly #keyPair: SecretKeyPair;
  /** The address: 64 lowercase hex characters of the X25519 public key. */
  readonly publicKey: string;
  /** The Ed25519 public key, 64 lowercase hex characters. */
  readonly signingKey: string;

  /**
   * @param seed 32 bytes, copied. Whoever has it is this identity.
   * @throws SecureWebSocketError `INVALID_SEED` when it is not 32 bytes, or all zero: what a wiped buffer or a file
   *   damaged by a power failure holds, and everybody knows.
   */
  constructor(crypto: Crypto, seed: Uint8Array) {
    if (!((seed as unknown) instanceof Uint8Array)) {
      throw new SecureWebSocketError('INVALID_SEED', `A seed is a Uint8Array of ${SEED_LENGTH} bytes.`);
    }
    if (seed.length !== SEED_LENGTH) {
      throw new SecureWebSocketError('INVALID_SEED', `A seed is ${SEED_LENGTH} bytes, got ${seed.length}.`);
    }
    if (crypto.equal(seed, new Uint8Array(SEED_LENGTH))) {
      throw new SecureWebSocketError('INVALID_SEED', 'The seed is all zero: it was wiped or damaged.');
    }
    this.#crypto = crypto;
    this.#seed = Uint8Array.from(seed);
    this.#signingSeed = crypto.deriveKey(this.#seed, 2, 'SWSED255');
    const secretKey = crypto.deriveKey(this.#seed, 1, 'SWSX2551');
    this.#keyPair = new SecretKeyPair(secretKey, crypto.x25519PublicKey(secretKey));
    this.publicKey = toHex(this.#keyPair.publicKey);
    this.signingKey = toHex(crypto.ed25519PublicKey(this.#signingSeed));
  }

  /** A new identity from 32 random bytes. `crypto` is the back end of this build unless given. */
  static async generate(crypto?: Crypto): Promise<Identity> {
    const backEnd = crypto ?? (await loadCrypto());
    const seed = backEnd.randomBytes(SEED_LENGTH);
    const identity = new Identity(backEnd, seed);
    backEnd.wipe(seed);
    return identity;
  }

  /**
   * The identity of a seed that was kept. `crypto` is the back end of this build unless given.
   * Rejects with SecureWebSocketError `INVALID_SEED` as the constructor does.
   */
  static async fromSeed(seed: Uint8Array, crypto?: Crypto): Promise<Identity> {
    return new Identity(crypto ?? (await loadCrypto()), seed);
  }

  /** The X25519 public key, 32 bytes, a copy. */
  get publicKeyBytes(): Uint8Array {
    return this.#keyPair.publicKey.slice();
  }

  /** The X25519 key pair itself, not a copy, for handshakes: it must not be changed or wiped. */
  get keyPair(): KeyPair {
    return this.#keyPair;
  }

  /** The back end that the keys were derived with. */
  get crypto(): Crypto {
    return this.#crypto;
  }

  /** Ed25519 signature of `message`, 64 bytes (RFC 8032). */
  sign(message: Uint8Array): Uint8Array {
    return this.#crypto.ed25519Sign(message, this.#signingSeed);
  }

  /** The 32-byte seed, a copy: the one secret to keep. The caller wipes it. */
  exportSeed(): Uint8Array {
    return this.#seed.slice();
  }

  /** Public parts only. */
  toJSON(): { publicKey: string } {
    return { publicKey: this.publicKey };
  }

  /** What `console.log` and `util.inspect` of Node show. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Identity { publicKey: '${this.publicKey}' }`;
  }
}

/** A key pair whose secret half shows in nothing that prints or serializes objects. */
class SecretKeyPair implements KeyPair {
  readonly publicKey: Uint8Array;
  readonly #secretKey: Uint8Array;

  constructor(secretKey: Uint8Array, publicKey: Uint8Array) {
    this.#secretKey = secretKey;
    this.publicKey = publicKey;
  }

  get secretKey(): Uint8Array {
    return this.#secretKey;
  }

  toJSON(): { publicKey: string } {
    return { publicKey: toHex(this.publicKey) };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `KeyPair { publicKey: '${toHex(this.publicKey)}' }`;
  }
}
