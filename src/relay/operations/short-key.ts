const SHORT = 8;

/** The first 8 hex digits of a public key: enough to follow somebody through a log, and not enough to dial them. */
export function shortKey(publicKey: string): string {
  return publicKey.slice(0, SHORT);
}

/** `text` with every public key in it shortened. */
export function shortKeysIn(text: string): string {
  return text.replace(/[0-9a-f]{64,}/gi, shortKey);
}
