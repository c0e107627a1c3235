import { MAX_MEMBERS } from './space-members.js';
import type { Entry } from './space-frame.js';

/** Parts of a roster, until the relay says that it was all. */
export class RosterPages {
  readonly #entries = new Map<number, Entry>();

  /**
   * Another part. A relay that had no room for all of it begins anew: that shows, as nobody is in a roster twice.
   * False: it names more members than a space can have.
   */
  add(entries: readonly Entry[]): boolean {
    if (entries.some(({ number }) => this.#entries.has(number))) this.#entries.clear();
    // A copy: the memory of a frame may be used again.
    for (const entry of entries) this.#entries.set(entry.number, { ...entry, join: entry.join.slice() });
    return this.#entries.size <= MAX_MEMBERS;
  }

  /** All of it. */
  take(): Entry[] {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    return entries;
  }

  clear(): void {
    this.#entries.clear();
  }
}
