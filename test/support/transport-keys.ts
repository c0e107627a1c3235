import { CipherState } from '../../src/core/noise/cipher-state.js';
import { TransportKeys } from '../../src/core/transport-keys.js';
import { crypto } from './registration.js';

/** One end's keys of a session that nobody has shaken hands for: the initiator's fit the other's. */
export function transportKeys(initiator: boolean): TransportKeys {
  const [one, two] = [1, 2].map(n => new CipherState(crypto, new Uint8Array(32).fill(n))) as [
    CipherState,
    CipherState,
  ];
  return new TransportKeys({
    localIndex: 1,
    remoteIndex: 1,
    send: initiator ? one : two,
    receive: initiator ? two : one,
    initiator,
    handshakeHash: new Uint8Array(64),
    exporter: new Uint8Array(32),
    createdAt: performance.now(),
  });
}
