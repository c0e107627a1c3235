import { fromUtf8 } from '../../core/bytes.js';
import type { Control } from '../../core/control.js';
import { MAX_TOKEN_LENGTH } from '../../core/constants.js';
import { SecureWebSocketError } from '../../core/errors.js';
import { BodyType } from '../../core/sealed-body.js';
import { TRANSPORT_OVERHEAD, type TransportKeys } from '../../core/transport-keys.js';
import { MAX_DELAY, startTimer, stopTimer, type Timer } from '../../link/clock.js';
import type { AdmissionDecision, AdmissionRequest, Admitted } from './admission-options.js';
import { presentable } from './hook-answer.js';

export interface GrantOwner {
  /** Never rejects. */
  decide(request: AdmissionRequest): Promise<AdmissionDecision>;
  send(control: Control): void;
  /** A fresh token was accepted. */
  renewed(admitted: Admitted): void;
  /** It is over. */
  expired(): void;
  /** What the client has sent is no token. */
  violated(message: string): void;
}

/** What one registered client is let in for: it ends by itself, unless the client shows a fresh token before. */
export class ClientGrant {
  readonly #owner: GrantOwner;
  readonly #request: AdmissionRequest;
  readonly #keys: TransportKeys;
  #admitted: Admitted;
  #timer: Timer | undefined;
  #isDeciding = false;
  #closed = false;

  /** `keys`: of the registration. They belong to the grant, which wipes them at its end. */
  constructor(request: AdmissionRequest, admitted: Admitted, keys: TransportKeys, owner: GrantOwner) {
    this.#owner = owner;
    this.#request = { ...request, token: undefined };
    this.#admitted = admitted;
    this.#keys = keys;
    this.#wait();
  }

  /** A TOKEN frame. */
  receive(sealed: Uint8Array): void {
    const token = this.#open(sealed);
    if (token === undefined || token.length > MAX_TOKEN_LENGTH) {
      this.#owner.violated('A TOKEN frame holds no token under the keys of this connection.');
    } else if (this.#isDeciding) {
      this.#refuse('ADMISSION_UNAVAILABLE', 'The token before is still being looked at.');
    } else {
      this.#isDeciding = true;
      void this.#owner.decide({ ...this.#request, token }).then(decision => {
        this.#isDeciding = false;
        if (!this.#closed) this.#decided(decision);
      });
    }
  }

  close(): void {
    this.#closed = true;
    stopTimer(this.#timer);
    this.#keys.wipe();
  }

  #open(sealed: Uint8Array): string | undefined {
    if (sealed.length < TRANSPORT_OVERHEAD || sealed[0] !== BodyType.TRANSPORT) return undefined;
    try {
      const plaintext = this.#keys.open(sealed);
      return plaintext && fromUtf8(plaintext);
    } catch (error) {
      if (error instanceof SecureWebSocketError) return undefined;
      throw error;
    }
  }

  #decided(decision: AdmissionDecision): void {
    if ('refused' in decision) {
      this.#refuse(decision.refused, decision.message);
      return;
    }
    if (decision.userId !== this.#admitted.userId) {
      this.#refuse('TOKEN_NOT_YOURS', 'The token is for another user than the one before.');
      return;
    }
    this.#admitted = decision;
    this.#owner.renewed(decision);
    this.#wait();
    const { expiresAt } = decision;
    this.#owner.send({
      type: 'TOKEN_ACCEPTED',
      ...(expiresAt !== undefined && { expiresIn: Math.max(0, expiresAt - Date.now()) }),
    });
  }

  #refuse(reason: string, message: string): void {
    // A control frame has no room for more, nor for what JSON makes six characters of.
    this.#owner.send({ type: 'TOKEN_REFUSED', reason, message: presentable(message) ?? '' });
  }

  #wait(): void {
    stopTimer(this.#timer);
    const { expiresAt } = this.#admitted;
    if (expiresAt === undefined) return;
    const delay = expiresAt - Date.now();
    this.#timer = startTimer(delay, () => {
      if (delay > MAX_DELAY) this.#wait();
      else this.#owner.expired();
    });
  }
}
