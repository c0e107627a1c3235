import { EventEmitter, type EventMap } from './event-emitter.js';

/** What every event object of a `ws`-style socket has. */
export interface SocketEvent<Target> {
  readonly type: string;
  readonly target: Target;
}

export interface SocketMessageEvent<Target, Data> extends SocketEvent<Target> {
  /** A string for a text message; for a binary one as `binaryType` says. */
  readonly data: string | Data;
}

export interface SocketCloseEvent<Target> extends SocketEvent<Target> {
  /** RFC 6455 section 7.4: 1005 when the peer gave none, 1006 when the connection was lost. */
  readonly code: number;
  readonly reason: string;
  /** True only when both sides said CLOSE. */
  readonly wasClean: boolean;
}

export interface SocketErrorEvent<Target> extends SocketEvent<Target> {
  readonly error: Error;
  readonly message: string;
}

/** The event object of each type. */
export interface SocketEventTypes<Target, Data> {
  open: SocketEvent<Target>;
  message: SocketMessageEvent<Target, Data>;
  close: SocketCloseEvent<Target>;
  error: SocketErrorEvent<Target>;
}

/** A listener in the EventTarget style: a function, or an object with `handleEvent`. */
export type EventHandler<Event> = ((event: Event) => void) | { handleEvent(event: Event): void };

// With a target of any type, these sockets fit where those of `ws` are asked for: a handler is asked to take less.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Attribute<Event> = ((event: Omit<Event, 'target'> & { readonly target: any }) => void) | null;

/** What a listener of the emitter stands for. `attribute`: it was set as `onmessage` or the like. */
interface Wrapped {
  readonly handler: unknown;
  readonly attribute: boolean;
}

/**
 * The emitter of a `ws`-style socket with the EventTarget style beside it. As in `ws`, listeners of both styles are in
 * one order, and event objects are small ones of their own: they are not DOM events, in no runtime.
 */
export abstract class EmittingEventTarget<
  Events extends EventMap<Events>,
  Data,
> extends EventEmitter<Events> {
  readonly #wrapped = new WeakMap<object, Wrapped>();

  /** True once both sides have said CLOSE: `wasClean` of the `close` event. */
  protected abstract readonly wasClean: boolean;

  /**
   * Adds a listener for `message`, `close`, `error` or `open`, unless it is there already. Other types are ignored, as
   * in `ws`.
   */
  addEventListener<Type extends keyof SocketEventTypes<this, Data>>(
    type: Type,
    listener: EventHandler<SocketEventTypes<this, Data>[Type]>,
    options?: { once?: boolean | undefined },
  ): void {
    if (this.#find(type, one => one.handler === listener && !one.attribute)) return;
    this.#addHandler(type, listener, options?.once === true, false);
  }

  /** Removes a listener that was added with `addEventListener`. */
  removeEventListener<Type extends keyof SocketEventTypes<this, Data>>(
    type: Type,
    listener: EventHandler<SocketEventTypes<this, Data>[Type]>,
  ): void {
    const found = this.#find(type, one => one.handler === listener && !one.attribute);
    if (found !== undefined) this.removeListener(type, found);
  }

  get onopen(): Attribute<SocketEventTypes<this, Data>['open']> {
    return this.#getAttribute('open');
  }
  set onopen(handler: Attribute<SocketEventTypes<this, Data>['open']>) {
    this.#setAttribute('open', handler);
  }

  get onmessage(): Attribute<SocketMessageEvent<this, Data>> {
    return this.#getAttribute('message');
  }
  set onmessage(handler: Attribute<SocketMessageEvent<this, Data>>) {
    this.#setAttribute('message', handler);
  }

  get onclose(): Attribute<SocketCloseEvent<this>> {
    return this.#getAttribute('close');
  }
  set onclose(handler: Attribute<SocketCloseEvent<this>>) {
    this.#setAttribute('close', handler);
  }

  get onerror(): Attribute<SocketErrorEvent<this>> {
    return this.#getAttribute('error');
  }
  set onerror(handler: Attribute<SocketErrorEvent<this>>) {
    this.#setAttribute('error', handler);
  }

  #getAttribute(type: string): ((event: unknown) => void) | null {
    const listener = this.#find(type, one => one.attribute);
    return listener === undefined ? null : (this.#wrapped.get(listener)?.handler as (event: unknown) => void);
  }

  /** Anything but a function only removes what was set. */
  #setAttribute(type: string, handler: unknown): void {
    const listener = this.#find(type, one => one.attribute);
    if (listener !== undefined) this.removeListener(type, listener);
    if (typeof handler === 'function') this.#addHandler(type, handler, false, true);
  }

  #addHandler(type: string, handler: unknown, once: boolean, attribute: boolean): void {
    if (type !== 'open' && type !== 'message' && type !== 'close' && type !== 'error') return;
    const wrapper = (...args: unknown[]): void => {
      const event = this.#makeEvent(type, args);
      if (typeof handler === 'function') Reflect.apply(handler, this, [event]);
      else (handler as { handleEvent(event: unknown): void }).handleEvent(event);
    };
    this.#wrapped.set(wrapper, { handler, attribute });
    if (once) this.once(type, wrapper);
    else this.on(type, wrapper);
  }

  #find(type: string, matches: (one: Wrapped) => boolean): ((...args: unknown[]) => void) | undefined {
    return this.listeners(type).find(listener => {
      const one = this.#wrapped.get(listener);
      return one !== undefined && matches(one);
    });
  }

  #makeEvent(type: 'open' | 'message' | 'close' | 'error', [first, second]: unknown[]): object {
    switch (type) {
      case 'open':
        return { type, target: this };
      case 'message':
        return { type, target: this, data: second === true ? first : String(first) };
      case 'close':
        return { type, target: this, code: first, reason: String(second), wasClean: this.wasClean };
      case 'error':
        return { type, target: this, error: first, message: first instanceof Error ? first.message : '' };
    }
  }
}
