import type { Crypto, KeyPair } from './crypto.js';
import type { SecureWebSocketError } from './errors.js';
import type { Session } from './session.js';
import type { TransportKeys } from './transport-keys.js';

/** A handshake that we started and that is not answered yet. */
export interface Attempt {
  /** The peer address as it was dialled; the connection id may be 0. */
  readonly address: Uint8Array;
  /** The session that it renews, if there is one. */
  readonly session: Session | undefined;
  readonly startedAt: number;
}

/** What the sessions tell the endpoint that they belong to. */
export interface SessionsOwner {
  /** A sealed body is to be sent. */
  send(address: Uint8Array, body: Uint8Array): void;
  /** True when a handshake of the peer at `source`, with whom there is no session, is welcome. */
  acceptsStrangers(source: Uint8Array): boolean;
  /** Our handshake was answered: `session` has current keys. */
  established(attempt: Attempt, session: Session): void;
  /** The peer holds the keys of a handshake that we answered: `session` has current keys. */
  confirmed(session: Session): void;
  /** Something authentic has come, from whomever. */
  heard(now: number): void;
  /** An authentic record, opened with `keys`. */
  plaintext(session: Session, keys: TransportKeys, plaintext: Uint8Array, now: number): void;
  /** `session` is over, with everything on it. Its keys are wiped afterwards: the peer can still be told. */
  failed(session: Session, error: SecureWebSocketError, now: number): void;
  /** A handshake of ours was not answered in time; it is tried again. */
  unanswered(now: number): void;
  attemptFailed(attempt: Attempt, error: SecureWebSocketError): void;
  /** True while something stands on `session`, so that it must outlive its keys. */
  uses(session: Session): boolean;
  /** Something from the network was refused without harm to anything. For diagnosis. */
  refused(error: SecureWebSocketError): void;
}

export interface SessionsOptions {
  readonly crypto: Crypto;
  readonly keyPair: KeyPair;
  /** Our own 36-byte address. */
  readonly address: Uint8Array;
  readonly owner: SessionsOwner;
  /** Sessions with strangers are answered up to so many. Default: 65,536. */
  readonly maxSessions?: number | undefined;
  /** Milliseconds since 1970, as a hint to the peer. */
  readonly wallClock: () => number;
}
