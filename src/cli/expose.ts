import { SecureWebSocketServer } from '../socket/node-secure-web-socket-server.js';
import type { RelayedRequest } from '../socket/relayed-request.js';
import { AcceptedEnd } from './bridge/accepted-end.js';
import type { OpenEnd } from './bridge/bridge-end.js';
import { BRIDGE_OPTIONS } from './bridge/bridge-options.js';
import type { BridgeReport } from './bridge/bridge-report.js';
import type { Bridges } from './bridge/bridges.js';
import { prepareBridges } from './bridge/prepare-bridges.js';
import { Refusal, refusalOf } from './bridge/refusal.js';
import { defineCommand } from './command.js';
import { CommandError, ExitCode, UsageError } from './exit-code.js';
import { dialTarget, PUBLIC_KEY_HEADER } from './expose-target.js';
import { chooseIdentity, explainNewIdentity, identityOptions } from './identity.js';
import { interruption } from './interruption.js';
import { webSocketUrl, withoutCredentials } from './location.js';
import { DIAL_OPTIONS, dialSettings } from './network.js';
import { checkPositionals, type OptionSpecs, toPublicKey } from './options.js';

const OPTIONS = {
  relay: {
    type: 'string',
    short: 'r',
    value: 'URL',
    help: 'The relay behind which it is to be reached. Required.',
  },
  to: {
    type: 'string',
    short: 't',
    value: 'URL',
    help: 'The WebSocket server that is exposed: ws://127.0.0.1:3000. With a path, only what is below it. Required.',
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
  ...BRIDGE_OPTIONS,
} as const satisfies OptionSpecs;

export const expose = defineCommand({
  name: 'expose',
  summary: 'Make a plain WebSocket server reachable at a public key.',
  usage: '--relay <url> --to <url> [options]',
  description: [
    'Listens at our public key behind a relay. For each connection that somebody opens there, another is made to the ' +
      'plain WebSocket server, with the same path, query and subprotocols, and both are joined: messages, pings and ' +
      'closes go through, and a slow reader slows down whoever writes. The relay sees ciphertext. The first line on ' +
      'stderr is the address for others to dial.',
    `The server learns who connects: ${PUBLIC_KEY_HEADER} is the public key that the other side has proven to own. It ` +
      'can be trusted as far as nobody but this program reaches the server: let it listen at 127.0.0.1.',
    'The other side is "secure-websocket proxy", or any program with this library. Who refuses, or chooses no ' +
      'subprotocol, is the server: what it answers is told to the client.',
    'A connection that was lost is kept for 2 minutes, as is its other half, if the client comes back (--no-reconnect: ' +
      'not at all).',
  ],
  options: OPTIONS,
  examples: [
    [
      'what listens at port 3000',
      'secure-websocket expose --relay wss://relay.example --to ws://127.0.0.1:3000',
    ],
    [
      'for one client only',
      'secure-websocket expose --relay wss://relay.example --to ws://127.0.0.1:3000 --allow 6d5a…e21f',
    ],
  ],
  async run({ values, positionals, terminal, io }) {
    checkPositionals(positionals, [], 0);
    const relay = required(values.relay, 'relay');
    const to = required(values.to, 'to');
    const allowed = new Set(values.allow.map(key => toPublicKey(key, '--allow')));
    const { limits, bridges, report } = prepareBridges(values, terminal);
    const settings = await dialSettings(values);
    const { identity, created } = await chooseIdentity(values, 'server');

    const interrupted = interruption(io, terminal);
    const server = new SecureWebSocketServer({
      relay,
      identity,
      ...settings,
      maxPayload: limits.maxPayload,
      autoPong: false,
      ...(values['no-reconnect'] && { reconnect: false, resumeWindow: 0 }),
    });
    let failure: Error | undefined;
    server.on('error', error => {
      failure = error;
      server.close();
    });
    const stopped = new Promise<'stopped'>(resolve => {
      server.on('close', () => {
        resolve('stopped');
      });
    });
    serve(server, (request, abort) => dialTarget(to, request, limits, abort), { allowed, bridges, report });
    const explain = (error: unknown): never => {
      throw explainNewIdentity(error, created);
    };
    const started = await Promise.race([interrupted, server.ready.catch(explain)]);
    if (started === undefined) {
      watchRelay(server, report);
      report.listening(withoutCredentials(server.url ?? ''), identity.publicKey, withoutCredentials(to));
      if (created !== undefined) terminal.status(`A new identity was made: ${created}`);
      const end = await Promise.race([interrupted, stopped]);
      if (end === 'stopped') {
        await bridges.close();
        throw failure ?? new CommandError('The server stopped.');
      }
    }
    const closed = bridges.close();
    server.close();
    await closed;
    return ExitCode.OK;
  },
});

type Dial = (request: Parameters<typeof dialTarget>[1], abort: AbortSignal) => Promise<OpenEnd>;

/** Joins who comes with a connection of its own to the target. */
function serve(
  server: SecureWebSocketServer,
  dial: Dial,
  context: {
    readonly allowed: ReadonlySet<string>;
    readonly bridges: Bridges;
    readonly report: BridgeReport;
  },
): void {
  const { allowed, bridges, report } = context;
  /** What was opened for those who are about to be accepted. */
  const opened = new WeakMap<object, OpenEnd>();
  const admit = async (
    request: RelayedRequest,
    answer: (isAdmitted: boolean, code?: number, message?: string) => void,
  ): Promise<void> => {
    const { url, headers, peerPublicKey } = request;
    const protocols = (headers['sec-websocket-protocol'] ?? '').split(', ').filter(name => name !== '');
    try {
      if (allowed.size > 0 && !allowed.has(peerPublicKey)) throw new Refusal(403, 'This key is not allowed.');
      await bridges.attempt(async ({ signal }) => {
        const target = await dial({ url, protocols, origin: headers['origin'], peerPublicKey }, signal);
        opened.set(request, target);
        answer(true);
        // Gone meanwhile: there was no `connection`.
        if (opened.delete(request)) target.end.terminate();
      });
    } catch (error) {
      const refusal = refusalOf(error);
      report.refused(refusal);
      answer(false, refusal.status, refusal.message);
    }
  };
  server.options.verifyClient = ({ req }, answer) => {
    void admit(req as unknown as RelayedRequest, answer);
  };
  server.options.handleProtocols = (_, request) => opened.get(request)?.protocol ?? false;
  server.on('connection', (socket, request) => {
    const target = opened.get(request);
    opened.delete(request);
    if (target === undefined) socket.terminate();
    else bridges.join(target.end, new AcceptedEnd(socket), socket.peerPublicKey);
  });
}

function watchRelay(server: SecureWebSocketServer, report: BridgeReport): void {
  server.on('reconnecting', attempt => {
    report.reconnecting(attempt);
  });
  server.on('reconnected', () => {
    report.reconnected();
  });
}

/** @throws UsageError */
function required(text: string | undefined, name: string): URL {
  if (text === undefined) throw new UsageError(`--${name} is missing.`);
  return webSocketUrl(text);
}
