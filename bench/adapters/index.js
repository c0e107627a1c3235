import * as plainWs from './plain-ws.js';
import * as secureWebSocket from './secure-websocket.js';

/** The first is what the others are compared with. */
export const adapters = [plainWs, secureWebSocket];

export function adapterNamed(name) {
  const adapter = adapters.find(each => each.name === name);
  if (!adapter)
    throw new Error(`No adapter "${name}": there are ${adapters.map(each => each.name).join(', ')}.`);
  return adapter;
}
