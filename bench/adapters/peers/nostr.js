// nostr: each message is an event, encrypted with NIP-44 (version 2) and signed. The relay and the receiver check the
// signature, as NIP-01 has it. The kind is an ephemeral one: relays do not store it.
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';
import { getConversationKey, decrypt, encrypt } from 'nostr-tools/nip44';
import { finalizeEvent, generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools/pure';

/** In 20000 … 29999: ephemeral events. */
const KIND = 21_044;
const SUBSCRIPTION = 'inbox';

/** A relay of NIP-01, as far as subscriptions to the events for one key go. */
export async function startRelay() {
  /** Who wants the events that are tagged with a key: a function each. */
  const subscribers = new Map();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  server.on('connection', socket => {
    const send = message => socket.send(JSON.stringify(message));
    socket.on('message', data => {
      const [type, ...rest] = JSON.parse(data.toString());
      if (type === 'REQ') {
        const [subscription, filter] = rest;
        for (const key of filter['#p']) subscribers.set(key, event => send(['EVENT', subscription, event]));
        send(['EOSE', subscription]);
      }
      if (type === 'EVENT') {
        const [event] = rest;
        const isValid = verifyEvent(event);
        send(['OK', event.id, isValid, isValid ? '' : 'invalid: bad signature']);
        if (!isValid) return;
        for (const [name, value] of event.tags) if (name === 'p') subscribers.get(value)?.(event);
      }
    });
  });
  await once(server, 'listening');
  return { url: `ws://127.0.0.1:${server.address().port}` };
}

export function createIdentity() {
  const secretKey = generateSecretKey();
  return { secretKey, publicKey: getPublicKey(secretKey) };
}

export async function listen(url, identity, onMessage) {
  await subscribe(url, identity, onMessage);
  return { address: identity.publicKey };
}

export async function dial(url, identity, address, onMessage) {
  return { send: (await subscribe(url, identity, onMessage)).sendTo(address) };
}

async function subscribe(url, { secretKey, publicKey }, onMessage) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  const filter = { kinds: [KIND], '#p': [publicKey] };
  socket.send(JSON.stringify(['REQ', SUBSCRIPTION, filter]));
  await once(socket, 'message');

  const conversationKeys = new Map();
  const conversationKey = peer => {
    let key = conversationKeys.get(peer);
    if (key === undefined) {
      key = getConversationKey(secretKey, peer);
      conversationKeys.set(peer, key);
    }
    return key;
  };
  const sendTo = peer => payload => {
    // NIP-44 encrypts text.
    const content = encrypt(Buffer.from(payload).toString('base64'), conversationKey(peer));
    const created_at = Math.floor(Date.now() / 1000);
    const event = finalizeEvent({ kind: KIND, created_at, tags: [['p', peer]], content }, secretKey);
    socket.send(JSON.stringify(['EVENT', event]));
  };
  socket.on('message', data => {
    const [type, , event] = JSON.parse(data.toString());
    if (type !== 'EVENT') return;
    if (!verifyEvent(event)) throw new Error('an event with a bad signature');
    const payload = Buffer.from(decrypt(event.content, conversationKey(event.pubkey)), 'base64');
    onMessage(payload, sendTo(event.pubkey));
  });
  return { sendTo };
}
