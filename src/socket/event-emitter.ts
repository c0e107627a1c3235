/** Event names and the arguments that their listeners get. */
export type EventMap<Events> = { [Name in keyof Events]: unknown[] };

// As in the types of Node and of `ws`: names and listeners beyond the map are allowed, so that an application may
// emit events of its own and so that these classes fit where theirs are asked for.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AnyListener = (...args: any[]) => void;
type EventName = string | symbol;

/** A listener as it is kept: that of `once` is wrapped, and names the function it stands for. */
interface KeptListener {
  (...args: unknown[]): void;
  listener?: AnyListener;
}

const given = (kept: KeptListener): AnyListener => kept.listener ?? kept;

/**
 * The part of Node's `EventEmitter` that libraries use, for every runtime; works with Node's `events.once` and
 * `events.on`. Differences: `error` without a listener does not throw, so that nothing a peer does can end the
 * process; `newListener` and `removeListener` are not emitted, and there is no limit on the number of listeners.
 */
export class EventEmitter<Events extends EventMap<Events> = Record<EventName, unknown[]>> {
  // Lists are replaced, never changed, so that an emission goes through the listeners there were when it began.
  readonly #listeners = new Map<EventName, readonly KeptListener[]>();

  /** Adds `listener` behind the others. */
  on<Name extends keyof Events>(event: Name, listener: (this: this, ...args: Events[Name]) => void): this;
  on(event: EventName, listener: AnyListener): this;
  on(event: EventName, listener: AnyListener): this {
    return this.#add(event, listener, false);
  }

  /** The same as `on`. */
  addListener<Name extends keyof Events>(
    event: Name,
    listener: (this: this, ...args: Events[Name]) => void,
  ): this;
  addListener(event: EventName, listener: AnyListener): this;
  addListener(event: EventName, listener: AnyListener): this {
    return this.#add(event, listener, false);
  }

  /** Adds `listener` behind the others, for one emission. */
  once<Name extends keyof Events>(event: Name, listener: (this: this, ...args: Events[Name]) => void): this;
  once(event: EventName, listener: AnyListener): this;
  once(event: EventName, listener: AnyListener): this {
    return this.#add(event, this.#forOnce(event, listener), false);
  }

  /** Adds `listener` before the others. */
  prependListener<Name extends keyof Events>(
    event: Name,
    listener: (this: this, ...args: Events[Name]) => void,
  ): this;
  prependListener(event: EventName, listener: AnyListener): this;
  prependListener(event: EventName, listener: AnyListener): this {
    return this.#add(event, listener, true);
  }

  /** Adds `listener` before the others, for one emission. */
  prependOnceListener<Name extends keyof Events>(
    event: Name,
    listener: (this: this, ...args: Events[Name]) => void,
  ): this;
  prependOnceListener(event: EventName, listener: AnyListener): this;
  prependOnceListener(event: EventName, listener: AnyListener): this {
    return this.#add(event, this.#forOnce(event, listener), true);
  }

  /** Removes the `listener` that was added last, if there is one. */
  off(event: EventName, listener: AnyListener): this {
    return this.removeListener(event, listener);
  }

  /** The same as `off`. */
  removeListener(event: EventName, listener: AnyListener): this {
    const kept = this.#listeners.get(event) ?? [];
    let index = kept.length - 1;
    while (index >= 0 && kept[index] !== listener && kept[index]?.listener !== listener) index--;
    if (index < 0) return this;
    if (kept.length === 1) this.#listeners.delete(event);
    else this.#listeners.set(event, [...kept.slice(0, index), ...kept.slice(index + 1)]);
    return this;
  }

  /** Removes every listener, or every one of `event`. */
  removeAllListeners(event?: EventName): this {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.delete(event);
    return this;
  }

  /**
   * Calls the listeners of `event`, in order, and says whether there were any. As in Node, what a listener throws is
   * thrown here, and the listeners behind it are not called.
   */
  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean;
  emit(event: EventName, ...args: unknown[]): boolean;
  emit(event: EventName, ...args: unknown[]): boolean {
    const kept = this.#listeners.get(event);
    if (kept === undefined) return false;
    for (const listener of kept) Reflect.apply(listener, this, args);
    return true;
  }

  /** The number of listeners of `event`. */
  listenerCount(event: EventName, listener?: AnyListener): number {
    const kept = this.#listeners.get(event) ?? [];
    return listener === undefined ? kept.length : kept.filter(one => given(one) === listener).length;
  }

  /** The listeners of `event`, as they were given. */
  listeners(event: EventName): AnyListener[] {
    return (this.#listeners.get(event) ?? []).map(given);
  }

  /** The listeners of `event`, those of `once` as the wrappers that are called. */
  rawListeners(event: EventName): AnyListener[] {
    return [...(this.#listeners.get(event) ?? [])];
  }

  /** The events that have listeners. */
  eventNames(): EventName[] {
    return [...this.#listeners.keys()];
  }

  /** There is no limit; for libraries that set one. */
  setMaxListeners(_limit: number): this {
    return this;
  }

  /** Infinity: there is no limit. */
  getMaxListeners(): number {
    return Infinity;
  }

  #add(event: EventName, listener: KeptListener, first: boolean): this {
    if (typeof listener !== 'function') throw new TypeError('The listener must be a function');
    const kept = this.#listeners.get(event) ?? [];
    this.#listeners.set(event, first ? [listener, ...kept] : [...kept, listener]);
    return this;
  }

  #forOnce(event: EventName, listener: AnyListener): KeptListener {
    if (typeof listener !== 'function') throw new TypeError('The listener must be a function');
    let called = false;
    const wrapper: KeptListener = (...args) => {
      // An emission inside the emission goes through the same list.
      if (called) return;
      called = true;
      this.removeListener(event, wrapper);
      Reflect.apply(listener, this, args);
    };
    wrapper.listener = listener;
    return wrapper;
  }
}
