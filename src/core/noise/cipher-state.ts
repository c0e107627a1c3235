import { REJECT_AFTER_MESSAGES } from '../constants.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';

const KEY_LENGTH = 32;

/**
 * A key and a counter that encrypt with ChaCha20-Poly1305 (Noise specification sections 5.1 and 12.3).
 *
 * One difference from the specification, on purpose: without a key it throws instead of passing plaintext through, so
 * that a wiped state can never leak a message. The keyless start of a handshake is `SymmetricState`'s business.
 */
export class CipherState {
  readonly #crypto: Crypto;
  #key: Uint8Array | undefined;
  #n = 0;
  // 4 zero bytes and the counter, little-endian. Kept: one allocation a message less.
  readonly #nonce = new Uint8Array(12);
  readonly #nonceView = new DataView(this.#nonce.buffer);

  /** @param key 32 bytes, copied; without one the state is empty until {@link initializeKey}. */
  constructor(crypto: Crypto, key?: Uint8Array) {
    this.#crypto = crypto;
    if (key) this.initializeKey(key);
  }

  /** Sets the key (32 bytes, copied) and the counter to 0. */
  initializeKey(key: Uint8Array): void {
    if (key.length !== KEY_LENGTH) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        `A cipher key is ${KEY_LENGTH} bytes, got ${key.length}.`,
      );
    }
    this.wipe();
    this.#key = key.slice();
    this.#n = 0;
  }

  hasKey(): boolean {
    return this.#key !== undefined;
  }

  /** The counter of the next message. */
  get n(): number {
    return this.#n;
  }

  /**
   * Sets the counter of the next message: for transports that lose or reorder messages (section 11.4). The caller
   * answers for never encrypting twice under one counter.
   */
  setNonce(n: number): void {
    if (!Number.isSafeInteger(n) || n < 0) {
      throw new SecureWebSocketError('INVALID_ARGUMENT', 'A nonce is a non-negative safe integer.');
    }
    this.#n = n;
  }

  /**
   * The ciphertext of `plaintext`, 16 bytes longer; the counter rises by one. Noise bounds a message to 65535 bytes;
   * whoever frames messages sees to that.
   * @throws SecureWebSocketError `NONCE_EXHAUSTED` at `REJECT_AFTER_MESSAGES`, `NOISE_STATE` without a key.
   */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const key = this.#usableKey();
    const ciphertext = this.#crypto.aeadEncrypt(key, this.#nonceOf(this.#n), ad, plaintext);
    this.#n++;
    return ciphertext;
  }

  /**
   * The plaintext of `ciphertext`; the counter rises by one, or stays when this throws.
   * @throws SecureWebSocketError `DECRYPT_FAILED` when it is not authentic, else as {@link encryptWithAd}.
   */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    const key = this.#usableKey();
    const plaintext = this.#crypto.aeadDecrypt(key, this.#nonceOf(this.#n), ad, ciphertext);
    if (plaintext === undefined) throw notAuthentic();
    this.#n++;
    return plaintext;
  }

  /**
   * `encryptWithAd` without associated data, into memory that is there: writes the ciphertext, 16 bytes longer than
   * `plaintext`, to `out` at `offset`. The two must not overlap.
   * @throws SecureWebSocketError as {@link encryptWithAd}
   */
  encryptInto(out: Uint8Array, offset: number, plaintext: Uint8Array): void {
    const key = this.#usableKey();
    this.#crypto.aeadSeal(key, this.#nonceOf(this.#n), plaintext, out, offset);
    this.#n++;
  }

  /**
   * `decryptWithAd` without associated data. The plaintext may stand where the ciphertext stood, which is of no use
   * afterwards, also when this throws.
   * @throws SecureWebSocketError as {@link decryptWithAd}
   */
  decryptInPlace(ciphertext: Uint8Array): Uint8Array {
    const key = this.#usableKey();
    const plaintext = this.#crypto.aeadOpen(key, this.#nonceOf(this.#n), ciphertext);
    if (plaintext === undefined) throw notAuthentic();
    this.#n++;
    return plaintext;
  }

  /** Replaces the key by a one-way function of it; the counter stays (sections 4.2 and 11.3). */
  rekey(): void {
    const key = this.#key;
    if (key === undefined) throw noKey();
    // REKEY(k) = ENCRYPT(k, 2^64 - 1, no data, 32 zeros), first 32 bytes. 2^64 - 1 is never a counter.
    this.#nonce.fill(0xff, 4);
    const ciphertext = this.#crypto.aeadEncrypt(
      key,
      this.#nonce,
      new Uint8Array(0),
      new Uint8Array(KEY_LENGTH),
    );
    key.set(ciphertext.subarray(0, KEY_LENGTH));
    this.#crypto.wipe(ciphertext);
  }

  /** Overwrites the key. The state encrypts and decrypts nothing afterwards. */
  wipe(): void {
    if (this.#key) this.#crypto.wipe(this.#key);
    this.#key = undefined;
  }

  #usableKey(): Uint8Array {
    if (this.#key === undefined) throw noKey();
    if (this.#n >= REJECT_AFTER_MESSAGES) {
      throw new SecureWebSocketError(
        'NONCE_EXHAUSTED',
        'Too many messages under one key: a fresh handshake is due.',
      );
    }
    return this.#key;
  }

  #nonceOf(n: number): Uint8Array {
    this.#nonceView.setUint32(4, n >>> 0, true);
    this.#nonceView.setUint32(8, Math.floor(n / 0x1_0000_0000), true);
    return this.#nonce;
  }
}

function notAuthentic(): SecureWebSocketError {
  return new SecureWebSocketError(
    'DECRYPT_FAILED',
    'The message is not authentic: wrong key, order or content.',
  );
}

function noKey(): SecureWebSocketError {
  return new SecureWebSocketError('NOISE_STATE', 'The cipher has no key: it was wiped, or never had one.');
}
