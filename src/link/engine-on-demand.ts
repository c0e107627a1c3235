import { prefetchCrypto } from '#crypto-prefetch';
import { SecureWebSocketError } from '../core/errors.js';
import { describeError } from '../core/describe-error.js';
import type { Engine } from './engine-at-hand.js';

/**
 * The browser's half of `#engine`: fetched at the first call; later calls share the result. With `withCrypto` the back
 * end of the cryptography is fetched at the same time, as the engine is going to need it.
 * Rejects with `LINK_FAILED` when the file cannot be had; a later call then tries again.
 */
export const loadEngine = onDemand(
  () => import('./engine.js'),
  url => import(/* webpackIgnore: true */ /* @vite-ignore */ url) as Promise<Engine>,
);

/** What `loadEngine` is, with functions in place of `import()`: of the engine, and of it at a URL. */
export function onDemand(
  fetchEngine: () => Promise<Engine>,
  fetchFrom: (url: string) => Promise<Engine>,
): (withCrypto: boolean) => Promise<Engine> {
  let loading: Promise<Engine> | undefined;
  let failures = 0;

  /**
   * Firefox remembers for as long as the page lives that it could not fetch a module, and does not ask for it again,
   * but tells where it would be, and fetches what is there by another URL; none of it has been evaluated before. That is
   * not the engine where a bundler gives exports other names.
   */
  const fetch = async (): Promise<Engine> => {
    try {
      return await fetchEngine();
    } catch (error) {
      const [url] = /\bhttps?:\/\/[^\s)]+$/.exec(describeError(error)) ?? [];
      failures++;
      if (failures === 1 || url === undefined) throw error;
      const engine = await fetchFrom(`${url}${url.includes('?') ? '&' : '?'}again=${String(failures)}`);
      if ('DialledLink' in engine) return engine;
      throw error;
    }
  };

  return withCrypto => {
    if (withCrypto && loading === undefined) prefetchCrypto();
    loading ??= fetch().catch((cause: unknown) => {
      loading = undefined;
      const message =
        `The part of secure-websocket that connects could not be loaded (${describeError(cause)}): ` +
        'the network is away, or the file is no longer where the page was loaded from.';
      throw new SecureWebSocketError('LINK_FAILED', message, { cause });
    });
    return loading;
  };
}
