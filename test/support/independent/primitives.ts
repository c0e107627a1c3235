/** The primitives that docs/protocol.md names, from `node:crypto`; what is missing there is built from what is there. */
import * as nodeCrypto from 'node:crypto';
import { blake2b } from './blake2b.js';

export interface KeyPair {
  readonly publicKey: Buffer;
  readonly secretKey: Buffer;
}

export interface Keys {
  readonly seed: Buffer;
  /** X25519: the address. */
  readonly box: KeyPair;
  /** Ed25519; the secret is its seed. */
  readonly signing: KeyPair;
}

// The DER frames around raw keys of 32 bytes (RFC 8410).
const X25519_SECRET = Buffer.from('302e020100300506032b656e04220420', 'hex');
const X25519_PUBLIC = Buffer.from('302a300506032b656e032100', 'hex');
const ED25519_SECRET = Buffer.from('302e020100300506032b657004220420', 'hex');
const ED25519_PUBLIC = Buffer.from('302a300506032b6570032100', 'hex');

const importSecret = (frame: Buffer, key: Uint8Array): nodeCrypto.KeyObject =>
  nodeCrypto.createPrivateKey({ key: Buffer.concat([frame, key]), format: 'der', type: 'pkcs8' });

const importPublic = (frame: Buffer, key: Uint8Array): nodeCrypto.KeyObject =>
  nodeCrypto.createPublicKey({ key: Buffer.concat([frame, key]), format: 'der', type: 'spki' });

function pair(frame: Buffer, secretKey: Uint8Array): KeyPair {
  const publicKey = nodeCrypto.createPublicKey(importSecret(frame, secretKey));
  return {
    publicKey: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
    secretKey: Buffer.from(secretKey),
  };
}

export const boxKeyPair = (secretKey: Uint8Array): KeyPair => pair(X25519_SECRET, secretKey);

export function dh(secretKey: Uint8Array, publicKey: Uint8Array): Buffer {
  const shared = nodeCrypto.diffieHellman({
    privateKey: importSecret(X25519_SECRET, secretKey),
    publicKey: importPublic(X25519_PUBLIC, publicKey),
  });
  if (shared.every(byte => byte === 0)) throw new Error('an all-zero X25519 result');
  return shared;
}

export const sign = (seed: Uint8Array, message: Uint8Array): Buffer =>
  nodeCrypto.sign(null, message, importSecret(ED25519_SECRET, seed));

export const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  nodeCrypto.verify(null, message, importPublic(ED25519_PUBLIC, publicKey), signature);

/** libsodium's `crypto_kdf_derive_from_key`, as docs/protocol.md describes it. */
export function deriveKey(seed: Uint8Array, subkeyId: number, context: string): Buffer {
  const salt = Buffer.alloc(16);
  salt.writeBigUInt64LE(BigInt(subkeyId));
  return blake2b(new Uint8Array(0), { length: 32, key: seed, salt, personal: Buffer.from(context, 'ascii') });
}

export function keysOf(seed: Uint8Array): Keys {
  return {
    seed: Buffer.from(seed),
    box: boxKeyPair(deriveKey(seed, 1, 'SWSX2551')),
    signing: pair(ED25519_SECRET, deriveKey(seed, 2, 'SWSED255')),
  };
}

export const hash = (...parts: Uint8Array[]): Buffer =>
  nodeCrypto.createHash('blake2b512').update(Buffer.concat(parts)).digest();

/** RFC 2104 over BLAKE2b: a block of 128 bytes. Keys here are never longer than a block. */
export function hmac(key: Uint8Array, ...parts: Uint8Array[]): Buffer {
  const inner = Buffer.alloc(128, 0x36);
  const outer = Buffer.alloc(128, 0x5c);
  key.forEach((byte, index) => {
    inner[index]! ^= byte;
    outer[index]! ^= byte;
  });
  return hash(outer, hash(inner, ...parts));
}

/** Noise's HKDF with three outputs, of which the first two are those of HKDF with two. */
export function hkdf(chainingKey: Uint8Array, input: Uint8Array): [Buffer, Buffer, Buffer] {
  const temporary = hmac(chainingKey, input);
  const first = hmac(temporary, Buffer.of(1));
  const second = hmac(temporary, first, Buffer.of(2));
  return [first, second, hmac(temporary, second, Buffer.of(3))];
}

function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(counter), 4);
  return nonce;
}

const AEAD = 'chacha20-poly1305';
const TAG = { authTagLength: 16 };

export const seal = (key: Uint8Array, counter: number, ad: Uint8Array, plaintext: Uint8Array): Buffer =>
  sealUnder(key, nonceOf(counter), ad, plaintext);

/** Throws when the ciphertext is not authentic. */
export const open = (key: Uint8Array, counter: number, ad: Uint8Array, ciphertext: Uint8Array): Buffer =>
  openUnder(key, nonceOf(counter), ad, ciphertext);

export function sealUnder(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = nodeCrypto.createCipheriv(AEAD, key, nonce, TAG);
  cipher.setAAD(ad, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

export function openUnder(
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  ciphertext: Uint8Array,
): Buffer {
  if (ciphertext.length < 16) throw new Error('a ciphertext shorter than its tag');
  const end = ciphertext.length - 16;
  const decipher = nodeCrypto.createDecipheriv(AEAD, key, nonce, TAG);
  decipher.setAAD(ad, { plaintextLength: end });
  decipher.setAuthTag(ciphertext.subarray(end));
  return Buffer.concat([decipher.update(ciphertext.subarray(0, end)), decipher.final()]);
}
