import { platform } from '#platform';
import { fromUtf8 } from '../core/bytes.js';
import { RECEIVE_WINDOW } from '../core/constants.js';
import { type ErrorCode, SecureWebSocketError } from '../core/errors.js';
import type { ChannelEnd, ChannelInformation, ChannelPort } from '../link/channel-port.js';
import { dialChannel } from '../link/dial.js';
import {
  type ClientSecureWebSocketOptions,
  setConfiguredOptions,
  socketOptions,
} from './client-secure-web-socket-options.js';
import type {
  BlobLike,
  DomCloseEvent,
  DomEvent,
  DomMessageEvent,
  TypedEventTargetConstructor,
  UrlLike,
} from './dom-types.js';
import { EventHandlers } from './event-handlers.js';
import {
  createCloseEvent,
  createErrorEvent,
  createEvent,
  createMessageEvent,
  type SecureWebSocketErrorEvent,
} from './events.js';
import { toOutgoingMessage } from './outgoing-message.js';
import { SendQueue } from './send-queue.js';
import { TaskQueue } from './task-queue.js';
import {
  checkClose,
  checkProtocols,
  domException,
  requireArgument,
  toCloseCode,
  toDomString,
  toProtocols,
  toWebSocketUrl,
} from './web-socket-arguments.js';

/** The events of a {@link ClientSecureWebSocket}. */
export interface ClientSecureWebSocketEventMap {
  open: DomEvent;
  message: DomMessageEvent;
  error: SecureWebSocketErrorEvent;
  close: DomCloseEvent;
}

type BinaryType = 'blob' | 'arraybuffer';

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** `dialChannel` says with these that a segment of the URL is no public key. */
const ADDRESS_ERRORS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INVALID_ADDRESS_LENGTH',
  'INVALID_ADDRESS_CHARACTER',
  'NON_CANONICAL_ADDRESS',
  'LOW_ORDER_ADDRESS',
]);

/** What a message that waits for its event costs beside its bytes, so that empty ones are not free of charge. */
const MESSAGE_OVERHEAD = 64;

/** The one global that is read when the module is loaded: a class has to extend something. */
const EventTargetClass = EventTarget as unknown as TypedEventTargetConstructor<ClientSecureWebSocketEventMap>;

/**
 * The WHATWG `WebSocket` (https://websockets.spec.whatwg.org/), end-to-end encrypted to a public key.
 *
 * Everything of the standard's interface is here and behaves as it does in a browser. The differences:
 * - every failure fires `error` before `close` 1006, a connection that is merely lost included; the event's own
 *   properties `error` (a {@link SecureWebSocketError}) and `message` say why;
 * - `wasClean` is true only when a sealed CLOSE came from the peer: whatever forwards the ciphertext cannot forge it;
 * - events are not `isTrusted`, which only a browser's own can be;
 * - subprotocols that differ in case only count as duplicates.
 *
 * `Object.prototype.toString` says `[object WebSocket]`, as for the class that this one stands in for.
 */
export class ClientSecureWebSocket extends EventTargetClass {
  declare static readonly CONNECTING: 0;
  declare static readonly OPEN: 1;
  declare static readonly CLOSING: 2;
  declare static readonly CLOSED: 3;

  /** `readyState` before `open`. */
  declare readonly CONNECTING: 0;
  /** `readyState` from `open` until one side closes. */
  declare readonly OPEN: 1;
  /** `readyState` after `close()`, or after the peer's, until `close` is fired. */
  declare readonly CLOSING: 2;
  /** `readyState` in the end. */
  declare readonly CLOSED: 3;

  readonly #url: URL;
  readonly #port: ChannelPort;
  readonly #sending: SendQueue;
  readonly #tasks = new TaskQueue();
  readonly #handlers = new EventHandlers(this);
  #readyState: 0 | 1 | 2 | 3 = CONNECTING;
  #binaryType: BinaryType = 'blob';
  #protocol = '';
  #publicKey = '';
  #peerPublicKey = '';
  #serverPublicKey = '';
  #handshakeHash: Uint8Array | undefined;
  /** Why this end gave the connection up, whatever the channel says of its end. */
  #failure: SecureWebSocketError | undefined;
  /** Cost of the messages that wait for their events. */
  #undelivered = 0;
  #isPaused = false;

  /**
   * Starts to connect.
   *
   * @param url ws, wss, http or https; relative to the page's base URL. With a segment of 64 lowercase hex characters
   *   it names a peer behind a relay (`wss://relay.example/<key>/chat?x=1`), without one the server itself.
   * @param protocols one subprotocol or several, in the order of preference. They travel inside the encryption.
   * @param options who this end is and whom it trusts. Ignored unless it is an object.
   * @throws TypeError without arguments, or for one that does not convert to a string
   * @throws DOMException `SyntaxError` for a URL that does not parse, has another scheme, a fragment or a segment that
   *   looks like a public key and is none, and for subprotocols that are no tokens or come twice
   */
  constructor(
    url: string | UrlLike,
    protocols?: string | Iterable<string>,
    options?: ClientSecureWebSocketOptions | null,
  );
  constructor(...given: readonly unknown[]) {
    super();
    // WebSockets Standard section 3.1, "new WebSocket(url, protocols)".
    requireArgument(given, 'ClientSecureWebSocket constructor');
    const text = toDomString(given[0]);
    const protocols = toProtocols(given[1]);
    this.#url = toWebSocketUrl(text, platform.baseUrl());
    checkProtocols(protocols);
    this.#port = this.#dial(protocols, socketOptions(new.target, given[2]));
    this.#sending = new SendQueue(this.#port, error => {
      this.#fail(error);
    });
  }

  /**
   * A class whose sockets have these options, for libraries that take a WebSocket class and call it with a URL and
   * subprotocols. Options given to its constructor win. It extends the class it is called on, and can be configured
   * further.
   *
   * ```ts
   * createClient({ url, webSocketImpl: ClientSecureWebSocket.configure({ identity }) });
   * ```
   */
  static configure<Class extends typeof ClientSecureWebSocket>(
    this: Class,
    options: ClientSecureWebSocketOptions,
  ): Class {
    const Configured = class extends (this as typeof ClientSecureWebSocket) {};
    Object.defineProperty(Configured, 'name', { value: this.name, configurable: true });
    Object.defineProperty(Configured, 'length', { value: this.length, configurable: true });
    setConfiguredOptions(Configured, options);
    return Configured as Class;
  }

  /** The URL that was given, absolute and normalized. */
  get url(): string {
    return this.#url.href;
  }

  /** 0 CONNECTING, 1 OPEN, 2 CLOSING, 3 CLOSED. */
  get readyState(): 0 | 1 | 2 | 3 {
    return this.#readyState;
  }

  /**
   * Bytes given to `send` and not yet handed to the network, before encryption. Rises at once, falls in a later task.
   * Does not go back to zero when the connection closes.
   */
  get bufferedAmount(): number {
    return this.#sending.bufferedAmount;
  }

  /** Always empty: there are no extensions that an application would have to know. */
  get extensions(): string {
    return '';
  }

  /** The subprotocol that the peer chose, inside the encryption; '' until `open`, and when it chose none. */
  get protocol(): string {
    return this.#protocol;
  }

  /** What binary messages arrive as: 'blob' or 'arraybuffer'. Where the runtime has no Blob, always an ArrayBuffer. */
  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(value: BinaryType) {
    // Assigning what is not in the enumeration does nothing (WebIDL section 3.7.6).
    const type = toDomString(value);
    if (type === 'blob' || type === 'arraybuffer') this.#binaryType = type;
  }

  /** Our own public key, 64 lowercase hex characters. '' until the identity is known, which is before `open`. */
  get publicKey(): string {
    return this.#publicKey;
  }

  /** The authenticated public key of the peer, 64 lowercase hex characters. '' until `open`. */
  get peerPublicKey(): string {
    return this.#peerPublicKey;
  }

  /**
   * The public key of the server or relay that we are registered with, 64 lowercase hex characters. '' until it is
   * known, which is before `open`. The same as `peerPublicKey` when the peer is the server itself.
   */
  get serverPublicKey(): string {
    return this.#serverPublicKey;
  }

  /**
   * Noise handshake hash of the session in which the connection was opened, 64 bytes: the same at both ends, and
   * different for every session, so that a signature over it is bound to this connection (Noise section 11.2). No
   * secret, and never to be used as a key. A copy; undefined until `open`.
   */
  get handshakeHash(): Uint8Array | undefined {
    return this.#handshakeHash?.slice();
  }

  /** Called when the connection is open: the peer is authenticated and has accepted. */
  get onopen(): ((event: DomEvent) => unknown) | null {
    return this.#handlers.get('open') as ((event: DomEvent) => unknown) | null;
  }

  set onopen(handler: ((this: this, event: DomEvent) => unknown) | null) {
    this.#handlers.set('open', handler);
  }

  /** Called for every message: `data` is a string, or binary as `binaryType` says. */
  get onmessage(): ((event: DomMessageEvent) => unknown) | null {
    return this.#handlers.get('message') as ((event: DomMessageEvent) => unknown) | null;
  }

  set onmessage(handler: ((this: this, event: DomMessageEvent) => unknown) | null) {
    this.#handlers.set('message', handler);
  }

  /** Called once when the connection fails, before `onclose`: `event.error` says why. */
  get onerror(): ((event: DomEvent) => unknown) | null {
    return this.#handlers.get('error') as ((event: DomEvent) => unknown) | null;
  }

  set onerror(handler: ((this: this, event: SecureWebSocketErrorEvent) => unknown) | null) {
    this.#handlers.set('error', handler);
  }

  /** Called once when the connection is over, or never came to be. */
  get onclose(): ((event: DomCloseEvent) => unknown) | null {
    return this.#handlers.get('close') as ((event: DomCloseEvent) => unknown) | null;
  }

  set onclose(handler: ((this: this, event: DomCloseEvent) => unknown) | null) {
    this.#handlers.set('close', handler);
  }

  /**
   * Sends one message: a string as text, a Blob, an ArrayBuffer or a view of one as binary, and the string of anything
   * else. Bytes are copied before this returns. After `close()`, or once the connection is over, messages are counted
   * in `bufferedAmount` and dropped.
   *
   * @throws TypeError without an argument, for a Symbol, and for a shared or resizable buffer
   * @throws DOMException `InvalidStateError` before `open`
   */
  send(data: string | ArrayBuffer | ArrayBufferView | BlobLike): void;
  send(...given: readonly unknown[]): void {
    requireArgument(given, 'send()');
    const message = toOutgoingMessage(given[0]);
    if (this.#readyState === CONNECTING) {
      throw domException(
        'InvalidStateError',
        'send() was called before the connection was open: wait for "open".',
      );
    }
    if (this.#readyState === OPEN) this.#sending.send(message);
    else this.#sending.discard(message);
  }

  /**
   * Closes the connection after what was given to `send`, or gives up the attempt to connect. Does nothing when that
   * has been done already.
   *
   * @param code 1000, or 3000 to 4999; the peer sees 1005 when there is none
   * @param reason at most 123 bytes of UTF-8; not sent without a code
   * @throws DOMException `InvalidAccessError` for another code, `SyntaxError` for a longer reason
   */
  close(code?: number, reason?: string): void;
  close(...given: readonly unknown[]): void {
    const code = given[0] === undefined ? undefined : toCloseCode(given[0]);
    const reason = given[1] === undefined ? undefined : toDomString(given[1]);
    checkClose(code, reason);
    if (this.#readyState === CONNECTING) {
      this.#readyState = CLOSING;
      this.#fail(new SecureWebSocketError('ABORTED', 'close() was called before the connection was open.'));
    } else if (this.#readyState === OPEN) {
      this.#readyState = CLOSING;
      this.#sending.close(code, code === undefined ? undefined : reason);
    }
  }

  #dial(protocols: readonly string[], options: ClientSecureWebSocketOptions): ChannelPort {
    try {
      return dialChannel(this.#url, protocols, options, {
        registered: ({ publicKey, serverPublicKey }) => {
          this.#publicKey = publicKey;
          this.#serverPublicKey = serverPublicKey;
        },
        opened: information => {
          this.#establish(protocols, information);
        },
        message: (data, isText) => {
          this.#receive(data, isText);
        },
        // RFC 6455 section 5.5.2; a page sees neither pings nor pongs.
        ping: data => {
          this.#port.pong(data);
        },
        closing: () => {
          this.#tasks.push(() => {
            if (this.#readyState === OPEN) this.#readyState = CLOSING;
          });
        },
        sent: bytes => {
          this.#sending.sent(bytes);
        },
        closed: end => {
          this.#end(end);
        },
      });
    } catch (error) {
      if (!(error instanceof SecureWebSocketError) || !ADDRESS_ERRORS.has(error.code)) throw error;
      throw domException('SyntaxError', error.message, error);
    }
  }

  /** "Establish a WebSocket connection" (WebSockets Standard section 2): one of what was offered must be chosen. */
  #establish(offered: readonly string[], information: ChannelInformation): void {
    const { protocol } = information;
    if (offered.length === 0 ? protocol !== '' : !offered.includes(protocol)) {
      const chosen = protocol === '' ? 'none' : `'${protocol}'`;
      const message = `The peer must choose one of the subprotocols [${offered.join(', ')}] but chose ${chosen}.`;
      this.#fail(new SecureWebSocketError('PROTOCOL_NOT_OFFERED', message));
      return;
    }
    this.#tasks.push(() => {
      this.#open(information);
    });
  }

  /** "When the WebSocket connection is established" (WebSockets Standard section 4). */
  #open(information: ChannelInformation): void {
    if (this.#readyState !== CONNECTING) return;
    this.#readyState = OPEN;
    this.#protocol = information.protocol;
    this.#publicKey = information.publicKey;
    this.#peerPublicKey = information.peerPublicKey;
    this.#serverPublicKey = information.serverPublicKey;
    this.#handshakeHash = information.handshakeHash;
    super.dispatchEvent(createEvent('open'));
  }

  /** Text is checked before anything behind it is taken: what comes after bytes that are not UTF-8 is not delivered. */
  #receive(data: Uint8Array, isText: boolean): void {
    if (this.#failure !== undefined) return;
    const message = isText ? fromUtf8(data) : data;
    if (message === undefined) {
      this.#fail(new SecureWebSocketError('INVALID_UTF8', 'The peer sent a text message that is not UTF-8.'));
      return;
    }
    const cost = data.length + MESSAGE_OVERHEAD;
    this.#undelivered += cost;
    // A peer that sends faster than events are dispatched must not fill the memory.
    if (this.#undelivered > RECEIVE_WINDOW && !this.#isPaused) {
      this.#isPaused = true;
      this.#port.pause();
    }
    this.#tasks.push(() => {
      this.#undelivered -= cost;
      if (this.#isPaused && this.#undelivered <= RECEIVE_WINDOW / 2) {
        this.#isPaused = false;
        this.#port.resume();
      }
      this.#deliver(message);
    });
  }

  /** "When a WebSocket message has been received" (WebSockets Standard section 4). */
  #deliver(message: string | Uint8Array): void {
    if (this.#readyState !== OPEN) return;
    const data = typeof message === 'string' ? message : this.#toBinary(message);
    super.dispatchEvent(createMessageEvent({ data, origin: this.#url.origin }));
  }

  /** A Blob, or an ArrayBuffer that holds the message and nothing else. */
  #toBinary(message: Uint8Array): unknown {
    const { buffer, byteLength } = message;
    const isExact = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
    const exact = isExact ? buffer : message.slice().buffer;
    return this.#binaryType === 'blob' && typeof Blob === 'function' ? new Blob([exact]) : exact;
  }

  /** "Fail the WebSocket connection" (RFC 6455 section 7.1.7): events follow when the channel has ended. */
  #fail(error: SecureWebSocketError): void {
    this.#failure ??= error;
    this.#port.terminate(error);
  }

  /**
   * "When the WebSocket connection is closed" (WebSockets Standard section 4). `error` and `close` are fired in two
   * tasks with nothing between them: in a browser promises that `error` settles are served before `close` is fired,
   * and only a new task does that here.
   */
  #end(end: ChannelEnd): void {
    this.#sending.abandon();
    const hasFailed = this.#failure !== undefined || !end.wasClean;
    if (hasFailed) {
      const lost = 'The connection was lost without a closing handshake.';
      const error = this.#failure ?? end.error ?? new SecureWebSocketError('LINK_LOST', lost);
      this.#tasks.push(() => {
        this.#readyState = CLOSED;
        super.dispatchEvent(createErrorEvent(error));
      });
    }
    const { code, reason } = this.#failure === undefined ? end : { code: 1006, reason: '' };
    this.#tasks.push(() => {
      this.#readyState = CLOSED;
      super.dispatchEvent(createCloseEvent({ code, reason, wasClean: !hasFailed }));
    });
  }

  // WebIDL sections 3.7.3 to 3.7.8: attributes, operations and constants can be enumerated, constants cannot be
  // assigned to, and `length` counts the arguments that are required.
  static {
    const constants = { CONNECTING, OPEN, CLOSING, CLOSED };
    for (const [name, value] of Object.entries(constants)) {
      const descriptor = { value, enumerable: true, writable: false, configurable: false };
      Object.defineProperty(this, name, descriptor);
      Object.defineProperty(this.prototype, name, descriptor);
    }
    for (const name of Object.getOwnPropertyNames(this.prototype)) {
      if (name !== 'constructor') Object.defineProperty(this.prototype, name, { enumerable: true });
    }
    Object.defineProperty(this, 'length', { value: 1, configurable: true });
    Object.defineProperty(Reflect.get(this.prototype, 'send'), 'length', { value: 1, configurable: true });
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: 'WebSocket', configurable: true });
  }
}
