import { type BinaryType, ClientConnection, CLOSED, CLOSING, CONNECTING, OPEN } from './client-connection.js';
import {
  type ClientSecureWebSocketOptions,
  setConfiguredOptions,
  socketOptions,
} from './client-secure-web-socket-options.js';
import type { SpaceMember } from '../link/channel-port.js';
import type { ClientEventTargetConstructor } from './client-event-target.js';
import { ClientUrl, type ClientUrlSource } from './client-url.js';
import type {
  DomCloseEvent,
  DomEvent,
  DomMessageEvent,
  DomReadableStream,
  DomWritableStream,
} from './dom-types.js';
import { EventHandlers } from './event-handlers.js';
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
import { type SendableData, toOutgoingMessage } from './outgoing-message.js';
import { shapeInterface } from './web-idl.js';
import {
  checkProtocols,
  requireArgument,
  toCloseCode,
  toDomString,
  toProtocols,
} from './web-socket-arguments.js';

export type { ClientSecureWebSocketEventMap } from './client-event-target.js';

/** The one global that is read when the module is loaded: a class has to extend something. */
const EventTargetClass = EventTarget as unknown as ClientEventTargetConstructor;

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
 * Beyond the standard: with the option `reconnect` the socket outlives its connection. It stays OPEN while it is lost
 * and made again (`reconnecting`, `reconnected`), and messages wait. `drained`, `readable` and `writable` are for those
 * who send and receive much; `close` events tell in `unacknowledged` which messages may be lost.
 *
 * At `wss://relay.example/space/<name>` the other end is not one peer but everybody else who is in that space: `send`
 * reaches all of them, `message` events say who has sent what (`from`, `member`), `members` who is there.
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

  readonly #url: ClientUrl;
  readonly #connection: ClientConnection;
  readonly #handlers = new EventHandlers(this);

  /**
   * Starts to connect.
   *
   * @param url ws, wss, http or https; relative to the page's base URL. With a segment of 64 lowercase hex characters
   *   it names a peer behind a relay (`wss://relay.example/<key>/chat?x=1`), with `space` and a name at its end a space
   *   at a relay (`wss://relay.example/space/<name>`), else the server itself. Or a function that gives such a URL, or a
   *   promise of one: it is asked again at each attempt to connect. When it throws, or gives no URL that can be dialled
   *   (`INVALID_ARGUMENT`), that attempt has failed.
   * @param protocols one subprotocol or several, in the order of preference. They travel inside the encryption. A space
   *   has none: where some are offered the connection fails with `PROTOCOL_NOT_OFFERED`.
   * @param options who this end is, whom it trusts, and whether it reconnects. Ignored unless it is an object.
   * @throws TypeError without arguments, for one that does not convert to a string, for a `maxBuffered` that is no
   *   number of bytes, and for a `space` that cannot be
   * @throws DOMException `SyntaxError` for a URL that does not parse, has another scheme, a fragment, a segment that
   *   looks like a public key and is none or a space that cannot be, and for subprotocols that are no tokens or come twice
   */
  constructor(
    url: ClientUrlSource,
    protocols?: string | Iterable<string>,
    options?: ClientSecureWebSocketOptions | null,
  );
  constructor(...given: readonly unknown[]) {
    super();
    // WebSockets Standard section 3.1, "new WebSocket(url, protocols)".
    requireArgument(given, 'ClientSecureWebSocket constructor');
    const [source] = given;
    const url = typeof source === 'function' ? (source as () => unknown) : toDomString(source);
    const protocols = toProtocols(given[1]);
    this.#url = new ClientUrl(url);
    checkProtocols(protocols);
    const options = socketOptions(new.target, given[2]);
    this.#connection = new ClientConnection(this.#url, protocols, options, event => {
      super.dispatchEvent(event);
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

  /**
   * The URL that was given, absolute and normalized. Of a function: the latest that it gave, '' before there is one.
   */
  get url(): string {
    return this.#url.href;
  }

  /** 0 CONNECTING, 1 OPEN, 2 CLOSING, 3 CLOSED. With `reconnect` OPEN while the connection is being made again, too. */
  get readyState(): 0 | 1 | 2 | 3 {
    return this.#connection.readyState;
  }

  /**
   * Bytes given to `send` and not yet handed to the network, before encryption. Rises at once, falls in a later task.
   * Does not go back to zero when the connection closes.
   */
  get bufferedAmount(): number {
    return this.#connection.bufferedAmount;
  }

  /**
   * Resolves when more may be sent: `bufferedAmount` is at most 64 KiB, and the peer can be reached. At once if that is
   * so already; pending before `open` and while the connection is away. For those who send much: `await socket.drained`
   * before each message.
   *
   * Rejects with a {@link SecureWebSocketError} when the connection is over, or ends first. Nobody has to look at it.
   */
  get drained(): Promise<void> {
    return this.#connection.drained;
  }

  /**
   * What is received as a `ReadableStream`: text as a string, binary as a Uint8Array, whatever `binaryType` says.
   *
   * From the moment that this property is first read, messages go into the stream and are no longer told by `message`
   * events. Whoever asks for it has to read it: when 256 KiB wait in it the peer is slowed down, and `close` comes
   * behind all that it has sent. It closes behind the last message when the connection is closed, and fails behind it,
   * with the {@link SecureWebSocketError}, when the connection does. To cancel it closes the connection: with
   * `closeCode` and `reason` of a `WebSocketError` if that is what is given.
   */
  get readable(): DomReadableStream<string | Uint8Array> {
    return this.#connection.readable;
  }

  /**
   * A `WritableStream` that takes what `send` takes. A write waits for `open`, and is done when the message was sent
   * and `drained` has resolved: what is piped into it is sent no faster than the network takes it. `close()` of it closes
   * the connection behind what was written and resolves when the peer has answered; `abort(reason)` closes it without
   * waiting for that, as `cancel(reason)` of `readable` does.
   */
  get writable(): DomWritableStream<SendableData> {
    return this.#connection.writable;
  }

  /** Always empty: there are no extensions that an application would have to know. */
  get extensions(): string {
    return '';
  }

  /** The subprotocol that the peer chose, inside the encryption; '' until `open`, and when it chose none. */
  get protocol(): string {
    return this.#connection.known.protocol;
  }

  /** What binary messages arrive as: 'blob' or 'arraybuffer'. Where the runtime has no Blob, always an ArrayBuffer. */
  get binaryType(): BinaryType {
    return this.#connection.binaryType;
  }

  set binaryType(value: BinaryType) {
    // Assigning what is not in the enumeration does nothing (WebIDL section 3.7.6).
    const type = toDomString(value);
    if (type === 'blob' || type === 'arraybuffer') this.#connection.binaryType = type;
  }

  /** Our own public key, 64 lowercase hex characters. '' until the identity is known, which is before `open`. */
  get publicKey(): string {
    return this.#connection.known.publicKey;
  }

  /** The authenticated public key of the peer, 64 lowercase hex characters. '' until `open`, and in a space. */
  get peerPublicKey(): string {
    return this.#connection.known.peerPublicKey;
  }

  /**
   * The public key of the server or relay that we are registered with, 64 lowercase hex characters. '' until it is
   * known, which is before `open`. The same as `peerPublicKey` when the peer is the server itself.
   */
  get serverPublicKey(): string {
    return this.#connection.known.serverPublicKey;
  }

  /**
   * Noise handshake hash of the session in which the connection was opened, 64 bytes: the same at both ends, and
   * different for every session, so that a signature over it is bound to this connection (Noise section 11.2). No
   * secret, and never to be used as a key. A copy; undefined until `open`, and in a space.
   */
  get handshakeHash(): Uint8Array | undefined {
    const { handshakeHash } = this.#connection.known;
    return handshakeHash?.length ? handshakeHash.slice() : undefined;
  }

  /** The name of the space that this socket is open in. '' until `open`, and when it is in none. */
  get space(): string {
    return this.#connection.space?.name ?? '';
  }

  /** Which of the `members` of the space this socket is: 32 lowercase hex characters. '' until `open`, and outside of spaces. */
  get memberId(): string {
    return this.#connection.space?.memberId ?? '';
  }

  /**
   * Who is in the space, as of now: this socket, the others, and those whose connections are lost for the moment (`away`).
   * Each joining was signed by the key of the member. Empty until `open`, after `close`, and outside of spaces.
   */
  get members(): readonly SpaceMember[] {
    return this.#connection.members;
  }

  /**
   * Asks the relay which members there are, drops the keys of all others (`keyswiped`), and gives `members`. There is no
   * need for it: members are told of every change, and notice when one was kept from them.
   *
   * Rejects with a DOMException `InvalidStateError` unless the socket is open in a space, and with a
   * {@link SecureWebSocketError} when the connection ends before there is an answer.
   */
  refreshMembers(): Promise<readonly SpaceMember[]> {
    return this.#connection.refreshMembers();
  }

  /** Called when the connection is open: the peer is authenticated and has accepted. */
  get onopen(): ((event: DomEvent) => unknown) | null {
    return this.#handlers.get('open') as ((event: DomEvent) => unknown) | null;
  }

  set onopen(handler: ((this: this, event: DomEvent) => unknown) | null) {
    this.#handlers.set('open', handler);
  }

  /** Called for every message: `data` is a string, or binary as `binaryType` says. In a space `from` is who has sent it. */
  get onmessage(): ((event: DomMessageEvent) => unknown) | null {
    return this.#handlers.get('message') as ((event: DomMessageEvent) => unknown) | null;
  }

  set onmessage(handler: ((this: this, event: SecureWebSocketMessageEvent) => unknown) | null) {
    this.#handlers.set('message', handler);
  }

  /** Called once when the connection fails, before `onclose`: `event.error` says why. */
  get onerror(): ((event: DomEvent) => unknown) | null {
    return this.#handlers.get('error') as ((event: DomEvent) => unknown) | null;
  }

  set onerror(handler: ((this: this, event: SecureWebSocketErrorEvent) => unknown) | null) {
    this.#handlers.set('error', handler);
  }

  /** Called once when the connection is over, or never came to be: `event.unacknowledged` is what may be lost. */
  get onclose(): ((event: DomCloseEvent) => unknown) | null {
    return this.#handlers.get('close') as ((event: DomCloseEvent) => unknown) | null;
  }

  set onclose(handler: ((this: this, event: SecureWebSocketCloseEvent) => unknown) | null) {
    this.#handlers.set('close', handler);
  }

  /** With `reconnect`: called when an attempt to connect will be made, before `onopen` too. */
  get onreconnecting(): ((event: SecureWebSocketReconnectingEvent) => unknown) | null {
    return this.#handlers.get('reconnecting') as
      ((event: SecureWebSocketReconnectingEvent) => unknown) | null;
  }

  set onreconnecting(handler: ((this: this, event: SecureWebSocketReconnectingEvent) => unknown) | null) {
    this.#handlers.set('reconnecting', handler);
  }

  /** With `reconnect`: called when a connection that was lost goes on, or a new one has taken its place. */
  get onreconnected(): ((event: SecureWebSocketReconnectedEvent) => unknown) | null {
    return this.#handlers.get('reconnected') as ((event: SecureWebSocketReconnectedEvent) => unknown) | null;
  }

  set onreconnected(handler: ((this: this, event: SecureWebSocketReconnectedEvent) => unknown) | null) {
    this.#handlers.set('reconnected', handler);
  }

  /** Called when the relay holds back what is sent over the connection to it: once for each limit. */
  get onthrottled(): ((event: SecureWebSocketThrottledEvent) => unknown) | null {
    return this.#handlers.get('throttled') as ((event: SecureWebSocketThrottledEvent) => unknown) | null;
  }

  set onthrottled(handler: ((this: this, event: SecureWebSocketThrottledEvent) => unknown) | null) {
    this.#handlers.set('throttled', handler);
  }

  /** In a space: called when somebody has entered it. */
  get onmemberjoin(): ((event: SecureWebSocketMemberEvent) => unknown) | null {
    return this.#handlers.get('memberjoin') as ((event: SecureWebSocketMemberEvent) => unknown) | null;
  }

  set onmemberjoin(handler: ((this: this, event: SecureWebSocketMemberEvent) => unknown) | null) {
    this.#handlers.set('memberjoin', handler);
  }

  /** In a space: called when the connection of a member is lost for the moment, or is back: `event.member.away`. */
  get onmemberchange(): ((event: SecureWebSocketMemberEvent) => unknown) | null {
    return this.#handlers.get('memberchange') as ((event: SecureWebSocketMemberEvent) => unknown) | null;
  }

  set onmemberchange(handler: ((this: this, event: SecureWebSocketMemberEvent) => unknown) | null) {
    this.#handlers.set('memberchange', handler);
  }

  /** In a space: called when somebody is no member any more. What is sent from now on it cannot read. */
  get onmemberleave(): ((event: SecureWebSocketMemberLeaveEvent) => unknown) | null {
    return this.#handlers.get('memberleave') as ((event: SecureWebSocketMemberLeaveEvent) => unknown) | null;
  }

  set onmemberleave(handler: ((this: this, event: SecureWebSocketMemberLeaveEvent) => unknown) | null) {
    this.#handlers.set('memberleave', handler);
  }

  /** In a space: called when the keys of somebody who is gone were wiped. */
  get onkeyswiped(): ((event: SecureWebSocketKeysWipedEvent) => unknown) | null {
    return this.#handlers.get('keyswiped') as ((event: SecureWebSocketKeysWipedEvent) => unknown) | null;
  }

  set onkeyswiped(handler: ((this: this, event: SecureWebSocketKeysWipedEvent) => unknown) | null) {
    this.#handlers.set('keyswiped', handler);
  }

  /** In a space: called when messages of a member that were meant for us are not delivered. Never in silence. */
  get onmessageslost(): ((event: SecureWebSocketMessagesLostEvent) => unknown) | null {
    return this.#handlers.get('messageslost') as
      ((event: SecureWebSocketMessagesLostEvent) => unknown) | null;
  }

  set onmessageslost(handler: ((this: this, event: SecureWebSocketMessagesLostEvent) => unknown) | null) {
    this.#handlers.set('messageslost', handler);
  }

  /**
   * Called when a service at the relay has sent something to a space, or to all clients of this user: `event.data`. Every
   * socket over the same connection to the relay is told; one in a space hears of no other space.
   */
  get onserverevent(): ((event: SecureWebSocketServerEvent) => unknown) | null {
    return this.#handlers.get('serverevent') as ((event: SecureWebSocketServerEvent) => unknown) | null;
  }

  set onserverevent(handler: ((this: this, event: SecureWebSocketServerEvent) => unknown) | null) {
    this.#handlers.set('serverevent', handler);
  }

  /**
   * Sends one message: a string as text, a Blob, an ArrayBuffer or a view of one as binary, and the string of anything
   * else. Bytes are copied before this returns. After `close()`, or once the connection is over, messages are counted
   * in `bufferedAmount` and dropped.
   *
   * @throws TypeError without an argument, for a Symbol, and for a shared or resizable buffer
   * @throws DOMException `InvalidStateError` before `open`
   * @throws SecureWebSocketError `BUFFER_FULL` while the connection is away (with `reconnect`), when more than
   *   `maxBuffered` bytes would wait for it. The message is not queued.
   */
  send(data: SendableData): void;
  send(...given: readonly unknown[]): void {
    requireArgument(given, 'send()');
    this.#connection.send(toOutgoingMessage(given[0]));
  }

  /**
   * Closes the connection after what was given to `send`, or gives up the attempt to connect. Does nothing when that
   * has been done already. In a space: leaves it.
   *
   * @param code 1000, or 3000 to 4999; the peer sees 1005 when there is none
   * @param reason at most 123 bytes of UTF-8; not sent without a code
   * @throws DOMException `InvalidAccessError` for another code, `SyntaxError` for a longer reason
   */
  close(code?: number, reason?: string): void;
  close(...given: readonly unknown[]): void {
    const code = given[0] === undefined ? undefined : toCloseCode(given[0]);
    const reason = given[1] === undefined ? undefined : toDomString(given[1]);
    this.#connection.close(code, reason);
  }

  static {
    shapeInterface(this, {
      tag: 'WebSocket',
      constants: { CONNECTING, OPEN, CLOSING, CLOSED },
      lengths: { constructor: 1, send: 1 },
    });
  }
}
