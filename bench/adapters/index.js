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
 * @typedef {{
 *   name: string,
 *   title: string,
 *   module: string,
 *   packages: readonly string[],
 *   isPeer?: boolean,
 *   leastNode?: number,
 *   environment?: Readonly<Record<string, string>>,
 * }} AdapterEntry
 *   `name` is what `--adapters` takes, `title` what tables say. `packages` are told with their versions; those of an
 *   `isPeer` are in adapters/peers/node_modules. `environment`: variables of its processes.
 */

/** The one that the others are compared with. */
export const BASELINE = 'plain-ws';

/** Names the back end of secure-websocket on Node. Set by the adapters, so that no other than the one named is measured. */
export const CRYPTO_VARIABLE = 'SECURE_WEBSOCKET_CRYPTO';

/** @type {readonly AdapterEntry[]} */
export const adapters = [
  { name: BASELINE, title: 'plain ws', module: './plain-ws.js', packages: ['ws'] },
  {
    // What one gets without installing anything else.
    name: 'secure-websocket',
    title: 'secure-websocket',
    module: './secure-websocket.js',
    packages: ['ws', 'libsodium-wrappers'],
    environment: { [CRYPTO_VARIABLE]: 'node' },
  },
  {
    name: 'secure-websocket-native',
    title: 'secure-websocket (sodium-native)',
    module: './secure-websocket.js',
    packages: ['ws', 'sodium-native'],
    environment: { [CRYPTO_VARIABLE]: 'sodium-native' },
  },
  {
    name: 'secure-websocket-wasm',
    title: 'secure-websocket (wasm)',
    module: './secure-websocket.js',
    packages: ['ws', 'libsodium-wrappers'],
    environment: { [CRYPTO_VARIABLE]: 'libsodium' },
  },
  { name: 'json-box', title: 'JSON + crypto_box', module: './json-box.js', packages: ['libsodium-wrappers'] },
  {
    name: 'socket-io',
    title: 'socket.io',
    module: './peers/socket-io.js',
    packages: ['socket.io', 'socket.io-client'],
    isPeer: true,
  },
  {
    name: 'libp2p',
    title: 'libp2p circuit relay',
    module: './peers/libp2p.js',
    packages: ['libp2p', '@libp2p/circuit-relay-v2', '@chainsafe/libp2p-noise', '@libp2p/yamux'],
    isPeer: true,
    leastNode: 22,
  },
  {
    name: 'nostr',
    title: 'nostr (NIP-44)',
    module: './peers/nostr.js',
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
 * @param {string} name
 * @returns {Promise<Adapter>}
 */
export async function loadAdapter(name) {
  return /** @type {Adapter} */ (await import(adapterNamed(name).module));
}
