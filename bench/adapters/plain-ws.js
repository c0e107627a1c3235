// The relay that people write by hand: a 32-byte address, then the message, in the clear.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';

const ADDRESS_LENGTH = 32;

export const name = 'plain-ws';

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
  return { url: `ws://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

async function register(url) {
  const address = randomBytes(ADDRESS_LENGTH);
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  socket.send(address);
  await once(socket, 'message');
  return { address, socket };
}

/** Two clients of the relay: `send` passes a message from one to the other, where `onMessage` is called with it. */
export async function connect(url, onMessage) {
  const sender = await register(url);
  const receiver = await register(url);
  receiver.socket.on('message', data => {
    onMessage(data.subarray(ADDRESS_LENGTH));
  });
  return {
    send: payload => {
      const message = Buffer.allocUnsafe(ADDRESS_LENGTH + payload.length);
      receiver.address.copy(message);
      message.set(payload, ADDRESS_LENGTH);
      sender.socket.send(message);
    },
    close: () => {
      sender.socket.terminate();
      receiver.socket.terminate();
    },
  };
}
