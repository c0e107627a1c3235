import { checkPublicKey, isCanonical } from '../address.js';
import { concat } from '../bytes.js';
import type { Crypto, KeyPair } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import type { CipherState } from './cipher-state.js';
import { HANDSHAKE_PATTERNS, type HandshakePattern, type PatternName, type Token } from './patterns.js';
import { SymmetricState } from './symmetric-state.js';

/** No Noise message is longer, bytes (Noise specification section 3). */
export const MAX_NOISE_MESSAGE = 65_535;

const DH_LENGTH = 32;
const PSK_LENGTH = 32;
const TAG_LENGTH = 16;

export interface HandshakeOptions {
  readonly crypto: Crypto;
  readonly pattern: PatternName;
  readonly initiator: boolean;
  /** What both sides know and must agree on. Not secret. */
  readonly prologue: Uint8Array;
  /** Own static key pair; every role but the initiator of N needs one. Used, not copied, never wiped. */
  readonly s?: KeyPair;
  /** Own ephemeral key pair, copied. For test vectors only: a fresh one is made otherwise. */
  readonly e?: KeyPair;
  /** The responder's static public key, where the pattern's initiator knows it beforehand (N, X, IK, IKpsk2). */
  readonly rs?: Uint8Array;
  /** Pre-shared key, 32 bytes, copied; for the psk patterns and only for these. */
  readonly psk?: Uint8Array;
}

/** The ciphers of the transport phase. In a one-way pattern the one against the stream has no key and refuses all work. */
export interface TransportCiphers {
  readonly send: CipherState;
  readonly receive: CipherState;
  /** A secret of both ends beside the two keys, 32 bytes. Whoever splits has to wipe it. */
  readonly exporter: Uint8Array;
}

/**
 * One side of a Noise handshake (Noise specification revision 34, section 5.3), suite 25519_ChaChaPoly_BLAKE2b.
 *
 * Call {@link writeMessage} when it is {@link myTurn}, {@link readMessage} when it is not, until {@link isComplete};
 * then {@link split} once. Any failure while a message is processed is final: the secrets are wiped and the state
 * refuses everything afterwards with `NOISE_STATE`.
 */
export class HandshakeState {
  readonly #crypto: Crypto;
  readonly #pattern: HandshakePattern;
  readonly #initiator: boolean;
  readonly #usesPsk: boolean;
  readonly #symmetric: SymmetricState;
  readonly #s: KeyPair | undefined;
  #e: KeyPair | undefined;
  #rs: Uint8Array | undefined;
  #re: Uint8Array | undefined;
  #psk: Uint8Array | undefined;
  /** Messages written and read so far. */
  #done = 0;
  #phase: 'handshake' | 'complete' | 'split' | 'dead' = 'handshake';

  /**
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when a key that the pattern needs is missing, is of a wrong size or
   *   is not the pattern's; `NON_CANONICAL_ADDRESS` or `LOW_ORDER_ADDRESS` for an `rs` that can be nobody's.
   */
  constructor(options: HandshakeOptions) {
    const { crypto, initiator } = options;
    this.#crypto = crypto;
    this.#initiator = initiator;
    this.#pattern = HANDSHAKE_PATTERNS[options.pattern];
    this.#usesPsk = this.#pattern.messages.some(tokens => tokens.includes('psk'));
    this.#checkKeys(options);
    this.#s = options.s;
    this.#e = options.e && { publicKey: options.e.publicKey.slice(), secretKey: options.e.secretKey.slice() };
    this.#rs = options.rs?.slice();
    this.#psk = options.psk?.slice();

    this.#symmetric = new SymmetricState(crypto, `Noise_${options.pattern}_25519_ChaChaPoly_BLAKE2b`);
    this.#symmetric.mixHash(options.prologue);
    const { preMessages } = this.#pattern;
    for (const sender of ['initiator', 'responder'] as const) {
      const own = (sender === 'initiator') === initiator;
      for (const _ of preMessages[sender]) {
        this.#symmetric.mixHash(own ? this.#ownKeyPair(this.#s).publicKey : this.#theirKey(this.#rs));
      }
    }
  }

  /** Whether the next message is ours to write. */
  get myTurn(): boolean {
    return this.#phase === 'handshake' && (this.#done % 2 === 0) === this.#initiator;
  }

  /** Whether all messages have been written and read. Stays true after {@link split}. */
  get isComplete(): boolean {
    return this.#phase === 'complete' || this.#phase === 'split';
  }

  /** The peer's static public key, once known: a copy. Authenticated only when the handshake is complete. */
  get rs(): Uint8Array | undefined {
    return this.#rs?.slice();
  }

  /** The peer's ephemeral public key, once received: a copy. */
  get re(): Uint8Array | undefined {
    return this.#re?.slice();
  }

  /**
   * The handshake hash, 64 bytes, a copy: the same on both sides and on no other handshake. For channel binding
   * (section 11.2), never as a key.
   * @throws SecureWebSocketError `NOISE_STATE` before the handshake is complete.
   */
  get handshakeHash(): Uint8Array {
    if (!this.isComplete) throw notNow('the handshake is not complete');
    return this.#symmetric.getHandshakeHash();
  }

  /**
   * The next handshake message, with `payload` in it. The payload of an early message is weakly protected or not at
   * all (section 7.7).
   * @throws SecureWebSocketError `NOISE_STATE` out of turn, `INVALID_ARGUMENT` when the message would be longer than
   *   65535 bytes, `ZERO_SHARED_SECRET` when the peer's key is of low order. The latter two end the handshake.
   */
  writeMessage(payload: Uint8Array): Uint8Array {
    if (!this.myTurn) throw notNow('it is not our turn to write');
    return this.#process(tokens => {
      if (payload.length > MAX_NOISE_MESSAGE) throw tooLong();
      const parts = tokens.map(token => this.#writeToken(token));
      const message = concat(...parts, this.#symmetric.encryptAndHash(payload));
      if (message.length > MAX_NOISE_MESSAGE) throw tooLong();
      return message;
    });
  }

  /**
   * The payload of the peer's next handshake message.
   * @throws SecureWebSocketError `NOISE_STATE` out of turn, else, ending the handshake, `NOISE_MESSAGE_MALFORMED` (too
   *   short, too long, or a key that X25519 never computes), `DECRYPT_FAILED` or `ZERO_SHARED_SECRET`.
   */
  readMessage(message: Uint8Array): Uint8Array {
    if (this.#phase !== 'handshake' || this.myTurn) throw notNow('it is not our turn to read');
    return this.#process(tokens => {
      if (message.length > MAX_NOISE_MESSAGE) throw malformed(`it is longer than ${MAX_NOISE_MESSAGE} bytes`);
      let rest = message;
      const take = (length: number): Uint8Array => {
        if (rest.length < length) throw malformed('it ends too early');
        const field = rest.subarray(0, length);
        rest = rest.subarray(length);
        return field;
      };
      for (const token of tokens) this.#readToken(token, take);
      if (this.#symmetric.hasKey() && rest.length < TAG_LENGTH) throw malformed('it ends too early');
      return this.#symmetric.decryptAndHash(rest);
    });
  }

  /**
   * The ciphers of the transport phase. Once: all other secrets are gone afterwards.
   * @throws SecureWebSocketError `NOISE_STATE` before the handshake is complete and after the first call.
   */
  split(): TransportCiphers {
    if (this.#phase !== 'complete') throw notNow('the handshake is not complete, or was split already');
    const { ciphers, exporter } = this.#symmetric.split();
    const [fromInitiator, fromResponder] = ciphers;
    this.#phase = 'split';
    this.#wipeSecrets();
    // One-way (section 7.4): the recipient must not send.
    if (this.#pattern.messages.length === 1) fromResponder.wipe();
    return this.#initiator
      ? { send: fromInitiator, receive: fromResponder, exporter }
      : { send: fromResponder, receive: fromInitiator, exporter };
  }

  /** Overwrites all secrets of this handshake. The static key pair is the caller's; ciphers that were split off live on. */
  wipe(): void {
    this.#wipeSecrets();
    if (this.#phase !== 'split') this.#phase = 'dead';
  }

  #process(step: (tokens: readonly Token[]) => Uint8Array): Uint8Array {
    try {
      const result = step(this.#pattern.messages[this.#done] ?? []);
      this.#done++;
      if (this.#done === this.#pattern.messages.length) this.#phase = 'complete';
      return result;
    } catch (error) {
      this.wipe();
      throw error;
    }
  }

  #writeToken(token: Token): Uint8Array {
    switch (token) {
      case 'e':
        this.#e ??= this.#generateKeyPair();
        this.#mixEphemeral(this.#e.publicKey);
        return this.#e.publicKey;
      case 's':
        return this.#symmetric.encryptAndHash(this.#ownKeyPair(this.#s).publicKey);
      default:
        this.#mixToken(token);
        return new Uint8Array(0);
    }
  }

  #readToken(token: Token, take: (length: number) => Uint8Array): void {
    switch (token) {
      case 'e':
        this.#re = checkedKey(take(DH_LENGTH).slice());
        this.#mixEphemeral(this.#re);
        return;
      case 's':
        this.#rs = checkedKey(
          this.#symmetric.decryptAndHash(take(DH_LENGTH + (this.#symmetric.hasKey() ? TAG_LENGTH : 0))),
        );
        return;
      default:
        this.#mixToken(token);
    }
  }

  #mixEphemeral(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey);
    // Section 9.2: in a psk handshake the ephemeral key also randomizes the keys.
    if (this.#usesPsk) this.#symmetric.mixKey(publicKey);
  }

  /** The tokens that put nothing on the wire. In a DH token the first letter is the initiator's key, the second the responder's. */
  #mixToken(token: 'ee' | 'es' | 'se' | 'ss' | 'psk'): void {
    if (token === 'psk') {
      this.#symmetric.mixKeyAndHash(this.#psk ?? new Uint8Array(0));
      return;
    }
    const own = token.charAt(this.#initiator ? 0 : 1);
    const theirs = token.charAt(this.#initiator ? 1 : 0);
    const shared = this.#crypto.x25519(
      this.#ownKeyPair(own === 'e' ? this.#e : this.#s).secretKey,
      this.#theirKey(theirs === 'e' ? this.#re : this.#rs),
    );
    this.#symmetric.mixKey(shared);
    this.#crypto.wipe(shared);
  }

  #generateKeyPair(): KeyPair {
    const secretKey = this.#crypto.randomBytes(DH_LENGTH);
    return { secretKey, publicKey: this.#crypto.x25519PublicKey(secretKey) };
  }

  #ownKeyPair(pair: KeyPair | undefined): KeyPair {
    if (!pair) throw notNow('an own key is missing');
    return pair;
  }

  #theirKey(key: Uint8Array | undefined): Uint8Array {
    if (!key) throw notNow("a key of the peer's is missing");
    return key;
  }

  #wipeSecrets(): void {
    this.#symmetric.wipe();
    if (this.#e) this.#crypto.wipe(this.#e.secretKey);
    if (this.#psk) this.#crypto.wipe(this.#psk);
    this.#e = undefined;
    this.#psk = undefined;
  }

  #checkKeys({ pattern, initiator, s, e, rs, psk, prologue }: HandshakeOptions): void {
    const refuse = (what: string): never => {
      const role = initiator ? 'initiator' : 'responder';
      throw new SecureWebSocketError('INVALID_ARGUMENT', `Noise ${pattern}, ${role}: ${what}.`);
    };
    if (!((prologue as unknown) instanceof Uint8Array)) refuse('the prologue must be a Uint8Array');
    const { preMessages, messages } = this.#pattern;
    const role = initiator ? 'initiator' : 'responder';
    const peer = initiator ? 'responder' : 'initiator';
    const sends = messages.some((tokens, i) => (i % 2 === 0) === initiator && tokens.includes('s'));
    if (!s && (sends || preMessages[role].length > 0)) refuse('the own static key pair "s" is missing');
    for (const pair of [s, e]) {
      if (pair && (pair.publicKey.length !== DH_LENGTH || pair.secretKey.length !== DH_LENGTH)) {
        refuse(`the halves of a key pair are ${DH_LENGTH} bytes`);
      }
    }
    if (preMessages[peer].length > 0) {
      if (!rs) return refuse('the static key of the peer, "rs", is missing');
      checkPublicKey(rs);
    } else if (rs) {
      refuse('the peer tells its static key itself: compare it afterwards, do not give "rs"');
    }
    if (this.#usesPsk !== (psk !== undefined)) {
      refuse(psk ? 'the pattern has no pre-shared key' : 'the pre-shared key "psk" is missing');
    }
    if (psk && psk.length !== PSK_LENGTH)
      refuse(`the pre-shared key must be ${PSK_LENGTH} bytes, got ${psk.length}`);
  }
}

/**
 * X25519 computes canonical keys only. A second spelling of a key would be the same peer under another address, so it is
 * refused here, once for all patterns. Points of low order fail in the DH.
 */
function checkedKey(publicKey: Uint8Array): Uint8Array {
  if (!isCanonical(publicKey)) throw malformed('a public key in it is not canonical');
  return publicKey;
}

function malformed(why: string): SecureWebSocketError {
  return new SecureWebSocketError(
    'NOISE_MESSAGE_MALFORMED',
    `Received what is not a Noise handshake message: ${why}.`,
  );
}

function tooLong(): SecureWebSocketError {
  return new SecureWebSocketError(
    'INVALID_ARGUMENT',
    `The payload is too long: a Noise message has at most ${MAX_NOISE_MESSAGE} bytes.`,
  );
}

function notNow(why: string): SecureWebSocketError {
  return new SecureWebSocketError('NOISE_STATE', `The Noise handshake cannot do this: ${why}.`);
}
