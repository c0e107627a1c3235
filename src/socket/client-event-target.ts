import type {
  AddListenerOptions,
  AnyListener,
  DomEvent,
  ListenerOptions,
  TypedEventTarget,
} from './dom-types.js';
import type {
  SecureWebSocketCloseEvent,
  SecureWebSocketErrorEvent,
  SecureWebSocketKeysWipedEvent,
  SecureWebSocketMemberEvent,
  SecureWebSocketMemberLeaveEvent,
  SecureWebSocketMessageEvent,
  SecureWebSocketMessagesLostEvent,
  SecureWebSocketReconnectedEvent,
  SecureWebSocketReconnectingEvent,
  SecureWebSocketServerEvent,
  SecureWebSocketThrottledEvent,
} from './events.js';

/** The events of a `ClientSecureWebSocket`. */
export interface ClientSecureWebSocketEventMap {
  open: DomEvent;
  message: SecureWebSocketMessageEvent;
  error: SecureWebSocketErrorEvent;
  close: SecureWebSocketCloseEvent;
  reconnecting: SecureWebSocketReconnectingEvent;
  reconnected: SecureWebSocketReconnectedEvent;
  throttled: SecureWebSocketThrottledEvent;
  memberjoin: SecureWebSocketMemberEvent;
  memberchange: SecureWebSocketMemberEvent;
  memberleave: SecureWebSocketMemberLeaveEvent;
  keyswiped: SecureWebSocketKeysWipedEvent;
  messageslost: SecureWebSocketMessagesLostEvent;
  serverevent: SecureWebSocketServerEvent;
}

/** Those that every WebSocket has. */
type WebSocketEventMap = Pick<ClientSecureWebSocketEventMap, 'open' | 'message' | 'error' | 'close'>;

/**
 * `EventTarget` (DOM Standard section 2.7) that knows which event has which type. The events of every WebSocket are
 * apart from the others: only so TypeScript lets a program call the methods of what may be either end of a connection.
 */
export interface ClientEventTarget extends TypedEventTarget<WebSocketEventMap> {
  /** Calls `listener` for every event of that type, until it is removed. */
  addEventListener<Type extends keyof WebSocketEventMap>(
    type: Type,
    listener: (this: this, event: WebSocketEventMap[Type]) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(
    type: 'reconnecting',
    listener: (this: this, event: SecureWebSocketReconnectingEvent) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(
    type: 'reconnected',
    listener: (this: this, event: SecureWebSocketReconnectedEvent) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(
    type: 'throttled',
    listener: (this: this, event: SecureWebSocketThrottledEvent) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(
    type: 'memberjoin' | 'memberchange',
    listener: (this: this, event: SecureWebSocketMemberEvent) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(
    type: 'memberleave',
    listener: (this: this, event: SecureWebSocketMemberLeaveEvent) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(
    type: 'keyswiped',
    listener: (this: this, event: SecureWebSocketKeysWipedEvent) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(
    type: 'messageslost',
    listener: (this: this, event: SecureWebSocketMessagesLostEvent) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(
    type: 'serverevent',
    listener: (this: this, event: SecureWebSocketServerEvent) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(type: string, listener: AnyListener | null, options?: boolean | AddListenerOptions): void;
  /** Removes a listener that was added with the same function and the same `capture`. */
  removeEventListener<Type extends keyof WebSocketEventMap>(
    type: Type,
    listener: (this: this, event: WebSocketEventMap[Type]) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: 'reconnecting',
    listener: (this: this, event: SecureWebSocketReconnectingEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: 'reconnected',
    listener: (this: this, event: SecureWebSocketReconnectedEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: 'throttled',
    listener: (this: this, event: SecureWebSocketThrottledEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: 'memberjoin' | 'memberchange',
    listener: (this: this, event: SecureWebSocketMemberEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: 'memberleave',
    listener: (this: this, event: SecureWebSocketMemberLeaveEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: 'keyswiped',
    listener: (this: this, event: SecureWebSocketKeysWipedEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: 'messageslost',
    listener: (this: this, event: SecureWebSocketMessagesLostEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: 'serverevent',
    listener: (this: this, event: SecureWebSocketServerEvent) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(type: string, listener: AnyListener | null, options?: boolean | ListenerOptions): void;
}

/** The class `EventTarget`, as a base class. */
export interface ClientEventTargetConstructor {
  new (): ClientEventTarget;
  readonly prototype: ClientEventTarget;
}
