import { describeError } from '../core/describe-error.js';
import { Identity } from '../core/identity.js';
import type { RelayOptions } from '../relay/relay.js';
import { configuredOptions, effectiveSettings, textOf } from './configured-options.js';
import { UsageError } from './exit-code.js';
import { keptIdentity } from './identity.js';
import { printable } from './printable.js';
import type { Configuration } from './relay-configuration.js';
import type { Terminal } from './terminal.js';

/** What checking needs of a relay. */
export interface CheckableRelay {
  /** Reads whatever it reads at its start, and listens nowhere. Rejects with what is wrong. */
  check(): Promise<void>;
  close(): Promise<void>;
}

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
  let options: RelayOptions | undefined;
  try {
    options = await configuredOptions(configuration);
  } catch (error) {
    problems.push(...problemsOf(error));
  }
  let identity: Identity | undefined;
  try {
    const isEphemeral = configuration.get('ephemeral')?.value === true;
    identity = isEphemeral ? undefined : await keptIdentity(textOf(configuration, 'identity'), 'relay');
  } catch (error) {
    problems.push(...problemsOf(error));
  }
  if (options) {
    try {
      const relay = make({ ...options, identity: identity ?? (await Identity.generate()) });
      try {
        await relay.check();
      } finally {
        await relay.close();
      }
    } catch (error) {
      problems.push(...problemsOf(error));
    }
  }
  if (problems.length > 0) throw new UsageError(...problems);

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

function problemsOf(error: unknown): readonly string[] {
  if (error instanceof UsageError) return error.problems;
  if (error instanceof AggregateError) return error.errors.flatMap(problemsOf);
  return [describeError(error)];
}
