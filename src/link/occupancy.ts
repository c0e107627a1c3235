/** Counts who is inside, by group, and has room for `max` of each. It remembers only groups that somebody is inside of. */
export class Occupancy {
  readonly #max: number;
  readonly #inside = new Map<string, number>();

  /** `max`: the most of one group. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Groups with somebody inside. */
  get groups(): number {
    return this.#inside.size;
  }

  count(group: string): number {
    return this.#inside.get(group) ?? 0;
  }

  /** Takes a place. Gives the function that returns it, which does nothing when called again; undefined: there is none. */
  enter(group: string): (() => void) | undefined {
    const count = this.count(group);
    if (count >= this.#max) return undefined;
    this.#inside.set(group, count + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      const left = this.count(group) - 1;
      if (left === 0) this.#inside.delete(group);
      else this.#inside.set(group, left);
    };
  }
}
