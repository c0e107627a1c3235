import type { DomEvent } from './dom-types.js';

/** An activated handler. The listener stays where it was first added when the handler is replaced. */
interface EventHandler {
  value: object;
  readonly listener: (event: DomEvent) => void;
}

/** The part of `EventTarget` that handlers stand on. */
interface HandlerTarget {
  addEventListener(type: string, listener: (event: DomEvent) => void): void;
  removeEventListener(type: string, listener: (event: DomEvent) => void): void;
}

/**
 * Event handler IDL attributes such as `onmessage` (HTML section 8.1.8.1).
 *
 * A handler is one listener among the others, placed where it stood when it was first set: replacing it keeps the
 * place, setting null gives it up.
 */
export class EventHandlers {
  readonly #target: HandlerTarget;
  readonly #handlers = new Map<string, EventHandler>();

  constructor(target: HandlerTarget) {
    this.#target = target;
  }

  get(type: string): object | null {
    return this.#handlers.get(type)?.value ?? null;
  }

  /**
   * `EventHandler` is `[LegacyTreatNonObjectAsNull]` (WebIDL section 3.2.20): a primitive counts as null, an object
   * that cannot be called is kept and does nothing.
   */
  set(type: string, value: unknown): void {
    const handler = this.#handlers.get(type);
    if (!isObject(value)) {
      if (handler === undefined) return;
      this.#handlers.delete(type);
      this.#target.removeEventListener(type, handler.listener);
    } else if (handler !== undefined) {
      handler.value = value;
    } else {
      this.#activate(type, value);
    }
  }

  #activate(type: string, value: object): void {
    const handler: EventHandler = {
      value,
      listener: event => {
        if (typeof handler.value !== 'function') return;
        // "The event handler processing algorithm", HTML section 8.1.8.1: `this` is the current target.
        const returned: unknown = Reflect.apply(handler.value, event.currentTarget, [event]);
        if (returned === false) event.preventDefault();
      },
    };
    this.#handlers.set(type, handler);
    this.#target.addEventListener(type, handler.listener);
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
