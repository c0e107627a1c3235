import { dirname, resolve } from 'node:path';
import { type ConfigEntry, readConfigFile } from './config-file.js';
import { UsageError } from './exit-code.js';
import { nearest } from './nearest.js';
import type { ScannedOptions } from './options.js';
import { RELAY_SETTINGS } from './relay-settings.js';
import { type Setting, VARIABLE_PREFIX, variableOf } from './setting.js';
import { PATH, type Scalar } from './setting-kinds.js';
import { shortened } from './quantity.js';

/** Where a value comes from; the first that has one counts. */
export type Source = 'flag' | 'environment' | 'file';

/** What a setting was set to. */
export interface Configured {
  readonly value: Scalar | readonly Scalar[];
  readonly source: Source;
  /** How the setting is called there, for messages: `--port`, `SECURE_WEBSOCKET_PORT`, `relay.yaml:3: port`. */
  readonly where: string;
}

/** Settings that were set, by name. What is not here has its default. */
export type Configuration = ReadonlyMap<string, Configured>;

/** The name of the setting that names the file: on the command line, and in the environment. */
export const CONFIG = 'config';

/** Options of the command that are no settings: of the command line only. */
export const COMMAND_ONLY: readonly string[] = ['check-config', 'verbose', 'json', 'help', 'version'];

/** Variables with our prefix that are about something else. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(['SECURE_WEBSOCKET_HOME', 'SECURE_WEBSOCKET_CRYPTO']);

const BY_NAME: ReadonlyMap<string, Setting> = new Map(
  RELAY_SETTINGS.map((setting: Setting) => [setting.name, setting]),
);

/**
 * Puts together what was set: flags before environment before file. Gives everything that is wrong with it, not only
 * the first.
 */
export async function readConfiguration(
  scanned: ScannedOptions,
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly configuration: Configuration; readonly problems: readonly string[] }> {
  const problems = [...scanned.problems];
  const sources = [
    fromFlags(scanned, problems),
    fromEnvironment(env, problems),
    await fromFile(scanned, env, problems),
  ];
  const configuration = new Map<string, Configured>();
  for (const { name } of RELAY_SETTINGS) {
    const configured = sources.map(source => source.get(name)).find(value => value !== undefined);
    if (configured) configuration.set(name, configured);
  }
  // What is missing may be in what could not be read.
  if (problems.length === 0) problems.push(...contradictions(configuration));
  return { configuration, problems };
}

function fromFlags({ given }: ScannedOptions, problems: string[]): Configuration {
  const values = new Map<string, Configured>();
  for (const [name, value] of given) {
    const setting = BY_NAME.get(name);
    if (!setting) continue;
    const isOff = value === false;
    const where = `--${isOff ? 'no-' : ''}${name}`;
    attempt(where, problems, () => {
      const read = typeof value === 'boolean' ? value : fromTexts(setting, value);
      values.set(name, { value: read, source: 'flag', where });
    });
  }
  return values;
}

function fromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Configuration {
  const values = new Map<string, Configured>();
  const byVariable = new Map([...BY_NAME.values()].map(setting => [variableOf(setting.name), setting]));
  const known = [...byVariable.keys(), variableOf(CONFIG)];
  for (const [variable, text] of Object.entries(env)) {
    if (text === undefined || !variable.startsWith(VARIABLE_PREFIX) || OTHER_VARIABLES.has(variable))
      continue;
    const setting = byVariable.get(variable);
    if (setting) {
      attempt(variable, problems, () => {
        if (setting.name === 'port' && text.includes('://')) throw new UsageError(OF_KUBERNETES);
        const texts = setting.isList === true ? text.split(',').map(part => part.trim()) : [text];
        if (texts.includes('')) throw new UsageError(emptyMessage(text));
        values.set(setting.name, {
          value: fromTexts(setting, texts),
          source: 'environment',
          where: variable,
        });
      });
    } else if (variable !== variableOf(CONFIG)) {
      problems.push(unknownVariable(variable, known));
    }
  }
  return values;
}

async function fromFile(
  { given }: ScannedOptions,
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Promise<Configuration> {
  const values = new Map<string, Configured>();
  const flag = given.get(CONFIG);
  const path = Array.isArray(flag) ? (flag[0] as string) : env[variableOf(CONFIG)];
  if (path === undefined) return values;
  if (path === '') {
    problems.push(`${variableOf(CONFIG)} ${emptyMessage(path)}`);
    return values;
  }
  let entries: readonly ConfigEntry[];
  try {
    const file = await readConfigFile(path);
    problems.push(...file.problems);
    ({ entries } = file);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    problems.push(...error.problems);
    return values;
  }
  for (const { key, value, line } of entries) {
    const setting = BY_NAME.get(key);
    const where = `${path}:${line}: ${shortened(key)}`;
    if (!setting) {
      problems.push(unknownKey(key, `${path}:${line}`));
      continue;
    }
    attempt(where, problems, () => {
      values.set(key, { value: fromData(setting, value, path), source: 'file', where });
    });
  }
  return values;
}

function fromTexts({ kind, isList }: Setting, texts: readonly string[]): Scalar | readonly Scalar[] {
  const values = texts.map(text => kind.fromText(text));
  return isList === true ? values : (values[0] as Scalar);
}

function fromData(
  { kind, isList }: Setting,
  data: Scalar | readonly Scalar[],
  file: string,
): Scalar | readonly Scalar[] {
  const one = (datum: Scalar): Scalar => {
    if (datum === '') throw new UsageError('is empty.');
    const value = kind.fromData(datum);
    return kind === PATH ? resolve(dirname(file), String(value)) : value;
  };
  if (isList === true) return (Array.isArray(data) ? (data as readonly Scalar[]) : [data as Scalar]).map(one);
  if (Array.isArray(data)) throw new UsageError('must be one value, not a list.');
  return one(data as Scalar);
}

/** Settings that do not go together, or lack others. */
function contradictions(configuration: Configuration): string[] {
  const problems: string[] = [];
  for (const { name, needs } of RELAY_SETTINGS as readonly Setting[]) {
    const configured = configuration.get(name);
    // That something is off needs nothing.
    if (configured === undefined || configured.value === false || needs === undefined) continue;
    if (!needs.some(other => isOn(configuration.get(other))))
      problems.push(`${configured.where} needs ${needs.map(other => `--${other}`).join(' or ')}.`);
  }
  for (const [one, other] of [
    ['jwt-keys', 'jwt-jwks-url'],
    ['identity', 'ephemeral'],
  ] as const) {
    if (isOn(configuration.get(one)) && isOn(configuration.get(other)))
      problems.push(`Give --${one} or --${other}, not both.`);
  }
  const keys = configuration.get('jwt-keys') ?? configuration.get('jwt-jwks-url');
  if (keys) {
    for (const name of ['jwt-issuer', 'jwt-audience', 'jwt-algorithms']) {
      if (!isOn(configuration.get(name)))
        problems.push(`${keys.where} needs --${name}: a token for something else would do.`);
    }
  }
  return problems;
}

function isOn(configured: Configured | undefined): boolean {
  if (configured === undefined) return false;
  const { value } = configured;
  return Array.isArray(value) ? value.length > 0 : value !== false;
}

function attempt(where: string, problems: string[], read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    problems.push(`${where} ${error.message}`);
  }
}

function unknownKey(key: string, where: string): string {
  const name = shortened(key);
  if (COMMAND_ONLY.includes(key) || key === CONFIG)
    return `${where}: ${name} is an option of the command line, and not of a file.`;
  if (key === 'behind-proxy') return `${where}: ${BEHIND_PROXY}`;
  const meant = nearest(key.toLowerCase().replaceAll('_', '-'), BY_NAME.keys());
  return `${where}: there is no setting ${name}.${meant === undefined ? '' : ` Did you mean ${meant}?`}`;
}

function unknownVariable(variable: string, known: readonly string[]): string {
  const name = shortened(variable);
  if (/^SECURE_WEBSOCKET_(?:\w+_)?(?:SERVICE_(?:HOST|PORT)|PORT_\d)/.test(variable))
    return `${name} ${OF_KUBERNETES}`;
  const short = variable.slice(VARIABLE_PREFIX.length);
  const meant = nearest(
    short,
    known.map(each => each.slice(VARIABLE_PREFIX.length)),
  );
  return `There is no setting ${name}.${meant === undefined ? '' : ` Did you mean ${VARIABLE_PREFIX}${meant}?`}`;
}

/** An empty variable is likely to be the mistake of whoever sets it: a list of keys that is not there admits all. */
function emptyMessage(text: string): string {
  return text === '' ? 'is empty: give it a value, or unset it.' : 'has an empty entry.';
}

/** https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables */
const OF_KUBERNETES =
  'is no setting: Kubernetes sets it for a service whose name begins with secure-websocket. Switch that off with ' +
  '"enableServiceLinks: false", or call the service something else.';

/** For whoever knows the command line from before. */
export const BEHIND_PROXY =
  'behind-proxy is gone: give trusted-proxy, with loopback for a proxy on this machine, or its address.';
