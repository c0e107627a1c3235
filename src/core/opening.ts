import { RECEIVE_WINDOW } from './constants.js';
import type { Crypto } from './crypto.js';
import { SecureWebSocketError } from './errors.js';
import { Lineage } from './lineage.js';
import { encodeOpen, type OpenAccept, type OpenParameters, sessionName } from './open-parameters.js';
import type { TransportKeys } from './transport-keys.js';

/** Sessions in which an OPEN may have been sent before it is answered. */
const MAX_CANDIDATES = 8;

/** What the two ends of a channel agree on when it is opened: who it is, and whether it outlives what carries it. */
export class Opening {
  readonly #crypto: Crypto;
  #lineage: Lineage | undefined;
  #candidates: Lineage[] = [];
  #wantsResume = false;
  #resumeWindow = 0;

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  get lineage(): Lineage | undefined {
    return this.#lineage;
  }

  /** Milliseconds that the channel is kept while its opener is out of reach; 0 when it ends with what carries it. */
  get resumeWindow(): number {
    return this.#resumeWindow;
  }

  /** The payload of OPEN. */
  ask(parameters: Omit<OpenParameters, 'window'>): Uint8Array {
    this.#wantsResume = parameters.resume === true;
    return encodeOpen({ ...parameters, window: RECEIVE_WINDOW });
  }

  /** OPEN is about to be sealed with `keys`. It may arrive in any of the sessions in which it was sent. */
  sealed(keys: TransportKeys, ownKey: Uint8Array, channelId: number): void {
    const { handshakeHash } = keys;
    if (this.#candidates.some(candidate => candidate.handshakeHash === handshakeHash)) return;
    this.#candidates.push(new Lineage(this.#crypto, keys, ownKey, channelId));
    if (this.#candidates.length > MAX_CANDIDATES) this.#candidates.shift()?.wipe();
  }

  /** Takes the peer's OPEN. */
  offered(open: OpenParameters, lineage: Lineage): void {
    this.#lineage = lineage;
    this.#wantsResume = open.resume === true;
  }

  /** The payload of OPEN_ACCEPT. */
  accept(protocol: string, resumeWindow: number): Uint8Array {
    this.#resumeWindow = this.#wantsResume ? resumeWindow : 0;
    return encodeOpen({
      protocol,
      window: RECEIVE_WINDOW,
      session: this.#lineage ? sessionName(this.#lineage.handshakeHash) : '',
      resume: this.#resumeWindow,
    });
  }

  /**
   * Takes the peer's OPEN_ACCEPT, which says in which session OPEN arrived.
   * @throws SecureWebSocketError `PROTOCOL_VIOLATION` when it was not sent in that one
   */
  accepted({ session, resume = 0 }: OpenAccept): void {
    this.#lineage = this.#candidates.find(({ handshakeHash }) => sessionName(handshakeHash) === session);
    if (!this.#lineage) {
      throw new SecureWebSocketError(
        'PROTOCOL_VIOLATION',
        'The peer accepted a channel in a session in which it was not asked for.',
      );
    }
    this.#candidates = this.#candidates.filter(other => other === this.#lineage || wiped(other));
    this.#resumeWindow = this.#wantsResume ? resume : 0;
  }

  wipe(): void {
    this.#lineage?.wipe();
    for (const candidate of this.#candidates) candidate.wipe();
  }
}

function wiped(lineage: Lineage): false {
  lineage.wipe();
  return false;
}
