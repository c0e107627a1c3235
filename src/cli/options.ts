import { parseArgs } from 'node:util';
import { parseAddress } from '../core/address.js';
import { SecureWebSocketError } from '../core/errors.js';
import { UsageError } from './exit-code.js';
import { nearest } from './nearest.js';

/** One option of a command. Parsing and help are both made from it. */
export type OptionSpec = {
  readonly short?: string;
  /** One sentence or two, for --help. */
  readonly help: string;
} & (
  | { readonly type: 'boolean' }
  | {
      readonly type: 'string';
      /** What stands for the value in --help. */
      readonly value: string;
      readonly multiple?: boolean;
    }
);

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** What `parseOptions` makes of the specs: booleans are false and lists are empty when not given. */
export type OptionValues<Specs extends OptionSpecs> = {
  readonly [Name in keyof Specs]: Specs[Name] extends { type: 'boolean' }
    ? boolean
    : Specs[Name] extends { multiple: true }
      ? readonly string[]
      : string | undefined;
};

/** Options that every command has. */
export const COMMON_OPTIONS = {
  help: { type: 'boolean', short: 'h', help: 'Show this text.' },
  version: { type: 'boolean', short: 'V', help: 'Show the version.' },
} as const satisfies OptionSpecs;

/**
 * Parses the arguments of one command.
 * @throws UsageError for what is unknown, lacks its value, or has one that does not belong there
 */
export function parseOptions<Specs extends OptionSpecs>(
  specs: Specs,
  args: readonly string[],
): { values: OptionValues<Specs>; positionals: string[] } {
  const all: OptionSpecs = specs;
  // Not strict: the messages below are better than Node's, and the same in every version of it.
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(all).map(([name, { type, short }]) => [
        name,
        { type, ...(short !== undefined && { short }) },
      ]),
    ),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const values: Record<string, boolean | string | string[] | undefined> = {};
  for (const [name, spec] of Object.entries(all)) {
    values[name] = spec.type === 'boolean' ? false : spec.multiple === true ? [] : undefined;
  }
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = Object.hasOwn(all, token.name) ? all[token.name] : undefined;
    if (spec === undefined) throw unknownOption(token.rawName, all);
    if (spec.type === 'boolean') {
      if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value.`);
      values[token.name] = true;
      continue;
    }
    const { value, inlineValue } = token;
    if (value === undefined || (!inlineValue && /^-./.test(value))) {
      const inline = value === undefined ? '' : ` To give one that begins with "-", write --${token.name}=…`;
      throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${spec.value}.${inline}`);
    }
    if (value === '') throw new UsageError(`The value of ${token.rawName} is empty.`);
    if (spec.multiple === true) (values[token.name] as string[]).push(value);
    else if (values[token.name] === undefined) values[token.name] = value;
    else throw new UsageError(`${token.rawName} is given twice.`);
  }
  return { values: values as OptionValues<Specs>, positionals };
}

function unknownOption(rawName: string, specs: OptionSpecs): UsageError {
  const isLong = rawName.startsWith('--');
  const meant = isLong ? nearest(rawName.slice(2), Object.keys(specs)) : undefined;
  return new UsageError(
    `Unknown option ${rawName}.${meant === undefined ? '' : ` Did you mean --${meant}?`}`,
  );
}

/**
 * No more arguments than there are names for, and not fewer than are required.
 * @throws UsageError
 */
export function checkPositionals(given: readonly string[], names: readonly string[], required: number): void {
  const missing = given.length < required ? names[given.length] : undefined;
  if (missing !== undefined) throw new UsageError(`The ${missing} is missing.`);
  const extra = given[names.length];
  if (extra !== undefined) throw new UsageError(`Unexpected argument "${extra}".`);
}

/**
 * A whole number from an option.
 * @throws UsageError
 */
export function toInteger(text: string, name: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${name} must be a whole number from ${least} to ${most}, not "${text}".`);
}

/**
 * A public key from an option.
 * @throws UsageError
 */
export function toPublicKey(text: string, name: string): string {
  try {
    parseAddress(text);
    return text;
  } catch (error) {
    if (!(error instanceof SecureWebSocketError)) throw error;
    throw new UsageError(`${name}: ${error.message}`);
  }
}
