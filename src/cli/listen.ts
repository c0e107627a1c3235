import { SecureWebSocketError } from '../core/errors.js';
import { SecureWebSocketServer } from '../socket/node-secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../socket/node-server-secure-web-socket.js';
import { defineCommand } from './command.js';
import { amountMissing, checkEnd, leave } from './ending.js';
import { CloseCode, Exchange } from './exchange.js';
import { CommandError, ExitCode, UsageError } from './exit-code.js';
import { chooseIdentity, explainNewIdentity, identityOptions } from './identity.js';
import { interruption } from './interruption.js';
import { webSocketUrl, withoutCredentials } from './location.js';
import { DEFAULT_PORT, DIAL_OPTIONS, dialSettings, listenFailure, otherUrls, shellQuote } from './network.js';
import { checkPositionals, type OptionSpecs, type OptionValues, toInteger, toPublicKey } from './options.js';
import { acceptedPeer, type Peer, type PeerEnd } from './peer.js';
import { ReachReport } from './reach.js';
import type { Terminal } from './terminal.js';

const OPTIONS = {
  relay: {
    type: 'string',
    short: 'r',
    value: 'URL',
    help: 'Listen at our public key behind this relay. Without it: at a port of this machine.',
  },
  port: { type: 'string', value: 'N', help: `The port, without --relay. 0: any. Default: ${DEFAULT_PORT}.` },
  host: { type: 'string', value: 'H', help: 'The address to listen at, without --relay. Default: all.' },
  'public-url': {
    type: 'string',
    value: 'URL',
    multiple: true,
    help: 'How others reach the port, where it is not one of our own addresses: behind a proxy, or a forwarded port.',
  },
  ...identityOptions('server'),
  ...DIAL_OPTIONS,
  allow: {
    type: 'string',
    short: 'a',
    value: 'HEX',
    multiple: true,
    help: 'Only this public key may connect. May be repeated. Default: everybody who knows our address.',
  },
  binary: { type: 'boolean', short: 'b', help: 'Bytes instead of lines, with one peer at a time.' },
  once: {
    type: 'boolean',
    short: '1',
    help: 'End after the first connection. Others are turned away meanwhile.',
  },
  wait: {
    type: 'boolean',
    short: 'w',
    help: 'With --once: at the end of the input wait for the end of the other side’s input, or for its close.',
  },
  'no-reconnect': {
    type: 'boolean',
    help: 'End when the relay is lost, and every connection when it is lost: wait for nobody to come back.',
  },
} as const satisfies OptionSpecs;

/** Why there is no place for another peer. */
const BUSY = 'somebody else is connected';

type Values = OptionValues<typeof OPTIONS>;

export const listen = defineCommand({
  name: 'listen',
  summary: 'Be there to be connected to, behind a relay or at a port.',
  usage: '[options]',
  description: [
    'Waits for others at our public key. The first line on stderr is the address for them to dial. Lines of the ' +
      'input go to all who are connected, at the pace of the slowest (who stalls the others for 30 s is dropped); ' +
      'messages that come are printed as lines. With --binary bytes go both ways as they are.',
    'Input from a pipe waits until somebody is connected. With --once the end of the input closes the connection, ' +
      'unless --wait is given. Without --once connections stay until both sides are done, and listening goes on.',
    'A relay that is lost is dialled again until it is back, and connections of "connect --reconnect" that were lost ' +
      'with it, or without it, go on where they stopped, if the other side is back within 2 minutes.',
  ],
  options: OPTIONS,
  examples: [
    ['behind a relay', 'secure-websocket listen --relay wss://relay.example'],
    ['receive one file', 'secure-websocket listen --once --binary --relay wss://relay.example > photo.jpg'],
    [
      'the same in a script, where there is no input',
      'secure-websocket listen --once --wait --binary --relay wss://relay.example < /dev/null > photo.jpg',
    ],
    ['offer one', 'secure-websocket listen --once --binary --relay wss://relay.example < photo.jpg'],
    ['without a relay', 'secure-websocket listen --port 9000'],
  ],
  async run({ values, positionals, terminal, io }) {
    checkPositionals(positionals, [], 0);
    checkCombination(values);
    const allowed = new Set(values.allow.map(key => toPublicKey(key, '--allow')));
    const options = await serverOptions(values);
    const { identity, created } = await chooseIdentity(values, 'server');

    const interrupted = interruption(io, terminal);
    const server = new SecureWebSocketServer({ ...options, identity });
    let failure: Error | undefined;
    let isReady = false;
    server.on('error', error => {
      failure = error;
      if (!isReady) return;
      // That of a relay ends everything, and is told then. Nobody who is out of reach could come back.
      if (values.relay === undefined) terminal.error(error.message);
      else server.close();
    });
    const stopped = new Promise<'stopped'>(resolve => {
      server.on('close', () => {
        resolve('stopped');
      });
    });
    const started = await Promise.race([interrupted, server.ready.catch(startFailure(values, created))]);
    if (started !== undefined) {
      server.close();
      return values.once ? ExitCode[started] : ExitCode.OK;
    }
    isReady = true;
    watchRelay(server, terminal);
    announce(terminal, server, values);
    if (created !== undefined) terminal.status(`A new identity was made: ${created}`);

    const exchange = new Exchange(
      terminal,
      { binary: values.binary, closeAtEnd: values.once && !values.wait },
      interrupted,
    );
    const first = new Promise<{ readonly peer: Peer; readonly end: PeerEnd }>(resolve => {
      const onClosed = (peer: Peer, end: PeerEnd): void => {
        resolve({ peer, end });
      };
      serve(server, exchange, { values, allowed, terminal, onClosed });
    });
    const end = await Promise.race([
      exchange.localEnd,
      stopped,
      ...(values.once ? [first] : []),
      // At a terminal the end of the input (Ctrl-D) means that somebody wants to leave.
      ...(terminal.isTyped && !values.once ? [exchange.inputEnd.then(() => 'typed' as const)] : []),
    ]);
    server.close();
    if (end === 'stopped') throw failure ?? new CommandError('The server stopped.');
    if (end === 'typed') {
      await exchange.dismiss(CloseCode.NORMAL, '');
      return ExitCode.OK;
    }
    if ('peer' in end) {
      await checkEnd(exchange, end.peer, end.end);
      return ExitCode.OK;
    }
    const code = await leave(exchange, end);
    return values.once ? code : ExitCode.OK;
  },
});

/** @throws UsageError when options do not go together */
function checkCombination(values: Values): void {
  const [here, there] = [
    ['port', 'host', 'public-url'],
    ['server-key', 'ca', 'token-file'],
  ] as const;
  const isGiven = (name: (typeof here | typeof there)[number]): boolean =>
    values[name] !== undefined && values[name].length > 0;
  const wrong = (values.relay === undefined ? there : here).find(isGiven);
  if (wrong === undefined) return;
  const why =
    values.relay === undefined
      ? 'is about a relay: give --relay, too'
      : 'is about a port of our own, and not for --relay';
  throw new UsageError(`--${wrong} ${why}.`);
}

/** What the server gets besides its identity. */
async function serverOptions(
  values: Values,
): Promise<Omit<ConstructorParameters<typeof SecureWebSocketServer>[0], 'identity'>> {
  const { relay, host } = values;
  const lasting = values['no-reconnect'] ? { reconnect: false, resumeWindow: 0 } : {};
  if (relay === undefined) {
    const port = values.port === undefined ? DEFAULT_PORT : toInteger(values.port, '--port', 0, 65_535);
    const addresses = values['public-url'].map(url => webSocketUrl(url).href);
    return { port, host, ...lasting, ...(addresses.length > 0 && { addresses }) };
  }
  const settings = await dialSettings(values);
  return { relay: webSocketUrl(relay), ...settings, ...lasting };
}

/** Says when the relay is lost, and when it is back. */
function watchRelay(server: SecureWebSocketServer, terminal: Terminal): void {
  const report = new ReachReport(terminal);
  server.on('reconnecting', attempt => {
    report.reconnecting('Lost the relay', attempt);
  });
  server.on('reconnected', () => {
    report.back('Listening again.');
  });
}

function startFailure(values: Values, created: string | undefined): (error: unknown) => never {
  return error => {
    if (values.relay !== undefined || error instanceof SecureWebSocketError)
      throw explainNewIdentity(error, created);
    const { host, port = DEFAULT_PORT } = values;
    throw listenFailure(error, host === undefined ? `port ${port}` : `${host}, port ${port}`);
  };
}

/** Says where we are. The first line is the address and nothing else, for scripts. */
function announce(terminal: Terminal, server: SecureWebSocketServer, values: Values): void {
  const { url = '', publicKey = '' } = server;
  const urls = values.relay === undefined ? directUrls(url, values) : [withoutCredentials(url)];
  const [first = ''] = urls;
  terminal.highlight(first);
  const isDirect = values.relay === undefined;
  if (isDirect) terminal.status(`Our public key: ${publicKey}`);
  terminal.status('On the other side run');
  for (const dialled of urls) {
    const options = [values.binary ? ' --binary' : '', isDirect ? ` --server-key ${publicKey}` : ''].join('');
    terminal.status(`  secure-websocket connect${options} ${shellQuote(dialled)}`);
  }
}

function directUrls(url: string, values: Values): string[] {
  const told = values['public-url'].map(withoutCredentials);
  return told.length > 0 ? told : [url, ...otherUrls(url, values.host)];
}

/** Takes in those who connect, and may. */
function serve(
  server: SecureWebSocketServer,
  exchange: Exchange,
  context: {
    readonly values: Values;
    readonly allowed: ReadonlySet<string>;
    readonly terminal: Terminal;
    readonly onClosed: (peer: Peer, end: PeerEnd) => void;
  },
): void {
  const { values, allowed, terminal, onClosed } = context;
  let isTaken = false;
  const isBusy = (): boolean => (values.once && isTaken) || (values.binary && exchange.size > 0);
  if (values.relay !== undefined) {
    // Not accepted only to be closed: the peer would have begun to send.
    server.options.verifyClient = (_, answer) => {
      answer(!isBusy(), 503, BUSY);
    };
  }
  server.on('connection', (socket: ServerSecureWebSocket) => {
    const { peerPublicKey } = socket;
    if (allowed.size > 0 && !allowed.has(peerPublicKey)) {
      terminal.status(`Refused: ${peerPublicKey}, which --allow does not name`);
      socket.close(CloseCode.POLICY_VIOLATION, 'this key is not allowed');
      return;
    }
    if (isBusy()) {
      socket.close(CloseCode.TRY_AGAIN_LATER, BUSY);
      return;
    }
    isTaken = true;
    // Who is away could not come back to a server that is closed.
    if (values.once && values['no-reconnect']) server.close();
    terminal.status(`Connected: ${peerPublicKey}`);
    const peer = acceptedPeer(socket);
    const name = exchange.nameOf(peer);
    exchange.add(
      peer,
      end => {
        const missing = amountMissing(end, values.binary);
        const loss = missing === '' ? '' : ` Not acknowledged: ${missing}.`;
        terminal.status(`Disconnected: ${name}${describeEnd(end)}${loss}`);
        onClosed(peer, end);
      },
      {
        suspended: error => {
          terminal.status(`Out of reach: ${name}, ${error.message}`);
        },
        resumed: () => {
          terminal.status(`Back: ${name}`);
        },
      },
    );
  });
}

function describeEnd({ code, reason, error }: PeerEnd): string {
  if (error !== undefined) return `, ${error.message}`;
  if (code === CloseCode.NORMAL) return '';
  return ` with code ${code}${reason === '' ? '' : ` (${reason})`}`;
}
