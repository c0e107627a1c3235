// @ts-check
import { UsageError } from './option-values.js';

/**
 * Runs a command to its end. What fails is told in one line; wrong options with what there are, and exit code 2.
 *
 * @template {{ help: boolean }} T
 * @param {(argv: readonly string[]) => T} parse
 * @param {string} help
 * @param {(options: T) => Promise<void>} act
 */
export async function runCommand(parse, help, act) {
  try {
    const options = parse(process.argv.slice(2));
    if (options.help) console.log(help);
    else await act(options);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    console.error(error instanceof Error ? error.message : error);
    if (isUsage) console.error(`\n${help}`);
    process.exitCode = isUsage ? 2 : 1;
  }
}
