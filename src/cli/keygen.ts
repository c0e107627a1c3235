import { Identity } from '../core/identity.js';
import { SecureWebSocketError } from '../core/errors.js';
import { FileKeyStore } from '../link/file-key-store.js';
import { defineCommand } from './command.js';
import { CommandError, ExitCode, UsageError } from './exit-code.js';
import { defaultKeyStore } from './identity.js';
import { checkPositionals } from './options.js';

export const keygen = defineCommand({
  name: 'keygen',
  summary: 'Make an identity, or show the address of one.',
  usage: '[options] [FILE]',
  description: [
    'Makes a new identity, keeps it in a file that only this user can read, and prints its public key, which is its ' +
      'address: 64 hex characters. Whoever has the file is this identity. The secret is never printed.',
    'Without FILE it is the identity that "secure-websocket connect" uses.',
  ],
  options: {
    show: { type: 'boolean', help: 'Make nothing; print the address of an identity that exists.' },
    force: {
      type: 'boolean',
      short: 'f',
      help: 'Replace an identity that exists. It is lost then, and so is its address.',
    },
  },
  examples: [
    ['the identity of this user', 'secure-websocket keygen'],
    ['one for a service', 'secure-websocket keygen /etc/my-service/identity.key'],
    ['its address, for a script', 'ADDRESS=$(secure-websocket keygen --show /etc/my-service/identity.key)'],
  ],
  async run({ values, positionals, terminal }) {
    checkPositionals(positionals, ['FILE'], 0);
    if (values.show && values.force) throw new UsageError('Give --show or --force, not both.');
    const [file] = positionals;
    const store = file === undefined ? defaultKeyStore('client') : new FileKeyStore(file);
    if (values.show) {
      const address = await addressIn(store);
      if (address === undefined) {
        throw new CommandError(`There is no identity at ${store.path}.`, {
          exitCode: ExitCode.KEY_FILE,
          hint: 'Make one with "secure-websocket keygen".',
        });
      }
      terminal.print(address);
      return ExitCode.OK;
    }

    const before = values.force ? await describeKept(store) : undefined;
    const identity = await Identity.generate();
    const seed = identity.exportSeed();
    try {
      await store.write(seed, { force: values.force });
    } catch (error) {
      if (error instanceof SecureWebSocketError && error.code === 'KEY_STORE_EXISTS') {
        throw await existing(store);
      }
      throw error;
    } finally {
      seed.fill(0);
    }
    terminal.status(
      before === undefined ? `Kept in ${store.path}` : `Replaced what was at ${store.path}${before}`,
    );
    terminal.print(identity.publicKey);
    return ExitCode.OK;
  },
});

async function existing(store: FileKeyStore): Promise<CommandError> {
  const what = (await describeKept(store)) ?? '';
  return new CommandError(`There is something at ${store.path} already${what}. It was left as it is.`, {
    exitCode: ExitCode.KEY_FILE,
    hint: 'With --force it is replaced, and lost for good: nobody can reach that address, or be it, any more.',
  });
}

/** The address of what a file holds, or undefined when there is none. */
async function addressIn(store: FileKeyStore): Promise<string | undefined> {
  const seed = await store.load();
  if (seed === undefined) return undefined;
  try {
    return (await Identity.fromSeed(seed)).publicKey;
  } finally {
    seed.fill(0);
  }
}

/** What would be lost: ', the identity …'; '' when something is there that cannot be read; undefined when nothing is. */
async function describeKept(store: FileKeyStore): Promise<string | undefined> {
  try {
    const address = await addressIn(store);
    return address === undefined ? undefined : `, the identity ${address}`;
  } catch (error) {
    if (error instanceof SecureWebSocketError) return '';
    throw error;
  }
}
