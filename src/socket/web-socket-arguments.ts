import { fromUtf8, utf8 } from '../core/bytes.js';

/**
 * The arguments of the WebSocket interface: conversion as WebIDL has it (https://webidl.spec.whatwg.org/), then the
 * checks of the WebSockets Standard (https://websockets.spec.whatwg.org/). Conversion of all arguments comes before
 * the first check, as in a browser.
 */

/** A `DOMException`, with a `cause` like that of any other error. */
export function domException(name: string, message: string, cause?: unknown): Error {
  const exception = new DOMException(message, name);
  if (cause !== undefined) {
    // Only Node's constructor takes a cause.
    Object.defineProperty(exception, 'cause', { value: cause, configurable: true, writable: true });
  }
  return exception;
}

/** A `TypeError` unless there are as many arguments as the interface requires (WebIDL section 3.7). */
export function requireArgument(given: readonly unknown[], where: string): void {
  if (given.length === 0) throw new TypeError(`${where}: 1 argument required, but only 0 present.`);
}

/** Conversion to `DOMString` (WebIDL section 3.2.10): throws for a Symbol, which `String()` does not. */
export function toDomString(value: unknown): string {
  // eslint-disable-next-line @typescript-eslint/restrict-template-expressions -- anything may be given, as in a browser
  return `${value}`;
}

/** Conversion to `(DOMString or sequence<DOMString>)`, default an empty sequence (WebIDL sections 3.2.21, 3.2.24). */
export function toProtocols(value: unknown): readonly string[] {
  if (value === undefined) return [];
  if ((typeof value === 'object' && value !== null) || typeof value === 'function') {
    const method: unknown = (value as { [Symbol.iterator]?: unknown })[Symbol.iterator];
    if (method !== undefined && method !== null) {
      return Array.from(value as Iterable<unknown>, toDomString);
    }
  }
  return [toDomString(value)];
}

/**
 * "Get a URL record" (WebSockets Standard section 3.1): relative to `base`, http(s) stands for ws(s), no fragment.
 * @throws DOMException `SyntaxError`
 */
export function toWebSocketUrl(text: string, base: string | undefined): URL {
  let url: URL;
  try {
    url = base === undefined ? new URL(text) : new URL(text, base);
  } catch (cause) {
    throw domException('SyntaxError', `The URL '${text}' is invalid.`, cause);
  }
  // Not by assigning to `protocol`: what that does to a URL differs between engines.
  if (url.protocol === 'http:' || url.protocol === 'https:') url = new URL(url.href.replace(/^http/, 'ws'));
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    const allowed = `'ws', 'wss', 'http' or 'https'`;
    throw domException(
      'SyntaxError',
      `The URL's scheme must be ${allowed}: '${url.protocol}' is not allowed.`,
    );
  }
  // `hash` is empty for 'wss://host/#' as well, whose fragment is not null.
  if (url.href.includes('#')) {
    throw domException('SyntaxError', `The URL contains a fragment ('#'): fragments are not allowed.`);
  }
  return url;
}

/** `token` (RFC 7230 section 3.2.6), as RFC 6455 section 4.1 asks of a subprotocol. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Subprotocols must be tokens, and none may come twice. Which differ in case only count as the same: servers compare
 * either way, and the answer could not be told apart.
 * @throws DOMException `SyntaxError`
 */
export function checkProtocols(protocols: readonly string[]): void {
  const seen = new Set<string>();
  for (const protocol of protocols) {
    if (!TOKEN.test(protocol)) {
      throw domException('SyntaxError', `The subprotocol '${protocol}' is invalid.`);
    }
    const key = protocol.toLowerCase();
    if (seen.has(key)) {
      throw domException('SyntaxError', `The subprotocol '${protocol}' is given more than once.`);
    }
    seen.add(key);
  }
}

/** Conversion to `[Clamp] unsigned short` (WebIDL section 3.3.3, "ConvertToInt"). Ties round to even. */
export function toCloseCode(value: unknown): number {
  // Math.max converts with ToNumber, which throws for a BigInt; `Number()` would not.
  const clamped = Math.min(Math.max(value as number, 0), 65_535);
  if (Number.isNaN(clamped)) return 0;
  const floor = Math.floor(clamped);
  const rest = clamped - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

/** Bytes of UTF-8 that a close reason may have: what a control frame leaves beside the code (RFC 6455 section 5.5). */
const MAX_REASON_LENGTH = 123;

/**
 * "Validate close code and reason" (WebSockets Standard section 3.1).
 * @throws DOMException `InvalidAccessError` for the code, `SyntaxError` for the reason
 */
export function checkClose(code: number | undefined, reason: string | undefined): void {
  if (code !== undefined && code !== 1000 && (code < 3000 || code > 4999)) {
    throw domException(
      'InvalidAccessError',
      `The close code must be 1000 or between 3000 and 4999: ${code} is neither.`,
    );
  }
  if (reason !== undefined && utf8(reason).length > MAX_REASON_LENGTH) {
    throw domException('SyntaxError', `The close reason is longer than ${MAX_REASON_LENGTH} bytes of UTF-8.`);
  }
}

/** The beginning of `text` that can be a close reason: whole characters, no more than 123 bytes of UTF-8. */
export function cutCloseReason(text: string): string {
  const bytes = utf8(text);
  if (bytes.length <= MAX_REASON_LENGTH) return text;
  let end = MAX_REASON_LENGTH;
  // 10xxxxxx is inside a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return fromUtf8(bytes.subarray(0, end)) ?? '';
}
