import type { IncomingMessage } from 'node:http';
import { describeError } from '../core/describe-error.js';
import { Relay, type RelayOptions } from '../relay/relay.js';
import { defineCommand } from './command.js';
import { ExitCode } from './exit-code.js';
import { chooseIdentity, identityOptions } from './identity.js';
import { interruption } from './interruption.js';
import { webSocketUrl } from './location.js';
import { DEFAULT_PORT, listenFailure, otherUrls } from './network.js';
import { checkPositionals, toInteger } from './options.js';
import { JsonReport, type RelayReport, TextReport } from './relay-report.js';

export const relay = defineCommand({
  name: 'relay',
  summary: 'Run a relay, through which public keys reach each other.',
  usage: '[options]',
  description: [
    'Forwards what is encrypted between those who connect to it. It cannot read any of it; it sees who talks to ' +
      'whom, when and how much.',
    'It speaks ws://. On the internet put a reverse proxy that does TLS in front of it, and give its wss:// address ' +
      'with --public-url: clients refuse a relay that does not answer to the address they have dialled.',
    'Ctrl-C (SIGINT) and SIGTERM end it in order; a second one ends it at once.',
  ],
  options: {
    port: { type: 'string', value: 'N', help: `The port. 0: any that is free. Default: ${DEFAULT_PORT}.` },
    host: { type: 'string', value: 'H', help: 'The address to listen at. Default: all of this machine.' },
    'public-url': {
      type: 'string',
      value: 'URL',
      multiple: true,
      help: 'Where clients dial, if not at an address of this machine: wss://relay.example. May be repeated.',
    },
    path: { type: 'string', value: 'PATH', help: 'The only path that is answered. Default: any.' },
    ...identityOptions('relay'),
    'max-connections': { type: 'string', value: 'N', help: 'The most clients at a time.' },
    'behind-proxy': {
      type: 'boolean',
      help: 'The address of a client is the last in X-Forwarded-For, which the proxy in front has put there.',
    },
    verbose: { type: 'boolean', short: 'v', help: 'Say who comes and goes.' },
    json: { type: 'boolean', help: 'Say everything as one JSON object per line, on stdout.' },
  },
  examples: [
    ['on this machine', 'secure-websocket relay --host localhost'],
    [
      'on the internet, behind a proxy with TLS',
      'secure-websocket relay --host 127.0.0.1 --public-url wss://relay.example --behind-proxy',
    ],
  ],
  async run({ values, positionals, terminal, io }) {
    checkPositionals(positionals, [], 0);
    const { host, path } = values;
    const port = values.port === undefined ? DEFAULT_PORT : toInteger(values.port, '--port', 0, 65_535);
    const most = values['max-connections'];
    const addresses = values['public-url'].map(url => webSocketUrl(url).href);
    const options: RelayOptions = {
      port,
      host,
      path,
      ...(addresses.length > 0 && { addresses }),
      ...(most !== undefined && { maxConnections: toInteger(most, '--max-connections', 1, 10_000_000) }),
      ...(values['behind-proxy'] && { clientAddress: forwardedFor }),
    };
    const { identity, created } = await chooseIdentity(values, 'relay');

    const interrupted = interruption(io, terminal);
    const server = new Relay({ ...options, identity });
    try {
      await server.listen();
    } catch (error) {
      throw listenFailure(error, host === undefined ? `port ${port}` : `${host}, port ${port}`);
    }
    const report = values.json ? new JsonReport(terminal) : new TextReport(terminal, values.verbose);
    if (created !== undefined) terminal.status(`A new identity was made: ${created}`);
    const { url, publicKey } = server;
    report.listening(publicKey, [url, ...(addresses.length > 0 ? [] : otherUrls(url, host))]);
    watch(server, report);
    server.on('error', error => {
      terminal.error(describeError(error));
    });
    report.closing(await interrupted, server.connections);
    await server.close();
    return ExitCode.OK;
  },
});

function watch(server: Relay, report: RelayReport): void {
  server.on('connection', client => {
    report.connected(client);
  });
  server.on('disconnection', (client, code) => {
    report.disconnected(client, code);
  });
  server.on('refused', refusal => {
    report.refused(refusal);
  });
}

/** What the proxy next to us has added: the last entry. Those before it anybody can write. */
function forwardedFor(request: IncomingMessage): string | undefined {
  const header = request.headers['x-forwarded-for'];
  const entries = (Array.isArray(header) ? header.join() : (header ?? '')).split(',');
  const last = entries.at(-1)?.trim();
  return last === '' ? undefined : last;
}
