import type { LoadCrypto } from '../core/crypto.js';
import { noble } from './noble.js';
import { once } from './once.js';

/** `#crypto` in `secure-websocket/lite`. */
export const loadCrypto: LoadCrypto = once(() => Promise.resolve(noble()));
