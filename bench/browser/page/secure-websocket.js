// This library in a page, from its bundle: the counterpart of adapters/secure-websocket.js.
import { ClientSecureWebSocket, Identity, SecureWebSocketServer } from 'secure-websocket';

export function createIdentity() {
  return Identity.generate();
}

export async function listen(url, identity, onMessage) {
  const server = new SecureWebSocketServer({ relay: url, identity });
  server.on('connection', socket => {
    const reply = payload => socket.send(payload);
    socket.on('message', data => onMessage(data, reply));
  });
  await new Promise((resolve, reject) => {
    server.on('listening', resolve);
    server.on('error', reject);
  });
  return { address: identity.publicKey };
}

export async function dial(url, identity, address, onMessage) {
  const socket = new ClientSecureWebSocket(`${url}/${address}`, [], { identity });
  socket.binaryType = 'arraybuffer';
  const send = payload => socket.send(payload);
  socket.onmessage = ({ data }) => onMessage(new Uint8Array(data), send);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = ({ error }) => reject(error);
  });
  return { send };
}
