import type { Crypto } from '../crypto.js';

/** BLAKE2b: block length in bytes (Noise specification section 12.8). */
const BLOCK_LENGTH = 128;

/** HMAC (RFC 2104) with BLAKE2b, 64 bytes, for a key no longer than a block, which every key here is. */
export function hmac(crypto: Crypto, key: Uint8Array, ...data: Uint8Array[]): Uint8Array {
  const innerPad = new Uint8Array(BLOCK_LENGTH).fill(0x36);
  const outerPad = new Uint8Array(BLOCK_LENGTH).fill(0x5c);
  key.forEach((byte, i) => {
    innerPad[i] = byte ^ 0x36;
    outerPad[i] = byte ^ 0x5c;
  });
  const inner = crypto.hash(innerPad, ...data);
  const mac = crypto.hash(outerPad, inner);
  crypto.wipe(innerPad);
  crypto.wipe(outerPad);
  crypto.wipe(inner);
  return mac;
}
