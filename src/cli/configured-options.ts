import { createReadStream } from 'node:fs';
import { describeError } from '../core/describe-error.js';
import type { RelayOptions } from '../relay/relay.js';
import { UsageError } from './exit-code.js';
import { DEFAULT_PORT } from './network.js';
import type { Configuration, Source } from './relay-configuration.js';
import { RELAY_SETTINGS } from './relay-settings.js';
import type { Setting } from './setting.js';
import type { Scalar } from './setting-kinds.js';

/** A secret is no longer, bytes. */
const MAX_SECRET = 4_096;

/**
 * The options of a relay that is configured like this. Reads the files that secrets are in.
 * @throws UsageError (as a rejection) for each of them that cannot be read
 */
export async function configuredOptions(configuration: Configuration): Promise<RelayOptions> {
  const options: Record<string, unknown> = { port: DEFAULT_PORT };
  const problems: string[] = [];
  for (const { name, option, isSecretFile, needs } of RELAY_SETTINGS as readonly Setting[]) {
    const configured = configuration.get(name);
    if (configured === undefined || option === undefined) continue;
    let { value } = configured;
    if (Array.isArray(value) && value.length === 0) continue;
    // Without the others it says nothing, and they are not there.
    if (value === false && needs?.some(other => configuration.has(other)) === false) continue;
    if (isSecretFile === true) {
      try {
        value = await readSecret(String(value));
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        problems.push(`${configured.where}: ${error.message}`);
      }
    }
    place(options, option.split('.'), value);
  }
  if (problems.length > 0) throw new UsageError(...problems);
  return options;
}

/** One setting as it is in effect. */
export interface EffectiveSetting {
  readonly name: string;
  /** As it would be typed. Secrets are in files: it is their paths that are shown. */
  readonly value: string;
  readonly source: Source | 'default';
}

/** Every setting with what it is, and where that comes from. */
export function effectiveSettings(configuration: Configuration): EffectiveSetting[] {
  return (RELAY_SETTINGS as readonly Setting[]).map(({ name, kind, fallback }) => {
    const configured = configuration.get(name);
    if (configured === undefined) return { name, value: fallback, source: 'default' };
    const { value, source } = configured;
    const values = (Array.isArray(value) ? value : [value]) as readonly Scalar[];
    return { name, value: values.map(each => kind.format(each)).join(', ') || 'none', source };
  });
}

/** Text of the setting `name`, if it was given. */
export function textOf(configuration: Configuration, name: string): string | undefined {
  const value = configuration.get(name)?.value;
  return typeof value === 'string' ? value : undefined;
}

function place(options: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path;
  if (rest.length === 0) options[name] = value;
  else place((options[name] ??= {}) as Record<string, unknown>, rest, value);
}

/** What is in a file, without the line break at its end. It becomes part of a header. */
async function readSecret(path: string): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(path, { end: MAX_SECRET }) as AsyncIterable<Buffer>)
      chunks.push(chunk);
  } catch (error) {
    throw new UsageError(`the secret cannot be read (${describeError(error)}).`);
  }
  const content = Buffer.concat(chunks);
  if (content.length > MAX_SECRET)
    throw new UsageError(`the secret in ${path} is longer than ${MAX_SECRET} bytes.`);
  const secret = content.toString('latin1').replace(/\r?\n$/, '');
  if (!/^[\x21-\x7e]+$/.test(secret))
    throw new UsageError(`the secret in ${path} must be one line of ASCII without spaces.`);
  return secret;
}
