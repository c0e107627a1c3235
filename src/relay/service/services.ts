import type { Identity } from '../../core/identity.js';
import { PRESENCE_TARGET } from '../../core/presence.js';
import type { RelayClient } from '../relay-connection.js';
import type { Router } from '../router.js';
import { Presence, type PresencePolicy } from './presence.js';
import { RelayService } from './relay-service.js';
import { ServerEvents } from './server-events.js';

export interface ServicesOptions {
  readonly identity: Identity;
  readonly router: Router;
  /** Largest frame, bytes. */
  readonly maxFrame: number;
  readonly maxConnections: number;
  readonly presence: PresencePolicy;
  /** The registered client of a key that has this connection. */
  readonly client: (publicKey: string, connectionId: number) => RelayClient | undefined;
  readonly isPresent: (publicKey: string) => boolean;
  /** A function of the application threw. */
  readonly failed: (error: unknown) => void;
}

/** What the services of a relay have done, and hold. */
export interface ServiceStatistics {
  /** Events that were handed to connections, and those that were not, for each connection its own. */
  readonly events: number;
  readonly eventDrops: number;
  /** Bytes that wait. */
  readonly eventBytes: number;
  readonly watchedKeys: number;
}

/** What a relay does as a peer of its clients: it tells them what the application says, and who is present. */
export class Services {
  readonly #options: ServicesOptions;
  readonly #service: RelayService;
  readonly #events: ServerEvents;
  readonly #presence: Presence | undefined;

  constructor(options: ServicesOptions) {
    const { presence, client, isPresent, failed } = options;
    this.#options = options;
    this.#service = new RelayService({
      ...options,
      heard: connectionId => {
        this.#events.heard(connectionId);
      },
    });
    this.#events = new ServerEvents(this.#service);
    if (presence !== false) {
      this.#presence = new Presence({ policy: presence, isPresent, client, failed });
      this.#service.offer(PRESENCE_TARGET, request => this.#presence?.accept(request));
    }
  }

  get statistics(): ServiceStatistics {
    const { sent, dropped, queuedBytes } = this.#events;
    const watchedKeys = this.#presence?.watched ?? 0;
    return { events: sent, eventDrops: dropped, eventBytes: queuedBytes, watchedKeys };
  }

  /**
   * Sends an event to all of `clients`. Gives to how many it is on its way.
   * @throws SecureWebSocketError `MESSAGE_TOO_LARGE`
   */
  emit(clients: Iterable<RelayClient>, space: string, data: string | Uint8Array): number {
    return this.#events.emit(clients, space, data);
  }

  connected({ publicKey }: RelayClient): void {
    this.#presence?.changed(publicKey);
  }

  /** To be called when it is not among the registered clients any more. */
  disconnected(client: RelayClient): void {
    const { publicKey, connectionId } = client;
    // Where somebody has come back, the router has told that whoever was there before is gone.
    if (!this.#options.client(publicKey, connectionId)) this.#service.gone(client);
    this.#events.gone(client);
    this.#presence?.changed(publicKey);
  }

  close(): void {
    this.#presence?.close();
    this.#events.close();
    this.#service.close();
  }
}
