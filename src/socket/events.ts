import type { ThrottledLimit } from '../core/control.js';
import type { SecureWebSocketError } from '../core/errors.js';
import type { DomBlob, DomCloseEvent, DomEvent, DomMessageEvent } from './dom-types.js';

/** The `error` event of a secure WebSocket: a plain `Event` with two properties of its own that say why. */
export type SecureWebSocketErrorEvent = DomEvent & {
  /** Why the connection failed; `error.code` is stable. */
  readonly error: SecureWebSocketError;
  /** `error.message`. */
  readonly message: string;
};

/** A message that was given to `send`: text as a string, bytes as an ArrayBuffer; a Blob that was not read yet, itself. */
export type UnacknowledgedData = string | ArrayBuffer | DomBlob;

/** The `close` event of a secure WebSocket: a `CloseEvent` with a property of its own. */
export type SecureWebSocketCloseEvent = DomCloseEvent & {
  /**
   * What was given to `send` while the connection was open, and not acknowledged by the peer: it may have got it or
   * not. In the order of `send`; empty after a clean end.
   */
  readonly unacknowledged: readonly UnacknowledgedData[];
};

/** `reconnecting`: the connection is not there, and there will be an attempt to make it. */
export interface ReconnectingDetails {
  /** 1 for the first attempt since the peer was last reached. */
  readonly attempt: number;
  /** Milliseconds until it is made. */
  readonly delay: number;
  /** How the connection was lost, or why the last attempt failed. */
  readonly error: SecureWebSocketError;
}

/** The `reconnecting` event of a secure WebSocket. */
export type SecureWebSocketReconnectingEvent = DomEvent & ReconnectingDetails;

/** `reconnected`: the peer is reached again. */
export interface ReconnectedDetails {
  /** True when the connection goes on where it stopped; false when the peer knows it no longer, and this is a new one. */
  readonly resumed: boolean;
  /** What was sent over the old connection and not acknowledged; it is not sent again. Empty when `resumed`. */
  readonly unacknowledged: readonly UnacknowledgedData[];
}

/** The `reconnected` event of a secure WebSocket. */
export type SecureWebSocketReconnectedEvent = DomEvent & ReconnectedDetails;

/** `throttled`: the relay holds back what this end sends, as it is more than the relay takes per second. */
export interface ThrottledDetails {
  /** What is counted: `frames` or `bytes`, of the connection to the relay or (`key_…`) of all connections of our key. */
  readonly limit: ThrottledLimit;
  readonly perSecond: number;
}

/** The `throttled` event of a secure WebSocket. */
export type SecureWebSocketThrottledEvent = DomEvent & ThrottledDetails;

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
  return withOwn(new Event('error'), { error, message: error.message });
}

/** `reconnecting`, with what there is to tell as own properties. */
export function createReconnectingEvent({
  attempt,
  delay,
  error,
}: ReconnectingDetails): SecureWebSocketReconnectingEvent {
  return withOwn(new Event('reconnecting'), { attempt, delay, error });
}

/** `reconnected`, with what there is to tell as own properties. */
export function createReconnectedEvent(details: ReconnectedDetails): SecureWebSocketReconnectedEvent {
  return withOwn(new Event('reconnected'), details);
}

/** `throttled`, with what there is to tell as own properties. */
export function createThrottledEvent({ limit, perSecond }: ThrottledDetails): SecureWebSocketThrottledEvent {
  return withOwn(new Event('throttled'), { limit, perSecond });
}

/** `message`, of the runtime's own class where it has one. */
export function createMessageEvent(init: MessageEventInit): DomMessageEvent {
  const MessageEventClass = classes().MessageEvent ?? messageEventClass();
  return new MessageEventClass('message', init);
}

/** `close`, of the runtime's own class where it has one (Node has it from version 23), with what got lost. */
export function createCloseEvent(
  init: CloseEventInit,
  unacknowledged: readonly UnacknowledgedData[],
): SecureWebSocketCloseEvent {
  const CloseEventClass = classes().CloseEvent ?? closeEventClass();
  return withOwn(new CloseEventClass('close', init), { unacknowledged });
}

function withOwn<Base extends DomEvent, Own extends object>(event: Base, own: Own): Base & Own {
  for (const [name, value] of Object.entries(own)) {
    Object.defineProperty(event, name, { value, enumerable: true, configurable: true, writable: false });
  }
  return event as Base & Own;
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
