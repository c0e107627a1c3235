import type { SecureWebSocketError } from '../core/errors.js';
import type { DomCloseEvent, DomEvent, DomMessageEvent } from './dom-types.js';

/** The `error` event of a secure WebSocket: a plain `Event` with two properties of its own that say why. */
export type SecureWebSocketErrorEvent = DomEvent & {
  /** Why the connection failed; `error.code` is stable. */
  readonly error: SecureWebSocketError;
  /** `error.message`. */
  readonly message: string;
};

/** What a `CloseEvent` tells (WebSockets Standard section 6). */
export interface CloseEventInit {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

/** What a `MessageEvent` of a WebSocket tells. */
export interface MessageEventInit {
  readonly data: unknown;
  readonly origin: string;
}

interface EventClasses {
  readonly MessageEvent?: new (type: string, init: MessageEventInit) => DomMessageEvent;
  readonly CloseEvent?: new (type: string, init: CloseEventInit) => DomCloseEvent;
}

// Looked up at every event: nothing of the environment is touched at import time, and a page may bring its own.
const classes = (): EventClasses => globalThis;

/** A plain event. */
export function createEvent(type: string): DomEvent {
  return new Event(type);
}

/** `error` (WebSockets Standard section 3.1, "fire an event named error"), with the reason as own properties. */
export function createErrorEvent(error: SecureWebSocketError): SecureWebSocketErrorEvent {
  return Object.defineProperties(new Event('error'), {
    error: { value: error, enumerable: true, configurable: true, writable: false },
    message: { value: error.message, enumerable: true, configurable: true, writable: false },
  }) as SecureWebSocketErrorEvent;
}

/** `message`, of the runtime's own class where it has one. */
export function createMessageEvent(init: MessageEventInit): DomMessageEvent {
  const MessageEventClass = classes().MessageEvent ?? messageEventClass();
  return new MessageEventClass('message', init);
}

/** `close`, of the runtime's own class where it has one: Node has it from version 23. */
export function createCloseEvent(init: CloseEventInit): DomCloseEvent {
  const CloseEventClass = classes().CloseEvent ?? closeEventClass();
  return new CloseEventClass('close', init);
}

// The stand-ins are made when first needed: `Event` is a global of the environment too.

let MessageEventStandIn: NonNullable<EventClasses['MessageEvent']> | undefined;

function messageEventClass(): NonNullable<EventClasses['MessageEvent']> {
  return (MessageEventStandIn ??= class MessageEvent extends Event {
    readonly #init: MessageEventInit;

    constructor(type: string, init: MessageEventInit) {
      super(type);
      this.#init = init;
    }

    get data(): unknown {
      return this.#init.data;
    }

    get origin(): string {
      return this.#init.origin;
    }

    get lastEventId(): string {
      return '';
    }

    get source(): null {
      return null;
    }

    get ports(): readonly never[] {
      return [];
    }

    get [Symbol.toStringTag](): string {
      return 'MessageEvent';
    }
  } as unknown as NonNullable<EventClasses['MessageEvent']>);
}

let CloseEventStandIn: NonNullable<EventClasses['CloseEvent']> | undefined;

function closeEventClass(): NonNullable<EventClasses['CloseEvent']> {
  return (CloseEventStandIn ??= class CloseEvent extends Event {
    readonly #init: CloseEventInit;

    constructor(type: string, init: CloseEventInit) {
      super(type);
      this.#init = init;
    }

    get code(): number {
      return this.#init.code;
    }

    get reason(): string {
      return this.#init.reason;
    }

    get wasClean(): boolean {
      return this.#init.wasClean;
    }

    get [Symbol.toStringTag](): string {
      return 'CloseEvent';
    }
  } as unknown as NonNullable<EventClasses['CloseEvent']>);
}
