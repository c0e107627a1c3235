// Rooms of socket.io over WebSockets, as its documentation has them: the server emits to the room but for the sender. No
// encryption.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

const ROOM = 'bench';
/** Above the largest message that is measured; the default is 1 MB. */
const MAX_MESSAGE = 100 << 20;

export async function startRelay() {
  const http = createServer();
  const server = new Server(http, { transports: ['websocket'], maxHttpBufferSize: MAX_MESSAGE });
  server.on('connection', socket => {
    socket.on('enter', async (room, done) => {
      await socket.join(room);
      done();
    });
    socket.on('message', (room, payload) => {
      socket.to(room).emit('message', payload);
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { url: `ws://127.0.0.1:${http.address().port}` };
}

export function createIdentity() {
  return undefined;
}

export async function openRoom(url) {
  const socket = await enter(url, ROOM);
  // Whoever has entered was told so by the server, which sends to it from then on.
  return {
    room: ROOM,
    send: payload => socket.emit('message', ROOM, payload),
    hasMembers: () => Promise.resolve(),
  };
}

export async function enterRoom(url, _identity, room, onMessage) {
  const socket = await enter(url, room);
  socket.on('message', onMessage);
  return socket;
}

async function enter(url, room) {
  const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  await socket.emitWithAck('enter', room);
  return socket;
}
