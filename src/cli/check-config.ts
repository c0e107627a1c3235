import { describeError } from '../core/describe-error.js';
import { Identity } from '../core/identity.js';
import type { RelayOptions } from '../relay/relay.js';
import { configuredOptions, effectiveSettings, textOf } from './configured-options.js';
import { UsageError } from './exit-code.js';
import { checkIdentity } from './identity.js';
import { whereNamed } from './named-setting.js';
import { printable } from './printable.js';
import type { Configuration } from './relay-configuration.js';
import { RELAY_SETTINGS } from './relay-settings.js';
import type { Setting } from './setting.js';
import type { Terminal } from './terminal.js';

/** What checking needs of a relay. */
export interface CheckableRelay {
  /** Reads whatever it reads at its start, and listens nowhere. Rejects with what is wrong. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Behind problems that kept us from looking at files: there may be more. */
export const FILES_NOT_CHECKED =
  'What the settings name (certificates, keys, lists, logs) was not looked at yet: mend this, and check again.';

/**
 * Finds out whether a relay could start like this, without starting it: reads everything, writes nothing, talks to
 * nobody. Then tells what is in effect.
 * @throws UsageError (as a rejection) with everything that is wrong
 */
export async function checkConfiguration(
  configuration: Configuration,
  make: (options: RelayOptions) => CheckableRelay,
  terminal: Terminal,
  isJson: boolean,
): Promise<void> {
  const problems: string[] = [];
  const told = (error: unknown): void => {
    problems.push(...problemsOf(error, configuration));
  };
  let options: RelayOptions;
  try {
    options = await configuredOptions(configuration);
  } catch (error) {
    told(error);
    // Without the secrets, which were told, the rest can be looked at all the same.
    options = await configuredOptions(withoutSecrets(configuration));
  }
  let identity: Identity | undefined;
  try {
    const isEphemeral = configuration.get('ephemeral')?.value === true;
    identity = isEphemeral ? undefined : await checkIdentity(textOf(configuration, 'identity'), 'relay');
  } catch (error) {
    told(error);
  }
  let relay: CheckableRelay | undefined;
  try {
    relay = make({ ...options, identity: identity ?? (await Identity.generate()) });
    await relay.check();
  } catch (error) {
    told(error);
  } finally {
    await relay?.close();
  }
  if (problems.length > 0) {
    const error = new UsageError(...problems);
    if (relay === undefined) error.note = FILES_NOT_CHECKED;
    throw error;
  }

  const settings = effectiveSettings(configuration);
  if (isJson) {
    terminal.print(JSON.stringify({ event: 'valid', settings }));
    return;
  }
  terminal.print('The configuration is valid.');
  terminal.print('');
  const width = (key: 'name' | 'source'): number => Math.max(...settings.map(setting => setting[key].length));
  for (const { name, value, source } of settings) {
    const line = `${name.padEnd(width('name'))}  ${source.padEnd(width('source'))}  ${value}`;
    terminal.print(printable(line));
  }
}

function withoutSecrets(configuration: Configuration): Configuration {
  const secrets = new Set(
    (RELAY_SETTINGS as readonly Setting[])
      .filter(({ isSecretFile }) => isSecretFile === true)
      .map(({ name }) => name),
  );
  return new Map([...configuration].filter(([name]) => !secrets.has(name)));
}

/**
 * What is wrong, each with the setting whose file or URL it is about, if that is said. An error that stands for several
 * has them as its cause.
 */
export function problemsOf(error: unknown, configuration: Configuration): readonly string[] {
  if (error instanceof UsageError) return error.problems;
  if (error instanceof Error && Array.isArray(error.cause) && error.cause.length > 0)
    return error.cause.flatMap(each => problemsOf(each, configuration));
  const problem = describeError(error);
  const where = whereNamed(configuration, problem);
  return [where === undefined ? problem : `${where}: ${problem}`];
}
