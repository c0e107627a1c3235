// What people write when they add encryption by hand: JSON with base64 inside, sealed with NaCl's crypto_box. The shared
// key of each pair is computed once. No batching, no forward secrecy, nothing against replay.
import { once } from 'node:events';
import sodium from 'libsodium-wrappers';
import { WebSocket, WebSocketServer } from 'ws';

export async function startRelay() {
  const clients = new Map();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  server.on('connection', socket => {
    let own;
    socket.on('message', data => {
      const message = JSON.parse(data.toString());
      if (own === undefined) {
        own = message.register;
        clients.set(own, socket);
        socket.send(JSON.stringify({ registered: own }));
        return;
      }
      clients.get(message.to)?.send(JSON.stringify({ ...message, from: own }));
    });
  });
  await once(server, 'listening');
  return { url: `ws://127.0.0.1:${server.address().port}` };
}

export async function createIdentity() {
  await sodium.ready;
  const { publicKey, privateKey } = sodium.crypto_box_keypair();
  return { address: toBase64(publicKey), privateKey };
}

export async function listen(url, identity, onMessage) {
  await register(url, identity, onMessage);
  return { address: identity.address };
}

export async function dial(url, identity, address, onMessage) {
  return { send: (await register(url, identity, onMessage)).sendTo(address) };
}

async function register(url, { address, privateKey }, onMessage) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  socket.send(JSON.stringify({ register: address }));
  await once(socket, 'message');

  const sharedKeys = new Map();
  const sharedKey = peer => {
    let key = sharedKeys.get(peer);
    if (key === undefined) {
      key = sodium.crypto_box_beforenm(fromBase64(peer), privateKey);
      sharedKeys.set(peer, key);
    }
    return key;
  };
  const sendTo = to => payload => {
    const nonce = sodium.randombytes_buf(sodium.crypto_box_NONCEBYTES);
    const box = sodium.crypto_box_easy_afternm(payload, nonce, sharedKey(to));
    socket.send(JSON.stringify({ to, nonce: toBase64(nonce), box: toBase64(box) }));
  };
  socket.on('message', data => {
    const { from, nonce, box } = JSON.parse(data.toString());
    const payload = sodium.crypto_box_open_easy_afternm(fromBase64(box), fromBase64(nonce), sharedKey(from));
    onMessage(payload, sendTo(from));
  });
  return { sendTo };
}

// Buffer's, which is native: libsodium's own is slower.
function toBase64(bytes) {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

function fromBase64(text) {
  return Buffer.from(text, 'base64');
}
