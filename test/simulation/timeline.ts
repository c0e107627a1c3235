interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time: what is to happen, in the order of its time, and of what happens at once in the order in which it was planned. */
export class Timeline {
  now = 0;
  /** Events that have happened. */
  steps = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Milliseconds until the next event; Infinity when nothing is planned. */
  get pending(): number {
    return this.#heap.length;
  }

  at(time: number, run: () => void): void {
    if (!(time < Infinity)) return;
    const heap = this.#heap;
    const entry = { at: Math.max(time, this.now), order: this.#order++, run };
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(entry, heap[parent] as Entry)) break;
      heap[index] = heap[parent] as Entry;
      index = parent;
    }
    heap[index] = entry;
  }

  after(delay: number, run: () => void): void {
    this.at(this.now + delay, run);
  }

  /** Lets the next event happen. False when there is none, or none before `until`. */
  step(until: number): boolean {
    const first = this.#heap[0];
    if (!first || first.at > until) return false;
    this.#removeFirst();
    this.now = first.at;
    this.steps++;
    first.run();
    return true;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!isBefore(heap[child] as Entry, last)) break;
      heap[index] = heap[child] as Entry;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
