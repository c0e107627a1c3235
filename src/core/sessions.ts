import { checkPublicKey } from './address.js';
import { compareBytes, toHex } from './bytes.js';
import {
  MAX_HANDSHAKE_PAYLOAD,
  MAX_SESSIONS,
  MAX_UNCONFIRMED_HANDSHAKES,
  REJECT_AFTER_TIME,
  REKEY_ATTEMPT_TIME,
  REKEY_TIMEOUT,
  UNCONFIRMED_HANDSHAKE_TIME,
} from './constants.js';
import { asSecureWebSocketError, SecureWebSocketError } from './errors.js';
import { isReachedBy, PUBLIC_KEY_LENGTH, type NoticeReason, NoticeReason as Reason } from './frame.js';
import { HandshakeBudget } from './handshake-budget.js';
import {
  decodeInitiationPayload,
  encodeInitiationPayload,
  encodeResponsePayload,
} from './handshake-payload.js';
import { HandshakeState } from './noise/handshake-state.js';
import { noticeError } from './notice-error.js';
import { decodeSealedBody, encodeInitiation, encodeResponse } from './sealed-body.js';
import { SeenEphemerals } from './seen-ephemerals.js';
import { Session, staysInitiator } from './session.js';
import { sessionPrologue } from './prologue.js';
import type { Attempt, SessionsOptions, SessionsOwner } from './sessions-owner.js';
import { TransportKeys } from './transport-keys.js';

export type { Attempt, SessionsOptions, SessionsOwner };

/** Indices of keys wiped lately that are remembered. */
const MAX_RETIRED = 4_096;

interface PendingAttempt extends Attempt {
  localIndex: number;
  state: HandshakeState;
  sentAt: number;
  /** The same as a step: clocks may be too coarse to tell what came first. */
  step: number;
}

/** The sessions of one endpoint with all its peers, and the handshakes under way. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #owner: SessionsOwner;
  readonly #byAddress = new Map<string, Session>();
  readonly #byIndex = new Map<number, { session: Session; keys: TransportKeys }>();
  /** What was ours until lately, be its session gone too: a late message under it is no sign of tampering. */
  readonly #retired = new Set<number>();
  readonly #attempts = new Map<string, PendingAttempt>();
  readonly #seenEphemerals = new SeenEphemerals();
  readonly #budget = new HandshakeBudget();
  #wakeAt = Infinity;
  #step = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#owner = options.owner;
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    return this.#wakeAt;
  }

  get size(): number {
    return this.#byAddress.size;
  }

  find(address: Uint8Array): Session | undefined {
    return this.#byAddress.get(toHex(address));
  }

  /** A session whose keys come from elsewhere: the registration of a direct link. */
  adopt(address: Uint8Array, keys: TransportKeys): void {
    const session = this.#sessionAt(address);
    session.heardAt = keys.createdAt;
    session.install(keys);
    this.#index(session, keys);
  }

  /** Starts a handshake with the peer at `address`, or joins the one under way. */
  dial(address: Uint8Array, now: number): Attempt {
    return this.#attempts.get(toHex(address)) ?? this.#initiate(address, undefined, now, now);
  }

  /** Renews the keys of a session, unless that is under way. */
  renew(session: Session, now: number): void {
    if (!this.#attempts.has(toHex(session.address))) this.#initiate(session.address, session, now, now);
  }

  /** Handles one sealed body. `source` is the address that the router stamped. Never throws: the network is hostile. */
  receive(source: Uint8Array, bytes: Uint8Array, now: number): void {
    let body;
    try {
      body = decodeSealedBody(bytes);
    } catch (error) {
      this.#refuse(source, asError(error), now);
      return;
    }
    if (body.type === 'transport') this.#transport(source, body.receiverIndex, bytes, now);
    else if (body.type === 'initiation') this.#initiation(source, body.senderIndex, body.noise, now);
    else this.#response(source, body.senderIndex, body.receiverIndex, body.noise, now);
  }

  /** The router could not deliver something to `address`, or the peer there is gone. */
  notice(address: Uint8Array, reason: NoticeReason, now: number): void {
    const error = noticeError(reason);
    // A full queue passes, and so does a limit in time: what was lost is sent again by itself.
    if (reason === Reason.QUEUE_FULL || reason === Reason.HANDSHAKES_LIMITED) {
      this.#owner.refused(error);
      return;
    }
    const attempt = this.#attempts.get(toHex(address));
    if (attempt) this.#failAttempt(attempt, error, now);
    const session = this.find(address);
    if (session) this.fail(session, error, now);
  }

  /** Ends a session and wipes its keys. */
  fail(session: Session, error: SecureWebSocketError, now: number): void {
    if (this.#byAddress.get(toHex(session.address)) !== session) return;
    this.#owner.failed(session, error, now);
    this.#forget(session);
  }

  /** Ends a session that nothing uses any more, silently. */
  drop(session: Session): void {
    if (this.#byAddress.get(toHex(session.address)) === session) this.#forget(session);
  }

  timeout(now: number): void {
    if (now < this.#wakeAt) return;
    for (const attempt of [...this.#attempts.values()]) {
      if (now >= attempt.startedAt + REKEY_ATTEMPT_TIME) {
        const message = `The peer did not answer a handshake within ${String(REKEY_ATTEMPT_TIME / 1000)} s.`;
        this.#failAttempt(attempt, new SecureWebSocketError('SESSION_TIMEOUT', message), now);
      } else if (now >= attempt.sentAt + REKEY_TIMEOUT) {
        this.#again(attempt, now);
        this.#owner.unanswered(now);
      }
    }
    for (const session of [...this.#byAddress.values()]) {
      session.expire(now, now - UNCONFIRMED_HANDSHAKE_TIME);
      // A handshake that was never confirmed, or a session that nothing uses, leaves nothing behind.
      if (session.keys().length === 0 && !this.#owner.uses(session)) this.#forget(session);
    }
    this.#scheduleAgain(now);
  }

  /** Wipes every key. Nothing is reported. */
  wipe(): void {
    for (const attempt of this.#attempts.values()) attempt.state.wipe();
    this.#attempts.clear();
    for (const session of [...this.#byAddress.values()]) this.#forget(session);
  }

  #sessionAt(address: Uint8Array): Session {
    const key = toHex(address);
    let session = this.#byAddress.get(key);
    if (!session) {
      session = new Session(address.slice(), staysInitiator(this.#options.address, address), keys => {
        this.#retire(keys.localIndex);
      });
      this.#byAddress.set(key, session);
    }
    return session;
  }

  #forget(session: Session): void {
    const key = toHex(session.address);
    const attempt = this.#attempts.get(key);
    if (attempt?.session === session) this.#abandon(attempt);
    session.wipe();
    this.#byAddress.delete(key);
  }

  #retire(index: number): void {
    this.#byIndex.delete(index);
    this.#retired.add(index);
    if (this.#retired.size > MAX_RETIRED) {
      const [oldest] = this.#retired;
      if (oldest !== undefined) this.#retired.delete(oldest);
    }
  }

  #index(session: Session, keys: TransportKeys): void {
    this.#byIndex.set(keys.localIndex, { session, keys });
    this.#wake(keys.createdAt + UNCONFIRMED_HANDSHAKE_TIME);
  }

  #initiate(
    address: Uint8Array,
    session: Session | undefined,
    startedAt: number,
    now: number,
    again?: PendingAttempt,
  ): PendingAttempt {
    const { crypto, keyPair } = this.#options;
    const rs = address.slice(0, PUBLIC_KEY_LENGTH);
    const state = new HandshakeState({
      crypto,
      pattern: 'IK',
      initiator: true,
      prologue: sessionPrologue(keyPair.publicKey, rs),
      s: keyPair,
      rs,
    });
    const payload = encodeInitiationPayload(this.#options.wallClock(), crypto.randomBytes(16));
    const noise = state.writeMessage(payload);
    // A relay that hands our own initiation back to us is refused as a replay.
    this.#seenEphemerals.add(noise);
    const localIndex = this.#unusedIndex();
    const attempt: PendingAttempt = again ?? {
      address: address.slice(),
      session,
      startedAt,
      localIndex,
      state,
      sentAt: now,
      step: 0,
    };
    attempt.localIndex = localIndex;
    attempt.state = state;
    attempt.sentAt = now;
    attempt.step = ++this.#step;
    this.#attempts.set(toHex(address), attempt);
    this.#wake(now + REKEY_TIMEOUT);
    this.#owner.send(address, encodeInitiation(localIndex, noise));
    return attempt;
  }

  #initiation(source: Uint8Array, senderIndex: number, noise: Uint8Array, now: number): void {
    const known = this.find(source);
    if (!known && !this.#owner.acceptsStrangers(source)) {
      this.#owner.refused(
        new SecureWebSocketError('SESSION_FAILED', 'A stranger started a handshake while nobody listens.'),
      );
      return;
    }
    if (this.#seenEphemerals.has(noise)) {
      this.#owner.refused(new SecureWebSocketError('REPLAYED', 'A handshake initiation was replayed.'));
      return;
    }
    const { maxSessions = MAX_SESSIONS } = this.#options;
    const full =
      this.#unconfirmed() >= MAX_UNCONFIRMED_HANDSHAKES || (!known && this.#byAddress.size >= maxSessions);
    if (full || !this.#budget.take(source, now)) {
      this.#owner.refused(
        new SecureWebSocketError('SESSION_FAILED', 'Too many handshakes; one was left unanswered.'),
      );
      return;
    }
    this.#seenEphemerals.add(noise);
    const pending = this.#attempts.get(toHex(source));
    if (pending && staysInitiator(this.#options.address, source)) return;
    try {
      this.#answer(source, senderIndex, noise, now);
    } catch (error) {
      this.#owner.refused(asError(error));
    }
  }

  /** @throws SecureWebSocketError for anything but an authentic initiation of the peer that the router names */
  #answer(source: Uint8Array, senderIndex: number, noise: Uint8Array, now: number): void {
    const { crypto, keyPair } = this.#options;
    const peerKey = source.slice(0, PUBLIC_KEY_LENGTH);
    checkPublicKey(peerKey);
    const state = new HandshakeState({
      crypto,
      pattern: 'IK',
      initiator: false,
      prologue: sessionPrologue(peerKey, keyPair.publicKey),
      s: keyPair,
    });
    const payload = state.readMessage(noise);
    if (payload.length > MAX_HANDSHAKE_PAYLOAD) {
      throw new SecureWebSocketError('NOISE_MESSAGE_MALFORMED', 'A handshake payload is too large.');
    }
    decodeInitiationPayload(payload);
    if (state.rs === undefined || !crypto.equal(state.rs, peerKey)) {
      throw new SecureWebSocketError(
        'SOURCE_MISMATCH',
        'The relay names another source for a handshake than the key that made it.',
      );
    }
    const session = this.#sessionAt(source);
    const localIndex = this.#unusedIndex();
    const response = state.writeMessage(encodeResponsePayload());
    const keys = new TransportKeys({
      localIndex,
      remoteIndex: senderIndex,
      ...state.split(),
      initiator: false,
      handshakeHash: state.handshakeHash,
      createdAt: now,
    });
    state.wipe();
    if (!session.offer(keys)) {
      keys.wipe();
      throw new SecureWebSocketError('SESSION_FAILED', 'A peer left too many handshakes unconfirmed.');
    }
    this.#index(session, keys);
    this.#owner.send(source, encodeResponse(localIndex, senderIndex, response));
  }

  #response(
    source: Uint8Array,
    senderIndex: number,
    receiverIndex: number,
    noise: Uint8Array,
    now: number,
  ): void {
    const attempt = [...this.#attempts.values()].find(pending => pending.localIndex === receiverIndex);
    if (!attempt) {
      this.#owner.refused(
        new SecureWebSocketError('REPLAYED', 'An answer came to no handshake that is under way.'),
      );
      return;
    }
    const fromItsPeer = isReachedBy(attempt.address, source);
    try {
      attempt.state.readMessage(noise);
    } catch (error) {
      if (fromItsPeer) {
        this.#failAttempt(attempt, asError(error), now);
      } else {
        // Whoever guesses an index must not be able to end another's handshake: it is made anew.
        this.#owner.refused(asError(error));
        this.#again(attempt, now);
      }
      return;
    }
    if (!fromItsPeer) {
      const message = 'The relay names another source for an answer than the peer that made it.';
      this.#failAttempt(attempt, new SecureWebSocketError('SOURCE_MISMATCH', message), now);
      return;
    }
    this.#attempts.delete(toHex(attempt.address));
    const session = attempt.session ?? this.#sessionAt(source);
    if (session.current && session.agreedAt > attempt.step) {
      // Another handshake with this peer was under way, and its keys are as fresh. Two changes of keys at once would
      // wipe those under which the peer's messages are still on their way.
      attempt.state.wipe();
      this.#owner.established(attempt, session);
      return;
    }
    const keys = new TransportKeys({
      localIndex: receiverIndex,
      remoteIndex: senderIndex,
      ...attempt.state.split(),
      initiator: true,
      handshakeHash: attempt.state.handshakeHash,
      createdAt: now,
    });
    attempt.state.wipe();
    session.install(keys);
    session.heardAt = now;
    this.#owner.heard(now);
    session.agreedAt = ++this.#step;
    this.#index(session, keys);
    this.#owner.established(attempt, session);
  }

  #transport(source: Uint8Array, receiverIndex: number, body: Uint8Array, now: number): void {
    const entry = this.#byIndex.get(receiverIndex);
    if (!entry) {
      const known = this.find(source);
      // Keys that were retired lately may still have messages on their way; anything else was tampered with.
      if (known?.current && !this.#retired.has(receiverIndex)) {
        const message = 'A message came under keys that were never agreed.';
        this.fail(known, new SecureWebSocketError('DECRYPT_FAILED', message), now);
      }
      return;
    }
    const { session, keys } = entry;
    const fromItsPeer = compareBytes(session.address, source) === 0;
    let opened;
    try {
      opened = session.open(keys, body, now);
    } catch (error) {
      // Whoever guesses an index must not be able to end another's session.
      if (fromItsPeer) this.fail(session, asError(error), now);
      else this.#owner.refused(asError(error));
      return;
    }
    if (!fromItsPeer) {
      if (opened === undefined) return;
      const message = 'The relay names another source for a message than the peer that sealed it.';
      this.fail(session, new SecureWebSocketError('SOURCE_MISMATCH', message), now);
      return;
    }
    if (opened === undefined) {
      this.#owner.refused(
        new SecureWebSocketError('REPLAYED', 'A message was repeated, overtaken or too old.'),
      );
      return;
    }
    session.heardAt = now;
    this.#owner.heard(now);
    if (opened.confirmed) this.#confirmed(session);
    if (opened.plaintext.length > 0) this.#owner.plaintext(session, keys, opened.plaintext, now);
  }

  #confirmed(session: Session): void {
    session.agreedAt = ++this.#step;
    // A handshake of ours that crossed the peer's is dropped: it has no purpose any more.
    const pending = this.#attempts.get(toHex(session.address));
    if (pending) {
      this.#abandon(pending);
      this.#owner.established(pending, session);
    } else {
      this.#owner.confirmed(session);
    }
  }

  /** Nonsense in the name of a peer ends the session with it, and nothing else. */
  #refuse(source: Uint8Array, error: SecureWebSocketError, now: number): void {
    const session = this.find(source);
    if (session?.current) this.fail(session, error, now);
    else this.#owner.refused(error);
  }

  #failAttempt(attempt: PendingAttempt, error: SecureWebSocketError, now: number): void {
    this.#abandon(attempt);
    if (attempt.session) this.fail(attempt.session, error, now);
    else this.#owner.attemptFailed(attempt, error);
  }

  /** Makes the initiation of a handshake anew, with a new ephemeral key. */
  #again(attempt: PendingAttempt, now: number): void {
    this.#abandon(attempt);
    this.#initiate(attempt.address, attempt.session, attempt.startedAt, now, attempt);
  }

  #abandon(attempt: PendingAttempt): void {
    attempt.state.wipe();
    this.#attempts.delete(toHex(attempt.address));
  }

  #unconfirmed(): number {
    let count = 0;
    for (const session of this.#byAddress.values()) count += session.unconfirmed;
    return count;
  }

  /** Random, so that nobody but the relay on the path can name it; 0 is the link's own session. */
  #unusedIndex(): number {
    for (;;) {
      const bytes = this.#options.crypto.randomBytes(4);
      const index = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
      if (index !== 0 && !this.#byIndex.has(index)) return index;
    }
  }

  #wake(at: number): void {
    this.#wakeAt = Math.min(this.#wakeAt, at);
  }

  #scheduleAgain(now: number): void {
    this.#wakeAt = Infinity;
    for (const attempt of this.#attempts.values()) {
      this.#wake(Math.min(attempt.sentAt + REKEY_TIMEOUT, attempt.startedAt + REKEY_ATTEMPT_TIME));
    }
    for (const session of this.#byAddress.values()) {
      for (const keys of session.keys()) {
        const confirmBy = keys.createdAt + UNCONFIRMED_HANDSHAKE_TIME;
        this.#wake(confirmBy > now ? confirmBy : keys.createdAt + REJECT_AFTER_TIME);
      }
    }
  }
}

function asError(error: unknown): SecureWebSocketError {
  return asSecureWebSocketError(error, 'SESSION_FAILED', 'A message from the peer could not be handled.');
}
