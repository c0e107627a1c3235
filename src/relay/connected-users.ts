import type { RelayClient } from './relay-connection.js';

/** The registered clients of each user, where it is known whose they are. */
export class ConnectedUsers {
  readonly #byUser = new Map<string, Set<RelayClient>>();

  add(client: RelayClient): void {
    const { userId } = client;
    if (userId === undefined) return;
    const clients = this.#byUser.get(userId);
    if (clients) clients.add(client);
    else this.#byUser.set(userId, new Set([client]));
  }

  remove(client: RelayClient): void {
    const { userId } = client;
    if (userId === undefined) return;
    const clients = this.#byUser.get(userId);
    clients?.delete(client);
    if (clients?.size === 0) this.#byUser.delete(userId);
  }

  /** The clients of these users, each once. */
  of(userIds: Iterable<string>): Set<RelayClient> {
    const found = new Set<RelayClient>();
    for (const userId of userIds) for (const client of this.#byUser.get(userId) ?? []) found.add(client);
    return found;
  }
}
