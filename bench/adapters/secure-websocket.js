// This library: both ends as an application would write them.
import { once } from 'node:events';
import { ClientSecureWebSocket } from 'secure-websocket';
import { Identity, Relay, SecureWebSocketServer } from 'secure-websocket/server';

export const name = 'secure-websocket';

export async function startRelay() {
  const relay = new Relay({ port: 0, host: '127.0.0.1', identity: await Identity.generate() });
  await relay.listen();
  return { url: relay.url, close: () => relay.close() };
}

/** Two clients of the relay: `send` passes a message from one to the other, where `onMessage` is called with it. */
export async function connect(url, onMessage) {
  const identity = await Identity.generate();
  const server = new SecureWebSocketServer({ relay: url, identity });
  await once(server, 'listening');
  server.on('connection', socket => {
    socket.on('message', onMessage);
  });
  const client = new ClientSecureWebSocket(`${url}/${identity.publicKey}`, [], {
    identity: await Identity.generate(),
  });
  await once(client, 'open');
  return {
    send: payload => {
      client.send(payload);
    },
    close: async () => {
      client.close();
      await once(client, 'close');
      server.close();
    },
  };
}
