import { utf8 } from '../core/bytes.js';
import {
  HASH_LENGTH,
  KDF_CONTEXT_LENGTH,
  KEY_LENGTH,
  type Primitives,
  SIGNATURE_LENGTH,
  TAG_LENGTH,
} from './primitives.js';

/** What `libsodium-wrappers` itself calls: C functions on addresses in `HEAPU8`. 64-bit lengths are two arguments. */
interface Module {
  /** Another object whenever the memory has grown. */
  readonly HEAPU8: Uint8Array;
  _malloc(length: number): number;
  _free(address: number): void;
  _crypto_scalarmult_base(q: number, n: number): number;
  _crypto_scalarmult(q: number, n: number, p: number): number;
  _crypto_aead_chacha20poly1305_ietf_encrypt(
    c: number,
    clen: number,
    m: number,
    mlen: number,
    mlenHigh: number,
    ad: number,
    adlen: number,
    adlenHigh: number,
    nsec: number,
    npub: number,
    k: number,
  ): number;
  _crypto_aead_chacha20poly1305_ietf_decrypt(
    m: number,
    mlen: number,
    nsec: number,
    c: number,
    clen: number,
    clenHigh: number,
    ad: number,
    adlen: number,
    adlenHigh: number,
    npub: number,
    k: number,
  ): number;
  _crypto_generichash(
    out: number,
    outlen: number,
    input: number,
    inlen: number,
    inlenHigh: number,
    key: number,
    keylen: number,
  ): number;
  _crypto_kdf_derive_from_key(
    subkey: number,
    length: number,
    id: number,
    idHigh: number,
    context: number,
    key: number,
  ): number;
  _crypto_sign_seed_keypair(pk: number, sk: number, seed: number): number;
  _crypto_sign_detached(
    sig: number,
    siglen: number,
    m: number,
    mlen: number,
    mlenHigh: number,
    sk: number,
  ): number;
  _crypto_sign_verify_detached(sig: number, m: number, mlen: number, mlenHigh: number, pk: number): number;
}

const SIGNING_KEY_LENGTH = 64;

/**
 * Kept for calls: the largest frame of the default settings, with what stands before it. More is allocated for the
 * one call.
 */
const KEPT = 262_144 + 1_024;

/**
 * libsodium without the JavaScript of `libsodium-wrappers` around it, which allocates, copies and frees each argument and
 * each result. Here one piece of WebAssembly memory is kept: arguments are copied in, the result is computed in place
 * and copied out, and all of it is cleared before the call returns.
 */
export class LibsodiumModule implements Primitives {
  readonly #module: Module;
  readonly #kept: number;

  private constructor(module: Module) {
    this.#module = module;
    this.#kept = module._malloc(KEPT);
    if (this.#kept === 0) throw new Error('libsodium has no memory.');
  }

  /**
   * The module inside of `sodium`; undefined when it is none that this class knows how to call. It is not part of what
   * the package documents, and whether a length is passed as one argument or two has changed with its compiler: `isSound`
   * computes things and compares.
   */
  static of(sodium: object, isSound: (primitives: Primitives) => boolean): LibsodiumModule | undefined {
    const module = (sodium as { libsodium?: Module }).libsodium;
    if (!(module?.HEAPU8 instanceof Uint8Array)) return undefined;
    try {
      const primitives = new LibsodiumModule(module);
      return isSound(primitives) ? primitives : undefined;
    } catch {
      return undefined;
    }
  }

  x25519PublicKey(secretKey: Uint8Array): Uint8Array {
    const module = this.#module;
    const n = this.#kept;
    const q = n + KEY_LENGTH;
    const heap = module.HEAPU8;
    heap.set(secretKey, n);
    module._crypto_scalarmult_base(q, n);
    const publicKey = heap.slice(q, q + KEY_LENGTH);
    heap.fill(0, n, n + KEY_LENGTH);
    return publicKey;
  }

  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
    const module = this.#module;
    const n = this.#kept;
    const p = n + KEY_LENGTH;
    const q = p + KEY_LENGTH;
    const heap = module.HEAPU8;
    heap.set(secretKey, n);
    heap.set(publicKey, p);
    const failed = module._crypto_scalarmult(q, n, p) !== 0;
    const shared = failed ? undefined : heap.slice(q, q + KEY_LENGTH);
    heap.fill(0, n, q + KEY_LENGTH);
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
    const module = this.#module;
    const length = plaintext.length;
    const size = DATA + length + TAG_LENGTH + ad.length;
    const k = this.#reserve(size);
    const npub = k + KEY_LENGTH;
    const data = k + DATA;
    const adStart = data + length + TAG_LENGTH;
    const heap = module.HEAPU8;
    heap.set(key, k);
    heap.set(nonce, npub);
    heap.set(plaintext, data);
    if (ad.length > 0) heap.set(ad, adStart);
    module._crypto_aead_chacha20poly1305_ietf_encrypt(
      data,
      0,
      data,
      length,
      0,
      adStart,
      ad.length,
      0,
      0,
      npub,
      k,
    );
    out.set(heap.subarray(data, adStart), offset);
    this.#release(k, size);
  }

  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    sealed: Uint8Array,
    room?: Uint8Array,
  ): Uint8Array | undefined {
    const module = this.#module;
    const size = DATA + sealed.length + ad.length;
    const k = this.#reserve(size);
    const npub = k + KEY_LENGTH;
    const data = k + DATA;
    const adStart = data + sealed.length;
    const heap = module.HEAPU8;
    heap.set(key, k);
    heap.set(nonce, npub);
    heap.set(sealed, data);
    if (ad.length > 0) heap.set(ad, adStart);
    const failed =
      module._crypto_aead_chacha20poly1305_ietf_decrypt(
        data,
        0,
        0,
        data,
        sealed.length,
        0,
        adStart,
        ad.length,
        0,
        npub,
        k,
      ) !== 0;
    const plaintext = failed ? undefined : (room ?? new Uint8Array(sealed.length - TAG_LENGTH));
    plaintext?.set(heap.subarray(data, adStart - TAG_LENGTH));
    this.#release(k, size);
    return plaintext;
  }

  hash(parts: readonly Uint8Array[]): Uint8Array {
    const module = this.#module;
    let length = 0;
    for (const part of parts) length += part.length;
    const size = HASH_LENGTH + length;
    const out = this.#reserve(size);
    const heap = module.HEAPU8;
    let end = out + HASH_LENGTH;
    for (const part of parts) {
      heap.set(part, end);
      end += part.length;
    }
    module._crypto_generichash(out, HASH_LENGTH, out + HASH_LENGTH, length, 0, 0, 0);
    const hash = heap.slice(out, out + HASH_LENGTH);
    // May have held an HMAC key, and may be one.
    this.#release(out, size);
    return hash;
  }

  deriveKey(key: Uint8Array, id: number, context: string): Uint8Array {
    const module = this.#module;
    const k = this.#kept;
    const subkey = k + KEY_LENGTH;
    const ctx = subkey + KEY_LENGTH;
    const heap = module.HEAPU8;
    heap.set(key, k);
    heap.set(utf8(context), ctx);
    module._crypto_kdf_derive_from_key(subkey, KEY_LENGTH, id >>> 0, Math.floor(id / 2 ** 32), ctx, k);
    const derived = heap.slice(subkey, subkey + KEY_LENGTH);
    heap.fill(0, k, ctx + KDF_CONTEXT_LENGTH);
    return derived;
  }

  ed25519PublicKey(seed: Uint8Array): Uint8Array {
    const { heap, start, publicKey } = this.#signingKey(seed, this.#kept);
    const bytes = heap.slice(publicKey, publicKey + KEY_LENGTH);
    heap.fill(0, start, publicKey + KEY_LENGTH);
    return bytes;
  }

  ed25519Sign(message: Uint8Array, seed: Uint8Array): Uint8Array {
    const size = SIGNING + SIGNATURE_LENGTH + message.length;
    const { heap, start, secretKey } = this.#signingKey(seed, this.#reserve(size));
    const sig = start + SIGNING;
    const m = sig + SIGNATURE_LENGTH;
    heap.set(message, m);
    this.#module._crypto_sign_detached(sig, 0, m, message.length, 0, secretKey);
    const signature = heap.slice(sig, m);
    this.#release(start, size);
    return signature;
  }

  ed25519Verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
    const size = KEY_LENGTH + SIGNATURE_LENGTH + message.length;
    const pk = this.#reserve(size);
    const sig = pk + KEY_LENGTH;
    const m = sig + SIGNATURE_LENGTH;
    const heap = this.#module.HEAPU8;
    heap.set(publicKey, pk);
    heap.set(signature, sig);
    heap.set(message, m);
    const isValid = this.#module._crypto_sign_verify_detached(sig, m, message.length, 0, pk) === 0;
    this.#release(pk, size);
    return isValid;
  }

  /** Writes seed, secret key and public key to `SIGNING` bytes from `start` on. */
  #signingKey(seed: Uint8Array, start: number) {
    const secretKey = start + KEY_LENGTH;
    const publicKey = secretKey + SIGNING_KEY_LENGTH;
    const heap = this.#module.HEAPU8;
    heap.set(seed, start);
    this.#module._crypto_sign_seed_keypair(publicKey, secretKey, start);
    return { heap, start, secretKey, publicKey };
  }

  /**
   * The address of `size` bytes. It may make the memory grow, which detaches every `HEAPU8` that was read before.
   * @throws Error when WebAssembly gives no more memory.
   */
  #reserve(size: number): number {
    if (size <= KEPT) return this.#kept;
    const address = this.#module._malloc(size);
    if (address === 0) throw new Error(`libsodium has no memory for ${size} bytes.`);
    return address;
  }

  /** Nothing of a call stays: it may have been a key, or become one. */
  #release(address: number, size: number): void {
    this.#module.HEAPU8.fill(0, address, address + size);
    if (address !== this.#kept) this.#module._free(address);
  }
}

/** Where plaintext or ciphertext stands, after key and nonce (44 bytes): at a multiple of 16. */
const DATA = 48;
const SIGNING = KEY_LENGTH + SIGNING_KEY_LENGTH + KEY_LENGTH;
