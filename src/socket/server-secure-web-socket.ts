import { fromUtf8, utf8 } from '../core/bytes.js';
import { asSecureWebSocketError, SecureWebSocketError } from '../core/errors.js';
import type { ChannelEnd, ChannelListener, ChannelPort, IncomingChannel } from '../link/channel-port.js';
import { platform } from '#platform';
import type { DomReadableStream, DomWritableStream } from './dom-types.js';
import { DRAIN_MARK, DrainWatch } from './drain-watch.js';
import { EmittingEventTarget } from './emitting-event-target.js';
import { connectionLost, isLoss, notOpen } from './ending-errors.js';
import { EventQueue } from './event-queue.js';
import { FlowGate } from './flow-gate.js';
import { payloadSize, toPayload, type Sendable } from './payload.js';
import { toCloseStatus } from './server-close.js';
import {
  SERVER_BINARY_TYPES,
  toBinaryData,
  toMessageBytes,
  type MessageData,
  type ServerBinaryType,
  type UnacknowledgedServerMessage,
} from './server-messages.js';
import {
  ServerSendQueue,
  type ControlCallback,
  type SendCallback,
  type SendOptions,
} from './server-send-queue.js';
import type { ServerSocketEvents } from './server-socket-events.js';
import { SocketStreams } from './socket-streams.js';
import { callGuarded, inNextTask, reportUncaught } from './tasks.js';

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const STATE_NAMES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const;

/** RFC 6455 section 5.5. */
const MAX_CONTROL_PAYLOAD = 125;
/** Payload of the pings that `checkAlive` sends; the application does not see their pongs. */
const KEEP_ALIVE_PAYLOAD = 'secure-websocket keep-alive';

export interface ServerSocketOptions {
  /** Answer pings. Default: true. */
  readonly autoPong?: boolean | undefined;
  /** Whether several events may be told in one task. Default: true. */
  readonly allowSynchronousEvents?: boolean | undefined;
  /** Called once when the socket is closed, before its `close` event, also when listeners have been removed. */
  readonly onClosed?: ((socket: ServerSecureWebSocket) => void) | undefined;
}

/**
 * The server's end of one encrypted channel, with the face of a WebSocket of `ws`. Runs in Node and in browsers.
 *
 * Events begin in a task of their own: a listener that is added in the `connection` handler, or right after
 * `await ServerSecureWebSocket.accept(…)`, misses none.
 */
export class ServerSecureWebSocket extends EmittingEventTarget<ServerSocketEvents, MessageData> {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSING = CLOSING;
  static readonly CLOSED = CLOSED;

  /** Our own address: 64 lowercase hex characters, the key that the peer dialled. */
  readonly publicKey: string;
  /** The address of the peer: the key that it has proven to hold. */
  readonly peerPublicKey: string;
  /** The address of the server that the link is registered with: the relay's, or our own in direct use. */
  readonly serverPublicKey: string;
  /** The subprotocol that was agreed on inside the encryption, or ''. */
  readonly protocol: string;
  /** Path with query that the peer dialled, such as '/chat?x=1'. */
  readonly url: string;
  readonly #token: string | undefined;
  readonly #handshakeHash: Uint8Array;
  readonly #port: ChannelPort;
  readonly #queue: ServerSendQueue;
  readonly #options: ServerSocketOptions;
  readonly #flow: FlowGate;
  readonly #streams: SocketStreams<Sendable>;
  readonly #drain = new DrainWatch(() => !this.#suspended && this.bufferedAmount <= DRAIN_MARK);
  #readyState: 1 | 2 | 3 = OPEN;
  #binaryType: ServerBinaryType = 'nodebuffer';
  #suspended = false;
  /** Gives each event a task of its own; undefined when they are told as they come. */
  readonly #events: EventQueue<Uint8Array> | undefined;
  /** What happened before listeners could be there; undefined once they could. */
  #held: (() => void)[] | undefined = [];
  #failed = false;
  protected wasClean = false;
  #failure: SecureWebSocketError | undefined;
  #unacknowledged: readonly UnacknowledgedServerMessage[] = [];
  #heardFromPeer = true;

  /** Accepts `incoming` with `protocol`, one of those it offers or ''. */
  constructor(incoming: IncomingChannel, protocol = '', options: ServerSocketOptions = {}) {
    super();
    this.publicKey = incoming.publicKey;
    this.peerPublicKey = incoming.peerPublicKey;
    this.serverPublicKey = incoming.serverPublicKey;
    this.protocol = protocol;
    this.url = incoming.target;
    this.#token = incoming.token;
    this.#handshakeHash = incoming.handshakeHash.slice();
    this.#options = options;
    this.#port = incoming.accept(protocol, this.#createListener());
    this.#flow = new FlowGate(this.#port);
    if (options.allowSynchronousEvents === false) {
      this.#events = new EventQueue(this.#flow, ({ data, isText }) => {
        this.#onMessage(data, isText);
      });
    }
    this.#queue = new ServerSendQueue(this.#port, error => {
      this.#fail(error);
      this.#port.terminate();
    });
    const streamed = {
      isOpen: () => this.#readyState === OPEN,
      drained: () => this.drained,
      send: (data: Sendable) => {
        this.send(data);
      },
      close: (code?: number, reason?: string) => {
        this.close(code, reason);
      },
    };
    this.#streams = new SocketStreams(streamed, this.#flow);
    inNextTask(() => {
      this.#start();
    });
  }

  get CONNECTING(): 0 {
    return CONNECTING;
  }
  get OPEN(): 1 {
    return OPEN;
  }
  get CLOSING(): 2 {
    return CLOSING;
  }
  get CLOSED(): 3 {
    return CLOSED;
  }

  /** 1 OPEN, 2 CLOSING or 3 CLOSED. */
  get readyState(): 0 | 1 | 2 | 3 {
    return this.#readyState;
  }

  /**
   * Resolves when more may be sent: `bufferedAmount` is at most 64 KiB, and the client can be reached. At once if that is
   * so already; pending while the client is away.
   *
   * Rejects with a {@link SecureWebSocketError} when the socket is closed, or is before. Nobody has to look at it.
   */
  get drained(): Promise<void> {
    return this.#drain.promise;
  }

  /**
   * What is received as a `ReadableStream`: text as a string, binary as a Uint8Array, whatever `binaryType` says.
   *
   * From the moment that this property is first read, messages go into the stream and are no longer told by `message`
   * events. Whoever asks for it has to read it: when 256 KiB wait in it the client is slowed down, and `close` comes
   * behind all that it has sent. It closes behind the last message when the socket is closed, and fails behind it, with
   * the {@link SecureWebSocketError}, when the connection does. To cancel it closes the socket: with `closeCode` and
   * `reason` of what is given, if they are there.
   */
  get readable(): DomReadableStream<string | Uint8Array> {
    return this.#streams.readable;
  }

  /**
   * A `WritableStream` that takes what `send` takes. A write is done when the message was sent and `drained` has
   * resolved: what is piped into it is sent no faster than the network takes it. `close()` of it closes the socket behind
   * what was written and resolves when the client has answered; `abort(reason)` closes it without waiting for that.
   */
  get writable(): DomWritableStream<Sendable> {
    return this.#streams.writable;
  }

  /**
   * Once the socket is closed: what was given to `send` and not acknowledged by the client, which may have got it or
   * not. In the order of `send`; empty after a clean end, and before it. A Blob that was not read yet is not among it:
   * the callback of its `send` got an error.
   */
  get unacknowledged(): readonly UnacknowledgedServerMessage[] {
    return this.#unacknowledged;
  }

  /** Bytes given to `send` and not handed to the network, also those that never will be because it was too late. */
  get bufferedAmount(): number {
    return this.#queue.bufferedAmount;
  }

  /** Always '': messages are not compressed, compression before encryption tells about their content. */
  get extensions(): string {
    return '';
  }

  /** Noise handshake hash of the session in which the channel was opened, 64 bytes, a copy: for channel binding. */
  get handshakeHash(): Uint8Array {
    return this.#handshakeHash.slice();
  }

  /**
   * In direct use: what the client gave as its `token`, sealed on its way here; undefined when it gave none. It proves
   * nothing before the application has looked at it.
   */
  get token(): string | undefined {
    return this.#token;
  }

  /** Why the channel failed, if it did: also where, as in `ws`, no `error` event tells (a lost connection). */
  get failure(): SecureWebSocketError | undefined {
    return this.#failure;
  }

  /**
   * How binary messages are handed over: 'nodebuffer' (default), 'arraybuffer', 'fragments' or 'blob'. Other values are
   * ignored. Its type leaves out 'blob', as that of `ws` does, so that this class fits where theirs is asked for.
   */
  get binaryType(): Exclude<ServerBinaryType, 'blob'> {
    return this.#binaryType as Exclude<ServerBinaryType, 'blob'>;
  }
  set binaryType(type: ServerBinaryType) {
    if (SERVER_BINARY_TYPES.includes(type)) this.#binaryType = type;
  }

  /**
   * Sends one message. Bytes are copied at once. `callback` is called when the message was handed to the network, or
   * with an error; in the order of the calls. Nothing is thrown after the socket was closed: `callback` gets the error.
   *
   * @throws TypeError when `data` is nothing that has bytes.
   */
  send(data: Sendable, callback?: SendCallback): void;
  send(data: Sendable, options: SendOptions | undefined, callback?: SendCallback): void;
  send(data: Sendable, second?: SendOptions | SendCallback, third?: SendCallback): void {
    const options = typeof second === 'function' ? undefined : second;
    const callback = typeof second === 'function' ? second : third;
    const payload = toPayload(data);
    if (this.#readyState !== OPEN) {
      this.#queue.drop(payload);
      this.#refuse(callback);
      return;
    }
    const isText = !(options?.binary ?? (typeof data !== 'string' && typeof data !== 'number'));
    this.#queue.send(payload, isText, options?.fin ?? true, callback);
  }

  /**
   * Sends a ping, end to end inside the encryption, with at most 125 bytes. `mask` is without effect.
   * @throws RangeError for more data, TypeError when it has no bytes.
   */
  ping(callback: SendCallback): void;
  ping(data: Sendable, callback: SendCallback): void;
  ping(data?: Sendable, mask?: boolean, callback?: ControlCallback): void;
  ping(
    data?: Sendable | SendCallback,
    mask?: boolean | SendCallback,
    callback?: SendCallback | ControlCallback,
  ): void {
    this.#sendControl('ping', data, mask, callback as SendCallback);
  }

  /**
   * Sends a pong. Pings are answered without it, unless `autoPong` is false. The same arguments as `ping`.
   * @throws RangeError for more data, TypeError when it has no bytes.
   */
  pong(callback: SendCallback): void;
  pong(data: Sendable, callback: SendCallback): void;
  pong(data?: Sendable, mask?: boolean, callback?: ControlCallback): void;
  pong(
    data?: Sendable | SendCallback,
    mask?: boolean | SendCallback,
    callback?: SendCallback | ControlCallback,
  ): void {
    this.#sendControl('pong', data, mask, callback as SendCallback);
  }

  /**
   * Starts the closing handshake behind what was sent.
   *
   * @param code 1000 to 1014 without 1004 to 1006, or 3000 to 4999. None shows as 1005 at the peer.
   * @param reason At most 123 bytes of UTF-8; without effect when there is no code.
   * @throws TypeError for another code or a reason that is neither, RangeError for a longer reason.
   */
  close(code?: number, reason?: string | Uint8Array): void {
    if (this.#readyState !== OPEN) return;
    const status = toCloseStatus(code, reason);
    this.#readyState = CLOSING;
    this.#queue.close(status.code, status.reason);
  }

  /** Ends the channel at once, without a closing handshake: `close` with 1006 follows. */
  terminate(): void {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSING;
    this.#port.terminate();
  }

  /** Stops `message` events, and slows the peer down. Some that have arrived may still come. */
  pause(): void {
    if (this.#readyState === CLOSED) return;
    this.#flow.hold('application');
  }

  /** Undoes `pause`. */
  resume(): void {
    if (this.#readyState === CLOSED) return;
    this.#flow.release('application');
  }

  get isPaused(): boolean {
    return this.#flow.isHeldBy('application');
  }

  /**
   * One beat of keep-alive, called by the server from time to time: a peer of which nothing was heard since the last
   * beat, not even the pong to the ping of that beat, is gone. One that is known to be away is waited for.
   *
   * @internal
   */
  checkAlive(): void {
    // A channel that can be resumed asks by itself, and has more patience.
    if (this.#readyState !== OPEN || this.#suspended || this.#port.isResumable === true) return;
    // While nothing is read, nothing can be heard.
    if (!this.#heardFromPeer && !this.#flow.isHeld) {
      this.terminate();
      return;
    }
    this.#heardFromPeer = false;
    this.#queue.control('ping', utf8(KEEP_ALIVE_PAYLOAD));
  }

  #createListener(): ChannelListener {
    return {
      message: (data, isText) => {
        this.#heardFromPeer = true;
        if (this.#held === undefined) this.#receive(data, isText);
        else {
          this.#held.push(() => {
            this.#onMessage(data, isText);
          });
        }
      },
      ping: data => {
        this.#onPing(data.slice());
      },
      pong: data => {
        this.#onPong(data.slice());
      },
      closing: () => {
        this.#inOrder(() => {
          if (this.#readyState === OPEN) this.#readyState = CLOSING;
        });
      },
      sent: bytes => {
        this.#queue.sent(bytes);
        this.#drain.check();
      },
      suspended: ({ error }) => {
        this.#suspended = true;
        this.#queue.suspend();
        this.#inOrder(() => {
          this.#tell('suspended', error);
        });
      },
      resumed: () => {
        this.#suspended = false;
        // The ping of the last beat may have been lost with the link.
        this.#heardFromPeer = true;
        this.#queue.resume();
        this.#drain.check();
        this.#inOrder(() => {
          this.#tell('resumed');
        });
      },
      closed: end => {
        this.#inOrder(() => {
          this.#onClosed(end);
        });
      },
    };
  }

  #start(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#inOrder(event);
  }

  /** Tells of something behind all that happened before it. */
  #inOrder(event: () => void): void {
    if (this.#held !== undefined) this.#held.push(event);
    else if (this.#events !== undefined) this.#events.push(event);
    else event();
  }

  /** The way of nearly every message: nothing is made for it, unless each is to have a task of its own. */
  #receive(data: Uint8Array, isText: boolean): void {
    if (this.#events === undefined) this.#onMessage(data, isText);
    else this.#events.pushMessage(data, isText, data.length);
  }

  /** Emits; an exception of a listener becomes an uncaught one. */
  #tell<Name extends keyof ServerSocketEvents>(name: Name, ...args: ServerSocketEvents[Name]): void {
    callGuarded(() => {
      this.emit(name, ...args);
    });
  }

  /** As `#tell`, which takes longer. */
  #tellMessage(data: MessageData, isBinary: boolean): void {
    try {
      this.emit('message', data, isBinary);
    } catch (error) {
      reportUncaught(error);
    }
  }

  #onMessage(data: Uint8Array, isText: boolean): void {
    if (this.#failed) return;
    if (isText && !platform.isUtf8(data)) {
      const message = 'The peer sent a text message that is not UTF-8.';
      this.#fail(new SecureWebSocketError('INVALID_UTF8', message), 1007);
      return;
    }
    if (this.#streams.isReceiving) this.#streams.receive(isText ? (fromUtf8(data) ?? '') : data, data.length);
    else this.#tellMessage(isText ? toMessageBytes(data) : toBinaryData(data, this.#binaryType), !isText);
  }

  #onPing(data: Uint8Array): void {
    this.#heardFromPeer = true;
    // The channel keeps only the latest pong, so that a flood of pings takes no memory.
    if (this.#options.autoPong !== false && this.#readyState === OPEN) this.#port.pong(data.slice());
    this.#inOrder(() => {
      this.#tell('ping', toMessageBytes(data));
    });
  }

  #onPong(data: Uint8Array): void {
    this.#heardFromPeer = true;
    this.#inOrder(() => {
      if (fromUtf8(data) !== KEEP_ALIVE_PAYLOAD) this.#tell('pong', toMessageBytes(data));
    });
  }

  #onClosed(end: ChannelEnd): void {
    this.#readyState = CLOSING;
    this.#failure ??= end.error;
    this.wasClean = end.wasClean && !this.#failed;
    this.#queue.end(
      end.error ??
        new SecureWebSocketError(
          'ABORTED',
          'The socket was closed before the data was handed to the network.',
        ),
    );
    if (!this.wasClean) {
      this.#unacknowledged = [...end.unacknowledged, ...this.#queue.unsent].map(({ data, isText }) => ({
        data: toMessageBytes(data),
        isBinary: !isText,
      }));
    }
    // One error is told, as in `ws`; what it leads to is not told as another. A loss has no `error` there: `close` tells.
    if (end.error !== undefined && !this.#failed && !isLoss(end.error)) this.#tell('error', end.error);
    this.#readyState = CLOSED;
    const error = this.wasClean ? undefined : (this.#failure ?? connectionLost());
    this.#drain.end(error ?? notOpen());
    this.#streams.end(error);
    callGuarded(() => this.#options.onClosed?.(this));
    const { code, reason } = this.#failed ? { code: 1006, reason: '' } : end;
    this.#tell('close', code, toMessageBytes(utf8(reason)));
  }

  /** Fails the connection (RFC 6455 section 7.1.7): tells the peer by `code`, the application by `error`, then `close` 1006. */
  #fail(error: Error, code?: number): void {
    this.#failed = true;
    this.#failure = asSecureWebSocketError(error, 'BLOB_UNREADABLE', 'A Blob that was sent cannot be read.');
    // Nothing that comes now is delivered.
    this.#streams.stopReceiving();
    if (this.#readyState === OPEN) {
      this.#readyState = CLOSING;
      if (code !== undefined) this.#queue.close(code, '');
    }
    this.#tell('error', error);
  }

  #refuse(callback: SendCallback | undefined): void {
    if (callback === undefined) return;
    const error = new Error(
      `WebSocket is not open: readyState ${this.#readyState} (${STATE_NAMES[this.#readyState]})`,
    );
    queueMicrotask(() => {
      callback(error);
    });
  }

  #sendControl(
    kind: 'ping' | 'pong',
    data: Sendable | SendCallback,
    mask: boolean | SendCallback | undefined,
    last: SendCallback | undefined,
  ): void {
    const callback = typeof data === 'function' ? data : typeof mask === 'function' ? mask : last;
    const payload = toPayload(typeof data === 'function' ? undefined : data);
    if (this.#readyState !== OPEN) {
      this.#queue.drop(payload);
      this.#refuse(callback);
      return;
    }
    if (payloadSize(payload) > MAX_CONTROL_PAYLOAD) {
      throw new RangeError(`The data of a ${kind} must not be greater than ${MAX_CONTROL_PAYLOAD} bytes`);
    }
    this.#queue.control(kind, payload, callback);
  }
}
