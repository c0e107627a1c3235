/** `#crypto-prefetch` where the cryptography comes with the engine. */
export function prefetchCrypto(): void {
  // Nothing else to fetch.
}
