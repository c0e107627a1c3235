import type { RelayConnection } from './relay-connection.js';

/** The registered connections of each key, the newest first. */
export class ConnectedKeys {
  /** Nearly every key has one connection: they form a list, which takes no memory of its own. */
  readonly #newest = new Map<string, RelayConnection>();

  add(publicKey: string, connection: RelayConnection): void {
    connection.sameKey = this.#newest.get(publicKey);
    this.#newest.set(publicKey, connection);
  }

  remove(publicKey: string, connection: RelayConnection): void {
    const newest = this.#newest.get(publicKey);
    if (newest === connection) {
      if (connection.sameKey === undefined) this.#newest.delete(publicKey);
      else this.#newest.set(publicKey, connection.sameKey);
    } else {
      for (let at = newest; at !== undefined; at = at.sameKey) {
        if (at.sameKey !== connection) continue;
        at.sameKey = connection.sameKey;
        break;
      }
    }
    connection.sameKey = undefined;
  }

  /** The connections of a key: an array of its own, so that they may be closed meanwhile. */
  of(publicKey: string): RelayConnection[] {
    const found: RelayConnection[] = [];
    for (let at = this.#newest.get(publicKey); at !== undefined; at = at.sameKey) found.push(at);
    return found;
  }

  /** Whether a key has `max` connections, or more. */
  hasAsManyAs(publicKey: string, max: number): boolean {
    let count = 0;
    for (let at = this.#newest.get(publicKey); at !== undefined; at = at.sameKey) {
      if (++count >= max) return true;
    }
    return false;
  }

  keys(): IterableIterator<string> {
    return this.#newest.keys();
  }
}
