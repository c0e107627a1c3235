import { concat, toHex, utf8, writeUint32 } from './bytes.js';
import type { Crypto } from './crypto.js';
import { hmac } from './noise/hmac.js';
import type { TransportKeys } from './transport-keys.js';

/** lineage id (16) | proof (32): the payload of RESUME. */
const ID_LENGTH = 16;
const PROOF_LENGTH = 32;

/** Which end of a channel speaks: a proof of the one must be of no use to the other. */
export type Role = 'opener' | 'acceptor';

/**
 * What makes a channel this channel, whatever carries it: a secret that both ends took from the session in which it was
 * opened, and that nobody else can have (docs/protocol.md, "Resuming a channel").
 */
export class Lineage {
  /** Names the channel to a peer that knows it: hex. */
  readonly id: string;
  /** Handshake hash of the session in which the channel was opened. */
  readonly handshakeHash: Uint8Array;
  readonly #crypto: Crypto;
  readonly #id: Uint8Array;
  readonly #key: Uint8Array;

  /** `opener`: public key of the end that opened the channel, 32 bytes, which chose `channelId`. */
  constructor(crypto: Crypto, keys: TransportKeys, opener: Uint8Array, channelId: number) {
    this.#crypto = crypto;
    const id = new Uint8Array(4);
    writeUint32(id, 0, channelId);
    this.#key = hmac(crypto, keys.exporter, utf8('secure-websocket/1 channel'), opener, id);
    this.#id = hmac(crypto, this.#key, utf8('id')).slice(0, ID_LENGTH);
    this.id = toHex(this.#id);
    this.handshakeHash = keys.handshakeHash;
  }

  /** The payload of RESUME in a session with this handshake hash. */
  encode(role: Role, handshakeHash: Uint8Array): Uint8Array {
    return concat(this.#id, this.#proof(role, handshakeHash));
  }

  /** Whether the payload of a RESUME shows that its sender has this lineage. */
  isProven(role: Role, handshakeHash: Uint8Array, payload: Uint8Array): boolean {
    return this.#crypto.equal(payload, this.encode(role, handshakeHash));
  }

  wipe(): void {
    this.#crypto.wipe(this.#key);
  }

  #proof(role: Role, handshakeHash: Uint8Array): Uint8Array {
    return hmac(this.#crypto, this.#key, utf8(role), handshakeHash).slice(0, PROOF_LENGTH);
  }
}

/** The id in the payload of a RESUME, or undefined when it is none. */
export function lineageIdOf(payload: Uint8Array): string | undefined {
  return payload.length === ID_LENGTH + PROOF_LENGTH ? toHex(payload.subarray(0, ID_LENGTH)) : undefined;
}
