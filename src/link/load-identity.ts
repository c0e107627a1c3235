import type { Crypto } from '../core/crypto.js';
import { Identity } from '../core/identity.js';
import type { KeyStore } from './key-store.js';

/**
 * The identity that `store` keeps. At the first start one is generated and kept; whoever starts at the same time
 * ends with the same one.
 *
 * @param crypto The back end. Default: that of this build, loaded when it is first needed.
 * @throws SecureWebSocketError what the store says (`KEY_STORE_…`), or `INVALID_SEED` when it gives anything but 32 bytes.
 */
export async function loadIdentity(store: KeyStore, crypto?: Crypto): Promise<Identity> {
  const kept = await store.load();
  if (kept !== undefined) return Identity.fromSeed(kept, crypto);
  const generated = await Identity.generate(crypto);
  return Identity.fromSeed(await store.create(generated.exportSeed()), crypto);
}
