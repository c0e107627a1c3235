/** Things that happen, to be awaited one after the other. */
export class EventQueue<Item> {
  readonly #items: Item[] = [];
  readonly #waiting: ((item: Item) => void)[] = [];

  push(item: Item): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#items.push(item);
  }

  next(): Promise<Item> {
    return new Promise(resolve => {
      const item = this.#items.shift();
      if (item === undefined) this.#waiting.push(resolve);
      else resolve(item);
    });
  }

  async take(count: number): Promise<Item[]> {
    const items: Item[] = [];
    while (items.length < count) items.push(await this.next());
    return items;
  }

  /** What has happened and was not taken. */
  get pending(): readonly Item[] {
    return this.#items;
  }
}
