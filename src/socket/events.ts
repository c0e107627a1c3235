import type { ThrottledLimit } from '../core/control.js';
import type { SecureWebSocketError } from '../core/errors.js';
import type {
  KeysWipedReason,
  MemberLeaveReason,
  MessagesLostReason,
  SpaceEvent,
  SpaceMember,
} from '../link/channel-port.js';
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

/** The `message` event of a secure WebSocket: a `MessageEvent` that says who has sent it, where there may be several. */
export type SecureWebSocketMessageEvent = DomMessageEvent & {
  /** In a space: the authenticated public key of the sender, 64 lowercase hex characters. Else ''. */
  readonly from: string;
  /** In a space: which member that is, the `id` of a `SpaceMember`. Else ''. */
  readonly member: string;
};

/** `memberjoin`, `memberchange`: somebody has entered the space, or is away or back. */
export type SecureWebSocketMemberEvent = DomEvent & { readonly member: SpaceMember };

/** `memberleave`: somebody is no member of the space any more. */
export type SecureWebSocketMemberLeaveEvent = DomEvent & {
  readonly member: SpaceMember;
  /** 'left' by itself; 'gone', as its connection was lost for too long; or 'removed' by the relay. */
  readonly reason: MemberLeaveReason;
};

/** `keyswiped`: the keys of somebody who is gone were wiped. What it has sent cannot be opened any more, should it come. */
export type SecureWebSocketKeysWipedEvent = DomEvent & {
  readonly member: SpaceMember;
  /** As of `memberleave`; 'absent' when the relay says that it is not there. */
  readonly reason: KeysWipedReason;
};

/** `messageslost`: messages of a member that were meant for this socket are not delivered. */
export type SecureWebSocketMessagesLostEvent = DomEvent & {
  readonly member: SpaceMember;
  /** How many, at least: what its sender has sent in one turn was sealed together, and counts as one. */
  readonly count: number;
  /**
   * 'repair': the sender does not keep them any more. 'view': it saw another space than we do, so that the relay or the
   * sender lies. 'unreadable': no key came for them, or they are malformed.
   */
  readonly reason: MessagesLostReason;
};

/** `serverevent`: a service at the relay has sent something to everybody in a space, or to this user. */
export type SecureWebSocketServerEvent = DomEvent & {
  /** A string, or binary as `binaryType` says. */
  // As of a MessageEvent.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly data: any;
  /** The space that it was sent to; '' when it was sent to the user. */
  readonly space: string;
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

/** A plain event with properties of its own. */
export function createOwnEvent<Own extends object>(type: string, own: Own): DomEvent & Own {
  return withOwn(new Event(type), own);
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

const SPACE_EVENTS: Readonly<Record<SpaceEvent['type'], string>> = {
  joined: 'memberjoin',
  changed: 'memberchange',
  left: 'memberleave',
  wiped: 'keyswiped',
  lost: 'messageslost',
};

/** `memberjoin`, `memberchange`, `memberleave`, `keyswiped` or `messageslost`, with what there is to tell as own properties. */
export function createSpaceEvent({ type, ...details }: SpaceEvent): DomEvent {
  return withOwn(new Event(SPACE_EVENTS[type]), details);
}

/** `serverevent`, with what there is to tell as own properties. */
export function createServerEvent(data: unknown, space: string): SecureWebSocketServerEvent {
  return withOwn(new Event('serverevent'), { data, space });
}

/** `message`, of the runtime's own class where it has one. `from`, `member`: who has sent it, in a space. */
export function createMessageEvent(
  init: MessageEventInit,
  from: string,
  member: string,
): SecureWebSocketMessageEvent {
  const MessageEventClass = classes().MessageEvent ?? messageEventClass();
  const event = new MessageEventClass('message', init) as DomMessageEvent & { from: string; member: string };
  // To define them would take longer than all else that is done for a message.
  event.from = from;
  event.member = member;
  return event;
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
