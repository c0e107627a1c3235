import { fromUtf8, utf8 } from '../core/bytes.js';

/** Bytes of a close reason: those of a control frame (RFC 6455 section 5.5), less the status code. */
const MAX_CLOSE_REASON = 123;

/**
 * The arguments of `close`, as `ws` takes them. The reason is '' without a code.
 * @throws TypeError for a code that must not be sent or a reason that is neither text nor bytes of text, RangeError for
 *   a longer reason
 */
export function toCloseStatus(code: unknown, reason: unknown): { code: number | undefined; reason: string } {
  if (code === undefined) return { code, reason: '' };
  if (!isValidCloseCode(code)) {
    throw new TypeError('The close code must be one of 1000 to 1003, 1007 to 1014 and 3000 to 4999');
  }
  return { code, reason: toReason(reason) };
}

/** RFC 6455 section 7.4, and 1012 to 1014 of the IANA registry, as `ws` has it. */
function isValidCloseCode(code: unknown): code is number {
  if (typeof code !== 'number' || !Number.isInteger(code)) return false;
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

function toReason(reason: unknown): string {
  // As in `ws`: anything without a length is no reason.
  if (reason === undefined || reason === null || !(reason as { length?: unknown }).length) return '';
  const bytes = typeof reason === 'string' ? utf8(reason) : reason;
  if (!(bytes instanceof Uint8Array))
    throw new TypeError('The close reason must be a string or a Uint8Array');
  if (bytes.length > MAX_CLOSE_REASON) {
    throw new RangeError(`The close reason must not be greater than ${MAX_CLOSE_REASON} bytes`);
  }
  const text = fromUtf8(bytes);
  if (text === undefined) throw new TypeError('The close reason must be UTF-8');
  return text;
}
