import { TRANSPORT_OVERHEAD, type TransportKeys } from '../../src/core/transport-keys.js';

/** A whole transport message, in memory of its own. */
export function transportMessage(keys: TransportKeys, plaintext: Uint8Array): Uint8Array {
  const message = new Uint8Array(plaintext.length + TRANSPORT_OVERHEAD);
  keys.seal(plaintext, message, 0);
  return message;
}
