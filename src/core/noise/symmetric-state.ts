import { utf8 } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { CipherState } from './cipher-state.js';

/** BLAKE2b: output and block length in bytes (Noise specification section 12.8). */
const HASH_LENGTH = 64;
const BLOCK_LENGTH = 128;
/** HKDF gives 64-byte keys; a cipher takes the first 32 (section 5.2). */
const CIPHER_KEY_LENGTH = 32;

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

  /** The two ciphers of the transport phase: for what the initiator sends, and for what the responder sends. */
  split(): [CipherState, CipherState] {
    const [tempK1, tempK2] = this.#hkdf(new Uint8Array(0), 2);
    const ciphers: [CipherState, CipherState] = [
      new CipherState(this.#crypto, tempK1.subarray(0, CIPHER_KEY_LENGTH)),
      new CipherState(this.#crypto, tempK2.subarray(0, CIPHER_KEY_LENGTH)),
    ];
    this.#crypto.wipe(tempK1);
    this.#crypto.wipe(tempK2);
    return ciphers;
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

  /** HKDF (section 4.3) with the chaining key as salt: two or three outputs of 64 bytes. */
  #hkdf(inputKeyMaterial: Uint8Array, outputs: 2 | 3): [Uint8Array, Uint8Array, Uint8Array] {
    const tempKey = this.#hmac(this.#ck, inputKeyMaterial);
    const output1 = this.#hmac(tempKey, Uint8Array.of(1));
    const output2 = this.#hmac(tempKey, output1, Uint8Array.of(2));
    const output3 = outputs === 3 ? this.#hmac(tempKey, output2, Uint8Array.of(3)) : new Uint8Array(0);
    this.#crypto.wipe(tempKey);
    return [output1, output2, output3];
  }

  /** HMAC-HASH (RFC 2104) for a key no longer than a block, which every key here is. */
  #hmac(key: Uint8Array, ...data: Uint8Array[]): Uint8Array {
    const innerPad = new Uint8Array(BLOCK_LENGTH).fill(0x36);
    const outerPad = new Uint8Array(BLOCK_LENGTH).fill(0x5c);
    key.forEach((byte, i) => {
      innerPad[i] = byte ^ 0x36;
      outerPad[i] = byte ^ 0x5c;
    });
    const inner = this.#crypto.hash(innerPad, ...data);
    const mac = this.#crypto.hash(outerPad, inner);
    this.#crypto.wipe(innerPad);
    this.#crypto.wipe(outerPad);
    this.#crypto.wipe(inner);
    return mac;
  }
}
