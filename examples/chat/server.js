// npm run chat: a relay, and the page that encrypts by itself. Browser → relay.
import { readFile } from 'node:fs/promises';
import { Relay } from 'secure-websocket/server';
import { createPageServer, listen } from './page-server.js';
import { passRelayView, RelayView } from './relay-view-stream.js';
import { fail, keyOf, portOf, publicUrlsOf, readSettings, relayUrlOf } from './settings.js';

const settings = readSettings({
  usage: 'npm run chat -- [options]',
  about: 'A chat room. Serves the page, and a relay at the same port.',
  settings: [
    {
      name: 'host',
      value: 'NAME',
      variable: 'CHAT_HOST',
      fallback: '127.0.0.1',
      help: 'Listen at this name or address.',
    },
    { name: 'port', value: 'PORT', variable: 'CHAT_PORT', fallback: '8080', help: '0: any that is free.' },
    {
      name: 'space',
      value: 'NAME',
      variable: 'CHAT_SPACE',
      fallback: 'lobby',
      help: 'The room that the page proposes.',
    },
    {
      name: 'public-url',
      value: 'URL',
      variable: 'CHAT_PUBLIC_URL',
      multiple: true,
      help: 'Where browsers find the page, if that is not what it listens at: https://chat.example. May be repeated.',
    },
    {
      name: 'relay',
      value: 'URL',
      variable: 'CHAT_RELAY',
      help: 'Use this relay, as wss://relay.example, and run none.',
    },
    {
      name: 'relay-key',
      value: 'KEY',
      variable: 'CHAT_RELAY_KEY',
      help: 'The key that this relay must have, 64 hex digits.',
    },
    { name: 'tls-cert', value: 'FILE', variable: 'CHAT_TLS_CERT', help: 'Speak HTTPS: certificate, PEM.' },
    { name: 'tls-key', value: 'FILE', variable: 'CHAT_TLS_KEY', help: 'Its key, PEM.' },
  ],
});
if (settings === undefined) process.exit(0);

const port = portOf('port', settings.port);
const elsewhere = settings.relay && relayUrlOf('relay', settings.relay);
const relayKey = keyOf('relay-key', settings['relay-key']);
const publicUrls = publicUrlsOf('public-url', settings['public-url']);
if (!settings['tls-cert'] !== !settings['tls-key']) fail('--tls-cert and --tls-key go together.');
const tls = settings['tls-cert'] && {
  cert: await readFile(settings['tls-cert']),
  key: await readFile(settings['tls-key']),
};

const relayView = new RelayView();
const options = {
  way: 'relay',
  space: settings.space,
  url: elsewhere ?? '',
  relayKey,
  tls,
  relayView: (response, after) =>
    elsewhere ? passRelayView(elsewhere, response, after) : relayView.subscribe(response, after),
};
const server = await createPageServer(options);
await listen(server, port, settings.host);
const relay = elsewhere ? undefined : await startRelay();

const shown = settings.host.replace(/^127\.0\.0\.1$/, 'localhost').replace(/^(.*:.*)$/, '[$1]');
const address = `${tls ? 'https' : 'http'}://${shown}:${server.address().port}`;
console.log(`
  secure-websocket chat

  Open   ${publicUrls?.[0] ?? address}   in as many tabs and browsers as there are people.

  relay  ${elsewhere ?? relay.publicKey}
  Ctrl-C ends it.
`);

/** Its key is kept in a file, so that those in the room find the same relay when it was restarted. */
async function startRelay() {
  const relay = new Relay({
    server,
    addresses: publicUrls?.map(url => url.replace(/^http/, 'ws')),
    // For the side pane only: the relay shows what it gets to see.
    onEnvelope: envelope => relayView.showEnvelope(envelope),
    onSpace: seen => relayView.showSpace(seen),
  });
  relayView.watch(relay);
  await relay.listen();
  options.relayKey = relay.publicKey;
  return relay;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void close());

async function close() {
  relayView.close();
  await relay?.close();
  server.close();
  server.closeAllConnections();
}
