import { utf8 } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { CipherState } from './cipher-state.js';
import { hkdf } from './hmac.js';

/** BLAKE2b: output length in bytes (Noise specification section 12.8). */
const HASH_LENGTH = 64;
/** HKDF gives 64-byte keys; a cipher takes the first 32 (section 5.2). */
const CIPHER_KEY_LENGTH = 32;

const EMPTY = new Uint8Array(0);

/** The chaining key, the handshake hash and the cipher of a handshake (Noise specification section 5.2). */
export class SymmetricState {
  readonly #crypto: Crypto;
  readonly #cipher: CipherState;
  #ck: Uint8Array;
  #h: Uint8Array;

  /** InitializeSymmetric. */
  constructor(crypto: Crypto, protocolName: string) {
    this.#crypto = crypto;
    this.#cipher = new CipherState(crypto);
    const name = utf8(protocolName);
    if (name.length <= HASH_LENGTH) {
      this.#h = new Uint8Array(HASH_LENGTH);
      this.#h.set(name);
    } else {
      this.#h = crypto.hash(name);
    }
    this.#ck = this.#h.slice();
  }

  mixKey(inputKeyMaterial: Uint8Array): void {
    const [ck, tempK] = this.#hkdf(inputKeyMaterial, 2);
    this.#setChainingKey(ck);
    this.#initializeKey(tempK);
  }

  mixHash(data: Uint8Array): void {
    this.#h = this.#crypto.hash(this.#h, data);
  }

  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    const [ck, tempH, tempK] = this.#hkdf(inputKeyMaterial, 3);
    this.#setChainingKey(ck);
    this.mixHash(tempH);
    this.#crypto.wipe(tempH);
    this.#initializeKey(tempK);
  }

  /** Whether what follows is encrypted. */
  hasKey(): boolean {
    return this.#cipher.hasKey();
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.hasKey() ? this.#cipher.encryptWithAd(this.#h, plaintext) : plaintext.slice();
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** @throws SecureWebSocketError `DECRYPT_FAILED` */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    const plaintext = this.hasKey() ? this.#cipher.decryptWithAd(this.#h, ciphertext) : ciphertext.slice();
    this.mixHash(ciphertext);
    return plaintext;
  }

  /**
   * The two ciphers of the transport phase, for what the initiator sends and for what the responder sends, and a third
   * output of the same HKDF: a secret of both ends that is no key of these ciphers and can be a key for something else.
   */
  split(): { readonly ciphers: [CipherState, CipherState]; readonly exporter: Uint8Array } {
    const [tempK1, tempK2, tempK3] = this.#hkdf(EMPTY, 3);
    const ciphers: [CipherState, CipherState] = [
      new CipherState(this.#crypto, tempK1.subarray(0, CIPHER_KEY_LENGTH)),
      new CipherState(this.#crypto, tempK2.subarray(0, CIPHER_KEY_LENGTH)),
    ];
    const exporter = tempK3.slice(0, CIPHER_KEY_LENGTH);
    this.#crypto.wipe(tempK1);
    this.#crypto.wipe(tempK2);
    this.#crypto.wipe(tempK3);
    return { ciphers, exporter };
  }

  /** A copy of h. It is public: it identifies the handshake and is key for nothing (section 11.2). */
  getHandshakeHash(): Uint8Array {
    return this.#h.slice();
  }

  /** Overwrites the chaining key and the cipher key; the handshake hash stays. */
  wipe(): void {
    this.#crypto.wipe(this.#ck);
    this.#cipher.wipe();
  }

  #setChainingKey(ck: Uint8Array): void {
    this.#crypto.wipe(this.#ck);
    this.#ck = ck;
  }

  #initializeKey(tempK: Uint8Array): void {
    this.#cipher.initializeKey(tempK.subarray(0, CIPHER_KEY_LENGTH));
    this.#crypto.wipe(tempK);
  }

  /** With the chaining key as salt. */
  #hkdf(inputKeyMaterial: Uint8Array, outputs: 2 | 3): [Uint8Array, Uint8Array, Uint8Array] {
    return hkdf(this.#crypto, this.#ck, inputKeyMaterial, outputs);
  }
}
