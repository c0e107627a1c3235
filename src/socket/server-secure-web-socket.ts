import { fromUtf8, utf8 } from '../core/bytes.js';
import { SecureWebSocketError, type ErrorCode } from '../core/errors.js';
import type { ChannelEnd, ChannelPort, IncomingChannel } from '../link/channel-port.js';
import { platform } from '#platform';
import { EmittingEventTarget } from './emitting-event-target.js';
import { ServerSendQueue, type SendCallback } from './server-send-queue.js';
import { payloadSize, toPayload, type Sendable } from './payload.js';
import { callGuarded, inNextTask } from './tasks.js';

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const STATE_NAMES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const;
const BINARY_TYPES = ['nodebuffer', 'arraybuffer', 'fragments', 'blob'] as const;

/** RFC 6455 section 5.5. */
const MAX_CONTROL_PAYLOAD = 125;
/** The same, less the status code. */
const MAX_CLOSE_REASON = 123;
/** Payload of the pings that `checkAlive` sends; the application does not see their pongs. */
const KEEP_ALIVE_PAYLOAD = 'secure-websocket keep-alive';

/**
 * Ends for which `ws` has a counterpart without an `error` event: the connection was lost, or this side let go of it.
 * There is only `close`, with 1006.
 */
const LOST: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ABORTED',
  'CHANNEL_RESET',
  'CLOSE_TIMEOUT',
  'LINK_LOST',
  'PEER_GONE',
  'PEER_NOT_HERE',
  'SESSION_TIMEOUT',
]);

/** How a binary message is handed over: a Buffer, an ArrayBuffer, an array of Buffers, or a Blob. */
export type ServerBinaryType = (typeof BINARY_TYPES)[number];

/** The bytes of a message where there is no Buffer: their `toString` decodes UTF-8, as a Buffer's does. */
export interface MessageBytesLike extends Uint8Array {
  toString(encoding?: string): string;
}

/** The bytes of a message: a Buffer, in programs that know its type; {@link MessageBytesLike} in browsers. */
export type MessageBytes =
  typeof globalThis extends Record<'Buffer', { isBuffer(value: unknown): value is infer Instance }>
    ? Instance
    : MessageBytesLike;

/**
 * What a `message` listener gets: {@link MessageBytes}, unless the message is binary and `binaryType` says otherwise.
 * As in the types of `ws` the Blob of 'blob' is left out.
 */
export type MessageData = MessageBytes | ArrayBuffer | MessageBytes[];

/** Options of `send`, as in `ws`. */
export interface SendOptions {
  /** Whether this is a binary message. Default: everything but a string is. */
  readonly binary?: boolean | undefined;
  /** False for every fragment of a message but the last. Fragments are sent as one message. Default: true. */
  readonly fin?: boolean | undefined;
  /** Without effect: nothing is compressed. */
  readonly compress?: boolean | undefined;
  /** Without effect. */
  readonly mask?: boolean | undefined;
}

/** As in the types of `ws`; without an error when all is well, as {@link SendCallback}. */
export type ControlCallback = (error: Error) => void;

/** The events of a server-side socket, as in `ws`. */
export interface ServerSocketEvents {
  /** Never seen: as in `ws`, a server-side socket is open before anybody can listen. */
  open: [];
  message: [data: MessageData, isBinary: boolean];
  /** `reason` is UTF-8 (`String(reason)` decodes it). */
  close: [code: number, reason: MessageBytes];
  error: [error: Error];
  ping: [data: MessageBytes];
  pong: [data: MessageBytes];
}

export interface ServerSocketOptions {
  /** Answer pings. Default: true. */
  readonly autoPong?: boolean | undefined;
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

  readonly #handshakeHash: Uint8Array;
  readonly #port: ChannelPort;
  readonly #queue: ServerSendQueue;
  readonly #options: ServerSocketOptions;
  #readyState: 1 | 2 | 3 = OPEN;
  #binaryType: ServerBinaryType = 'nodebuffer';
  #paused = false;
  /** What happened before listeners could be there; undefined once they could. */
  #held: (() => void)[] | undefined = [];
  #failed = false;
  protected wasClean = false;
  #failure: SecureWebSocketError | undefined;
  #heardFromPeer = true;

  /** Accepts `incoming` with `protocol`, one of those it offers or ''. */
  constructor(incoming: IncomingChannel, protocol = '', options: ServerSocketOptions = {}) {
    super();
    this.publicKey = incoming.publicKey;
    this.peerPublicKey = incoming.peerPublicKey;
    this.serverPublicKey = incoming.serverPublicKey;
    this.protocol = protocol;
    this.url = incoming.target;
    this.#handshakeHash = incoming.handshakeHash.slice();
    this.#options = options;
    this.#port = incoming.accept(protocol, {
      message: (data, isText) => {
        this.#heardFromPeer = true;
        this.#whenStarted(() => {
          this.#onMessage(data, isText);
        });
      },
      ping: data => {
        this.#onPing(data.slice());
      },
      pong: data => {
        this.#onPong(data.slice());
      },
      closing: () => {
        this.#whenStarted(() => {
          if (this.#readyState === OPEN) this.#readyState = CLOSING;
        });
      },
      sent: bytes => {
        this.#queue.sent(bytes);
      },
      closed: end => {
        this.#whenStarted(() => {
          this.#onClosed(end);
        });
      },
    });
    this.#queue = new ServerSendQueue(this.#port, error => {
      this.#fail(error);
      this.#port.terminate();
    });
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
    if (BINARY_TYPES.includes(type)) this.#binaryType = type;
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
    if (code !== undefined && !isValidCloseCode(code)) {
      throw new TypeError('The close code must be one of 1000 to 1003, 1007 to 1014 and 3000 to 4999');
    }
    const text = code === undefined ? '' : toCloseReason(reason);
    this.#readyState = CLOSING;
    this.#queue.close(code, text);
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
    this.#paused = true;
    this.#port.pause();
  }

  /** Undoes `pause`. */
  resume(): void {
    if (this.#readyState === CLOSED) return;
    this.#paused = false;
    this.#port.resume();
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /**
   * One beat of keep-alive, called by the server from time to time: a peer of which nothing was heard since the last
   * beat, not even the pong to the ping of that beat, is gone.
   *
   * @internal
   */
  checkAlive(): void {
    if (this.#readyState !== OPEN) return;
    // While nothing is read, nothing can be heard.
    if (!this.#heardFromPeer && !this.#paused) {
      this.terminate();
      return;
    }
    this.#heardFromPeer = false;
    this.#queue.control('ping', utf8(KEEP_ALIVE_PAYLOAD));
  }

  #start(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) event();
  }

  #whenStarted(event: () => void): void {
    if (this.#held === undefined) event();
    else this.#held.push(event);
  }

  /** Emits; an exception of a listener becomes an uncaught one. */
  #tell<Name extends keyof ServerSocketEvents>(name: Name, ...args: ServerSocketEvents[Name]): void {
    callGuarded(() => {
      this.emit(name, ...args);
    });
  }

  #onMessage(data: Uint8Array, isText: boolean): void {
    if (this.#failed) return;
    if (!isText) {
      this.#tell('message', this.#toBinary(data), true);
      return;
    }
    if (!platform.isUtf8(data)) {
      this.#fail(
        new SecureWebSocketError('INVALID_UTF8', 'The peer sent a text message that is not UTF-8.'),
        1007,
      );
      return;
    }
    this.#tell('message', toMessageBytes(data), false);
  }

  #onPing(data: Uint8Array): void {
    this.#heardFromPeer = true;
    // The channel keeps only the latest pong, so that a flood of pings takes no memory.
    if (this.#options.autoPong !== false && this.#readyState === OPEN) this.#port.pong(data.slice());
    this.#whenStarted(() => {
      this.#tell('ping', toMessageBytes(data));
    });
  }

  #onPong(data: Uint8Array): void {
    this.#heardFromPeer = true;
    this.#whenStarted(() => {
      if (fromUtf8(data) !== KEEP_ALIVE_PAYLOAD) this.#tell('pong', toMessageBytes(data));
    });
  }

  #onClosed(end: ChannelEnd): void {
    this.#readyState = CLOSING;
    this.#failure ??= end.error;
    this.#queue.end(
      end.error ??
        new SecureWebSocketError(
          'ABORTED',
          'The socket was closed before the data was handed to the network.',
        ),
    );
    // One error is told, as in `ws`; what it leads to is not told as another.
    if (end.error !== undefined && !this.#failed && !LOST.has(end.error.code)) this.#tell('error', end.error);
    this.#readyState = CLOSED;
    const code = this.#failed ? 1006 : end.code;
    const reason = this.#failed ? '' : end.reason;
    this.wasClean = end.wasClean && !this.#failed;
    callGuarded(() => this.#options.onClosed?.(this));
    this.#tell('close', code, toMessageBytes(utf8(reason)));
  }

  /** Fails the connection (RFC 6455 section 7.1.7): tells the peer by `code`, the application by `error`, then `close` 1006. */
  #fail(error: Error, code?: number): void {
    this.#failed = true;
    if (error instanceof SecureWebSocketError) this.#failure = error;
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

  #toBinary(data: Uint8Array): MessageData {
    if (this.#binaryType === 'arraybuffer') return toArrayBuffer(data);
    if (this.#binaryType === 'fragments') return [toMessageBytes(data)];
    if (this.#binaryType === 'blob') return new Blob([toArrayBuffer(data)]) as unknown as MessageData;
    return toMessageBytes(data);
  }
}

function toMessageBytes(bytes: Uint8Array): MessageBytes {
  return platform.toMessageData(bytes) as MessageBytes;
}

function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer } = bytes;
  const whole = buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength;
  return whole ? buffer : new Uint8Array(bytes).buffer;
}

/** RFC 6455 section 7.4, and 1012 to 1014 of the IANA registry, as `ws` has it. */
function isValidCloseCode(code: unknown): code is number {
  if (typeof code !== 'number' || !Number.isInteger(code)) return false;
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

function toCloseReason(reason: unknown): string {
  // As in `ws`: anything without a length is no reason.
  if (reason === undefined || reason === null || !(reason as { length?: unknown }).length) return '';
  const bytes = typeof reason === 'string' ? utf8(reason) : reason;
  if (!(bytes instanceof Uint8Array))
    throw new TypeError('The close reason must be a string or a Uint8Array');
  if (bytes.length > MAX_CLOSE_REASON) {
    throw new RangeError(`The close reason must not be greater than ${MAX_CLOSE_REASON} bytes`);
  }
  const text = fromUtf8(bytes);
  if (text === undefined) throw new TypeError('The close reason must be UTF-8');
  return text;
}
