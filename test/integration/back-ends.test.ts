// Ends with different back ends of the cryptography, over real sockets: direct, and through a relay with a third one.
import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { NODE_BACK_ENDS } from '../../src/crypto/node-back-ends.js';
import { Relay } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { anyServer } from '../support/attacked.js';

const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const SIZES = [0, 100, 2_000, 20_000, 1_000_000];

type Name = keyof typeof NODE_BACK_ENDS;
const identity = async (name: Name): Promise<Identity> => {
  const crypto = await NODE_BACK_ENDS[name]();
  const made = await Identity.generate(crypto);
  expect(made.crypto.name).toBe(name);
  return made;
};

it.each<[client: Name, server: Name, relay: Name | undefined]>([
  ['noble', 'sodium-native', undefined],
  ['sodium-native', 'noble', 'libsodium'],
  ['node', 'libsodium', 'noble'],
  ['libsodium', 'node', undefined],
])('%s talks to %s, through %s', async (clientName, serverName, relayName) => {
  let relay: Relay | undefined;
  if (relayName !== undefined) {
    relay = new Relay({ port: 0, host: '127.0.0.1', identity: await identity(relayName) });
    await relay.listen();
    cleanUp.push(() => relay!.close());
  }
  const server = new SecureWebSocketServer({
    ...(relay ? { relay: relay.url, trustStore: anyServer } : { port: 0, host: '127.0.0.1' }),
    identity: await identity(serverName),
  });
  cleanUp.push(async () => {
    server.close();
    await once(server, 'close');
  });
  server.on('connection', socket => {
    socket.on('message', (data, isBinary) => {
      socket.send(data, { binary: isBinary });
    });
  });
  await server.ready;

  const client = new ClientSecureWebSocket(server.url!, [], {
    identity: await identity(clientName),
    trustStore: anyServer,
  });
  client.binaryType = 'arraybuffer';
  await once(client as unknown as EventTarget, 'open');
  const received: Uint8Array[] = [];
  const all = new Promise<void>(resolve => {
    client.onmessage = ({ data }) => {
      received.push(new Uint8Array(data as ArrayBuffer));
      if (received.length === SIZES.length) resolve();
    };
  });
  const messages = SIZES.map(size => Uint8Array.from({ length: size }, (_, i) => i * 31));
  for (const message of messages) client.send(message);
  await all;
  expect(received.map((message, i) => Buffer.compare(message, messages[i]!))).toEqual(SIZES.map(() => 0));
  const closed = once(client as unknown as EventTarget, 'close');
  client.close();
  await closed;
});
