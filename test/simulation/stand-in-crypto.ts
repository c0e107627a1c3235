import { compareBytes } from '../../src/core/bytes.js';
import type { Crypto } from '../../src/core/crypto.js';

const TAG_LENGTH = 16;

/**
 * What behaves like the cryptography and costs a hundredth of it, for simulations of which there are to be many: it hides
 * plaintext, notices every change of a ciphertext, and two ends agree on secrets. It withstands nobody who means harm.
 */
export function standInCrypto(randomBytes: (length: number) => Uint8Array): Crypto {
  return {
    name: 'stand-in',
    randomBytes,
    x25519PublicKey: publicKeyOf,
    x25519(secretKey, publicKey) {
      const own = publicKeyOf(secretKey);
      const [first, second] = compareBytes(own, publicKey) < 0 ? [own, publicKey] : [publicKey, own];
      return digest(64, DOMAIN.secret, first, second).slice(0, 32);
    },
    aeadEncrypt(key, nonce, ad, plaintext) {
      const sealed = new Uint8Array(plaintext.length + TAG_LENGTH);
      seal(key, nonce, ad, plaintext, sealed);
      return sealed;
    },
    aeadDecrypt: (key, nonce, ad, ciphertext) => openInPlace(key, nonce, ad, ciphertext.slice()),
    aeadSeal(key, nonce, plaintext, out, offset) {
      seal(key, nonce, EMPTY, plaintext, out.subarray(offset, offset + plaintext.length + TAG_LENGTH));
    },
    aeadOpen(key, nonce, sealed) {
      const plaintext = openInPlace(key, nonce, EMPTY, sealed);
      // What the caller must not rely on any more is not there any more.
      if (plaintext === undefined) sealed.fill(0xff);
      else sealed.fill(0xff, plaintext.length);
      return plaintext;
    },
    hash: (...parts) => digest(64, DOMAIN.hash, ...parts),
    deriveKey: (key, id, context) =>
      digest(64, DOMAIN.hash, key, Uint8Array.of(id), new TextEncoder().encode(context)).slice(0, 32),
    ed25519PublicKey: unused,
    ed25519Sign: unused,
    ed25519Verify: unused,
    equal: (a, b) => a.length === b.length && compareBytes(a, b) === 0,
    wipe: secret => {
      secret.fill(0);
    },
  };
}

const DOMAIN = { hash: 1, public: 2, secret: 3, tag: 4, stream: 5 } as const;

const EMPTY = new Uint8Array(0);

/** `sealed` has the length of the plaintext and the tag. */
function seal(
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  plaintext: Uint8Array,
  sealed: Uint8Array,
): void {
  sealed.set(plaintext);
  const body = sealed.subarray(0, plaintext.length);
  applyKeystream(key, nonce, body);
  sealed.set(digest(TAG_LENGTH, DOMAIN.tag, key, nonce, ad, body), plaintext.length);
}

function openInPlace(
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const length = sealed.length - TAG_LENGTH;
  if (length < 0) return undefined;
  const body = sealed.subarray(0, length);
  const tag = digest(TAG_LENGTH, DOMAIN.tag, key, nonce, ad, body);
  if (compareBytes(tag, sealed.subarray(length)) !== 0) return undefined;
  applyKeystream(key, nonce, body);
  return body;
}

function unused(): never {
  throw new Error('The simulation signs nothing.');
}

function publicKeyOf(secretKey: Uint8Array): Uint8Array {
  const key = digest(64, DOMAIN.public, secretKey).slice(0, 32);
  // Canonical: below 2^255 - 19.
  key[31] = (key[31] ?? 0) & 0x3f;
  return key;
}

function applyKeystream(key: Uint8Array, nonce: Uint8Array, bytes: Uint8Array): void {
  const start = digest(TAG_LENGTH, DOMAIN.stream, key, nonce);
  const view = new DataView(start.buffer);
  let a = view.getInt32(0);
  let b = view.getInt32(4);
  let c = view.getInt32(8);
  let d = view.getInt32(12) | 1;
  const whole = bytes.length >> 2;
  const words =
    bytes.byteOffset % 4 === 0 ? new Uint32Array(bytes.buffer, bytes.byteOffset, whole) : undefined;
  for (let i = 0; i <= whole; i++) {
    const word = (Math.imul(b, 5) + d) | 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    if (words && i < whole) {
      words[i] = (words[i] as number) ^ word;
    } else {
      const end = Math.min(4 * i + 4, bytes.length);
      for (let j = 4 * i; j < end; j++) bytes[j] = (bytes[j] as number) ^ (word >>> (8 * (j & 3)));
    }
  }
}

/** 128 bits of state, stretched to `length` bytes. */
function digest(length: number, domain: number, ...parts: Uint8Array[]): Uint8Array {
  let a = 0x243f6a88 ^ domain;
  let b = 0x85a308d3;
  let c = 0x13198a2e;
  let d = 0x03707344;
  for (const part of parts) {
    const size = part.length;
    a = Math.imul(a ^ size, 0x9e3779b1);
    const whole = size & ~15;
    let i = 0;
    if (whole > 0) {
      const aligned = part.byteOffset % 4 === 0 ? part : part.slice(0, whole);
      const words = new Uint32Array(aligned.buffer, aligned.byteOffset, whole >> 2);
      for (let w = 0; w < words.length; w += 4) {
        a = Math.imul(a ^ (words[w] as number), 0x9e3779b1);
        b = Math.imul(b ^ (words[w + 1] as number), 0x85ebca77);
        c = Math.imul(c ^ (words[w + 2] as number), 0xc2b2ae3d);
        d = Math.imul(d ^ (words[w + 3] as number), 0x27d4eb2f);
        a = (((a << 13) | (a >>> 19)) + d) | 0;
        b = (((b << 15) | (b >>> 17)) + a) | 0;
        c = (((c << 11) | (c >>> 21)) + b) | 0;
        d = (((d << 17) | (d >>> 15)) + c) | 0;
      }
      i = whole;
    }
    for (; i < size; i += 4) {
      const word =
        (part[i] as number) |
        ((part[i + 1] ?? 0) << 8) |
        ((part[i + 2] ?? 0) << 16) |
        ((part[i + 3] ?? 0) << 24);
      const mixed = Math.imul(a ^ word, 0x9e3779b1);
      a = (b + ((mixed << 13) | (mixed >>> 19))) | 0;
      b = c ^ mixed;
      c = (d + Math.imul(mixed, 0x85ebca77)) | 0;
      d = mixed ^ (mixed >>> 15);
    }
  }
  const out = new Uint32Array(length >> 2);
  for (let i = 0; i < out.length; i++) {
    a = Math.imul(a ^ (a >>> 16) ^ i, 0x85ebca6b);
    b = Math.imul(b ^ (b >>> 13) ^ a, 0xc2b2ae35);
    c = Math.imul(c ^ (c >>> 15) ^ b, 0x27d4eb2f);
    d = Math.imul(d ^ (d >>> 14) ^ c, 0x165667b1);
    a = (a + ((d << 9) | (d >>> 23))) | 0;
    out[i] = a ^ d ^ (c >>> 7);
  }
  return new Uint8Array(out.buffer);
}
