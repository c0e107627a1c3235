import type { SpaceItem } from './space-item.js';

/** What an item costs beside its bytes: measured as the difference that a million of them make. */
export const ITEM_OVERHEAD = 512;

/** What the spaces of a relay keep together, bounded: whose items are the oldest, loses them first. */
export class HistoryBudget {
  readonly maxBytes: number;
  #used = 0;
  // All items that are kept, in the order in which they came: a list through the items themselves.
  #oldest: SpaceItem | undefined;
  #newest: SpaceItem | undefined;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Bytes that are kept or held, overhead included. */
  get used(): number {
    return this.#used;
  }

  /** Counts something that is held for a while. False, and nothing is counted, when there is no room for it. */
  hold(bytes: number): boolean {
    this.#makeRoom(bytes);
    if (this.#used + bytes > this.maxBytes) return false;
    this.#used += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#used -= bytes;
  }

  /** @internal by the history that keeps the item */
  add(item: SpaceItem): void {
    this.#used += item.cost;
    item.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = item;
    else this.#newest.newer = item;
    this.#newest = item;
    this.#makeRoom(0);
  }

  /** @internal */
  remove(item: SpaceItem): void {
    this.#used -= item.cost;
    const { older, newer } = item;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    item.older = item.newer = undefined;
  }

  /** The oldest item of all is the oldest of its space, too. */
  #makeRoom(bytes: number): void {
    while (this.#used + bytes > this.maxBytes && this.#oldest !== undefined) this.#oldest.history.shift();
  }
}

/** The bounds of one history. */
export interface HistoryLimits {
  readonly historyItems: number;
  readonly historyBytes: number;
  /** Milliseconds. */
  readonly historyTime: number;
}

/** The latest items of one space, one after the other, for those who missed some. */
export class SpaceHistory {
  readonly #limits: HistoryLimits;
  readonly #budget: HistoryBudget;
  /** From `#start` on; what is before has gone. */
  #items: (SpaceItem | undefined)[] = [];
  #start = 0;
  #bytes = 0;
  #last = 0;

  constructor(limits: HistoryLimits, budget: HistoryBudget) {
    this.#limits = limits;
    this.#budget = budget;
  }

  /** Offset of the oldest item that is kept; behind the last one when there is none. */
  get first(): number {
    return this.#last - this.size + 1;
  }

  /** Offset of the latest item, kept or not. 0: there was none. */
  get last(): number {
    return this.#last;
  }

  get size(): number {
    return this.#items.length - this.#start;
  }

  /** Of the items that are kept, overhead included. */
  get bytes(): number {
    return this.#bytes;
  }

  at(offset: number): SpaceItem | undefined {
    const index = offset - this.first;
    return index < 0 ? undefined : this.#items[this.#start + index];
  }

  /** Where the message is that has this number in its sender's own order, if it is kept: its offset. */
  find(sender: number, sequence: number): number | undefined {
    for (let index = this.#items.length - 1; index >= this.#start; index--) {
      const item = this.#items[index];
      if (item?.sender === sender && item.sequence === sequence) return item.offset;
    }
    return undefined;
  }

  /** Adds the next item, whose offset is one more than the last one's. */
  push(item: SpaceItem): void {
    this.#last = item.offset;
    this.#items.push(item);
    this.#bytes += item.cost;
    // May take any item away, also this one.
    this.#budget.add(item);
    const { historyItems, historyBytes } = this.#limits;
    while (this.size > historyItems || (this.#bytes > historyBytes && this.size > 0)) this.shift();
    this.expire(item.at);
  }

  /** Forgets what is too old. */
  expire(now: number): void {
    const oldest = now - this.#limits.historyTime;
    for (;;) {
      const item = this.#items[this.#start];
      if (item === undefined || item.at > oldest) return;
      this.shift();
    }
  }

  /** Forgets all. */
  clear(): void {
    while (this.size > 0) this.shift();
  }

  /** Forgets the oldest item. */
  shift(): void {
    const item = this.#items[this.#start];
    if (item === undefined) return;
    this.#items[this.#start++] = undefined;
    this.#bytes -= item.cost;
    this.#budget.remove(item);
    if (this.#start > 64 && this.#start > this.#items.length / 2) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
  }
}
