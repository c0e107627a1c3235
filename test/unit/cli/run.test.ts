import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ExitCode } from '../../../src/cli/exit-code.js';
import { run } from '../../../src/cli/run.js';
import { fakeIo } from '../../support/cli-io.js';

const COMMANDS = ['relay', 'keygen', 'connect', 'listen', 'proxy', 'expose', 'audit'] as const;
const ADDRESS = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';

/** Runs a command line that ends by itself. */
async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const io = fakeIo();
  const code = await run(args, io);
  return { code, stdout: io.stdout.utf8, stderr: io.stderr.utf8 };
}

describe('help', () => {
  it('of all is shown when asked for', async () => {
    const asked = await cli('--help');
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    for (const name of COMMANDS) expect(asked.stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(asked.stdout).toContain('SECURE_WEBSOCKET_HOME');
    expect(await cli('-h')).toEqual(asked);
    expect(await cli('help')).toEqual(asked);
    // Not asked for: it explains what is missing.
    expect(await cli()).toEqual({ code: ExitCode.USAGE, stdout: '', stderr: asked.stdout });
  });

  it.each(COMMANDS)('of %s explains its options, with examples and exit codes', async name => {
    const { code, stdout, stderr } = await cli(name, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: secure-websocket ${name} `));
    expect(stdout).toMatch(/^Options:$/m);
    expect(stdout).toMatch(new RegExp(`^Examples:\\n  # .*\\n.*secure-websocket ${name}`, 'm'));
    expect(stdout).toMatch(/^Exit codes:\n {2}0 {9}It ended in order/m);
    expect(await cli('help', name)).toEqual({ code, stdout, stderr });
    expect(await cli(name, 'too', 'many', 'arguments', '-h')).toEqual({ code, stdout, stderr });
    // Commands to be pasted are not broken.
    const prose = stdout.split('\n').filter(line => !line.startsWith('  ') || line.startsWith('   '));
    for (const line of prose) expect(line.length).toBeLessThanOrEqual(80);
  });

  it.each([
    [
      'relay',
      [
        'port',
        'host',
        'public-url',
        'path',
        'identity',
        'ephemeral',
        'max-connections',
        'verbose',
        'json',
        'config',
        'check-config',
      ],
    ],
    ['keygen', ['show', 'force']],
    ['audit', ['head', 'from']],
    [
      'proxy',
      [
        ...['listen', 'to', 'relay', 'direct', 'identity', 'ephemeral', 'server-key', 'ca', 'token-file'],
        ...[
          'allow-origin',
          'allow-host',
          'client-token-file',
          'allow-network',
          'no-client-token',
          'no-reconnect',
        ],
        ...[
          'max-connections',
          'max-pending',
          'max-payload',
          'max-buffered',
          'open-timeout',
          'verbose',
          'json',
        ],
      ],
    ],
    [
      'expose',
      [
        ...[
          'relay',
          'to',
          'identity',
          'ephemeral',
          'server-key',
          'ca',
          'token-file',
          'allow',
          'no-reconnect',
        ],
        ...[
          'max-connections',
          'max-pending',
          'max-payload',
          'max-buffered',
          'open-timeout',
          'verbose',
          'json',
        ],
      ],
    ],
    [
      'connect',
      ['identity', 'ephemeral', 'server-key', 'ca', 'binary', 'wait', 'reconnect', 'protocol', 'direct'],
    ],
    [
      'listen',
      [
        'relay',
        'port',
        'host',
        'identity',
        'server-key',
        'ca',
        'allow',
        'binary',
        'once',
        'wait',
        'no-reconnect',
      ],
    ],
  ])('of %s names all options', async (name, options) => {
    const { stdout } = await cli(name, '--help');
    for (const option of [...options, 'help', 'version'])
      expect(stdout).toMatch(new RegExp(`--${option}\\b`));
  });
});

describe('version', () => {
  it('is that of the package', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    for (const args of [['--version'], ['-V'], ['listen', '--version'], ['connect', '-V']]) {
      expect(await cli(...args)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    }
  });
});

describe('a wrong command line', () => {
  it.each([
    [['lisen'], 'There is no command "lisen". Did you mean listen?'],
    [
      ['serve'],
      'There is no command "serve". The commands are relay, keygen, connect, listen, proxy, expose, audit.',
    ],
    [['help', 'conect'], 'There is no command "conect". Did you mean connect?'],
    [
      ['--port', '1'],
      'Unknown option --port. Options follow a command: relay, keygen, connect, listen, proxy, expose, audit.',
    ],
    [['listen', '--rely', 'x'], 'Unknown option --rely. Did you mean --relay?'],
    [['relay', '--prot', '1'], 'Unknown option --prot. Did you mean --port?'],
    [['relay', 'x'], 'Unexpected argument "x".'],
    [['relay', '--port', 'http'], '--port must be a whole number from 0 to 65535, not "http".'],
    [['relay', '--max-connections', '0'], '--max-connections must be a whole number from 1'],
    [
      ['relay', '--public-url', 'relay.example'],
      '--public-url must be a URL that begins with wss:// or ws://, not "relay.example".',
    ],
    [['relay', '--path', 'x'], '--path must be a path that begins with "/", not "x".'],
    [
      ['relay', '--behind-proxy'],
      '--behind-proxy is gone: give trusted-proxy, with loopback for a proxy on this machine',
    ],
    [['relay', '--exclusive=false'], '--exclusive takes no value. --no-exclusive switches it off.'],
    [
      ['relay', '--config', '/nonexistent.yaml'],
      'The configuration file /nonexistent.yaml cannot be read (ENOENT',
    ],
    [
      ['relay', '--ephemeral', '--port=0', '--max-queue-bytes=1MiB', '--max-frame=2MiB'],
      '"maxQueueBytes" is',
    ],
    [['keygen', 'a', 'b'], 'Unexpected argument "b".'],
    [['keygen', '--show', '--force'], 'Give --show or --force, not both.'],
    [['connect'], 'The url is missing.'],
    [['connect', 'a', 'b'], 'Unexpected argument "b".'],
    [['connect', 'relay.example'], '"relay.example" is not a URL'],
    [
      ['connect', `ws://host/${ADDRESS.slice(1)}`],
      `In ws://host/${ADDRESS.slice(1)}: An address is 64 hex characters, got 63 characters.`,
    ],
    [
      ['connect', `ws://host/${ADDRESS}`, '--server-key', 'abc'],
      '--server-key: An address is 64 hex characters',
    ],
    [['connect', `ws://host/${ADDRESS}`, '--protocol', 'a b'], "The subprotocol 'a b' is invalid."],
    [['connect', `ws://host/${ADDRESS}`, '--ca', '/nonexistent'], 'The certificates cannot be read (ENOENT'],
    [
      ['connect', `ws://host/${ADDRESS}`, '--ephemeral', '-i', 'x'],
      'Give --identity or --ephemeral, not both.',
    ],
    [['listen', 'ws://host'], 'Unexpected argument "ws://host".'],
    [
      ['listen', '--relay', 'ws://host', '--port', '1'],
      '--port is about a port of our own, and not for --relay.',
    ],
    [['listen', '--relay', 'ws://host', '--public-url', 'ws://x'], '--public-url is about a port of our own'],
    [['listen', '--server-key', ADDRESS], '--server-key is about a relay: give --relay, too.'],
    [['listen', '--ca', 'x'], '--ca is about a relay: give --relay, too.'],
    [['listen', '--token-file', 'x'], '--token-file is about a relay: give --relay, too.'],
    [['listen', '--relay', 'ws://host', '--token-file', '/nonexistent'], 'The token cannot be read (ENOENT'],
    [
      ['listen', '--allow', ADDRESS.toUpperCase()],
      '--allow: The character at position 4 of the address is uppercase',
    ],
    [
      ['listen', '--relay', `ws://host/${ADDRESS}`, '--ephemeral'],
      'The URL of a relay must not hold a public key',
    ],
    [['listen', '--relay', 'ws://host/space/x', '--ephemeral'], 'The URL of a relay must not name a space'],
    [['listen', '--relay', 'host:80'], '"host:80" is not a URL'],
  ])('%j is refused', async (args, message) => {
    const { code, stdout, stderr } = await cli(...args);
    expect(stderr).toContain(`error: ${message}`);
    expect({ code, stdout }).toEqual({ code: ExitCode.USAGE, stdout: '' });
  });

  it('is told in whole, with the environment', async () => {
    const io = fakeIo({ env: { SECURE_WEBSOCKET_PROT: '1' } });
    expect(await run(['relay', '--port', 'x', '--max-peers=0', '--nonsense', 'y'], io)).toBe(ExitCode.USAGE);
    expect(io.stderr.utf8).toBe(
      'error: Unknown option --nonsense.\n' +
        'error: --port must be a whole number from 0 to 65535, not "x".\n' +
        'error: --max-peers must be a whole number from 1 to 10000000, not "0".\n' +
        'error: There is no setting SECURE_WEBSOCKET_PROT. Did you mean SECURE_WEBSOCKET_PORT?\n' +
        'error: Unexpected argument "y".\n' +
        '  See secure-websocket relay --help\n',
    );
  });

  it('says where to read more', async () => {
    expect((await cli('listen', '--no')).stderr).toMatch(/\n {2}See secure-websocket listen --help\n$/);
    expect((await cli('no')).stderr).toMatch(/\n {2}See secure-websocket --help\n$/);
  });
});

describe('relay --check-config', () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'cli-run-'));
    vi.stubEnv('SECURE_WEBSOCKET_HOME', home);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(home, { recursive: true });
  });

  it('starts nothing, writes nothing, and says what is in effect', async () => {
    await writeFile(join(home, 'keys'), `${ADDRESS}\n`);
    await writeFile(
      join(home, 'relay.yaml'),
      'allow-keys: keys\naudit-log: audit\nlog-file: log\ninternal-port: 0\n',
    );
    const { code, stdout, stderr } = await cli(
      'relay',
      '--config',
      join(home, 'relay.yaml'),
      '--check-config',
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^The configuration is valid\.$/m);
    expect(stdout).toMatch(/^allow-keys +file +\/.*\/keys$/m);
    expect((await readdir(home)).sort()).toEqual(['keys', 'relay.yaml']);
  });

  it('reads what it names', async () => {
    await writeFile(join(home, 'keys'), `${ADDRESS}\nno key\n`);
    const { code, stdout, stderr } = await cli('relay', '--allow-keys', join(home, 'keys'), '--check-config');
    expect({ code, stdout }).toEqual({ code: ExitCode.USAGE, stdout: '' });
    expect(stderr).toContain(join(home, 'keys'));
    expect(stderr).toContain('2');
  });
});
