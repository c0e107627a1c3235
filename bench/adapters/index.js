// @ts-check
// What is compared. Each adapter is one module with the same four functions:
//
//   startRelay()                                  in the relay's process; resolves to `{ url }`
//   createIdentity()                              what a client is known by; resolves to anything
//   listen(url, identity, onMessage)              registers; resolves to `{ address }`, for others to dial
//   dial(url, identity, address, onMessage)       resolves to `{ send(payload) }`
//
// `onMessage(payload, reply)` is called with each message that arrives, and with a function that answers its sender.
// Both ends get and give `Uint8Array`s.
//
// Where one sends to many, another module with these:
//
//   startRelay(), createIdentity()                as above
//   openRoom(url, identity)                       enters first; resolves to what others are given, and how to send to all
//   enterRoom(url, identity, room, onMessage)     enters as one of those who are sent to

/**
 * @typedef {(payload: Uint8Array) => void} Send
 * @typedef {(payload: Uint8Array, reply: Send) => void} OnMessage
 *
 * @typedef {{
 *   startRelay(): Promise<{ url: string }>,
 *   createIdentity(): unknown,
 *   listen(url: string, identity: unknown, onMessage: OnMessage): Promise<{ address: unknown }>,
 *   dial(url: string, identity: unknown, address: unknown, onMessage: OnMessage): Promise<{ send: Send }>,
 * }} Adapter
 *
 * @typedef {{ room: unknown, send: Send, hasMembers(count: number): Promise<void> }} OpenRoom
 *   `hasMembers` resolves when so many are in the room that what is sent reaches all the others
 * @typedef {{
 *   startRelay(): Promise<{ url: string }>,
 *   createIdentity(): unknown,
 *   openRoom(url: string, identity: unknown): Promise<OpenRoom>,
 *   enterRoom(url: string, identity: unknown, room: unknown, onMessage: (payload: Uint8Array) => void): Promise<unknown>,
 * }} RoomAdapter
 *
 * @typedef {{ title: string, module: string }} Part what tables say, and the module
 * @typedef {{
 *   name: string,
 *   pair?: Part,
 *   room?: Part,
 *   packages: readonly string[],
 *   isPeer?: boolean,
 *   leastNode?: number,
 *   environment?: Readonly<Record<string, string>>,
 * }} AdapterEntry
 *   `name` is what `--adapters` takes. `pair`: for all that is between two; `room`: where one sends to many. `packages`
 *   are told with their versions; those of an `isPeer` are in adapters/peers/node_modules. `environment`: variables of its
 *   processes.
 *
 * @typedef {'pair' | 'room'} Kind what a measurement is about
 */

/** The one that the others are compared with. */
export const BASELINE = 'plain-ws';

/** Names the back end of secure-websocket on Node. Set by the adapters, so that no other than the one named is measured. */
export const CRYPTO_VARIABLE = 'SECURE_WEBSOCKET_CRYPTO';

/** @type {readonly AdapterEntry[]} */
export const adapters = [
  {
    name: BASELINE,
    pair: { title: 'plain ws', module: './plain-ws.js' },
    room: { title: 'plain ws, broadcast', module: './rooms/plain-ws.js' },
    packages: ['ws'],
  },
  {
    // What one gets without installing anything else.
    name: 'secure-websocket',
    pair: { title: 'secure-websocket', module: './secure-websocket.js' },
    room: { title: 'space, sender keys', module: './rooms/sender-keys.js' },
    packages: ['ws', 'libsodium-wrappers'],
    environment: { [CRYPTO_VARIABLE]: 'node' },
  },
  {
    name: 'secure-websocket-wrapped',
    room: { title: 'space, wrapped keys', module: './rooms/wrapped.js' },
    packages: ['ws', 'libsodium-wrappers'],
    environment: { [CRYPTO_VARIABLE]: 'node' },
  },
  {
    name: 'secure-websocket-each',
    room: { title: 'one encryption per member', module: './rooms/each.js' },
    packages: ['ws', 'libsodium-wrappers'],
    environment: { [CRYPTO_VARIABLE]: 'node' },
  },
  {
    name: 'secure-websocket-native',
    pair: { title: 'secure-websocket (sodium-native)', module: './secure-websocket.js' },
    packages: ['ws', 'sodium-native'],
    environment: { [CRYPTO_VARIABLE]: 'sodium-native' },
  },
  {
    name: 'secure-websocket-wasm',
    pair: { title: 'secure-websocket (wasm)', module: './secure-websocket.js' },
    packages: ['ws', 'libsodium-wrappers'],
    environment: { [CRYPTO_VARIABLE]: 'libsodium' },
  },
  {
    name: 'json-box',
    pair: { title: 'JSON + crypto_box', module: './json-box.js' },
    packages: ['libsodium-wrappers'],
  },
  {
    name: 'socket-io',
    pair: { title: 'socket.io', module: './peers/socket-io.js' },
    room: { title: 'socket.io room', module: './peers/socket-io-room.js' },
    packages: ['socket.io', 'socket.io-client'],
    isPeer: true,
  },
  {
    name: 'libp2p',
    pair: { title: 'libp2p circuit relay', module: './peers/libp2p.js' },
    packages: ['libp2p', '@libp2p/circuit-relay-v2', '@chainsafe/libp2p-noise', '@libp2p/yamux'],
    isPeer: true,
    leastNode: 22,
  },
  {
    name: 'nostr',
    pair: { title: 'nostr (NIP-44)', module: './peers/nostr.js' },
    packages: ['nostr-tools'],
    isPeer: true,
  },
];

/**
 * @param {string} name
 * @returns {AdapterEntry}
 */
export function adapterNamed(name) {
  const adapter = adapters.find(each => each.name === name);
  if (!adapter)
    throw new Error(`No adapter "${name}": there are ${adapters.map(each => each.name).join(', ')}.`);
  return adapter;
}

/**
 * Loads what an adapter is made of; its packages must be installed.
 *
 * @template {Kind} K
 * @param {string} name
 * @param {K} kind
 * @returns {Promise<K extends 'room' ? RoomAdapter : Adapter>}
 */
export async function loadAdapter(name, kind) {
  const part = adapterNamed(name)[kind];
  if (!part) throw new Error(`The adapter "${name}" has nothing for a ${kind}.`);
  return await import(part.module);
}
