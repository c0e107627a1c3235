import { concat, utf8 } from '../bytes.js';
import type { Crypto } from '../crypto.js';

/** Where a space is: the relay that serves it, and its name there. */
export interface SpacePlace {
  /** The relay's public key, 32 bytes. */
  readonly relayKey: Uint8Array;
  readonly name: string;
}

/** `relay key (32) | length of the name (u16) | name`: what ties a signature or a hash to one space. */
export function encodePlace({ relayKey, name }: SpacePlace): Uint8Array {
  return concat(relayKey, encodeName(name));
}

/** `length (u16) | name`, in bytes of UTF-8. */
export function encodeName(name: string): Uint8Array {
  const bytes = utf8(name);
  return concat(Uint8Array.of(bytes.length >> 8, bytes.length), bytes);
}

/** The ASCII label and one zero byte: what is signed or hashed under one label is never taken for something else. */
export function encodeLabel(label: string): Uint8Array {
  return utf8(`secure-websocket/1 ${label}\0`);
}

/** Bytes of every digest of spaces. */
export const DIGEST_LENGTH = 32;

/** The first 32 bytes of BLAKE2b-512 over the concatenation of `parts`. */
export function digest(crypto: Crypto, ...parts: Uint8Array[]): Uint8Array {
  return crypto.hash(...parts).slice(0, DIGEST_LENGTH);
}
