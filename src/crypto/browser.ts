/** `#crypto` in browsers. */
export { loadLibsodium as loadCrypto } from './libsodium.js';
