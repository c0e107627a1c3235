import { MAX_SKIPPED_MESSAGES } from '../constants.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import { hmac } from '../noise/hmac.js';
import {
  encodeHeader,
  encodeSpaceMessage,
  type MessageHeader,
  MessageKind,
  signedOf,
  type SpaceMessage,
} from './space-message.js';
import type { SpacePlace } from './space-place.js';

/**
 * Sender keys, in the manner of Signal and Megolm: a chain that gives each message a key of its own and goes one way only,
 * and a signing key, so that those who have the chain cannot speak in the sender's name (docs/protocol.md, "Spaces").
 */

const KEY_LENGTH = 32;

/** The sender's end of one generation. */
export class SenderChain {
  readonly #crypto: Crypto;
  readonly #first: Uint8Array;
  readonly #chain: Chain;
  readonly #signingSeed: Uint8Array;
  /** Ed25519 public key, 32 bytes: handed out with the chain key. */
  readonly signingKey: Uint8Array;
  #wiped = false;

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
    this.#first = crypto.randomBytes(KEY_LENGTH);
    this.#chain = new Chain(crypto, this.#first, 0);
    this.#signingSeed = crypto.randomBytes(KEY_LENGTH);
    this.signingKey = crypto.ed25519PublicKey(this.#signingSeed);
  }

  /** The chain key from which all others come, 32 bytes, a copy for the caller to wipe: what is handed out. */
  get chainKey(): Uint8Array {
    this.#checkThere();
    return this.#first.slice();
  }

  /** Messages that were sealed so far: the iteration of the next one. */
  get iteration(): number {
    return this.#chain.iteration;
  }

  /**
   * A whole space message, sealed and signed; the chain moves on.
   * @param senderKey our own X25519 public key, 32 bytes
   * @param header its kind and iteration are ours to set
   */
  seal(
    place: SpacePlace,
    senderKey: Uint8Array,
    header: Omit<MessageHeader, 'kind' | 'iteration'>,
    plaintext: Uint8Array,
  ): Uint8Array {
    this.#checkThere();
    const crypto = this.#crypto;
    const { iteration } = this.#chain;
    const headerBytes = encodeHeader({ ...header, kind: MessageKind.SENDER_KEY, iteration });
    const key = this.#chain.next();
    const body = crypto.aeadEncrypt(key, NO_NONCE, headerBytes, plaintext);
    crypto.wipe(key);
    const signed = signedOf(crypto, place, senderKey, headerBytes, body);
    return encodeSpaceMessage(headerBytes, body, crypto.ed25519Sign(signed, this.#signingSeed));
  }

  /** Overwrites all keys. It seals and hands out nothing afterwards. */
  wipe(): void {
    this.#wiped = true;
    this.#crypto.wipe(this.#first);
    this.#crypto.wipe(this.#signingSeed);
    this.#chain.wipe();
  }

  #checkThere(): void {
    if (this.#wiped) {
      throw new SecureWebSocketError('NOISE_STATE', 'The sender keys were wiped: a new generation is due.');
    }
  }
}

/** A receiver's end of one generation. */
export class ReceivedChain {
  readonly #crypto: Crypto;
  readonly #signingKey: Uint8Array;
  #chain: Chain;
  /** Keys of messages that were passed over and may still come, by iteration, the oldest first. */
  readonly #skipped = new Map<number, Uint8Array>();
  #wiped = false;

  /**
   * @param chainKey as it was handed out, 32 bytes, copied
   * @param signingKey Ed25519 public key, 32 bytes, copied
   */
  constructor(crypto: Crypto, chainKey: Uint8Array, signingKey: Uint8Array) {
    this.#crypto = crypto;
    this.#chain = new Chain(crypto, chainKey, 0);
    this.#signingKey = signingKey.slice();
  }

  /** Keys that are kept of messages that were passed over. */
  get skipped(): number {
    return this.#skipped.size;
  }

  /**
   * The plaintext of a message, or undefined when it is not authentic, was opened before, or is more than 512 messages
   * ahead. Only an authentic message changes anything.
   * @param senderKey X25519 public key of the member that the header names, 32 bytes
   */
  open(place: SpacePlace, senderKey: Uint8Array, message: SpaceMessage): Uint8Array | undefined {
    const { header, headerBytes, body, signature } = message;
    const { iteration } = header;
    if (this.#wiped || header.kind !== MessageKind.SENDER_KEY || signature === undefined) return undefined;
    const next = this.#chain.iteration;
    if (iteration < next ? !this.#skipped.has(iteration) : iteration - next > MAX_SKIPPED_MESSAGES) {
      return undefined;
    }
    // Before any key is computed: whoever forges costs one verification, however far ahead it claims to be.
    const signed = signedOf(this.#crypto, place, senderKey, headerBytes, body);
    if (!this.#crypto.ed25519Verify(signature, signed, this.#signingKey)) return undefined;
    return iteration < next ? this.#openSkipped(iteration, message) : this.#openAhead(iteration, message);
  }

  /** Overwrites all keys. It opens nothing afterwards. */
  wipe(): void {
    this.#wiped = true;
    this.#chain.wipe();
    for (const key of this.#skipped.values()) this.#crypto.wipe(key);
    this.#skipped.clear();
  }

  #openSkipped(iteration: number, { headerBytes, body }: SpaceMessage): Uint8Array | undefined {
    const key = this.#skipped.get(iteration);
    if (key === undefined) return undefined;
    const plaintext = this.#crypto.aeadDecrypt(key, NO_NONCE, headerBytes, body);
    if (plaintext === undefined) return undefined;
    this.#crypto.wipe(key);
    this.#skipped.delete(iteration);
    return plaintext;
  }

  #openAhead(iteration: number, { headerBytes, body }: SpaceMessage): Uint8Array | undefined {
    const crypto = this.#crypto;
    const chain = this.#chain.copy();
    const passed: Uint8Array[] = [];
    while (chain.iteration < iteration) passed.push(chain.next());
    const key = chain.next();
    const plaintext = crypto.aeadDecrypt(key, NO_NONCE, headerBytes, body);
    crypto.wipe(key);
    if (plaintext === undefined) {
      // Its sender signed what it did not seal under this chain.
      chain.wipe();
      for (const unused of passed) crypto.wipe(unused);
      return undefined;
    }
    const first = this.#chain.iteration;
    this.#chain.wipe();
    this.#chain = chain;
    for (const [i, unused] of passed.entries()) this.#skipped.set(first + i, unused);
    for (const [oldest, unused] of this.#skipped) {
      if (this.#skipped.size <= MAX_SKIPPED_MESSAGES) break;
      crypto.wipe(unused);
      this.#skipped.delete(oldest);
    }
    return plaintext;
  }
}

/** The chain itself: what came before cannot be computed from what it holds. */
class Chain {
  readonly #crypto: Crypto;
  readonly #key: Uint8Array;
  #iteration: number;

  constructor(crypto: Crypto, key: Uint8Array, iteration: number) {
    this.#crypto = crypto;
    this.#key = key.slice();
    this.#iteration = iteration;
  }

  get iteration(): number {
    return this.#iteration;
  }

  /** The key of the next message, 32 bytes, for the caller to wipe. The chain moves on. */
  next(): Uint8Array {
    const messageKey = this.#derive(MESSAGE_KEY);
    const chainKey = this.#derive(CHAIN_KEY);
    this.#key.set(chainKey);
    this.#crypto.wipe(chainKey);
    this.#iteration += 1;
    return messageKey;
  }

  copy(): Chain {
    return new Chain(this.#crypto, this.#key, this.#iteration);
  }

  wipe(): void {
    this.#crypto.wipe(this.#key);
  }

  #derive(what: Uint8Array): Uint8Array {
    const code = hmac(this.#crypto, this.#key, what);
    const key = code.slice(0, KEY_LENGTH);
    this.#crypto.wipe(code);
    return key;
  }
}

const MESSAGE_KEY = Uint8Array.of(1);
const CHAIN_KEY = Uint8Array.of(2);
/** Each key of a message seals once. */
const NO_NONCE = new Uint8Array(12);
