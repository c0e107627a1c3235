import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concat, toHex, utf8 } from '../core/bytes.js';
import { CheckedCrypto } from './checked-crypto.js';
import { HASH_LENGTH, KEY_LENGTH, type Primitives } from './primitives.js';

/** The back end over `@noble/curves`, `@noble/ciphers` and `@noble/hashes`: JavaScript alone, no WebAssembly. */
export const noble = (): CheckedCrypto => new CheckedCrypto('noble', new NoblePrimitives());

class NoblePrimitives implements Primitives {
  x25519PublicKey(secretKey: Uint8Array): Uint8Array {
    return x25519.getPublicKey(secretKey);
  }

  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
    try {
      return x25519.getSharedSecret(secretKey, publicKey);
    } catch {
      // With sizes right, it refuses one thing only: a result that is all zero.
      return undefined;
    }
  }

  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    // Into an array of its own, because it is slow where memory is not aligned.
    out.set(chacha20poly1305(key, nonce, ad).encrypt(plaintext), offset);
  }

  open(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    try {
      return chacha20poly1305(key, nonce, ad).decrypt(sealed);
    } catch {
      return undefined;
    }
  }

  hash(parts: readonly Uint8Array[]): Uint8Array {
    const hash = blake2b.create({ dkLen: HASH_LENGTH });
    for (const part of parts) hash.update(part);
    return hash.digest();
  }

  deriveKey(key: Uint8Array, id: number, context: string): Uint8Array {
    // crypto_kdf is BLAKE2b of nothing, keyed, with the id as salt (little-endian) and the context to tell uses apart.
    const salt = new Uint8Array(16);
    new DataView(salt.buffer).setBigUint64(0, BigInt(id), true);
    const personalization = new Uint8Array(16);
    personalization.set(utf8(context));
    return blake2b(new Uint8Array(0), { dkLen: KEY_LENGTH, key, salt, personalization });
  }

  ed25519PublicKey(seed: Uint8Array): Uint8Array {
    return ed25519.getPublicKey(seed);
  }

  ed25519Sign(message: Uint8Array, seed: Uint8Array): Uint8Array {
    return ed25519.sign(message, seed);
  }

  ed25519Verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
    // As RFC 8032 says, and not as ZIP 215, which takes encodings that are not canonical.
    return (
      ed25519.verify(signature, message, publicKey, { zip215: false }) &&
      holdsExactly(signature, message, publicKey)
    );
  }
}

/**
 * Whether R = S·B - k·A for a signature that `verify` accepts. That one multiplies both sides by 8 first, so that points
 * of low order, added by the signer, make no difference. libsodium does not (RFC 8032 section 5.1.7 leaves the choice),
 * and what is valid for one end has to be valid for the other.
 */
function holdsExactly(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const { Point } = ed25519;
  const R = signature.subarray(0, KEY_LENGTH);
  const S = littleEndian(signature.subarray(KEY_LENGTH));
  const k = littleEndian(sha512(concat(R, publicKey, message))) % Point.Fn.ORDER;
  const expected = Point.BASE.multiplyUnsafe(S).subtract(Point.fromBytes(publicKey).multiplyUnsafe(k));
  return toHex(expected.toBytes()) === toHex(R);
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes.slice().reverse())}`);
}
