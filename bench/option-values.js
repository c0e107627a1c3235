// @ts-check
import { parseArgs } from 'node:util';

/** An option that does not exist, or cannot have the value it has. */
export class UsageError extends Error {}

/**
 * `parseArgs` of Node, whose errors are `UsageError`s.
 *
 * @template {import('node:util').ParseArgsOptionsConfig} T
 * @param {readonly string[]} argv without the interpreter and the script
 * @param {T} options
 */
export function parseValues(argv, options) {
  try {
    return parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * Names with commas between.
 *
 * @param {string} option
 * @param {string | undefined} value undefined: all
 * @param {readonly string[]} known
 * @returns {string[]} in the order of `known`, whatever the order in which they are given
 * @throws UsageError for one that is not known
 */
export function names(option, value, known) {
  if (value === undefined) return [...known];
  const given = value.split(',').map(name => name.trim());
  const unknown = given.find(name => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--${option} takes names out of ${known.join(', ')}, with commas between; not "${unknown}".`,
    );
  }
  return known.filter(name => given.includes(name));
}

/**
 * Whole numbers with commas between.
 *
 * @param {string} option
 * @param {string} value
 * @param {number} most
 * @param {number} [least]
 * @returns {number[]} each once, ascending
 * @throws UsageError
 */
export function counts(option, value, most, least = 1) {
  const numbers = value.split(',').map(item => toCount(item, most, least));
  if (numbers.includes(undefined)) {
    throw new UsageError(
      `--${option} takes whole numbers from ${least} to ${most}, with commas between; not "${value}".`,
    );
  }
  return [...new Set(numbers.map(Number))].sort((a, b) => a - b);
}

/**
 * A whole number.
 *
 * @param {string} option
 * @param {string} value
 * @param {number} most
 * @param {string} [unit]
 * @returns {number}
 * @throws UsageError
 */
export function count(option, value, most, unit) {
  const number = toCount(value, most);
  if (number !== undefined) return number;
  const of = unit === undefined ? '' : ` of ${unit}`;
  throw new UsageError(`--${option} takes a whole number${of} from 1 to ${most}; not "${value}".`);
}

/**
 * @param {string} text
 * @param {number} most
 * @param {number} [least]
 */
function toCount(text, most, least = 1) {
  const number = Number(text);
  return /^\s*\d+\s*$/.test(text) && number >= least && number <= most ? number : undefined;
}
