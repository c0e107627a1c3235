// npm run chat:proxy: `secure-websocket proxy`, and the page that speaks plain WebSocket with it.
// Browser → proxy on this machine → relay.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createPageServer, listen } from './page-server.js';
import { passRelayView } from './relay-view-stream.js';
import { fail, keyOf, portOf, readSettings, relayUrlOf } from './settings.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const settings = readSettings({
  usage: 'npm run chat:proxy -- [options]',
  about:
    'The chat room by way of a proxy on this machine, which has the keys. Needs a relay: `npm run chat` is one.\n' +
    'The page and the proxy are for this machine alone.',
  settings: [
    {
      name: 'relay',
      value: 'URL',
      variable: 'CHAT_RELAY',
      fallback: 'ws://localhost:8080',
      help: 'The relay that the others use, too.',
    },
    {
      name: 'relay-key',
      value: 'KEY',
      variable: 'CHAT_RELAY_KEY',
      help: 'The key that it must have, 64 hex digits.',
    },
    {
      name: 'port',
      value: 'PORT',
      variable: 'CHAT_PORT',
      fallback: '8081',
      help: 'Of the page. 0: any that is free.',
    },
    {
      name: 'proxy-port',
      value: 'PORT',
      variable: 'CHAT_PROXY_PORT',
      fallback: '9000',
      help: 'Of the proxy. 0: any that is free.',
    },
    {
      name: 'space',
      value: 'NAME',
      variable: 'CHAT_SPACE',
      fallback: 'lobby',
      help: 'The room that the page proposes.',
    },
    {
      name: 'identity',
      value: 'FILE',
      variable: 'CHAT_IDENTITY',
      help: 'The key file of the proxy, made when there is none: one for each person. Default: that of the command line.',
    },
  ],
});
if (settings === undefined) process.exit(0);
if (!existsSync(CLI)) fail('The command line is not built yet: npm run build.');

const relay = relayUrlOf('relay', settings.relay);
const relayKey = keyOf('relay-key', settings['relay-key']);
const port = portOf('port', settings.port);
const proxyPort = portOf('proxy-port', settings['proxy-port']);

const options = {
  way: 'proxy',
  space: settings.space,
  url: '',
  relayView: (response, after) => passRelayView(relay, response, after),
};
const server = await createPageServer(options);
await listen(server, port, '127.0.0.1');
const { port: pagePort } = server.address();

// Every web page can reach what listens at localhost: the proxy is told which one may connect.
const origins = ['localhost', '127.0.0.1'].map(name => `http://${name}:${pagePort}`);
const args = ['proxy', '--relay', relay, '--listen', `127.0.0.1:${proxyPort}`];
for (const origin of origins) args.push('--allow-origin', origin);
if (settings.identity) args.push('--identity', settings.identity);
if (relayKey) args.push('--server-key', relayKey);
const proxy = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'inherit', 'pipe'] });

const lines = createInterface(proxy.stderr);
lines.on('line', line => {
  const [address] = /^ws:\/\/127\.0\.0\.1:\d+$/.exec(line) ?? [];
  if (options.url !== '' || address === undefined) {
    console.error(line);
    return;
  }
  options.url = address;
  console.log(`
  secure-websocket chat, by way of a proxy

  Open   ${origins[0]}

  proxy  secure-websocket ${args.join(' ')}
  Ctrl-C ends both.
`);
});
proxy.on('exit', code => {
  server.close();
  server.closeAllConnections();
  process.exitCode = code ?? 1;
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => proxy.kill('SIGTERM'));
