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
  | {
      readonly type: 'boolean';
      /** `--no-<name>` says the opposite. */
      readonly negatable?: boolean;
    }
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

/** What the arguments of a command say. */
export interface ScannedOptions {
  /** Options that were given, by name: a boolean, or the texts that came with it. */
  readonly given: ReadonlyMap<string, boolean | readonly string[]>;
  readonly positionals: readonly string[];
  /** Everything that is unknown, lacks its value, or has one that does not belong there. */
  readonly problems: readonly string[];
}

/**
 * Parses the arguments of one command.
 * @throws UsageError for what is unknown, lacks its value, or has one that does not belong there
 */
export function parseOptions<Specs extends OptionSpecs>(
  specs: Specs,
  args: readonly string[],
): { values: OptionValues<Specs>; positionals: string[] } {
  const { given, positionals, problems } = scanOptions(specs, args);
  if (problems.length > 0) throw new UsageError(...problems);
  const values: Record<string, boolean | string | readonly string[] | undefined> = {};
  for (const [name, spec] of Object.entries<OptionSpecs[string]>(specs)) {
    const value = given.get(name);
    if (spec.type === 'boolean') values[name] = value ?? false;
    else if (spec.multiple === true) values[name] = value ?? [];
    else values[name] = Array.isArray(value) ? (value[0] as string) : undefined;
  }
  return { values: values as OptionValues<Specs>, positionals: [...positionals] };
}

/** Takes arguments apart, and goes on after what is wrong. `former`: what to say of options that were there once. */
export function scanOptions(
  specs: OptionSpecs,
  args: readonly string[],
  former: ReadonlyMap<string, string> = new Map(),
): ScannedOptions {
  // Not strict: the messages below are better than Node's, and the same in every version of it.
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(specs).map(([name, { type, short }]) => [
        name,
        { type, ...(short !== undefined && { short }) },
      ]),
    ),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const given = new Map<string, boolean | string[]>();
  const positionals: string[] = [];
  const problems: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { rawName, value, inlineValue } = token;
    const { name, spec, isNegated } = specOf(token.name, specs);
    if (spec === undefined) {
      problems.push(former.get(token.name) ?? unknownOption(rawName, specs));
    } else if (spec.type === 'boolean') {
      if (value === undefined) given.set(name, !isNegated);
      else {
        const opposite = spec.negatable === true && !isNegated ? ` --no-${name} switches it off.` : '';
        problems.push(`${rawName} takes no value.${opposite}`);
      }
    } else if (value === undefined || (!inlineValue && /^-./.test(value))) {
      const inline = value === undefined ? '' : ` To give one that begins with "-", write --${token.name}=…`;
      problems.push(`${rawName} needs a value: ${rawName} ${spec.value}.${inline}`);
    } else if (value === '') {
      problems.push(`The value of ${rawName} is empty.`);
    } else {
      const before = given.get(name);
      if (!Array.isArray(before)) given.set(name, [value]);
      else if (spec.multiple === true) before.push(value);
      else problems.push(`${rawName} is given twice.`);
    }
  }
  return { given, positionals, problems };
}

function specOf(
  name: string,
  specs: OptionSpecs,
): { readonly name: string; readonly spec: OptionSpec | undefined; readonly isNegated: boolean } {
  const own = (key: string): OptionSpec | undefined => (Object.hasOwn(specs, key) ? specs[key] : undefined);
  const opposite = name.startsWith('no-') ? name.slice(3) : '';
  const spec = own(opposite);
  if (spec?.type === 'boolean' && spec.negatable === true) return { name: opposite, spec, isNegated: true };
  return { name, spec: own(name), isNegated: false };
}

function unknownOption(rawName: string, specs: OptionSpecs): string {
  const isLong = rawName.startsWith('--');
  const names = Object.entries(specs).flatMap(([name, spec]) =>
    spec.type === 'boolean' && spec.negatable === true ? [name, `no-${name}`] : [name],
  );
  const meant = isLong ? nearest(rawName.slice(2), names) : undefined;
  return `Unknown option ${rawName}.${meant === undefined ? '' : ` Did you mean --${meant}?`}`;
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
