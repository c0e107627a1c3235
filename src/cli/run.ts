import { describeError } from '../core/describe-error.js';
import { SecureWebSocketError } from '../core/errors.js';
import { VERSION } from '../core/version.js';
import { audit } from './audit.js';
import type { Command } from './command.js';
import { connect } from './connect.js';
import { CommandError, ExitCode, exitCodeOf, hintFor, UsageError } from './exit-code.js';
import { expose } from './expose.js';
import { topLevelHelp } from './help.js';
import type { Io } from './io.js';
import { keygen } from './keygen.js';
import { listen } from './listen.js';
import { nearest } from './nearest.js';
import { proxy } from './proxy.js';
import { relay } from './relay.js';
import { Terminal } from './terminal.js';

const COMMANDS: readonly Command[] = [relay, keygen, connect, listen, proxy, expose, audit];

/** Runs the command line `args` (what follows the name of the program). Resolves to the exit code; never rejects. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const terminal = new Terminal(io);
  const [name, ...rest] = args;
  const command = COMMANDS.find(known => known.name === name);
  let code: number;
  try {
    code = await (command ? runCommand(command, rest, terminal, io) : runTopLevel(args, terminal));
  } catch (error) {
    tell(error, terminal, command);
    code = exitCodeOf(error);
  }
  await terminal.flush();
  return code;
}

async function runCommand(
  command: Command,
  args: readonly string[],
  terminal: Terminal,
  io: Io,
): Promise<number> {
  const parsed = command.parse(args);
  if (parsed.help) terminal.print(command.help);
  else if (parsed.version) terminal.print(VERSION);
  else return parsed.run(terminal, io);
  return ExitCode.OK;
}

function runTopLevel(args: readonly string[], terminal: Terminal): number {
  const [first, second] = args;
  if (first === undefined) {
    terminal.explain(topLevelHelp(COMMANDS));
    return ExitCode.USAGE;
  }
  if (first === '--version' || first === '-V') terminal.print(VERSION);
  else if (first === '--help' || first === '-h' || first === 'help') {
    terminal.print(second === undefined ? topLevelHelp(COMMANDS) : commandNamed(second).help);
  } else commandNamed(first);
  return ExitCode.OK;
}

function commandNamed(name: string): Command {
  const names = COMMANDS.map(command => command.name);
  const command = COMMANDS.find(known => known.name === name);
  if (command) return command;
  if (name.startsWith('-'))
    throw new UsageError(`Unknown option ${name}. Options follow a command: ${names.join(', ')}.`);
  const meant = nearest(name, names);
  const suggestion = meant === undefined ? `The commands are ${names.join(', ')}.` : `Did you mean ${meant}?`;
  throw new UsageError(`There is no command "${name}". ${suggestion}`);
}

function tell(error: unknown, terminal: Terminal, command: Command | undefined): void {
  if (error instanceof UsageError) {
    const more = `See secure-websocket ${command ? `${command.name} ` : ''}--help`;
    for (const [index, problem] of error.problems.entries())
      terminal.error(problem, index === error.problems.length - 1 ? more : undefined);
    if (error.note !== undefined) terminal.status(error.note);
  } else if (error instanceof CommandError || error instanceof SecureWebSocketError) {
    terminal.error(error.message, hintFor(error));
  } else {
    terminal.error(describeError(error), 'This was not foreseen: please report it as a bug.');
    if (error instanceof Error && error.stack !== undefined) terminal.explain(error.stack);
  }
}
