import { fromHex, toHex } from './bytes.js';
import { SecureWebSocketError } from './errors.js';

/** Bytes of an X25519 public key. An address is their hex. */
const PUBLIC_KEY_LENGTH = 32;

/**
 * The canonical encodings of the u-coordinates whose points have an order that divides 8, on curve25519 or its twist:
 * 0, 1, p - 1 and two of order 8. X25519 of any of them is zero whatever the secret key is (RFC 7748 section 6.1).
 */
const LOW_ORDER_KEYS: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/**
 * The 32-byte X25519 public key that an address names.
 *
 * One key has one address: 64 lowercase hex characters of the little-endian u-coordinate (RFC 7748 section 5), reduced
 * modulo p = 2^255 - 19.
 *
 * @throws SecureWebSocketError `INVALID_ADDRESS_LENGTH`, `INVALID_ADDRESS_CHARACTER`, `NON_CANONICAL_ADDRESS` or
 *   `LOW_ORDER_ADDRESS`.
 */
export function parseAddress(text: string): Uint8Array {
  // Callers in plain JavaScript, and URLs, bring anything.
  if (typeof (text as unknown) !== 'string') {
    throw new SecureWebSocketError('INVALID_ARGUMENT', 'An address must be a string.');
  }
  if (text.length !== 2 * PUBLIC_KEY_LENGTH) {
    throw new SecureWebSocketError(
      'INVALID_ADDRESS_LENGTH',
      `An address is ${2 * PUBLIC_KEY_LENGTH} hex characters, got ${text.length} characters.`,
    );
  }
  const position = text.search(/[^0-9a-f]/);
  if (position >= 0) {
    const problem = /[A-F]/.test(text.charAt(position))
      ? 'uppercase; write it in lowercase'
      : 'not a hex digit';
    throw new SecureWebSocketError(
      'INVALID_ADDRESS_CHARACTER',
      `The character at position ${position} of the address is ${problem}.`,
    );
  }
  const publicKey = fromHex(text);
  checkPublicKey(publicKey);
  return publicKey;
}

/**
 * Checks that these bytes are an X25519 public key that may be an address.
 * @throws SecureWebSocketError `INVALID_ADDRESS_LENGTH` unless there are 32, `NON_CANONICAL_ADDRESS` when the number is
 *   not below p or the unused top bit is set, `LOW_ORDER_ADDRESS` when every shared secret with it is zero.
 */
export function checkPublicKey(publicKey: Uint8Array): void {
  if (publicKey.length !== PUBLIC_KEY_LENGTH) {
    throw new SecureWebSocketError(
      'INVALID_ADDRESS_LENGTH',
      `An X25519 public key is ${PUBLIC_KEY_LENGTH} bytes, got ${publicKey.length}.`,
    );
  }
  if (!isCanonical(publicKey)) {
    throw new SecureWebSocketError(
      'NON_CANONICAL_ADDRESS',
      'The address is not canonical: its number must be below 2^255 - 19 and its top bit clear.',
    );
  }
  if (LOW_ORDER_KEYS.has(toHex(publicKey))) {
    throw new SecureWebSocketError(
      'LOW_ORDER_ADDRESS',
      'The address is a point of low order: nothing can be encrypted to it.',
    );
  }
}

/**
 * Whether 32 bytes, little-endian, are a number below p = 2^255 - 19. Public keys that X25519 computes always are;
 * others are second spellings of the same key.
 */
export function isCanonical(publicKey: Uint8Array): boolean {
  // p is 7f ff … ff ed, most significant byte first: only 19 numbers of 255 bits are not below it.
  if ((publicKey[31] ?? 0xff) !== 0x7f) return (publicKey[31] ?? 0xff) < 0x7f;
  for (let i = 30; i > 0; i--) {
    if (publicKey[i] !== 0xff) return true;
  }
  return (publicKey[0] ?? 0xff) < 0xed;
}

/**
 * The address of a 32-byte X25519 public key.
 * @throws SecureWebSocketError as {@link checkPublicKey}: only what can be parsed is written.
 */
export function formatAddress(publicKey: Uint8Array): string {
  checkPublicKey(publicKey);
  return toHex(publicKey);
}
