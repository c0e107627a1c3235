import { commandHelp, type HelpContent } from './help.js';
import type { Io } from './io.js';
import { COMMON_OPTIONS, type OptionSpecs, type OptionValues, parseOptions } from './options.js';
import type { Terminal } from './terminal.js';

/** What a command is run with. */
export interface Invocation<Specs extends OptionSpecs> {
  readonly values: OptionValues<Specs>;
  readonly positionals: readonly string[];
  readonly terminal: Terminal;
  readonly io: Io;
}

/** One command of the command line. */
export interface Command {
  readonly name: string;
  /** One line, for the top-level help. */
  readonly summary: string;
  readonly help: string;
  /** Parses `args`. @throws UsageError */
  parse(args: readonly string[]): {
    readonly help: boolean;
    readonly version: boolean;
    /** Resolves to the exit code. What it rejects with is told to the user. */
    run(terminal: Terminal, io: Io): Promise<number>;
  };
}

/** Makes a command of its description: options are parsed and explained from the same table. */
export function defineCommand<const Specs extends OptionSpecs>(
  content: Omit<HelpContent, 'options'> & {
    readonly summary: string;
    readonly options: Specs;
    run(invocation: Invocation<Specs>): Promise<number>;
  },
): Command {
  const options: Specs & typeof COMMON_OPTIONS = { ...content.options, ...COMMON_OPTIONS };
  const { name, summary } = content;
  return {
    name,
    summary,
    help: commandHelp({ ...content, options }),
    parse: args => {
      const { values, positionals } = parseOptions(options, args);
      const { help, version }: OptionValues<typeof COMMON_OPTIONS> = values;
      return {
        help,
        version,
        run: (terminal, io) => content.run({ values, positionals, terminal, io }),
      };
    },
  };
}
