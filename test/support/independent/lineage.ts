/** What makes a channel the same in another session, as docs/protocol.md describes it. */
import type { TransportKeyPair } from './noise.js';
import { hmac } from './primitives.js';
import { u32 } from './wire.js';

export type Role = 'opener' | 'acceptor';

export class Lineage {
  /** Names the channel to the peer. */
  readonly id: Buffer;
  /** What OPEN_ACCEPT calls the session in which OPEN came. */
  readonly session: string;
  readonly #key: Buffer;

  /** `keys`: those under which OPEN was sent; `opener`: the public key of the end that sent it. */
  constructor(keys: TransportKeyPair, opener: Uint8Array, channelId: number) {
    this.#key = hmac(
      keys.exporter,
      Buffer.from('secure-websocket/1 channel', 'ascii'),
      opener,
      u32(channelId),
    );
    this.id = hmac(this.#key, Buffer.from('id', 'ascii')).subarray(0, 16);
    this.session = keys.handshakeHash.subarray(0, 16).toString('base64url');
  }

  /** The payload of RESUME in a session with this handshake hash. */
  payload(role: Role, handshakeHash: Uint8Array): Buffer {
    const proof = hmac(this.#key, Buffer.from(role, 'ascii'), handshakeHash).subarray(0, 32);
    return Buffer.concat([this.id, proof]);
  }
}
