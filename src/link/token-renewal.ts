import { encodeToken } from '../core/frame.js';
import { utf8 } from '../core/bytes.js';
import { MAX_TOKEN_LENGTH } from '../core/constants.js';
import { TRANSPORT_OVERHEAD, type TransportKeys } from '../core/transport-keys.js';
import { startTimer, stopTimer, type Timer } from './clock.js';

/** A fresh token is shown so long before the one before expires, milliseconds, or after four fifths of its time. */
const MARGIN = 30_000;
/** Not more often than once in so long, milliseconds, however short tokens live. */
const LEAST_INTERVAL = 1_000;

/** Shows a relay a fresh token, in band, before it closes the link for want of one. */
export class TokenRenewal {
  readonly #provide: () => string | undefined | Promise<string | undefined>;
  readonly #keys: TransportKeys;
  readonly #send: (frame: Uint8Array) => void;
  #timer: Timer | undefined;
  #expiresIn = 0;
  #stopped = false;

  /** `keys`: of the registration. They belong to the renewal, which wipes them at its end. */
  constructor(
    provide: () => string | undefined | Promise<string | undefined>,
    keys: TransportKeys,
    send: (frame: Uint8Array) => void,
  ) {
    this.#provide = provide;
    this.#keys = keys;
    this.#send = send;
  }

  /** What was shown last is good for so many milliseconds. Undefined: for ever. */
  accepted(expiresIn: number | undefined): void {
    stopTimer(this.#timer);
    if (expiresIn === undefined || this.#stopped) return;
    this.#expiresIn = expiresIn;
    this.#wait(Math.max(expiresIn - MARGIN, expiresIn * 0.8));
  }

  /** What was shown last is not good, or there was none to show: the one before goes on to count. */
  refused(): void {
    if (!this.#stopped) this.#wait(Math.max(LEAST_INTERVAL, Math.min(MARGIN, this.#expiresIn * 0.2) / 4));
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    stopTimer(this.#timer);
    this.#keys.wipe();
  }

  #wait(delay: number): void {
    stopTimer(this.#timer);
    this.#timer = startTimer(Math.max(LEAST_INTERVAL, delay), () => {
      void this.#renew();
    });
  }

  async #renew(): Promise<void> {
    let token: string | undefined;
    try {
      token = await this.#provide();
    } catch {
      // It is asked again; if it never succeeds, the relay ends the link, and that is told.
    }
    if (this.#stopped) return;
    if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH) {
      this.refused();
      return;
    }
    const plaintext = utf8(token);
    const sealed = new Uint8Array(TRANSPORT_OVERHEAD + plaintext.length);
    this.#keys.seal(plaintext, sealed, 0);
    this.#send(encodeToken(sealed));
  }
}
