import { toHex } from '../core/bytes.js';
import { ITEM_OVERHEAD } from '../core/constants.js';
import { SecureWebSocketError } from '../core/errors.js';
import { decodeServerEvent } from '../core/server-event.js';
import type { ServerEvent } from './channel-port.js';
import type { LinkChannel } from './link-channel.js';
import type { ReservedChannel, ReservedTarget } from './link.js';

/** Above so many bytes of events that nobody has taken the relay is told to wait. */
const HIGH_WATER = 1_048_576;

/** Somebody on the link who wants to hear of events. */
export type ServerEventTaker = (event: ServerEvent) => void;

/**
 * Where a link takes what the relay has to say of its own accord: on a channel that nobody but the relay can open, as its
 * key is authenticated as that of any peer. Of several the latest counts: the relay knows the others no longer.
 */
export class ServerEventChannel implements ReservedTarget {
  readonly #serverKey: string;
  readonly #takers: () => readonly ServerEventTaker[];
  #port: LinkChannel | undefined;
  #waiting = 0;
  #isPaused = false;

  /** `serverKey`: what the link is registered with, 64 hex digits. `takers`: asked at each event. */
  constructor(serverKey: string, takers: () => readonly ServerEventTaker[]) {
    this.#serverKey = serverKey;
    this.#takers = takers;
  }

  welcomes(publicKey: Uint8Array): boolean {
    return toHex(publicKey) === this.#serverKey;
  }

  readonly incoming = (incoming: ReservedChannel): void => {
    if (incoming.peerPublicKey !== this.#serverKey) {
      incoming.refuse(403, 'events are for the relay to send');
      return;
    }
    this.#port?.terminate();
    const port = incoming.accept('', {
      message: data => {
        if (this.#port === port) this.#take(data);
      },
      closed: () => {
        if (this.#port === port) this.#port = undefined;
      },
    });
    this.#port = port;
    this.#isPaused = false;
    this.#slowDown();
  };

  #take(data: Uint8Array): void {
    const event = decodeServerEvent(data);
    if (event) {
      for (const take of this.#takers()) take(this.#counted(event));
      return;
    }
    const message = 'The relay sent an event that is malformed.';
    this.#port?.terminate(new SecureWebSocketError('PROTOCOL_VIOLATION', message));
  }

  /** Counts as waiting until it is taken. */
  #counted(event: Omit<ServerEvent, 'taken'>): ServerEvent {
    const cost = event.data.length + ITEM_OVERHEAD;
    let isTaken = false;
    this.#waiting += cost;
    this.#slowDown();
    return {
      ...event,
      taken: () => {
        if (isTaken) return;
        isTaken = true;
        this.#waiting -= cost;
        this.#slowDown();
      },
    };
  }

  #slowDown(): void {
    if (!this.#isPaused && this.#waiting > HIGH_WATER) {
      this.#isPaused = true;
      this.#port?.pause();
    } else if (this.#isPaused && this.#waiting <= HIGH_WATER / 2) {
      this.#isPaused = false;
      this.#port?.resume();
    }
  }
}
