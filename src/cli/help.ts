import { ExitCode } from './exit-code.js';
import type { OptionSpec, OptionSpecs } from './options.js';

const WIDTH = 80;

/** What --help of a command is made from. */
export interface HelpContent {
  readonly name: string;
  /** What follows the name on the command line. */
  readonly usage: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly options: OptionSpecs;
  /** More of them, under headings of their own. */
  readonly groups?: readonly (readonly [heading: string, options: OptionSpecs])[];
  /** What an example is for, and its command line. */
  readonly examples: readonly (readonly [purpose: string, command: string])[];
}

/** The text of `secure-websocket <command> --help`. */
export function commandHelp(content: HelpContent): string {
  const { name, usage, description, options, groups = [], examples } = content;
  return sections(
    [`Usage: secure-websocket ${name} ${usage}`],
    ...description.map(paragraph => wrap(paragraph, '')),
    ...[['Options', options] as const, ...groups].map(([heading, specs]) => [
      `${heading}:`,
      ...table(Object.entries(specs).map(([long, spec]) => [optionTerm(long, spec), spec.help])),
    ]),
    ['Examples:', ...examples.flatMap(([purpose, command]) => [`  # ${purpose}`, `  ${command}`])],
    ['Exit codes:', ...table(EXIT_CODES)],
  );
}

/** The text of `secure-websocket --help`. */
export function topLevelHelp(
  commands: readonly { readonly name: string; readonly summary: string }[],
): string {
  return sections(
    ['Usage: secure-websocket <command> [options]'],
    wrap(
      'WebSockets that are end-to-end encrypted to a public key: a netcat whose addresses are keys, and the relay ' +
        'through which they reach each other.',
      '',
    ),
    ['Commands:', ...table(commands.map(({ name, summary }) => [name, summary]))],
    [
      'Options:',
      ...table([
        ['-h, --help', 'Show this text, or that of a command.'],
        ['-V, --version', 'Show the version.'],
      ]),
    ],
    [
      'Three terminals:',
      '  secure-websocket relay --port 8080',
      '  secure-websocket listen --relay ws://localhost:8080',
      '  secure-websocket connect <the address that listen has printed>',
    ],
    [
      'Environment:',
      ...table([
        [
          'SECURE_WEBSOCKET_HOME',
          'The directory of the default identities: client.key (connect, proxy), server.key (listen, expose) and ' +
            'relay.key (relay). Default: secure-websocket in the user’s directory for configuration.',
        ],
        ['SECURE_WEBSOCKET_…', 'Every option of the relay: SECURE_WEBSOCKET_PORT is --port.'],
        ['NO_COLOR', 'No colours, even on a terminal.'],
      ]),
    ],
    ['Exit codes:', ...table(EXIT_CODES)],
  );
}

const EXIT_CODES: readonly (readonly [string, string])[] = [
  [String(ExitCode.OK), 'It ended in order.'],
  [
    String(ExitCode.FAILED),
    'The connection failed or was lost, nobody listens there, or the other side closed with a code that is not 1000.',
  ],
  [String(ExitCode.USAGE), 'The command line or the configuration is wrong.'],
  [String(ExitCode.REFUSED), 'Refused, or not trusted: a key or a claim does not fit.'],
  [String(ExitCode.KEY_FILE), 'A key file is missing, unsafe, broken or in the way.'],
  [
    `${ExitCode.SIGINT}, ${ExitCode.SIGTERM}`,
    'Interrupted by SIGINT or SIGTERM before the end. Where being interrupted is the only end (relay, proxy, expose, listen without --once) it is 0.',
  ],
];

function optionTerm(long: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
  return `${short}--${long}${spec.type === 'string' ? ` ${spec.value}` : ''}`;
}

function sections(...parts: readonly (readonly string[])[]): string {
  return parts.map(lines => lines.join('\n')).join('\n\n');
}

/** Terms in one column, their explanations in another. */
function table(rows: readonly (readonly [term: string, text: string])[]): string[] {
  const column = Math.min(26, Math.max(...rows.map(([term]) => term.length)) + 4);
  return rows.flatMap(([term, text]) => {
    const lines = wrap(text, ' '.repeat(column));
    // A term that is too long for its column stands alone.
    if (term.length + 4 > column) return [`  ${term}`, ...lines];
    const [first = '', ...rest] = lines;
    return [`  ${term}`.padEnd(column) + first.slice(column), ...rest];
  });
}

function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > WIDTH) {
      lines.push(indent + line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  lines.push(indent + line);
  return lines;
}
