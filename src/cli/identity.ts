import { Identity } from '../core/identity.js';
import { FileKeyStore } from '../link/file-key-store.js';
import type { KeyStore } from '../link/key-store.js';
import { loadIdentity } from '../link/load-identity.js';
import { platform } from '#platform';
import { UsageError } from './exit-code.js';
import type { OptionSpecs, OptionValues } from './options.js';

type Role = 'client' | 'server' | 'relay';

/** Options that say who this end is. */
export function identityOptions(role: Role) {
  return {
    identity: {
      type: 'string',
      short: 'i',
      value: 'FILE',
      help:
        'The key file of this end. It is made when there is none. ' +
        `Default: ${role}.key, where "secure-websocket --help" says.`,
    },
    ephemeral: { type: 'boolean', help: 'A new identity, which is forgotten at the end.' },
  } as const satisfies OptionSpecs;
}

/** Who this end is, and the key file if it has just been made. */
export interface ChosenIdentity {
  readonly identity: Identity;
  readonly created: string | undefined;
}

/**
 * The identity that the options name, or the default one of `role`.
 * @throws UsageError, SecureWebSocketError `KEY_STORE_…` (as rejections)
 */
export async function chooseIdentity(
  values: OptionValues<ReturnType<typeof identityOptions>>,
  role: Role,
): Promise<ChosenIdentity> {
  if (values.ephemeral) {
    if (values.identity !== undefined) throw new UsageError('Give --identity or --ephemeral, not both.');
    return { identity: await Identity.generate(), created: undefined };
  }
  const store = values.identity === undefined ? defaultKeyStore(role) : new FileKeyStore(values.identity);
  const exists = await hasKey(store);
  return { identity: await loadIdentity(store), created: exists ? undefined : store.path };
}

/**
 * The identity in `file`, or in the default one of `role`; undefined where there is none yet.
 * @throws SecureWebSocketError `KEY_STORE_…` (as a rejection)
 */
export async function keptIdentity(file: string | undefined, role: Role): Promise<Identity | undefined> {
  const store = file === undefined ? defaultKeyStore(role) : new FileKeyStore(file);
  return (await hasKey(store)) ? loadIdentity(store) : undefined;
}

/** The key file of `role` in the user's directory for configuration. */
export function defaultKeyStore(role: Role): FileKeyStore {
  const store = platform.defaultKeyStore(role);
  // The platform of Node keeps keys in files.
  if (store instanceof FileKeyStore) return store;
  throw new Error('This platform keeps no key files.');
}

async function hasKey(store: KeyStore): Promise<boolean> {
  const seed = await store.load();
  seed?.fill(0);
  return seed !== undefined;
}
