import { parseLocation } from '../core/location.js';
import type { DialOptions } from '../link/dial.js';
import { BRIDGE_OPTIONS, type BridgeLimits } from './bridge/bridge-options.js';
import { dialEnd } from './bridge/dialled-end.js';
import { prepareBridges } from './bridge/prepare-bridges.js';
import { joinSpace } from './bridge/space-end.js';
import { CLIENT_TOKEN_VARIABLE, type ClientToken, readClientToken } from './client-token.js';
import { defineCommand } from './command.js';
import { CommandError, ExitCode, UsageError } from './exit-code.js';
import { chooseIdentity, identityOptions } from './identity.js';
import { interruption } from './interruption.js';
import { type ListenAddress, parseListenAddress, urlHost } from './listen-address.js';
import { parseUrl, webSocketUrl, withoutCredentials } from './location.js';
import { DIAL_OPTIONS, dialSettings, listenFailure } from './network.js';
import { checkPositionals, type OptionSpecs, type OptionValues } from './options.js';
import { ProxyGuard, toHost, toOrigin } from './proxy-guard.js';
import { routeByPath, type Router, routeTo } from './proxy-routes.js';
import { ProxyServer, type ProxyServerOptions } from './proxy-server.js';

const DEFAULT_ADDRESS = '127.0.0.1:9000';

const OPTIONS = {
  listen: {
    type: 'string',
    short: 'l',
    value: 'ADDRESS',
    help: `Where programs connect: an IP address and a port, or a port. Port 0: any. Default: ${DEFAULT_ADDRESS}.`,
  },
  to: {
    type: 'string',
    short: 't',
    value: 'URL',
    help:
      'Where all are led: a public key or a space behind a relay, wss://relay.example/<key> or ' +
      'wss://relay.example/space/<name>, or a server.',
  },
  relay: {
    type: 'string',
    short: 'r',
    value: 'URL',
    help:
      'In place of --to: each client says in its path where it is led, ws://127.0.0.1:9000/<key> or ' +
      'ws://127.0.0.1:9000/space/<name>.',
  },
  direct: {
    type: 'boolean',
    help: '--to is a server, even if a public key or a space seems to be in its path.',
  },
  'allow-origin': {
    type: 'string',
    value: 'ORIGIN',
    multiple: true,
    help: 'A web page that may connect, such as http://localhost:8000. May be repeated. Default: none, only programs.',
  },
  'allow-host': {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'Another name by which we are reached, as it stands in Host. May be repeated.',
  },
  'client-token-file': {
    type: 'string',
    value: 'FILE',
    help: `A file with a token that clients have to show. Environment: ${CLIENT_TOKEN_VARIABLE}.`,
  },
  'allow-network': {
    type: 'boolean',
    help: 'Listen at an address that other machines reach, too. What they send to us is not encrypted.',
  },
  'no-client-token': {
    type: 'boolean',
    help: 'With --allow-network: whoever reaches us may connect, without a token.',
  },
  ...identityOptions('client'),
  ...DIAL_OPTIONS,
  ...BRIDGE_OPTIONS,
} as const satisfies OptionSpecs;

type Values = OptionValues<typeof OPTIONS>;

export const proxy = defineCommand({
  name: 'proxy',
  summary: 'Let any program with a plain WebSocket reach a public key or a space.',
  usage: '--to <url> [options]',
  description: [
    'Listens for plain WebSockets at localhost. For each connection another is made to the other side, encrypted under ' +
      'our identity, with the same path, query and subprotocols, and both are joined: messages, pings and closes go ' +
      'through, and a slow reader slows down whoever writes. The first line on stderr is the address to connect to.',
    'Clients are answered when the other side has: with its subprotocol, or with why it cannot be reached (404: nobody ' +
      'is there, 403: refused, 502, 503, 504).',
    'Whatever listens at localhost can be reached by every web page: those that --allow-origin does not name are ' +
      'refused, as is everybody who reaches us by another name. Other programs of this machine may connect; to let in ' +
      'only some, give --client-token-file. They show the token as "Authorization: Bearer <token>".',
    'When the other side is out of reach the connection stays, what is sent waits (--max-buffered), and it goes on ' +
      'where it stopped. Where that is impossible it is closed with 1014 and the reason.',
    'In a space a client that asks for the subprotocol secure-websocket.space.v1+json is told who is there and who says ' +
      'what. See docs/proxy.md.',
  ],
  options: OPTIONS,
  examples: [
    ['one peer', 'secure-websocket proxy --to wss://relay.example/6d5a…e21f'],
    ['any of them: ws://127.0.0.1:9000/6d5a…e21f', 'secure-websocket proxy --relay wss://relay.example'],
    [
      'a space, for a web page of this machine',
      'secure-websocket proxy --to wss://relay.example/space/kitchen --allow-origin http://localhost:8000',
    ],
    [
      'for other machines of a network that you trust',
      'secure-websocket proxy --to wss://relay.example/6d5a…e21f --listen 0.0.0.0:9000 --allow-network --client-token-file token',
    ],
  ],
  async run({ values, positionals, terminal, io }) {
    checkPositionals(positionals, [], 0);
    const { router, to } = destination(values);
    const address = parseListenAddress(values.listen ?? DEFAULT_ADDRESS, '--listen');
    const clientToken = await chooseClientToken(values, address, io.env);
    const guard = new ProxyGuard({
      address,
      hosts: values['allow-host'].map(toHost),
      origins: values['allow-origin'].map(toOrigin),
      token: clientToken,
    });
    const { limits, bridges, report } = prepareBridges(values, terminal);
    const settings = await dialSettings(values);
    const { identity, created } = await chooseIdentity(values, 'client');

    const interrupted = interruption(io, terminal);
    const reconnect = !values['no-reconnect'];
    const dial = dialWith({ identity, ...settings, reconnect, maxPayload: limits.maxPayload }, limits);
    const server = new ProxyServer({ ...limits, address, guard, router, dial, bridges, report });
    try {
      await server.listen();
    } catch (error) {
      throw new CommandError(listenFailure(error, `${urlHost(address.host)}:${address.port}`).message, {
        hint: 'Choose another address, or another port (0: any that is free), with --listen.',
      });
    }
    report.listening(server.url, identity.publicKey, to);
    if (created !== undefined) terminal.status(`A new identity was made: ${created}`);
    await interrupted;
    server.close();
    await bridges.close();
    return ExitCode.OK;
  },
});

/** @throws UsageError */
function destination({ to, relay, direct }: Values): { readonly router: Router; readonly to: string } {
  if ((to === undefined) === (relay === undefined)) {
    throw new UsageError(
      'Give either --to, with the URL where all clients are led, or --relay: then each says in its path where.',
    );
  }
  if (to !== undefined) {
    const { url } = parseUrl(to, direct);
    return { router: routeTo(url, direct), to: withoutCredentials(url) };
  }
  if (direct) throw new UsageError('--direct is about --to, and not for --relay.');
  const url = webSocketUrl(relay ?? '');
  if (parseLocation(url).peerKey !== undefined)
    throw new UsageError('--relay must not hold a public key. To lead all clients to it, give --to.');
  if (url.search !== '') throw new UsageError('--relay must not have a query.');
  return { router: routeByPath(url), to: `${withoutCredentials(url)} (where the path says)` };
}

/** @throws UsageError (as a rejection) when others could reach us who are not meant to */
async function chooseClientToken(
  values: Values,
  address: ListenAddress,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ClientToken | undefined> {
  const file = values['client-token-file'];
  if (values['no-client-token'] && file !== undefined)
    throw new UsageError('Give --client-token-file or --no-client-token, not both.');
  const token = values['no-client-token'] ? undefined : await readClientToken(file, env);
  if (address.isLoopback) return token;
  if (!values['allow-network']) {
    throw new UsageError(
      `Other machines could reach ${urlHost(address.host)}, and use our identity over a connection that is not encrypted. ` +
        'If that is meant, give --allow-network, too, and --client-token-file; else listen at 127.0.0.1.',
    );
  }
  if (token === undefined && !values['no-client-token']) {
    throw new UsageError(
      '--allow-network needs a token that clients show: give --client-token-file, or say with --no-client-token that ' +
        'everybody may connect.',
    );
  }
  return token;
}

function dialWith(
  options: DialOptions,
  { maxBuffered, maxPayload }: BridgeLimits,
): ProxyServerOptions['dial'] {
  return ({ url, isSpace, isDirect }, protocols, abort) => {
    if (!isSpace) return dialEnd(url, protocols, { ...options, direct: isDirect }, abort);
    // It is we who count what waits; this only must not be less.
    return joinSpace(url, protocols, { ...options, maxBuffered: 2 * (maxBuffered + maxPayload) }, abort);
  };
}
