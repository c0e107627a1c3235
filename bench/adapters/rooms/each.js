// This library without spaces: each member has a channel with the sender, which seals every message once for each of them.
import { once } from 'node:events';
import { ClientSecureWebSocket } from 'secure-websocket';
import { SecureWebSocketServer } from 'secure-websocket/server';
import { opened } from './opened.js';

export { createIdentity, startRelay } from '../secure-websocket.js';

export async function openRoom(url, identity) {
  const members = [];
  let onMember = () => {};
  const server = new SecureWebSocketServer({ relay: url, identity });
  server.on('connection', socket => {
    members.push(socket);
    onMember();
  });
  await once(server, 'listening');
  return {
    room: identity.publicKey,
    send: payload => {
      for (const member of members) member.send(payload);
    },
    hasMembers: count =>
      new Promise(resolve => {
        // The sender is no member of its own.
        onMember = () => {
          if (members.length === count - 1) resolve();
        };
        onMember();
      }),
  };
}

export async function enterRoom(url, identity, address, onMessage) {
  const socket = new ClientSecureWebSocket(`${url}/${address}`, [], { identity });
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('message', ({ data }) => onMessage(new Uint8Array(data)));
  await opened(socket);
  return socket;
}
