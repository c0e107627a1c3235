// socket.io over WebSockets: every client is in the room of its address, the relay emits to the room. No encryption.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

/** Above the largest message that is measured; the default is 1 MB. */
const MAX_MESSAGE = 100 << 20;

export async function startRelay() {
  const http = createServer();
  const server = new Server(http, { transports: ['websocket'], maxHttpBufferSize: MAX_MESSAGE });
  server.on('connection', socket => {
    socket.on('register', async (address, done) => {
      await socket.join(address);
      socket.data.address = address;
      done();
    });
    socket.on('message', (to, payload) => {
      server.to(to).emit('message', socket.data.address, payload);
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { url: `ws://127.0.0.1:${http.address().port}` };
}

export function createIdentity() {
  return randomBytes(32).toString('hex');
}

export async function listen(url, identity, onMessage) {
  await register(url, identity, onMessage);
  return { address: identity };
}

export async function dial(url, identity, address, onMessage) {
  const socket = await register(url, identity, onMessage);
  return { send: payload => socket.emit('message', address, payload) };
}

async function register(url, address, onMessage) {
  const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false });
  socket.on('message', (from, payload) => {
    onMessage(payload, answer => socket.emit('message', from, answer));
  });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  await socket.emitWithAck('register', address);
  return socket;
}
