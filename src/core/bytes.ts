import { SecureWebSocketError } from './errors.js';

/** All parts, one after the other, in one new array. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** Lexicographic order of public bytes: negative, 0 or positive. Not for secrets: its time tells where they differ. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const HEX_DIGITS = codesOf('0123456789abcdef');

/** Lowercase hex, two characters a byte. */
export function toHex(bytes: Uint8Array): string {
  const codes = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    codes[2 * i] = HEX_DIGITS[byte >> 4] as number;
    codes[2 * i + 1] = HEX_DIGITS[byte & 15] as number;
  }
  return ascii(codes);
}

/**
 * The bytes of a hex string, in either case.
 * @throws SecureWebSocketError `INVALID_ARGUMENT` for an odd number of characters or one that is not a hex digit. The
 *   message tells where, never what: the text may be a secret.
 */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      `Hex needs an even number of characters, got ${text.length}.`,
    );
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < text.length; i += 2) {
    const high = hexDigit(text.charCodeAt(i));
    const low = hexDigit(text.charCodeAt(i + 1));
    if (high < 0 || low < 0) {
      const position = high < 0 ? i : i + 1;
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        `The character at position ${position} is not a hex digit.`,
      );
    }
    bytes[i / 2] = (high << 4) | low;
  }
  return bytes;
}

/** The value of one hex digit given as a UTF-16 code unit, or -1. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x61 && code <= 0x66) return code - 0x61 + 10;
  if (code >= 0x41 && code <= 0x46) return code - 0x41 + 10;
  return -1;
}

const BASE64URL_ALPHABET = codesOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

/** base64url without padding (RFC 4648 section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let pending = 0;
  let bits = 0;
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    pending = ((pending & 0x3f) << 8) | (bytes[i] as number);
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      codes[length++] = BASE64URL_ALPHABET[(pending >> bits) & 63] as number;
    }
  }
  if (bits > 0) codes[length] = BASE64URL_ALPHABET[(pending << (6 - bits)) & 63] as number;
  return ascii(codes);
}

function codesOf(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0));
}

/** Text put together character by character would be a tree of as many strings. */
function ascii(codes: Uint8Array): string {
  decoder ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return decoder.decode(codes);
}

/**
 * The bytes of a base64url string (RFC 4648 section 5), or undefined.
 *
 * Strict: exactly the one text that {@link toBase64Url} makes of some bytes is accepted. Padding, white space, the
 * characters `+` and `/`, and leftover bits that are not zero (RFC 4648 section 3.5) are not.
 */
export function fromBase64Url(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let pending = 0;
  let bits = 0;
  let offset = 0;
  for (let i = 0; i < text.length; i++) {
    const value = base64UrlDigit(text.charCodeAt(i));
    if (value < 0) return undefined;
    pending = (pending << 6) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[offset++] = pending >> bits;
      pending &= (1 << bits) - 1;
    }
  }
  return pending === 0 ? bytes : undefined;
}

/** The value of one base64url digit given as a UTF-16 code unit, or -1. */
function base64UrlDigit(code: number): number {
  if (code >= 0x41 && code <= 0x5a) return code - 0x41;
  if (code >= 0x61 && code <= 0x7a) return code - 0x61 + 26;
  if (code >= 0x30 && code <= 0x39) return code - 0x30 + 52;
  if (code === 0x2d) return 62;
  if (code === 0x5f) return 63;
  return -1;
}

// Made at first use: nothing of the environment is touched at import time.
let encoder: InstanceType<typeof TextEncoder> | undefined;
let decoder: InstanceType<typeof TextDecoder> | undefined;

/** UTF-8 of a string. Lone surrogates become U+FFFD, as in a WHATWG `USVString`. */
export function utf8(text: string): Uint8Array {
  encoder ??= new TextEncoder();
  return encoder.encode(text);
}

/**
 * The string that these bytes are the UTF-8 of, or undefined when they are not valid UTF-8.
 * A byte order mark is a character like any other (WHATWG "UTF-8 decode without BOM").
 */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  decoder ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

// Big-endian integers. The caller has checked that `offset` lies inside: these throw a RangeError otherwise. Byte by byte,
// as to make a DataView takes longer than all that is done with it.

/** Unsigned 32-bit big-endian integer at `offset`. */
export function readUint32(bytes: Uint8Array, offset: number): number {
  checkInside(bytes, offset, 4);
  const high = ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
  const low = ((bytes[offset + 2] as number) << 8) | (bytes[offset + 3] as number);
  return ((high << 16) | low) >>> 0;
}

/** Writes the low 32 bits of `value` at `offset`, big-endian. */
export function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  checkInside(bytes, offset, 4);
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

/** Unsigned 64-bit big-endian integer at `offset`. Exact up to 2^53; larger ones are rounded, never to less than 2^53. */
export function readUint64(bytes: Uint8Array, offset: number): number {
  return readUint32(bytes, offset) * 0x1_0000_0000 + readUint32(bytes, offset + 4);
}

/** Writes `value`, a non-negative safe integer, as 64 bits at `offset`, big-endian. */
export function writeUint64(bytes: Uint8Array, offset: number, value: number): void {
  checkInside(bytes, offset, 8);
  writeUint32(bytes, offset, Math.floor(value / 0x1_0000_0000));
  writeUint32(bytes, offset + 4, value);
}

function checkInside(bytes: Uint8Array, offset: number, length: number): void {
  if (!(offset >= 0 && offset + length <= bytes.length)) {
    throw new RangeError(`There are no ${length} bytes at ${offset} of ${bytes.length}.`);
  }
}
