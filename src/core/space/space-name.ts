import { utf8 } from '../bytes.js';
import { MAX_SPACE_NAME } from '../constants.js';
import { SecureWebSocketError } from '../errors.js';

/**
 * Checks the name of a space (docs/protocol.md, "Spaces"). One space has one name: 1 to 128 bytes of UTF-8 in
 * Unicode's normal form C, without control characters and slashes; not `.` or `..`, which mean something else in a URL.
 * @throws SecureWebSocketError `INVALID_ARGUMENT`
 */
export function checkSpaceName(name: string): void {
  const problem = problemOf(name);
  if (problem !== undefined) {
    throw new SecureWebSocketError('INVALID_ARGUMENT', `The name of a space ${problem}.`);
  }
}

/** Whether a space may have this name. */
export function isSpaceName(name: string): boolean {
  return problemOf(name) === undefined;
}

function problemOf(name: unknown): string | undefined {
  // Callers in plain JavaScript bring anything.
  if (typeof name !== 'string') return 'must be a string';
  if (name === '') return 'must not be empty';
  // No character is less than one byte: what is far too long is not looked at any closer.
  if (name.length > MAX_SPACE_NAME || utf8(name).length > MAX_SPACE_NAME) {
    return `must be at most ${String(MAX_SPACE_NAME)} bytes of UTF-8`;
  }
  if (/[\p{Cs}]/u.test(name)) return 'must be well-formed Unicode: it holds half of a surrogate pair';
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'must not hold control characters';
  if (name.includes('/')) return 'must not hold a slash';
  if (name === '.' || name === '..') return 'must not be "." or "..", which a URL takes for a folder';
  if (name.normalize('NFC') !== name) return "must be in Unicode's normal form C: name.normalize('NFC')";
  return undefined;
}
