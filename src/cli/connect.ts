import { defineCommand } from './command.js';
import { checkEnd, leave } from './ending.js';
import { Exchange } from './exchange.js';
import { ExitCode } from './exit-code.js';
import { chooseIdentity, identityOptions } from './identity.js';
import { interruption } from './interruption.js';
import { checkSubprotocols, parseUrl } from './location.js';
import { DIAL_OPTIONS, tlsOptions } from './network.js';
import { checkPositionals, toPublicKey } from './options.js';
import { type Dialled, dialPeer, type PeerEnd } from './peer.js';
import type { Terminal } from './terminal.js';

export const connect = defineCommand({
  name: 'connect',
  summary: 'Connect to a public key behind a relay, or to a server.',
  usage: '[options] <url>',
  description: [
    'Sends the lines of the input as text messages, and prints the messages that come as lines. With --binary bytes ' +
      'go both ways as they are.',
    'The URL is that of a relay with the public key of the other side, wss://relay.example/<64 hex characters>, as ' +
      '"secure-websocket listen" prints it; what follows the key is a path for the other side, which the relay does ' +
      'not see. Or it is that of a server: then check who it is with --server-key.',
    'At the end of the input the connection is closed, when everything was sent. With --wait it stays until the ' +
      'other side is done, too: needed where both sides send, or where there is no input at all (< /dev/null).',
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
    ['a server whose key is known', 'secure-websocket connect --server-key 93c1…04b7 wss://api.example/chat'],
  ],
  async run({ values, positionals, terminal, io }) {
    checkPositionals(positionals, ['url'], 1);
    const { url, location } = parseUrl(positionals[0] ?? '', values.direct);
    checkSubprotocols(values.protocol);
    const pin = values['server-key'];
    const serverKey = pin === undefined ? undefined : toPublicKey(pin, '--server-key');
    const tls = await tlsOptions(values.ca);
    const { identity, created } = await chooseIdentity(values, 'client');
    if (created !== undefined) terminal.status(`A new identity was made: ${created}`);

    const interrupted = interruption(io, terminal);
    const abort = new AbortController();
    const options = { identity, serverKey, tls, direct: values.direct };
    const dialled = await Promise.race([dialPeer(url, values.protocol, options, abort.signal), interrupted]);
    if (typeof dialled === 'string') {
      abort.abort();
      return ExitCode[dialled];
    }
    describe(terminal, dialled, location.peerKey !== undefined, serverKey !== undefined);

    const { peer } = dialled;
    const exchange = new Exchange(terminal, { binary: values.binary, closeAtEnd: !values.wait }, interrupted);
    const closed = new Promise<PeerEnd>(resolve => {
      exchange.add(peer, resolve);
    });
    const end = await Promise.race([closed, exchange.localEnd]);
    if ('by' in end) return leave(exchange, end);
    await checkEnd(exchange, peer, end);
    return ExitCode.OK;
  },
});

function describe(terminal: Terminal, { information }: Dialled, isRelayed: boolean, isPinned: boolean): void {
  const { publicKey, peerPublicKey, protocol } = information;
  const subprotocol = protocol === '' ? '' : ` (${protocol})`;
  terminal.status(`Connected to ${peerPublicKey}${subprotocol} as ${publicKey}`);
  // Behind a relay the key in the URL is the check.
  if (isRelayed || isPinned) return;
  terminal.status(
    `That is the key which the server showed. To make sure of it: --server-key ${peerPublicKey}`,
  );
}
