// A page's own WebSocket, at the plain relay: the counterpart of adapters/plain-ws.js.
const ADDRESS_LENGTH = 32;

export function createIdentity() {
  return crypto.getRandomValues(new Uint8Array(ADDRESS_LENGTH));
}

export async function listen(url, identity, onMessage) {
  await register(url, identity, onMessage);
  return { address: [...identity] };
}

export async function dial(url, identity, address, onMessage) {
  const socket = await register(url, identity, onMessage);
  const to = Uint8Array.from(address);
  return { send: payload => sendTo(socket, to, payload) };
}

async function register(url, address, onMessage) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  await event(socket, 'open');
  socket.send(address);
  await event(socket, 'message');
  socket.onmessage = ({ data }) => {
    const from = new Uint8Array(data, 0, ADDRESS_LENGTH);
    onMessage(new Uint8Array(data, ADDRESS_LENGTH), payload => sendTo(socket, from, payload));
  };
  return socket;
}

function sendTo(socket, address, payload) {
  const message = new Uint8Array(ADDRESS_LENGTH + payload.length);
  message.set(address);
  message.set(payload, ADDRESS_LENGTH);
  socket.send(message);
}

function event(socket, type) {
  return new Promise((resolve, reject) => {
    socket.addEventListener(type, resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error('the WebSocket failed')), { once: true });
  });
}
