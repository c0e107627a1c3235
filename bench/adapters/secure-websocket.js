// This library: both ends as an application would write them.
import { once } from 'node:events';
import { ClientSecureWebSocket } from 'secure-websocket';
import { Identity, Relay, SecureWebSocketServer } from 'secure-websocket/server';

export async function startRelay() {
  // All of the load comes from one address, which is what a relay on the internet is careful about.
  const limits = { maxConnectionsPerIp: 1_000_000, maxConnections: 1_000_000, acceptRate: 1_000_000 };
  const relay = new Relay({ port: 0, host: '127.0.0.1', identity: await Identity.generate(), ...limits });
  await relay.listen();
  return { url: relay.url };
}

export function createIdentity() {
  return Identity.generate();
}

export async function listen(url, identity, onMessage) {
  const server = new SecureWebSocketServer({ relay: url, identity });
  server.on('connection', socket => {
    const reply = payload => socket.send(payload);
    socket.on('message', data => onMessage(data, reply));
  });
  await once(server, 'listening');
  return { address: identity.publicKey };
}

export async function dial(url, identity, address, onMessage) {
  const socket = new ClientSecureWebSocket(`${url}/${address}`, [], { identity });
  socket.binaryType = 'arraybuffer';
  const send = payload => socket.send(payload);
  socket.addEventListener('message', ({ data }) => onMessage(new Uint8Array(data), send));
  await once(socket, 'open');
  return { send };
}
