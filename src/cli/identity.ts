import { constants } from 'node:fs';
import { access, lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeError } from '../core/describe-error.js';
import { type ErrorCode, SecureWebSocketError } from '../core/errors.js';
import { Identity } from '../core/identity.js';
import { FileKeyStore } from '../link/file-key-store.js';
import type { KeyStore } from '../link/key-store.js';
import { loadIdentity } from '../link/load-identity.js';
import { platform } from '#platform';
import { CommandError, exitCodeOf, hintFor, UsageError } from './exit-code.js';
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
 * The identity in `file`, or in the default one of `role`. Undefined where there is none, and one could be made: nothing
 * is written.
 * @throws SecureWebSocketError `KEY_STORE_…` (as a rejection), also when none could be made
 */
export async function checkIdentity(file: string | undefined, role: Role): Promise<Identity | undefined> {
  const store = file === undefined ? defaultKeyStore(role) : new FileKeyStore(file);
  if (await hasKey(store)) return loadIdentity(store);
  try {
    await checkVacancy(store.path);
  } catch (error) {
    throw new SecureWebSocketError(
      'KEY_STORE_UNAVAILABLE',
      `The key file ${store.path} is not there, and cannot be made: ${describeError(error)}.`,
      { cause: error },
    );
  }
  return undefined;
}

/** Whether a file could be made at `path`, with the folders above it that are missing. */
async function checkVacancy(path: string): Promise<void> {
  // `lstat` finds what `load` does not: a link that leads nowhere, in whose place nothing is put.
  if (await exists(path)) throw new Error('it is a symbolic link to a file that does not exist');
  let folder = dirname(path);
  while (!(await exists(folder))) folder = dirname(folder);
  await access(folder, constants.W_OK | constants.X_OK);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
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

/** Refusals of who we are: of a key that nobody knows, if it is new. */
const ABOUT_OUR_KEY: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'KEY_NOT_ALLOWED',
  'TOKEN_NOT_YOURS',
  'ADMISSION_REFUSED',
  'PEER_NOT_ALLOWED',
]);

/**
 * What to throw in place of `error`: where our key was refused, and was made in this run, a wrong name of its file is
 * the likeliest reason, and is said last.
 */
export function explainNewIdentity(error: unknown, created: string | undefined): unknown {
  if (created === undefined || !(error instanceof SecureWebSocketError) || !ABOUT_OUR_KEY.has(error.code))
    return error;
  const more = hintFor(error);
  const hint =
    `A new identity was made for this, as there was none: ${created}. If you have another, name its file with ` +
    `--identity.${more === undefined ? '' : ` ${more}`}`;
  return new CommandError(error.message, { exitCode: exitCodeOf(error), hint });
}
