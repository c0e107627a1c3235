import { readUint64, writeUint32, writeUint64 } from './bytes.js';
import { REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME, REJECT_MARGIN } from './constants.js';
import { SecureWebSocketError } from './errors.js';
import type { CipherState } from './noise/cipher-state.js';
import { BodyType } from './sealed-body.js';

/** type (1), receiver index (4), counter (8) */
export const TRANSPORT_HEADER_LENGTH = 13;
/** What a transport message adds to its plaintext: header and Poly1305 tag. */
export const TRANSPORT_OVERHEAD = TRANSPORT_HEADER_LENGTH + 16;

export interface TransportKeysOptions {
  /** The index that we chose: what the peer writes into its transport messages. */
  readonly localIndex: number;
  /** The index that the peer chose: what we write into ours. */
  readonly remoteIndex: number;
  readonly send: CipherState;
  readonly receive: CipherState;
  /** True when this end started the handshake: it is the one that renews it. */
  readonly initiator: boolean;
  readonly handshakeHash: Uint8Array;
  /** A secret of both ends beside the keys, 32 bytes. */
  readonly exporter: Uint8Array;
  readonly createdAt: number;
}

/** The keys of one finished handshake: one slot of a session (WireGuard's "keypair"). */
export class TransportKeys {
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly initiator: boolean;
  readonly handshakeHash: Uint8Array;
  /** A secret of both ends that is no key of these: 32 bytes, zeros once the keys are wiped. */
  readonly exporter: Uint8Array;
  readonly createdAt: number;
  readonly #send: CipherState;
  readonly #receive: CipherState;
  #nextExpected = 0;

  constructor(options: TransportKeysOptions) {
    this.localIndex = options.localIndex;
    this.remoteIndex = options.remoteIndex;
    this.initiator = options.initiator;
    this.handshakeHash = options.handshakeHash;
    this.exporter = options.exporter;
    this.createdAt = options.createdAt;
    this.#send = options.send;
    this.#receive = options.receive;
    this.#nextExpected = options.receive.n;
  }

  /** Messages sealed so far, those of the handshake's own protocol included. */
  get sentMessages(): number {
    return this.#send.n;
  }

  /** Whether nothing may be sealed with them any more. What was sealed before is still opened for `REJECT_MARGIN`. */
  isExpired(now: number): boolean {
    return now - this.createdAt >= REJECT_AFTER_TIME - REJECT_MARGIN || this.#send.n >= REJECT_AFTER_MESSAGES;
  }

  /** Writes the transport message that carries `plaintext`, `TRANSPORT_OVERHEAD` bytes longer, to `out` at `offset`. */
  seal(plaintext: Uint8Array, out: Uint8Array, offset: number): void {
    out[offset] = BodyType.TRANSPORT;
    writeUint32(out, offset + 1, this.remoteIndex);
    writeUint64(out, offset + 5, this.#send.n);
    this.#send.encryptInto(out, offset + TRANSPORT_HEADER_LENGTH, plaintext);
  }

  /**
   * The plaintext of a transport message, or undefined for one that was seen before or that is overtaken by a later
   * one: counters strictly rise. It may stand where the message stood, which is of no use afterwards.
   * @throws SecureWebSocketError `DECRYPT_FAILED`
   */
  open(body: Uint8Array): Uint8Array | undefined {
    const counter = readUint64(body, 5);
    if (counter < this.#nextExpected) return undefined;
    if (counter >= REJECT_AFTER_MESSAGES) {
      throw new SecureWebSocketError('DECRYPT_FAILED', 'A message carried a counter beyond the limit.');
    }
    this.#receive.setNonce(counter);
    const plaintext = this.#receive.decryptInPlace(body.subarray(TRANSPORT_HEADER_LENGTH));
    // Only an authentic message may move the window.
    this.#nextExpected = counter + 1;
    return plaintext;
  }

  wipe(): void {
    this.#send.wipe();
    this.#receive.wipe();
    this.exporter.fill(0);
  }
}
