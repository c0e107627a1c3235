import type { Crypto } from '../crypto.js';

/** BLAKE2b: block length in bytes (Noise specification section 12.8). */
const BLOCK_LENGTH = 128;

// One pair for all: a handshake needs it fifteen times, and nothing here waits for anything. Zeros between the calls.
const innerPad = new Uint8Array(BLOCK_LENGTH);
const outerPad = new Uint8Array(BLOCK_LENGTH);

const EMPTY = new Uint8Array(0);
const ONE = Uint8Array.of(1);
const TWO = Uint8Array.of(2);
const THREE = Uint8Array.of(3);

/** HMAC (RFC 2104) with BLAKE2b, 64 bytes, for a key no longer than a block, which every key here is. */
export function hmac(crypto: Crypto, key: Uint8Array, ...data: Uint8Array[]): Uint8Array {
  try {
    setKey(key);
    return codeOf(crypto, ...data);
  } finally {
    forgetKey(crypto);
  }
}

/** HKDF (Noise specification section 4.3): two or three outputs of 64 bytes; the third is empty when two are wanted. */
export function hkdf(
  crypto: Crypto,
  chainingKey: Uint8Array,
  inputKeyMaterial: Uint8Array,
  outputs: 2 | 3,
): [Uint8Array, Uint8Array, Uint8Array] {
  try {
    setKey(chainingKey);
    const tempKey = codeOf(crypto, inputKeyMaterial);
    setKey(tempKey);
    crypto.wipe(tempKey);
    const output1 = codeOf(crypto, ONE);
    const output2 = codeOf(crypto, output1, TWO);
    const output3 = outputs === 3 ? codeOf(crypto, output2, THREE) : EMPTY;
    return [output1, output2, output3];
  } finally {
    forgetKey(crypto);
  }
}

function setKey(key: Uint8Array): void {
  innerPad.fill(0x36);
  outerPad.fill(0x5c);
  for (let i = 0; i < key.length; i++) {
    (innerPad[i] as number) ^= key[i] as number;
    (outerPad[i] as number) ^= key[i] as number;
  }
}

/** The code of the concatenation of `data` under the key that was set. */
function codeOf(crypto: Crypto, ...data: Uint8Array[]): Uint8Array {
  const inner = crypto.hash(innerPad, ...data);
  const mac = crypto.hash(outerPad, inner);
  crypto.wipe(inner);
  return mac;
}

function forgetKey(crypto: Crypto): void {
  crypto.wipe(innerPad);
  crypto.wipe(outerPad);
}
