import { describeError } from '../core/describe-error.js';
import { SecureWebSocketError } from '../core/errors.js';
import { Relay, type RelayOptions } from '../relay/relay.js';
import { type CheckableRelay, checkConfiguration, FILES_NOT_CHECKED, problemsOf } from './check-config.js';
import type { Command } from './command.js';
import { configuredOptions, textOf } from './configured-options.js';
import { type CommandError, ExitCode, UsageError } from './exit-code.js';
import { commandHelp } from './help.js';
import { chooseIdentity } from './identity.js';
import type { Io } from './io.js';
import { listenFailure, otherUrls } from './network.js';
import { COMMON_OPTIONS, type OptionSpecs, scanOptions, type ScannedOptions } from './options.js';
import { BEHIND_PROXY, readConfiguration } from './relay-configuration.js';
import { listenToSignals } from './relay-operation.js';
import { JsonReport, type RelayReport, TextReport } from './relay-report.js';
import { RELAY_SETTINGS } from './relay-settings.js';
import { GROUPS, type Setting } from './setting.js';
import type { Terminal } from './terminal.js';

/** What is no setting. */
const COMMAND_OPTIONS = {
  config: {
    type: 'string',
    value: 'FILE',
    help: 'A file with settings, JSON or YAML: the options below without "--". Environment: SECURE_WEBSOCKET_CONFIG.',
  },
  'check-config': {
    type: 'boolean',
    help: 'Say whether everything is right with the configuration, and what is in effect; do nothing else.',
  },
  verbose: { type: 'boolean', short: 'v', help: 'Say who comes and goes.' },
  json: { type: 'boolean', help: 'Say everything as one JSON object per line, on stdout.' },
  ...COMMON_OPTIONS,
} as const satisfies OptionSpecs;

const SETTINGS: readonly Setting[] = RELAY_SETTINGS;
const SPECS: OptionSpecs = {
  ...COMMAND_OPTIONS,
  ...Object.fromEntries(SETTINGS.map(setting => [setting.name, specOf(setting)])),
};

export const relay: Command = {
  name: 'relay',
  summary: 'Run a relay, through which public keys reach each other.',
  help: commandHelp({
    name: 'relay',
    usage: '[options]',
    description: [
      'Forwards what is encrypted between those who connect to it. It cannot read any of it; it sees who talks to ' +
        'whom, when and how much.',
      'On the internet give it a certificate (--tls-cert, --tls-key), or put a reverse proxy that does TLS in front of ' +
        'it, and give its wss:// address with --public-url: clients refuse a relay that does not answer to the address ' +
        'they have dialled.',
      'Every option from "Network" on can also be an environment variable (SECURE_WEBSOCKET_MAX_FRAME is --max-frame) ' +
        'or stand in a file (max-frame). What is given here counts first, then the environment, then the file. TIME is ' +
        '500ms, 10s, 5m, 2h or 1d; BYTES are 65536, 64KiB or 1MB. --no- before the name of an option without a value ' +
        'switches it off.',
      'Ctrl-C (SIGINT) ends it in order. SIGTERM gives clients time to go elsewhere first (see "Restart"). A second ' +
        'signal ends it at once. SIGHUP has it read its files again.',
    ],
    options: COMMAND_OPTIONS,
    groups: Object.entries(GROUPS).map(([group, heading]) => [
      heading,
      Object.fromEntries(
        SETTINGS.filter(setting => setting.group === group).map(setting => [setting.name, specOf(setting)]),
      ),
    ]),
    examples: [
      ['on this machine', 'secure-websocket relay --host localhost'],
      [
        'on the internet',
        'secure-websocket relay --port 443 --tls-cert chain.pem --tls-key key.pem --public-url wss://relay.example',
      ],
      [
        'the same behind a proxy with TLS on this machine',
        'secure-websocket relay --host 127.0.0.1 --public-url wss://relay.example --trusted-proxy loopback',
      ],
      ['is everything right with a file?', 'secure-websocket relay --config relay.yaml --check-config'],
    ],
  }),
  parse: args => {
    const scanned = scanOptions(SPECS, args, new Map([['behind-proxy', `--${BEHIND_PROXY}`]]));
    return {
      help: scanned.given.get('help') === true,
      version: scanned.given.get('version') === true,
      run: (terminal, io) => run(scanned, terminal, io),
    };
  },
};

async function run(scanned: ScannedOptions, terminal: Terminal, io: Io): Promise<number> {
  const isOn = (name: keyof typeof COMMAND_OPTIONS): boolean => scanned.given.get(name) === true;
  const { configuration, problems } = await readConfiguration(scanned, io.env);
  const unexpected = scanned.positionals.map(argument => `Unexpected argument "${argument}".`);
  if (problems.length + unexpected.length > 0) {
    const error = new UsageError(...problems, ...unexpected);
    if (isOn('check-config')) error.note = FILES_NOT_CHECKED;
    throw error;
  }
  if (isOn('check-config')) {
    const make = (options: RelayOptions): CheckableRelay => new Relay(options);
    await checkConfiguration(configuration, make, terminal, isOn('json'));
    return ExitCode.OK;
  }

  const options = await configuredOptions(configuration);
  const chosen = {
    identity: textOf(configuration, 'identity'),
    ephemeral: configuration.get('ephemeral')?.value === true,
  };
  const { identity, created } = await chooseIdentity(chosen, 'relay');
  const signals = listenToSignals(io, terminal);
  const server = new Relay({ ...options, identity });
  const report = isOn('json') ? new JsonReport(terminal) : new TextReport(terminal, isOn('verbose'));
  watch(server, report, terminal);
  try {
    await server.listen();
  } catch (error) {
    if (error instanceof SecureWebSocketError && Array.isArray(error.cause))
      throw new UsageError(...problemsOf(error, configuration));
    throw startFailure(error, options);
  }
  if (created !== undefined) terminal.status(`A new identity was made: ${created}`);
  const { url, publicKey, internalUrl } = server;
  const others = configuration.has('public-url') ? [] : otherUrls(url, options.host);
  report.listening(publicKey, [url, ...others], internalUrl);
  await signals.operate(server, report);
  return ExitCode.OK;
}

function specOf({ kind, isList, short, help, fallback }: Setting): OptionSpecs[string] {
  const letter = short === undefined ? {} : { short };
  if (kind.name === 'boolean') return { type: 'boolean', negatable: true, ...letter, help };
  return {
    type: 'string',
    value: kind.value,
    multiple: isList === true,
    ...letter,
    help: `${help} Default: ${fallback}.`,
  };
}

function watch(server: Relay, report: RelayReport, terminal: Terminal): void {
  server.on('connection', client => {
    report.connected(client);
  });
  server.on('disconnection', (client, code) => {
    report.disconnected(client, code);
  });
  server.on('refused', refusal => {
    report.refused(refusal);
  });
  server.on('reloaded', (what, error) => {
    report.reloaded(what, error);
  });
  server.on('error', error => {
    terminal.error(describeError(error));
  });
}

/** What is wrong with files and options says so itself; the rest is about one of the two ports. */
function startFailure(
  error: unknown,
  { host, port, internal }: RelayOptions,
): SecureWebSocketError | CommandError {
  if (error instanceof SecureWebSocketError) return error;
  const { port: failed } = error as { readonly port?: unknown };
  if (internal !== undefined && failed === internal.port && failed !== port) {
    const { host: internalHost = '127.0.0.1' } = internal;
    return listenFailure(error, `${internalHost}, port ${internal.port}`, '--internal-');
  }
  return listenFailure(error, host === undefined ? `port ${port ?? ''}` : `${host}, port ${port ?? ''}`);
}
