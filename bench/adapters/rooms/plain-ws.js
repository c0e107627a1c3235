// The least that one can do: whoever is in a room says its name once, and what one sends the server sends to all others.
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';

const ROOM = 'bench';

export async function startRelay() {
  const rooms = new Map();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  server.on('connection', socket => {
    let members;
    socket.on('message', data => {
      if (members === undefined) {
        const name = data.toString();
        members = rooms.get(name) ?? new Set();
        rooms.set(name, members.add(socket));
        socket.send('entered');
        return;
      }
      for (const member of members) if (member !== socket) member.send(data);
    });
  });
  await once(server, 'listening');
  return { url: `ws://127.0.0.1:${server.address().port}` };
}

export function createIdentity() {
  return undefined;
}

export async function openRoom(url) {
  const socket = await enter(url, ROOM);
  // Whoever has entered was told so by the relay, which sends to it from then on.
  return { room: ROOM, send: payload => socket.send(payload), hasMembers: () => Promise.resolve() };
}

export async function enterRoom(url, _identity, room, onMessage) {
  const socket = await enter(url, room);
  socket.on('message', onMessage);
  return socket;
}

async function enter(url, room) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  socket.send(room);
  await once(socket, 'message');
  return socket;
}
