import type { Crypto } from './crypto.js';
import { DEAD_AFTER, ECHO_INTERVAL } from './constants.js';

/** Bytes of an echo: enough that nobody who has not seen it can guess it. */
const LENGTH = 16;
/** An echo that has not come back is sent again after this, milliseconds, and then given up. */
const PATIENCE = DEAD_AFTER / 3;

/**
 * Tells whether a link still carries anything: an envelope to ourselves has to come back. A relay forwards it as any
 * other, and learns nothing from it.
 */
export class LinkEcho {
  readonly #crypto: Crypto;
  #heardAt = 0;
  #payload: Uint8Array | undefined;
  #sentAt = 0;
  #tries = 0;

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  /** When `timeout` wants to be called; `idle`: whether to look after a link on which nothing is expected. */
  wakeAt(idle: boolean): number {
    if (this.#payload) return this.#sentAt + PATIENCE;
    return idle ? this.#heardAt + ECHO_INTERVAL : Infinity;
  }

  /** Something authentic came: there is nothing to be looked after. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#payload = undefined;
  }

  /** Whether `body` is what was sent; it is forgotten then. */
  isEcho(body: Uint8Array): boolean {
    return this.#payload !== undefined && this.#crypto.equal(this.#payload, body);
  }

  /** Somebody is suspiciously silent. Gives what is to be sent to ourselves, unless that is under way. */
  check(now: number): Uint8Array | undefined {
    if (this.#payload) return undefined;
    this.#tries = 0;
    return this.#send(now);
  }

  /** Time has passed: what is to be sent to ourselves, or 'dead' when the link carries nothing any more. */
  timeout(now: number, idle: boolean): Uint8Array | 'dead' | undefined {
    if (now < this.wakeAt(idle)) return undefined;
    if (!this.#payload) return this.check(now);
    // So late a timer was stopped meanwhile: the answer may be waiting.
    if (now - this.#sentAt > 2 * PATIENCE) this.#tries = 0;
    return this.#tries >= 2 ? 'dead' : this.#send(now);
  }

  #send(now: number): Uint8Array {
    this.#tries++;
    this.#sentAt = now;
    this.#payload ??= this.#crypto.randomBytes(LENGTH);
    return this.#payload;
  }
}
