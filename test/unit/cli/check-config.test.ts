import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type CheckableRelay, checkConfiguration } from '../../../src/cli/check-config.js';
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
  try {
    await checkConfiguration(configuration, make, new Terminal(io), isJson);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    ({ problems } = error as UsageError);
  }
  return { stdout: io.stdout.utf8, problems, made, calls };
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
    const wrong = new AggregateError([
      new SecureWebSocketError('INVALID_ARGUMENT', 'The certificate has expired.'),
      new SecureWebSocketError('INVALID_ARGUMENT', 'The list is broken.'),
    ]);
    const { stdout, problems, calls } = await check(configured({ identity: key }), wrong);
    expect(stdout).toBe('');
    expect(problems).toEqual([
      expect.stringContaining(key),
      'The certificate has expired.',
      'The list is broken.',
    ]);
    expect(calls).toEqual(['check', 'close']);
  });

  it('tells of secrets that are not there', async () => {
    const { problems, made } = await check(
      configured({
        'admission-url': 'https://x/',
        'admission-secret-file': join(home, 'none'),
        identity: home,
      }),
    );
    expect(problems).toEqual([
      expect.stringContaining('--admission-secret-file: the secret cannot be read (ENOENT'),
      expect.stringContaining(home),
    ]);
    expect(made).toEqual([]);
  });

  it('tells of options that a relay cannot have', async () => {
    const io = fakeIo();
    const make = (): never => {
      throw new SecureWebSocketError('INVALID_ARGUMENT', '"maxQueueBytes" is too small.');
    };
    await expect(checkConfiguration(configured({}), make, new Terminal(io), false)).rejects.toThrow(
      new UsageError('"maxQueueBytes" is too small.'),
    );
  });
});
