import type { Crypto, LoadCrypto } from '../core/crypto.js';
import { SecureWebSocketError } from '../core/errors.js';
import { NODE_BACK_ENDS } from './node-back-ends.js';
import { once } from './once.js';

const VARIABLE = 'SECURE_WEBSOCKET_CRYPTO';

/** `#crypto` in Node: the fastest back end that is here, or the one that `SECURE_WEBSOCKET_CRYPTO` names. */
export const loadCrypto: LoadCrypto = once(() => {
  const name = process.env[VARIABLE];
  return name === undefined || name === '' ? loadFastest() : loadNamed(name);
});

async function loadFastest(): Promise<Crypto> {
  for (const name of ['sodium-native', 'node'] as const) {
    try {
      return await NODE_BACK_ENDS[name]();
    } catch {
      // Not installed, not built for this machine, not in this OpenSSL: the next one does the same, slower.
    }
  }
  return NODE_BACK_ENDS.libsodium();
}

async function loadNamed(name: string): Promise<Crypto> {
  const names = Object.keys(NODE_BACK_ENDS).join(', ');
  if (!Object.hasOwn(NODE_BACK_ENDS, name)) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      `${VARIABLE} is "${name}", and there is no such back end. There are ${names}.`,
    );
  }
  try {
    return await NODE_BACK_ENDS[name as keyof typeof NODE_BACK_ENDS]();
  } catch (error) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      `${VARIABLE} is "${name}", which cannot be loaded: install it, or name another one of ${names}.`,
      { cause: error },
    );
  }
}
