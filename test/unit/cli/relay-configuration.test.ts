import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { configuredOptions, effectiveSettings } from '../../../src/cli/configured-options.js';
import { UsageError } from '../../../src/cli/exit-code.js';
import { type OptionSpecs, scanOptions } from '../../../src/cli/options.js';
import { type Configuration, readConfiguration } from '../../../src/cli/relay-configuration.js';
import { RELAY_SETTINGS, type SettingName } from '../../../src/cli/relay-settings.js';
import { type Setting, variableOf } from '../../../src/cli/setting.js';
import type { Scalar } from '../../../src/cli/setting-kinds.js';
import { type SettingSample, settingSamples } from '../../support/setting-samples.js';

const SECRET = 'an-admission-secret';
let folder: string;
let samples: Readonly<Record<SettingName, SettingSample>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'configuration-'));
  await writeFile(join(folder, 'secret'), `${SECRET}\n`);
  samples = settingSamples(join(folder, 'secret'), SECRET);
});
afterAll(() => rm(folder, { recursive: true }));

const SETTINGS: readonly Setting[] = RELAY_SETTINGS;
const NAMES = RELAY_SETTINGS.map(({ name }) => name);
const SPECS: OptionSpecs = {
  config: { type: 'string', value: 'FILE', help: '' },
  ...Object.fromEntries(
    SETTINGS.map(({ name, kind, isList }): [string, OptionSpecs[string]] => [
      name,
      kind.name === 'boolean'
        ? { type: 'boolean', negatable: true, help: '' }
        : { type: 'string', value: '', multiple: isList === true, help: '' },
    ]),
  ),
};

let files = 0;
async function write(content: string, extension = 'yaml'): Promise<string> {
  const path = join(folder, `relay-${files++}.${extension}`);
  await writeFile(path, content);
  return path;
}

async function read(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ configuration: Configuration; problems: readonly string[] }> {
  return readConfiguration(scanOptions(SPECS, args), env);
}

/** The settings `names` as arguments, as variables, and as the content of a file. */
function asArguments(names: readonly SettingName[]): string[] {
  return names.flatMap(name => {
    const { text } = samples[name];
    if (text === undefined) return [`--${name}`];
    return typeof text === 'string' ? [`--${name}=${text}`] : text.map(one => `--${name}=${one}`);
  });
}
function asVariables(names: readonly SettingName[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [variableOf(name), String(samples[name].text ?? true)]));
}
function asData(names: readonly SettingName[]): Record<string, unknown> {
  return Object.fromEntries(names.map(name => [name, samples[name].data]));
}

/** What goes together with everything else. */
const together = (): SettingName[] => NAMES.filter(name => name !== 'jwt-keys' && name !== 'ephemeral');

/** The value at the option of a setting. */
function valueIn(options: unknown, name: SettingName): unknown {
  const { option } = SETTINGS.find(setting => setting.name === name)!;
  return option?.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], options);
}

describe('every setting', () => {
  it('becomes the same option from wherever it comes', async () => {
    const names = together();
    const sources = {
      flag: await read(asArguments(names)),
      environment: await read([], asVariables(names)),
      file: await read(['--config', await write(stringify(asData(names)))]),
      json: await read([], { SECURE_WEBSOCKET_CONFIG: await write(JSON.stringify(asData(names)), 'json') }),
    };
    for (const [source, { configuration, problems }] of Object.entries(sources)) {
      expect(problems).toEqual([]);
      expect([...configuration.keys()]).toEqual(names);
      for (const configured of configuration.values())
        expect(configured.source).toBe(source === 'json' ? 'file' : source);
      const options = await configuredOptions(configuration);
      for (const name of names) expect([name, valueIn(options, name)]).toEqual([name, samples[name].value]);
    }
    const [first, ...others] = await Promise.all(
      Object.values(sources).map(({ configuration }) => configuredOptions(configuration)),
    );
    for (const options of others) expect(options).toEqual(first);
  });

  it('counts first as a flag, then in the environment, then in the file', async () => {
    for (const name of NAMES) {
      const { other, text } = samples[name];
      const given = SETTINGS.find(setting => setting.name === name)!;
      // Three values where there are so many: what is given on top is the sample.
      const low = given.kind.name === 'boolean' ? false : other!;
      const expected = typeof text === 'object' ? text : [text ?? 'true'];
      const config = await write(stringify({ [name]: /^\d+$/.test(String(low)) ? Number(low) : low }));
      const top = async (args: string[], env: Record<string, string>) => {
        const { configuration } = await read(['--config', config, ...args], env);
        const { value, source } = configuration.get(name)!;
        return {
          source,
          value: (Array.isArray(value) ? (value as Scalar[]) : [value as Scalar]).map(each =>
            given.kind.format(each),
          ),
        };
      };
      const formatted = expected.map(each => given.kind.format(given.kind.fromText(each)));
      const lower = given.kind.format(given.kind.fromText(String(low)));
      expect([name, await top([], {})]).toEqual([name, { source: 'file', value: [lower] }]);
      expect([name, await top([], asVariables([name]))]).toEqual([
        name,
        { source: 'environment', value: formatted },
      ]);
      const variable = { [variableOf(name)]: String(low) };
      expect([name, await top(asArguments([name]), variable)]).toEqual([
        name,
        { source: 'flag', value: formatted },
      ]);
    }
  });

  it('stands alone, where it needs no other', async () => {
    for (const { name, needs } of SETTINGS) {
      const { problems } = await read(asArguments([name as SettingName]));
      const expected = needs && `--${name} needs ${needs.map(other => `--${other}`).join(' or ')}.`;
      if (name === 'jwt-keys' || name === 'jwt-jwks-url') expect(problems).toHaveLength(3);
      else expect([name, problems]).toEqual([name, expected === undefined ? [] : [expected]]);
    }
  });
});

describe('what was set', () => {
  it('is nothing but the port, if nothing was', async () => {
    const { configuration, problems } = await read([], {
      HOME: '/',
      SECURE_WEBSOCKET_HOME: 'x',
      SECURE_WEBSOCKET_CRYPTO: 'node',
    });
    expect(problems).toEqual([]);
    expect(await configuredOptions(configuration)).toEqual({ port: 8080 });
    for (const { source } of effectiveSettings(configuration)) expect(source).toBe('default');
  });

  it('can be switched off by what counts more', async () => {
    const config = await write('exclusive: true\naudit-full-keys: true\naudit-log: a\n');
    const { configuration, problems } = await read(['--config', config, '--no-exclusive'], {
      SECURE_WEBSOCKET_AUDIT_FULL_KEYS: 'false',
    });
    expect(problems).toEqual([]);
    expect(await configuredOptions(configuration)).toMatchObject({
      exclusive: false,
      audit: { fullKeys: false, file: join(folder, 'a') },
    });
  });

  it('may be off where what it is about is not there', async () => {
    const config = await write(
      'admission-fail-open: false\nreach-fail-open: false\naudit-full-keys: false\nproxy-protocol: false\npublic-url: []\n',
    );
    const { configuration, problems } = await read(['--config', config]);
    expect(problems).toEqual([]);
    expect(await configuredOptions(configuration)).toEqual({ port: 8080 });
  });

  it('has its lists replaced, not joined', async () => {
    const config = await write('public-url: [wss://a, wss://b]');
    const env = { SECURE_WEBSOCKET_PUBLIC_URL: 'wss://c , wss://d' };
    const addresses = async (args: string[], variables: Record<string, string>) =>
      (await configuredOptions((await read(['--config', config, ...args], variables)).configuration))
        .addresses;
    expect(await addresses([], {})).toEqual(['wss://a/', 'wss://b/']);
    expect(await addresses([], env)).toEqual(['wss://c/', 'wss://d/']);
    expect(await addresses(['--public-url', 'wss://e'], env)).toEqual(['wss://e/']);
  });

  it('has its paths in a file start from where that is', async () => {
    await mkdir(join(folder, 'below'), { recursive: true });
    const config = join(folder, 'below', 'relay.yaml');
    await writeFile(config, 'allow-keys: ../keys\ndeny-keys: /etc/keys\naudit-log: audit\n');
    const { configuration } = await read(['--config', config, '--audit-log', 'audit']);
    expect(await configuredOptions(configuration)).toMatchObject({
      admission: { allow: { file: join(folder, 'keys') }, deny: { file: '/etc/keys' } },
      audit: { file: 'audit' },
    });
  });

  it('has its file named by the flag before the environment', async () => {
    const env = { SECURE_WEBSOCKET_CONFIG: await write('port: 1') };
    expect((await read([], env)).configuration.get('port')?.value).toBe(1);
    const flag = await write('port: 2');
    expect((await read(['--config', flag], env)).configuration.get('port')?.value).toBe(2);
  });
});

describe('what is wrong', () => {
  it('is told with where it stands', async () => {
    const config = await write('# relay\nport: http\nmax-frame: 1KiB\n');
    const { problems } = await read(['--config', config, '--accept-rate', '0', '--nonsense'], {
      SECURE_WEBSOCKET_DRAIN_TIME: '10',
      SECURE_WEBSOCKET_EXCLUSIVE: '1',
    });
    expect(problems).toEqual([
      'Unknown option --nonsense.',
      '--accept-rate must be a whole number from 1 to 10000000, not "0".',
      'SECURE_WEBSOCKET_DRAIN_TIME needs a unit: 10s for seconds, 10ms, or m, h, d.',
      'SECURE_WEBSOCKET_EXCLUSIVE must be true or false, not "1".',
      `${config}:2: port must be a whole number from 0 to 65535, not "http".`,
      `${config}:3: max-frame must be from 32KiB to 16MiB, not 1KiB.`,
    ]);
  });

  it.each([
    ['max-conections: 1', 'there is no setting max-conections. Did you mean max-connections?'],
    ['max_connections: 1', 'there is no setting max_connections. Did you mean max-connections?'],
    ['tls: x', 'there is no setting tls. Did you mean tls-cert?'],
    ['colour: red', 'there is no setting colour.'],
    ['json: true', 'json is an option of the command line, and not of a file.'],
    ['config: x', 'config is an option of the command line, and not of a file.'],
    ['behind-proxy: true', 'behind-proxy is gone: give trusted-proxy, with loopback'],
    ['port: [1]', 'port must be one value, not a list.'],
    ['host: ""', 'host is empty.'],
    ['public-url: [""]', 'public-url is empty.'],
    ['port: 1\nport: 2', 'port is there already, in line 1.'],
    ['- port', ' must be one mapping of names to values'],
  ])('in a file is told: %j', async (text, message) => {
    const config = await write(text);
    const { problems } = await read([], { SECURE_WEBSOCKET_CONFIG: config });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(config);
    expect(problems[0]).toContain(message);
  });

  it.each([
    [
      'SECURE_WEBSOCKET_MAX_CONECTIONS',
      '1',
      'There is no setting SECURE_WEBSOCKET_MAX_CONECTIONS. Did you mean SECURE_WEBSOCKET_MAX_CONNECTIONS?',
    ],
    ['SECURE_WEBSOCKET_COLOUR', '1', 'There is no setting SECURE_WEBSOCKET_COLOUR.'],
    [
      'SECURE_WEBSOCKET_CONFIGS',
      '1',
      'There is no setting SECURE_WEBSOCKET_CONFIGS. Did you mean SECURE_WEBSOCKET_CONFIG?',
    ],
    [
      'SECURE_WEBSOCKET_ALLOW_KEYS',
      '',
      'SECURE_WEBSOCKET_ALLOW_KEYS is empty: give it a value, or unset it.',
    ],
    ['SECURE_WEBSOCKET_CONFIG', '', 'SECURE_WEBSOCKET_CONFIG is empty: give it a value, or unset it.'],
    ['SECURE_WEBSOCKET_PUBLIC_URL', 'wss://a,,wss://b', 'SECURE_WEBSOCKET_PUBLIC_URL has an empty entry.'],
    ['SECURE_WEBSOCKET_PORT', 'tcp://10.0.0.1:80', 'SECURE_WEBSOCKET_PORT is no setting: Kubernetes sets it'],
    [
      'SECURE_WEBSOCKET_SERVICE_HOST',
      '10.0.0.1',
      'SECURE_WEBSOCKET_SERVICE_HOST is no setting: Kubernetes sets it',
    ],
    [
      'SECURE_WEBSOCKET_PORT_80_TCP',
      'tcp://10.0.0.1:80',
      'SECURE_WEBSOCKET_PORT_80_TCP is no setting: Kubernetes',
    ],
  ])('in the environment is told: %s=%s', async (variable, value, message) => {
    const { problems } = await read([], { [variable]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(message);
  });

  it.each([
    [['--tls-cert', 'x'], '--tls-cert needs --tls-key.'],
    [['--admission-timeout', '1s'], '--admission-timeout needs --admission-url.'],
    [['--admission-fail-open'], '--admission-fail-open needs --admission-url.'],
    [['--jwt-issuer', 'x'], '--jwt-issuer needs --jwt-keys or --jwt-jwks-url.'],
    [['--proxy-protocol'], '--proxy-protocol needs --trusted-proxy.'],
    [['--identity', 'x', '--ephemeral'], 'Give --identity or --ephemeral, not both.'],
    [
      [
        '--jwt-keys',
        'x',
        '--jwt-jwks-url',
        'https://x',
        '--jwt-issuer=x',
        '--jwt-audience=x',
        '--jwt-algorithms=ES256',
      ],
      'Give --jwt-keys or --jwt-jwks-url, not both.',
    ],
    [
      ['--jwt-keys', 'x', '--jwt-issuer=x', '--jwt-algorithms=ES256'],
      '--jwt-keys needs --jwt-audience: a token for something else would do.',
    ],
  ])('together is told: %j', async (args, message) => {
    expect((await read(args)).problems).toEqual([message]);
  });

  it('about a file that is not there is told, with the rest', async () => {
    const { problems } = await read(['--config', join(folder, 'none.yaml'), '--port', 'x']);
    expect(problems).toEqual([
      '--port must be a whole number from 0 to 65535, not "x".',
      expect.stringContaining('none.yaml cannot be read (ENOENT'),
    ]);
  });

  it.each([
    ['is not there', undefined, 'the secret cannot be read (ENOENT'],
    ['is empty', '\n', 'must be one line of ASCII without spaces.'],
    ['has two lines', 'sesame-1\nsesame-2\n', 'must be one line of ASCII without spaces.'],
    ['is too long', 'sesame'.repeat(1_000), 'is longer than 4096 bytes.'],
  ])('about a secret that %s is told, without it', async (_what, content, message) => {
    const file = content === undefined ? join(folder, 'none') : await write(content, 'secret');
    const args = ['--admission-url', 'https://x', '--reach-url', 'https://x'];
    const { configuration } = await read([
      ...args,
      '--admission-secret-file',
      file,
      '--reach-secret-file',
      file,
    ]);
    const error = await configuredOptions(configuration).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UsageError);
    const { problems } = error as UsageError;
    expect(problems).toHaveLength(2);
    expect(problems[0]).toContain('--admission-secret-file: ');
    for (const problem of problems) {
      expect(problem).toContain(message);
      expect(problem).not.toContain('sesame');
    }
  });

  it('is a problem, whatever it is, and nothing is thrown', async () => {
    const name = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 20 }));
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.string()));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(name, value, { maxKeys: 5 }),
        name,
        fc.string(),
        async (data, variable, text) => {
          const config = await write(JSON.stringify(data), 'json');
          const env = { [variableOf(variable)]: text };
          const { configuration, problems } = await read(['--config', config, `--${variable}=${text}`], env);
          if (problems.length === 0) effectiveSettings(configuration);
          for (const problem of problems) expect(problem.length).toBeLessThan(600);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('what is in effect', () => {
  it('is shown with its source, and without secrets', async () => {
    const config = await write('max-frame: 1MiB\nadmission-url: https://hook.example/?token=sesame\n');
    const { configuration } = await read(
      ['--config', config, '--admission-secret-file', join(folder, 'secret'), '--no-exclusive'],
      { SECURE_WEBSOCKET_PUBLIC_URL: 'wss://a,wss://b', SECURE_WEBSOCKET_DRAIN_TIME: '90s' },
    );
    const settings = effectiveSettings(configuration);
    expect(settings.map(({ name }) => name)).toEqual(NAMES);
    expect(settings).toEqual(
      expect.arrayContaining([
        { name: 'max-frame', value: '1MiB', source: 'file' },
        { name: 'admission-url', value: 'https://hook.example/?…', source: 'file' },
        { name: 'admission-secret-file', value: join(folder, 'secret'), source: 'flag' },
        { name: 'public-url', value: 'wss://a/, wss://b/', source: 'environment' },
        { name: 'drain-time', value: '90s', source: 'environment' },
        { name: 'exclusive', value: 'false', source: 'flag' },
        { name: 'port', value: '8080', source: 'default' },
      ]),
    );
    expect(JSON.stringify(settings)).not.toMatch(/sesame|an-admission-secret/);
  });
});
