import type { Identity } from '../core/identity.js';
import { platform } from '#platform';
import type { KeyStore } from './key-store.js';
import { loadIdentity } from './load-identity.js';

const byStore = new WeakMap<KeyStore, Promise<Identity>>();
const defaults = new Map<string, KeyStore>();

/**
 * The identity that an application named, or the one kept in its key store, or in the platform's own under `role`.
 * Each store is asked once, unless it fails.
 */
export async function resolveIdentity(
  options: { identity?: Identity | Promise<Identity> | undefined; keyStore?: KeyStore | undefined },
  role: string,
): Promise<Identity> {
  if (options.identity) return options.identity;
  const store = options.keyStore ?? defaultStore(role);
  let identity = byStore.get(store);
  if (!identity) {
    identity = loadIdentity(store);
    byStore.set(store, identity);
    identity.catch(() => byStore.delete(store));
  }
  return identity;
}

function defaultStore(role: string): KeyStore {
  let store = defaults.get(role);
  if (!store) defaults.set(role, (store = platform.defaultKeyStore(role)));
  return store;
}
