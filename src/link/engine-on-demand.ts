import { prefetchCrypto } from '#crypto-prefetch';
import type { Engine, SpaceEngine } from './engine-at-hand.js';
import { onDemand } from './on-demand.js';

const load = onDemand<Engine>({
  purpose: 'that connects',
  exports: 'DialledLink',
  fetch: () => import('./engine.js'),
  fetchFrom: url => import(/* webpackIgnore: true */ /* @vite-ignore */ url) as Promise<Engine>,
});

/**
 * The browser's half of `#engine`: fetched when it is needed. With `withCrypto` the back end of the cryptography is fetched
 * at the same time, as the engine is going to need it.
 */
export function loadEngine(withCrypto: boolean): Promise<Engine> {
  if (withCrypto) prefetchCrypto();
  return load();
}

/** What only spaces need, beside the engine. */
export const loadSpaceEngine = onDemand<SpaceEngine>({
  purpose: 'that knows spaces',
  exports: 'SpacePort',
  fetch: () => import('./space-port.js'),
  fetchFrom: url => import(/* webpackIgnore: true */ /* @vite-ignore */ url) as Promise<SpaceEngine>,
});
