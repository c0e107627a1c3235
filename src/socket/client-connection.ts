import { fromUtf8 } from '../core/bytes.js';
import { SecureWebSocketError } from '../core/errors.js';
import { parseLocation } from '../core/location.js';
import type {
  ChannelEnd,
  ChannelInformation,
  ChannelListener,
  ChannelPort,
  Resumption,
  ServerEvent,
  SpaceMember,
  SpaceView,
  UnacknowledgedMessage,
} from '../link/channel-port.js';
import { dialChannel } from '../link/dial.js';
import { toArrayBuffer } from './array-buffer.js';
import { type ClientSecureWebSocketOptions, maxBufferedOf } from './client-secure-web-socket-options.js';
import type { ClientUrl } from './client-url.js';
import type { DomEvent, DomReadableStream, DomWritableStream } from './dom-types.js';
import { DRAIN_MARK, DrainWatch } from './drain-watch.js';
import { connectionLost, notOpen } from './ending-errors.js';
import {
  type CloseEventInit,
  createCloseEvent,
  createErrorEvent,
  createEvent,
  createMessageEvent,
  createReconnectedEvent,
  createReconnectingEvent,
  createServerEvent,
  createSpaceEvent,
  createThrottledEvent,
} from './events.js';
import { EventQueue } from './event-queue.js';
import { FlowGate } from './flow-gate.js';
import type { StreamedMessage } from './message-readable.js';
import { type OutgoingMessage, type SendableData, toOutgoingMessage } from './outgoing-message.js';
import { SendQueue } from './send-queue.js';
import { SocketStreams } from './socket-streams.js';
import { toUnacknowledgedData } from './unacknowledged.js';
import { checkClose, cutCloseReason, domException } from './web-socket-arguments.js';

export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSING = 2;
export const CLOSED = 3;

export type ReadyState = typeof CONNECTING | typeof OPEN | typeof CLOSING | typeof CLOSED;

/** What binary messages arrive as. */
export type BinaryType = 'blob' | 'arraybuffer';

type Known = Omit<ChannelInformation, 'handshakeHash'> & { readonly handshakeHash: Uint8Array | undefined };

/**
 * What a client socket is inside: makes calls of the channel out of what the application asks for, and events out of
 * what the channel tells. Events are fired in tasks of their own, in the order in which things happened.
 */
export class ClientConnection {
  /** What binary messages become when their event is fired. */
  binaryType: BinaryType = 'blob';

  readonly #url: ClientUrl;
  readonly #offered: readonly string[];
  readonly #dispatch: (event: DomEvent) => void;
  readonly #reconnects: boolean;
  readonly #maxBuffered: number;
  readonly #port: ChannelPort;
  readonly #sending: SendQueue;
  readonly #flow: FlowGate;
  readonly #streams: SocketStreams<SendableData>;
  readonly #events: EventQueue<StreamedMessage>;
  readonly #drain = new DrainWatch(() => this.#isReachable && this.bufferedAmount <= DRAIN_MARK);
  #readyState: ReadyState = CONNECTING;
  #known: Known = {
    protocol: '',
    publicKey: '',
    peerPublicKey: '',
    serverPublicKey: '',
    handshakeHash: undefined,
  };
  /** Why this end gave the connection up, whatever the channel says of its end. */
  #failure: SecureWebSocketError | undefined;
  /** How often the peer went out of reach and its return has not been told. */
  #suspensions = 0;
  #hasEnded = false;
  /** The space that it is open in, if it is one. */
  #space: SpaceView | undefined;
  /** What a channel that was replaced had left, when no event told of it. */
  #untold: readonly UnacknowledgedMessage[] = [];

  /**
   * Starts to connect. Events are given to `dispatch`.
   * @throws TypeError for an option that cannot be what it is, DOMException `SyntaxError` for a URL with a segment that
   *   looks like a public key and is none, or with a space that cannot be, and SecureWebSocketError for other options
   */
  constructor(
    url: ClientUrl,
    protocols: readonly string[],
    options: ClientSecureWebSocketOptions,
    dispatch: (event: DomEvent) => void,
  ) {
    this.#url = url;
    this.#offered = protocols;
    this.#dispatch = dispatch;
    this.#reconnects = Boolean(options.reconnect);
    this.#maxBuffered = maxBufferedOf(options);
    this.#port = this.#dial(options);
    this.#flow = new FlowGate(this.#port);
    this.#events = new EventQueue(this.#flow, ({ data, bytes, from, member }) => {
      this.#deliver(data, bytes, from, member);
    });
    this.#sending = new SendQueue(this.#port, {
      failed: error => {
        this.#fail(error);
      },
      fell: () => {
        this.#drain.check();
      },
    });
    this.#streams = this.#createStreams();
  }

  get readyState(): ReadyState {
    return this.#readyState;
  }

  get bufferedAmount(): number {
    return this.#sending.bufferedAmount;
  }

  /** What is known of the two ends so far: texts are '' until they are. */
  get known(): Known {
    return this.#known;
  }

  get drained(): Promise<void> {
    return this.#drain.promise;
  }

  /** The space that the socket is, or was, open in. */
  get space(): SpaceView | undefined {
    return this.#space;
  }

  get members(): readonly SpaceMember[] {
    return this.#hasEnded ? [] : (this.#space?.members ?? []);
  }

  /**
   * Asks the relay who is there.
   * Rejects with a DOMException `InvalidStateError` unless the socket is open in a space, and with a SecureWebSocketError.
   */
  async refreshMembers(): Promise<readonly SpaceMember[]> {
    const space = this.#space;
    if (this.#readyState !== OPEN || !space) {
      throw domException('InvalidStateError', 'refreshMembers() is for sockets that are open in a space.');
    }
    await space.refresh();
    return this.members;
  }

  get readable(): DomReadableStream<StreamedMessage> {
    return this.#streams.readable;
  }

  get writable(): DomWritableStream<SendableData> {
    return this.#streams.writable;
  }

  /**
   * Sends a message, or drops it once the socket is closing.
   * @throws DOMException `InvalidStateError` before `open`; SecureWebSocketError `BUFFER_FULL`
   */
  send(message: OutgoingMessage): void {
    if (this.#readyState === CONNECTING) {
      throw domException(
        'InvalidStateError',
        'send() was called before the connection was open: wait for "open".',
      );
    }
    if (this.#readyState !== OPEN) {
      this.#sending.discard(message);
      return;
    }
    if (this.#suspensions > 0 && this.bufferedAmount + message.length > this.#maxBuffered) {
      const limit = `${this.#maxBuffered} bytes ("maxBuffered")`;
      const excess = `${this.bufferedAmount} wait, and this message has ${message.length}`;
      throw new SecureWebSocketError(
        'BUFFER_FULL',
        `The peer cannot be reached, and no more than ${limit} may wait for it: ${excess}. Wait for "drained".`,
      );
    }
    this.#sending.send(message);
  }

  /**
   * Closes behind what was given to `send`, or gives up the attempt to connect.
   * @throws DOMException `InvalidAccessError` for the code, `SyntaxError` for the reason
   */
  close(code?: number, reason?: string): void {
    checkClose(code, reason);
    if (this.#readyState === CONNECTING) {
      this.#readyState = CLOSING;
      this.#fail(new SecureWebSocketError('ABORTED', 'close() was called before the connection was open.'));
    } else if (this.#readyState === OPEN) {
      this.#readyState = CLOSING;
      // What comes now is not delivered any more, and the CLOSE of the peer is behind it.
      this.#streams.stopReceiving();
      this.#sending.close(code, code === undefined ? undefined : reason);
    }
  }

  get #isReachable(): boolean {
    return this.#readyState !== CONNECTING && this.#suspensions === 0 && !this.#hasEnded;
  }

  #createStreams(): SocketStreams<SendableData> {
    const socket = {
      isOpen: () => this.#readyState === OPEN,
      drained: () => this.drained,
      send: (data: SendableData) => {
        this.send(toOutgoingMessage(data));
      },
      close: (code?: number, reason?: string) => {
        this.close(code, reason);
      },
    };
    return new SocketStreams(socket, this.#flow);
  }

  #dial(options: ClientSecureWebSocketOptions): ChannelPort {
    const { dialled } = this.#url;
    try {
      if (typeof dialled !== 'function') parseLocation(dialled, options.direct);
    } catch (error) {
      if (!(error instanceof SecureWebSocketError)) throw error;
      throw domException('SyntaxError', error.message, error);
    }
    return dialChannel(dialled, this.#offered, options, this.#createListener());
  }

  #createListener(): ChannelListener {
    return {
      registered: ({ publicKey, serverPublicKey }) => {
        this.#known = { ...this.#known, publicKey, serverPublicKey };
      },
      opened: information => {
        if (!this.#checkProtocol(information)) return;
        this.#events.push(() => {
          this.#open(information);
        });
      },
      message: (data, isText, from, member) => {
        this.#receive(data, isText, from, member);
      },
      space: event => {
        this.#events.push(() => {
          if (this.#readyState === OPEN) this.#dispatch(createSpaceEvent(event));
        });
      },
      serverEvent: event => {
        this.#receiveEvent(event);
      },
      // RFC 6455 section 5.5.2; a page sees neither pings nor pongs.
      ping: data => {
        this.#port.pong(data);
      },
      closing: () => {
        this.#events.push(() => {
          if (this.#readyState === OPEN) this.#readyState = CLOSING;
        });
      },
      sent: bytes => {
        this.#sending.sent(bytes);
      },
      suspended: () => {
        this.#suspensions++;
      },
      reconnecting: attempt => {
        this.#events.push(() => {
          if (this.#failure === undefined) this.#dispatch(createReconnectingEvent(attempt));
        });
      },
      throttled: throttling => {
        this.#events.push(() => {
          if (this.#failure === undefined) this.#dispatch(createThrottledEvent(throttling));
        });
      },
      resumed: resumption => {
        this.#resume(resumption);
      },
      closed: end => {
        this.#end(end);
      },
    };
  }

  /** "Establish a WebSocket connection" (WebSockets Standard section 2): one of what was offered must be chosen. */
  #checkProtocol({ protocol }: ChannelInformation): boolean {
    if (this.#offered.length === 0 ? protocol === '' : this.#offered.includes(protocol)) return true;
    const chosen = protocol === '' ? 'none' : `'${protocol}'`;
    const message = `The peer must choose one of the subprotocols [${this.#offered.join(', ')}] but chose ${chosen}.`;
    this.#fail(new SecureWebSocketError('PROTOCOL_NOT_OFFERED', message));
    return false;
  }

  /** "When the WebSocket connection is established" (WebSockets Standard section 4). */
  #open(information: ChannelInformation): void {
    if (this.#readyState !== CONNECTING) return;
    this.#readyState = OPEN;
    this.#known = information;
    this.#space = this.#port.space;
    this.#drain.check();
    this.#dispatch(createEvent('open'));
  }

  #resume(resumption: Resumption): void {
    const { resumed, unacknowledged } = resumption;
    if (!resumed) {
      this.#sending.replaced();
      if (!this.#checkProtocol(resumption)) {
        this.#untold = unacknowledged;
        return;
      }
    }
    this.#events.push(() => {
      this.#suspensions--;
      if (!resumed) this.#known = resumption;
      // Who waits to send more gets to know what was lost first: promises are served after this.
      this.#drain.check();
      const details = { resumed, unacknowledged: unacknowledged.map(toUnacknowledgedData) };
      this.#dispatch(createReconnectedEvent(details));
    });
  }

  /** Text is checked before anything behind it is taken: what comes after bytes that are not UTF-8 is not delivered. */
  #receive(data: Uint8Array, isText: boolean, from?: string, member?: string): void {
    if (this.#failure !== undefined) return;
    const message = isText ? fromUtf8(data) : data;
    if (message === undefined) {
      this.#fail(new SecureWebSocketError('INVALID_UTF8', 'The peer sent a text message that is not UTF-8.'));
      return;
    }
    this.#events.pushMessage(message, isText, data.length, from, member);
  }

  /** A service at the relay speaks, which is somebody else than the peer: it may do so before `open`. */
  #receiveEvent({ data, isText, space, taken }: ServerEvent): void {
    this.#events.push(() => {
      taken();
      if (this.#readyState > OPEN || this.#failure !== undefined) return;
      const content = isText ? fromUtf8(data) : this.#toBinary(data);
      if (content !== undefined) this.#dispatch(createServerEvent(content, space));
    });
  }

  /** "When a WebSocket message has been received" (WebSockets Standard section 4). */
  #deliver(message: StreamedMessage, bytes: number, from = '', member = ''): void {
    if (this.#readyState !== OPEN) return;
    if (this.#streams.isReceiving) {
      this.#streams.receive(message, bytes);
      return;
    }
    const data = typeof message === 'string' ? message : this.#toBinary(message);
    this.#dispatch(createMessageEvent({ data, origin: this.#url.origin }, from, member));
  }

  /** A Blob, or an ArrayBuffer that holds the message and nothing else. */
  #toBinary(message: Uint8Array): unknown {
    const exact = toArrayBuffer(message);
    return this.binaryType === 'blob' && typeof Blob === 'function' ? new Blob([exact]) : exact;
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
    this.#hasEnded = true;
    this.#sending.abandon();
    const error = this.#failure ?? (end.wasClean ? undefined : (end.error ?? connectionLost()));
    const init = this.#closeInit(end, error);
    if (error !== undefined) {
      this.#events.push(() => {
        this.#close(error);
        this.#dispatch(createErrorEvent(error));
      });
    }
    this.#events.push(() => {
      this.#close(error);
      const lost = [...this.#untold, ...end.unacknowledged, ...this.#sending.takeUnsent()];
      const unacknowledged = (error === undefined ? end.unacknowledged : lost).map(toUnacknowledgedData);
      this.#dispatch(createCloseEvent(init, unacknowledged));
    });
  }

  #close(error: SecureWebSocketError | undefined): void {
    this.#readyState = CLOSED;
    this.#drain.end(error ?? notOpen());
    this.#streams.end(error);
  }

  #closeInit(end: ChannelEnd, error: SecureWebSocketError | undefined): CloseEventInit {
    const { code, reason } = this.#failure === undefined ? end : { code: 1006, reason: '' };
    if (error === undefined) return { code, reason, wasClean: true };
    // A browser tells no page why. A socket that has tried again and again may say what was in its way.
    const why = this.#reconnects && reason === '' ? cutCloseReason(error.message) : reason;
    return { code, reason: why, wasClean: false };
  }
}
