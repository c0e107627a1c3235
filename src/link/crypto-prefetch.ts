/**
 * `#crypto-prefetch`: starts to fetch what takes longest to load, for those who will need it and cannot ask for it yet.
 * Whether it succeeds is for them to see: they ask for the same file again.
 */
export function prefetchCrypto(): void {
  import('libsodium-wrappers').catch(() => undefined);
}
