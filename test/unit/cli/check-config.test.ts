import { chmod, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type CheckableRelay, checkConfiguration, FILES_NOT_CHECKED } from '../../../src/cli/check-config.js';
import { UsageError } from '../../../src/cli/exit-code.js';
import type { Configuration } from '../../../src/cli/relay-configuration.js';
import { Terminal } from '../../../src/cli/terminal.js';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import type { RelayOptions } from '../../../src/relay/relay.js';
import { fakeIo } from '../../support/cli-io.js';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'check-config-'));
  vi.stubEnv('SECURE_WEBSOCKET_HOME', home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

function configured(values: Record<string, string | number | boolean>): Configuration {
  return new Map(
    Object.entries(values).map(([name, value]) => [name, { value, source: 'flag', where: `--${name}` }]),
  );
}

/** Checks, with a relay that finds `wrong`. */
async function check(configuration: Configuration, wrong?: Error, isJson = false) {
  const io = fakeIo();
  const made: RelayOptions[] = [];
  const calls: string[] = [];
  const make = (options: RelayOptions): CheckableRelay => {
    made.push(options);
    return {
      check: async () => {
        calls.push('check');
        if (wrong) throw wrong;
      },
      close: async () => {
        calls.push('close');
      },
    };
  };
  let problems: readonly string[] = [];
  let note: string | undefined;
  try {
    await checkConfiguration(configuration, make, new Terminal(io), isJson);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    ({ problems, note } = error as UsageError);
  }
  return { stdout: io.stdout.utf8, problems, note, made, calls };
}

describe('checking a configuration', () => {
  it('says that it is valid, and what is in effect', async () => {
    const { stdout, problems, made, calls } = await check(configured({ port: 0, 'user-id': 'a\u001b[2Jb' }));
    expect(problems).toEqual([]);
    expect(calls).toEqual(['check', 'close']);
    expect(made[0]).toMatchObject({ port: 0, userId: 'a\u001b[2Jb' });
    expect(stdout).toMatch(/^The configuration is valid\.\n\nport +flag +0\n/);
    expect(stdout).toMatch(/^max-frame +default +256KiB$/m);
    expect(stdout).toMatch(/^user-id +flag +a\\x1b\[2Jb$/m);
    // Nothing was made that was not there.
    expect(await readdir(home)).toEqual([]);
  });

  it('says so to programs', async () => {
    const { stdout } = await check(configured({ port: 0 }), undefined, true);
    const { event, settings } = JSON.parse(stdout) as { event: string; settings: unknown[] };
    expect(event).toBe('valid');
    expect(settings[0]).toEqual({ name: 'port', value: '0', source: 'flag' });
  });

  it('tells all that is wrong', async () => {
    const key = join(home, 'broken.key');
    await writeFile(key, 'no key', { mode: 0o600 });
    const list = join(home, 'list');
    const wrong = new SecureWebSocketError('INVALID_ARGUMENT', 'Both.', {
      cause: [
        new SecureWebSocketError('INVALID_ARGUMENT', 'Something has expired.', { cause: new Error('x') }),
        new SecureWebSocketError('INVALID_ARGUMENT', `${list}, line 3, is no key.`),
      ],
    });
    const { stdout, problems, calls, note } = await check(
      configured({ identity: key, 'deny-keys': list }),
      wrong,
    );
    expect(stdout).toBe('');
    expect(problems).toEqual([
      expect.stringMatching(/^--identity: The file .*broken\.key holds no key/),
      'Something has expired.',
      `--deny-keys: ${list}, line 3, is no key.`,
    ]);
    expect(note).toBeUndefined();
    expect(calls).toEqual(['check', 'close']);
  });

  it('tells of secrets that are not there', async () => {
    const { problems, made } = await check(
      configured({
        'admission-url': 'https://x/',
        'admission-secret-file': join(home, 'none'),
        identity: home,
      }),
      new SecureWebSocketError('INVALID_ARGUMENT', 'The certificate is broken.'),
    );
    expect(problems).toEqual([
      expect.stringMatching(/^--admission-secret-file: the secret cannot be read \(ENOENT/),
      expect.stringMatching(/^--identity: .*is not a regular file/),
      'The certificate is broken.',
    ]);
    // The rest was looked at without the secret.
    expect(made).toMatchObject([{ admission: { hook: { url: 'https://x/' } } }]);
  });

  it('knows whether an identity can be made, and makes none', async () => {
    const deep = join(home, 'not', 'there', 'relay.key');
    expect((await check(configured({ identity: deep }))).problems).toEqual([]);
    const file = join(home, 'file');
    await writeFile(file, '');
    const { problems: under } = await check(configured({ identity: join(file, 'relay.key') }));
    expect(under).toEqual([expect.stringMatching(/^--identity: .*ENOTDIR/)]);
    const dangling = join(home, 'dangling.key');
    await symlink(join(home, 'nothing'), dangling);
    const { problems } = await check(configured({ identity: dangling }));
    expect(problems).toEqual([
      `--identity: The key file ${dangling} is not there, and cannot be made: it is a symbolic link to a file that ` +
        'does not exist.',
    ]);
    expect((await readdir(home)).sort()).toEqual(['dangling.key', 'file']);
  });

  it.skipIf(process.getuid === undefined || process.getuid() === 0)(
    'knows that an identity cannot be made where nothing may be written',
    async () => {
      await chmod(home, 0o500);
      const identity = join(home, 'relay.key');
      const { problems } = await check(configured({ identity }));
      expect(problems).toEqual([
        expect.stringContaining(
          `--identity: The key file ${identity} is not there, and cannot be made: EACCES`,
        ),
      ]);
    },
  );

  it('tells of options that a relay cannot have, and that it could not look at files', async () => {
    const make = (): never => {
      throw new SecureWebSocketError('INVALID_ARGUMENT', '"maxQueueBytes" is too small.');
    };
    const checking = checkConfiguration(configured({}), make, new Terminal(fakeIo()), false);
    await expect(checking).rejects.toMatchObject({
      problems: ['"maxQueueBytes" is too small.'],
      note: FILES_NOT_CHECKED,
    });
  });
});
