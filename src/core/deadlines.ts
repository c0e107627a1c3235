/** What has to happen until when. Cheap to set and to drop: all of it is looked through only when something is due. */
export class Deadlines<Key> {
  readonly #at = new Map<Key, number>();
  #wakeAt = Infinity;

  /** When `expired` should be asked again, at the latest. */
  get wakeAt(): number {
    return this.#wakeAt;
  }

  get size(): number {
    return this.#at.size;
  }

  /** The one that was set first of those that are left. */
  get first(): Key | undefined {
    const [first] = this.#at.keys();
    return first;
  }

  keys(): Iterable<Key> {
    return this.#at.keys();
  }

  has(key: Key): boolean {
    return this.#at.has(key);
  }

  set(key: Key, at: number): void {
    this.#at.set(key, at);
    this.#wakeAt = Math.min(this.#wakeAt, at);
  }

  delete(key: Key): void {
    this.#at.delete(key);
  }

  /** Those whose time has come. They stay until they are deleted or set anew. */
  expired(now: number): Key[] {
    if (now < this.#wakeAt) return [];
    this.#wakeAt = Infinity;
    const expired: Key[] = [];
    for (const [key, at] of this.#at) {
      if (at <= now) expired.push(key);
      else this.#wakeAt = Math.min(this.#wakeAt, at);
    }
    return expired;
  }
}
