import type { ReconnectAttempt, SpaceEvent } from '../link/channel-port.js';
import { defineCommand } from './command.js';
import { checkEnd, leave, tellMissing } from './ending.js';
import { Exchange } from './exchange.js';
import { ExitCode } from './exit-code.js';
import { chooseIdentity, explainNewIdentity, identityOptions } from './identity.js';
import { interruption } from './interruption.js';
import { checkSubprotocols, parseUrl } from './location.js';
import { DIAL_OPTIONS, dialSettings } from './network.js';
import { checkPositionals } from './options.js';
import { type Dialled, dialPeer, type DialReport, type PeerEnd } from './peer.js';
import { printable } from './printable.js';
import { ReachReport } from './reach.js';
import type { Terminal } from './terminal.js';

export const connect = defineCommand({
  name: 'connect',
  summary: 'Connect to a public key behind a relay, to a space, or to a server.',
  usage: '[options] <url>',
  description: [
    'Sends the lines of the input as text messages, and prints the messages that come as lines. With --binary bytes ' +
      'go both ways as they are.',
    'The URL is that of a relay with the public key of the other side, wss://relay.example/<64 hex characters>, as ' +
      '"secure-websocket listen" prints it; what follows the key is a path for the other side, which the relay does ' +
      'not see. Or it is that of a server: then check who it is with --server-key.',
    'wss://relay.example/space/<name> is a space: what is sent reaches everybody who is in it, and what they send is ' +
      'printed, on a terminal with the first 8 digits of the key that it came from. There --wait stays until it is interrupted.',
    'At the end of the input the connection is closed, when everything was sent. With --wait it stays until the ' +
      'other side is done, too: needed where both sides send, or where there is no input at all (< /dev/null).',
    'A connection that is lost is the end. With --reconnect it is made again, however long that takes, and goes on ' +
      'where it stopped: nothing is lost or repeated. Input is kept meanwhile, and not read when too much waits. When ' +
      'the other side has lost its place, or waited too long (2 minutes, unless it says otherwise), it is over; what ' +
      'was not acknowledged is told.',
  ],
  options: {
    ...identityOptions('client'),
    ...DIAL_OPTIONS,
    binary: { type: 'boolean', short: 'b', help: 'Bytes instead of lines.' },
    wait: {
      type: 'boolean',
      short: 'w',
      help: 'At the end of the input wait for the end of the other side’s input, or for its close.',
    },
    reconnect: {
      type: 'boolean',
      help: 'Stay when the connection is lost, or cannot be made: try again, and go on where it stopped.',
    },
    protocol: {
      type: 'string',
      short: 'p',
      value: 'NAME',
      multiple: true,
      help: 'A subprotocol to offer. May be repeated, the best first.',
    },
    direct: {
      type: 'boolean',
      help: 'The URL is that of a server, even if a public key seems to be in its path.',
    },
  },
  examples: [
    ['talk to somebody who listens', 'secure-websocket connect wss://relay.example/6d5a…e21f'],
    ['send a file', 'secure-websocket connect --binary wss://relay.example/6d5a…e21f < photo.jpg'],
    ['receive one', 'secure-websocket connect --binary wss://relay.example/6d5a…e21f > photo.jpg'],
    [
      'send a file over a bad network',
      'secure-websocket connect --reconnect --binary wss://relay.example/6d5a…e21f < photo.jpg',
    ],
    ['talk to all who are in a space', 'secure-websocket connect wss://relay.example/space/lobby'],
    ['a server whose key is known', 'secure-websocket connect --server-key 93c1…04b7 wss://api.example/chat'],
  ],
  async run({ values, positionals, terminal, io }) {
    checkPositionals(positionals, ['url'], 1);
    const { url, location } = parseUrl(positionals[0] ?? '', values.direct);
    checkSubprotocols(values.protocol);
    const settings = await dialSettings(values);
    const { identity, created } = await chooseIdentity(values, 'client');
    if (created !== undefined) terminal.status(`A new identity was made: ${created}`);

    const interrupted = interruption(io, terminal);
    const abort = new AbortController();
    const { reconnect, direct, binary, protocol: protocols } = values;
    const options = { protocols, isStream: binary, identity, ...settings, direct, reconnect };
    const report = new ConnectReport(terminal);
    const dialling = dialPeer(url, options, report, abort.signal).catch((error: unknown) => {
      throw explainNewIdentity(error, created);
    });
    const dialled = await Promise.race([dialling, interrupted]);
    if (typeof dialled === 'string') {
      abort.abort();
      return ExitCode[dialled];
    }
    report.connected();
    describe(terminal, dialled, location.peerKey !== undefined, settings.serverKey !== undefined);
    report.opened();

    const { peer } = dialled;
    const exchange = new Exchange(terminal, { binary, closeAtEnd: !values.wait }, interrupted);
    const closed = new Promise<PeerEnd>(resolve => {
      exchange.add(peer, gone => {
        tellMissing(terminal, gone, binary);
        resolve(gone);
      });
    });
    const end = await Promise.race([closed, exchange.localEnd]);
    if ('by' in end) return leave(exchange, end);
    await checkEnd(exchange, peer, end);
    return ExitCode.OK;
  },
});

function describe(
  terminal: Terminal,
  { information, space }: Dialled,
  isRelayed: boolean,
  isPinned: boolean,
): void {
  const { publicKey, peerPublicKey, serverPublicKey, protocol } = information;
  if (space) {
    const others = space.members.length - 1;
    const count = others === 0 ? 'nobody else' : others === 1 ? 'one other' : `${others} others`;
    terminal.status(`In the space "${printable(space.name)}" as ${publicKey}, with ${count}`);
    if (!isPinned)
      terminal.status(
        `The relay has the key ${serverPublicKey}. To make sure of it: --server-key ${serverPublicKey}`,
      );
    return;
  }
  const subprotocol = protocol === '' ? '' : ` (${protocol})`;
  terminal.status(`Connected to ${peerPublicKey}${subprotocol} as ${publicKey}`);
  // Behind a relay the key in the URL is the check.
  if (isRelayed || isPinned) return;
  terminal.status(
    `That is the key which the server showed. To make sure of it: --server-key ${peerPublicKey}`,
  );
}

/** Tells of a connection that is made, and made again. */
class ConnectReport implements DialReport {
  readonly #terminal: Terminal;
  readonly #reach: ReachReport;
  #lost = 'Not connected yet';
  #isOpen = false;
  #waiting: SpaceEvent[] = [];

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#reach = new ReachReport(terminal);
  }

  /** What it is connected to has been told. */
  opened(): void {
    this.#isOpen = true;
    for (const event of this.#waiting.splice(0)) this.space(event);
  }

  space(event: SpaceEvent): void {
    if (!this.#isOpen) {
      this.#waiting.push(event);
      return;
    }
    const who = event.member.publicKey.slice(0, 8);
    if (event.type === 'joined') this.#terminal.status(`${who} has entered`);
    else if (event.type === 'left') this.#terminal.status(`${who} has left (${event.reason})`);
    else if (event.type === 'changed')
      this.#terminal.status(`${who} is ${event.member.away ? 'away' : 'back'}`);
    else if (event.type === 'lost')
      this.#terminal.status(`${event.count} messages of ${who} were lost (${event.reason})`);
  }

  connected(): void {
    this.#lost = 'Lost the connection';
    this.#reach.back();
  }

  reconnecting(attempt: ReconnectAttempt): void {
    this.#reach.reconnecting(this.#lost, attempt);
  }

  resumed(isNew: boolean): void {
    this.#reach.back(
      isNew
        ? 'Connected again. The other side had ended the connection: this is a new one.'
        : 'Connected again, and going on.',
    );
  }
}
