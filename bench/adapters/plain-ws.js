// The relay that people write by hand: a 32-byte address, then the message, in the clear.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';

const ADDRESS_LENGTH = 32;

export async function startRelay() {
  const clients = new Map();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  server.on('connection', socket => {
    let own;
    socket.on('message', data => {
      if (own === undefined) {
        own = data;
        clients.set(own.toString('latin1'), socket);
        socket.send('registered');
        return;
      }
      const to = clients.get(data.toString('latin1', 0, ADDRESS_LENGTH));
      own.copy(data);
      to?.send(data);
    });
  });
  await once(server, 'listening');
  return { url: `ws://127.0.0.1:${server.address().port}` };
}

export function createIdentity() {
  return randomBytes(ADDRESS_LENGTH);
}

export async function listen(url, identity, onMessage) {
  await register(url, identity, onMessage);
  return { address: identity };
}

export async function dial(url, identity, address, onMessage) {
  const socket = await register(url, identity, onMessage);
  return { send: payload => sendTo(socket, address, payload) };
}

async function register(url, address, onMessage) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  socket.send(address);
  await once(socket, 'message');
  socket.on('message', data => {
    onMessage(data.subarray(ADDRESS_LENGTH), payload => {
      sendTo(socket, data.subarray(0, ADDRESS_LENGTH), payload);
    });
  });
  return socket;
}

function sendTo(socket, address, payload) {
  const message = Buffer.allocUnsafe(ADDRESS_LENGTH + payload.length);
  address.copy(message);
  message.set(payload, ADDRESS_LENGTH);
  socket.send(message);
}
