import { compareBytes } from './bytes.js';
import {
  KEEPALIVE_TIMEOUT,
  MAX_UNCONFIRMED_HANDSHAKES_PER_PEER,
  REJECT_AFTER_TIME,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_TIME,
  REKEY_TIMEOUT,
} from './constants.js';
import { PUBLIC_KEY_LENGTH } from './frame.js';
import type { TransportKeys } from './transport-keys.js';

/** What became of a transport message. */
export type Opened =
  /** It was authentic and new. `confirmed` when it was the first under keys that waited for it. */
  | { readonly plaintext: Uint8Array; readonly confirmed: boolean }
  /** It was a repetition, overtaken, or under keys that are gone. */
  | undefined;

/**
 * A Noise session with one peer: up to three generations of keys, as WireGuard keeps them (whitepaper, section 5.4.6 and 6).
 * `next`: answered, not yet confirmed; `current`: what is sealed with; `previous`: still opened with.
 */
export class Session {
  /** Exact 36-byte address of the peer. */
  readonly address: Uint8Array;
  /** When the latest keys were agreed, as a step in the order of what its owner has done. */
  agreedAt = 0;
  /** When something authentic came from the peer last, and when it was asked last whether it is there, milliseconds. */
  heardAt = 0;
  probedAt = 0;
  #previous: TransportKeys | undefined;
  #current: TransportKeys | undefined;
  /** More than one when an initiator tried again before our answer reached it. Each with what was current then. */
  #next: { readonly keys: TransportKeys; readonly current: TransportKeys | undefined }[] = [];
  readonly #staysInitiator: boolean;
  readonly #onRetire: (keys: TransportKeys) => void;

  /** `stays`: our handshakes come before those of the peer that cross them. `onRetire` is told of keys just wiped. */
  constructor(address: Uint8Array, stays: boolean, onRetire: (keys: TransportKeys) => void) {
    this.address = address;
    this.#staysInitiator = stays;
    this.#onRetire = onRetire;
  }

  get publicKey(): Uint8Array {
    return this.address.subarray(0, PUBLIC_KEY_LENGTH);
  }

  /** When the peer was heard or asked last. */
  get lastContact(): number {
    return Math.max(this.heardAt, this.probedAt);
  }

  get current(): TransportKeys | undefined {
    return this.#current;
  }

  get unconfirmed(): number {
    return this.#next.length;
  }

  keys(): TransportKeys[] {
    const next = this.#next.map(({ keys }) => keys);
    return [this.#previous, this.#current, ...next].filter(keys => keys !== undefined);
  }

  /** Keys whose other end has shown that it holds them: they are used from now on. */
  install(keys: TransportKeys): void {
    if (this.#previous) this.#retire(this.#previous);
    this.#previous = this.#current;
    this.#current = keys;
  }

  /** Keys of a handshake that we answered: not used before the initiator has used them. False when too many wait. */
  offer(keys: TransportKeys): boolean {
    if (this.#next.length >= MAX_UNCONFIRMED_HANDSHAKES_PER_PEER) return false;
    this.#next.push({ keys, current: this.#current });
    return true;
  }

  /**
   * Opens a transport message for one of our keys.
   * @throws SecureWebSocketError `DECRYPT_FAILED` when it is not authentic
   */
  open(keys: TransportKeys, body: Uint8Array, now: number): Opened {
    if (now - keys.createdAt >= REJECT_AFTER_TIME) return undefined;
    const plaintext = keys.open(body);
    if (plaintext === undefined) return undefined;
    const offer = this.#next.find(next => next.keys === keys);
    if (!offer) return { plaintext, confirmed: false };
    for (const next of this.#next) if (next !== offer) this.#retire(next.keys);
    this.#next = [];
    // A handshake of ours that was finished meanwhile has crossed the peer's. Of the two, both ends seal under the same
    // one: else each would keep the other's as its previous keys, and wipe with the next change what is still in use.
    const crossed = this.#current !== offer.current && this.#current?.initiator === true;
    if (crossed && this.#staysInitiator) {
      if (this.#previous) this.#retire(this.#previous);
      this.#previous = keys;
    } else {
      this.install(keys);
    }
    return { plaintext, confirmed: true };
  }

  /** The keys to seal with, or undefined when a handshake has to come first. */
  sealingKeys(now: number): TransportKeys | undefined {
    return this.#current === undefined || this.#current.isExpired(now) ? undefined : this.#current;
  }

  /**
   * Whether a fresh handshake is due. The initiator renews keys in use after REKEY_AFTER_TIME; when it does not,
   * the other end does shortly before they expire, so that two crossed handshakes cannot leave nobody in charge.
   */
  wantsHandshake(now: number): boolean {
    const keys = this.#current;
    if (keys === undefined) return true;
    const age = now - keys.createdAt;
    if (keys.sentMessages >= REKEY_AFTER_MESSAGES) return true;
    return age >= (keys.initiator ? REKEY_AFTER_TIME : REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT);
  }

  /** Wipes keys that can no longer be used, and answered handshakes that were not confirmed by `unconfirmedBefore`. */
  expire(now: number, unconfirmedBefore: number): void {
    this.#next = this.#next.filter(({ keys }) => keys.createdAt > unconfirmedBefore || this.#retire(keys));
    if (this.#previous && this.#previous.createdAt + REJECT_AFTER_TIME <= now) {
      this.#retire(this.#previous);
      this.#previous = undefined;
    }
    if (this.#current && this.#current.createdAt + REJECT_AFTER_TIME <= now) {
      this.#retire(this.#current);
      this.#current = undefined;
    }
  }

  wipe(): void {
    for (const keys of this.keys()) this.#retire(keys);
    this.#previous = this.#current = undefined;
    this.#next = [];
  }

  #retire(keys: TransportKeys): false {
    keys.wipe();
    this.#onRetire(keys);
    return false;
  }
}

/**
 * Which of two peers stays the initiator when their initiations cross: the one with the lower raw bytes
 * (key first, then connection id).
 */
export function staysInitiator(own: Uint8Array, peer: Uint8Array): boolean {
  return compareBytes(own, peer) < 0;
}
