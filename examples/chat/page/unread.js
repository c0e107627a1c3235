// What has come and was not seen: counted in the title, marked at each message, and a line drawn above the first.

/** The title of the page. */
export function titleOf(space, unread) {
  return `${unread === 0 ? '' : `(${unread}) `}${space} · secure-websocket chat`;
}

export class Unread {
  #items = new Set();
  #changed;

  /** `changed(count)` is called when the count has changed. */
  constructor(changed) {
    this.#changed = changed;
  }

  get count() {
    return this.#items.size;
  }

  /** A message that nobody looked at when it came. */
  add(item) {
    this.#items.add(item);
    this.#changed(this.count);
  }

  /** Forgets one that is not kept any more. */
  drop(item) {
    if (this.#items.delete(item)) this.#changed(this.count);
  }

  /** All is seen. Returns what was not. */
  clear() {
    const items = [...this.#items];
    this.#items.clear();
    if (items.length > 0) this.#changed(0);
    return items;
  }
}
