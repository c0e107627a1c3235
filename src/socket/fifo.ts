/** First in, first out. Unlike `shift` of an array, taking from a long one costs no more than taking from a short one. */
export class Fifo<Item> {
  #items: Item[] = [];
  /** Those before this one have been taken. */
  #next = 0;

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.#next === this.#items.length) return undefined;
    const item = this.#items[this.#next++];
    if (this.#next * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#next);
      this.#next = 0;
    }
    return item;
  }
}
