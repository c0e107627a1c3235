import { SecureWebSocketError } from '../errors.js';
import type { SpaceOrder } from './space-order.js';

/** What was asked for and did not come is asked for again after this. */
const FETCH_INTERVAL = 5_000;
/** Items that came before others of which they are behind. */
const MAX_HELD_ITEMS = 1_024;
const MAX_HELD_BYTES = 4_194_304;

/** An item of the order that waits for those before it. */
interface HeldItem {
  readonly bytes: number;
  apply(now: number): void;
}

/** Takes the items of an order one after the other. Those that are missing are asked for. */
export class SpaceIntake {
  readonly #order: SpaceOrder;
  readonly #fetchItems: (from: number, to: number) => void;
  readonly #held = new Map<number, HeldItem>();
  #heldBytes = 0;
  /** The order is known to go at least so far. */
  #head = 0;
  /** What the relay has said that the log will be. */
  #promised: { readonly offset: number; readonly logHash: Uint8Array } | undefined;
  #fetchAt = Infinity;
  #fetchedTo = 0;

  /** `fetchItems`: asks the relay for items, first and last. */
  constructor(order: SpaceOrder, fetchItems: (from: number, to: number) => void) {
    this.#order = order;
    this.#fetchItems = fetchItems;
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    return this.#fetchAt;
  }

  /** Whether there is no item that we know of and do not have. */
  get isCaughtUp(): boolean {
    return this.#order.offset >= this.#head;
  }

  /** Begins anew, where the order stands. */
  start(): void {
    this.stop();
    this.#head = this.#order.offset;
    this.#promised = undefined;
  }

  /** Nothing comes any more. What has is kept where it does not wait. */
  stop(): void {
    this.#held.clear();
    this.#heldBytes = 0;
    this.#fetchAt = Infinity;
  }

  /** Takes an item in its place: `apply`, with the time at which it is its turn, advances the order by it. `bytes`: what it keeps if it has to wait. */
  item(offset: number, bytes: number, now: number, apply: (now: number) => void): void {
    const order = this.#order;
    this.#head = Math.max(this.#head, offset);
    if (offset <= order.offset) return;
    if (offset > order.offset + 1) {
      this.#hold(offset, { bytes, apply });
      if (this.#fetchAt === Infinity) this.#fetch(now);
      return;
    }
    apply(now);
    this.#checkPromise();
    for (let next = this.#takeNext(); next; next = this.#takeNext()) {
      next.apply(now);
      this.#checkPromise();
    }
    if (this.isCaughtUp) this.#fetchAt = Infinity;
    // Another gap, behind the one that is closed.
    else if (order.offset >= this.#fetchedTo) this.#fetch(now);
  }

  /**
   * The relay says where the order stands.
   * @throws SecureWebSocketError `SPACE_ORDER` when that is not what it has said before
   */
  toldHead(offset: number, logHash: Uint8Array, now: number): void {
    if (offset <= this.#order.offset) {
      this.#check(offset, logHash);
      return;
    }
    this.#head = Math.max(this.#head, offset);
    this.#promised = { offset, logHash: logHash.slice() };
    this.#fetchAt = Math.min(this.#fetchAt, now + FETCH_INTERVAL);
  }

  timeout(now: number): void {
    if (now >= this.#fetchAt) this.#fetch(now);
  }

  #fetch(now: number): void {
    const from = this.#order.offset + 1;
    const to = (this.#held.size === 0 ? this.#head + 1 : Math.min(...this.#held.keys())) - 1;
    this.#fetchAt = to < from ? Infinity : now + FETCH_INTERVAL;
    if (to < from) return;
    this.#fetchedTo = to;
    this.#fetchItems(from, to);
  }

  #checkPromise(): void {
    const promised = this.#promised;
    if (promised?.offset !== this.#order.offset) return;
    this.#promised = undefined;
    this.#check(promised.offset, promised.logHash);
  }

  #check(offset: number, logHash: Uint8Array): void {
    if (!this.#order.differs(offset, logHash)) return;
    throw new SecureWebSocketError(
      'SPACE_ORDER',
      'The relay tells of another order of the space than that which it has told before: it lies, or is broken.',
    );
  }

  /** What there is no room for has to be asked for again. */
  #hold(offset: number, item: HeldItem): void {
    const isFull = this.#held.size >= MAX_HELD_ITEMS || this.#heldBytes + item.bytes > MAX_HELD_BYTES;
    if (isFull || this.#held.has(offset)) return;
    this.#held.set(offset, item);
    this.#heldBytes += item.bytes;
  }

  /** The item that is next, if it has come already. */
  #takeNext(): HeldItem | undefined {
    const offset = this.#order.offset + 1;
    const item = this.#held.get(offset);
    if (!item) return undefined;
    this.#held.delete(offset);
    this.#heldBytes -= item.bytes;
    return item;
  }
}
