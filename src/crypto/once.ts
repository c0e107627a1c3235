import type { LoadCrypto } from '../core/crypto.js';

/** Loads at the first call, shares the result, and forgets a failure, so that a later call tries again. */
export function once(load: LoadCrypto): LoadCrypto {
  let loading: ReturnType<LoadCrypto> | undefined;
  return () => {
    loading ??= load().catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}
