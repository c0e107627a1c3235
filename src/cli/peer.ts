import { isUtf8 } from 'node:buffer';
import { fromUtf8, utf8 } from '../core/bytes.js';
import { SecureWebSocketError } from '../core/errors.js';
import type {
  ChannelInformation,
  ChannelPort,
  ReconnectAttempt,
  SpaceEvent,
  SpaceView,
} from '../link/channel-port.js';
import { dialChannel, type DialOptions } from '../link/dial.js';
import type { ServerSecureWebSocket } from '../socket/node-server-secure-web-socket.js';

/**
 * A ping with this payload says that the input of the sender has ended, behind all that it has sent. To programs other
 * than this one it is a ping like any other, which they answer and forget.
 */
const END_OF_INPUT = 'secure-websocket end of input';

/** How the connection with a peer ended. */
export interface PeerEnd {
  /** RFC 6455 section 7.4. */
  readonly code: number;
  readonly reason: string;
  /** Why, when it failed. */
  readonly error: Error | undefined;
  /** Messages that the peer may or may not have got. None after an end in order. */
  readonly unacknowledged?: readonly { readonly data: Uint8Array }[];
}

export interface PeerListener {
  /** `from`: in a space, the public key of the member that has sent it. */
  message(data: Uint8Array, isText: boolean, from?: string): void;
  /** The peer will send nothing more, and waits for us to end, too. */
  inputEnded(): void;
  /** Something that waited has been handed to the network. */
  progress(): void;
  /** The peer cannot be reached because of `error`. It stays open, and keeps what is sent. */
  suspended(error: Error): void;
  /**
   * After `suspended`. `isNew`: the peer had ended the connection for the time being, and another has taken its place;
   * else it goes on where it stopped.
   */
  resumed(isNew: boolean): void;
  /** Called once, and nothing after it. */
  closed(end: PeerEnd): void;
}

/** The other end of one open connection, dialled or accepted. Every method is safe to call in every state. */
export interface Peer {
  /** 64 lowercase hex characters. */
  readonly publicKey: string;
  /** False from the first word of its end on, ours or theirs: what is given to `send` then will not leave. */
  readonly isOpen: boolean;
  /** Bytes given to `send` and not handed to the network, also those that never will be. */
  readonly bufferedAmount: number;
  /** To be called once: what has happened so far, and all that follows, is told to `listener`. */
  start(listener: PeerListener): void;
  send(data: Uint8Array, isText: boolean): void;
  /** Tells the peer that nothing more will be sent. */
  endInput(): void;
  close(code: number, reason?: string): void;
  terminate(): void;
  /** No more messages until `resume`; some may still come. */
  pause(): void;
  resume(): void;
}

/** What is told of a connection that is to outlive its links, also before it is there. */
export interface DialReport {
  /** It was lost, or could not be made, and another attempt will be made. */
  reconnecting(attempt: ReconnectAttempt): void;
  /** It goes on. See `PeerListener.resumed`. */
  resumed(isNew: boolean): void;
  /** Something has happened in the space, if it is one. */
  space(event: SpaceEvent): void;
}

export interface DialPeerOptions extends DialOptions {
  readonly protocols: readonly string[];
  /** What is sent and received is one whole, which must not begin in its middle at another peer. */
  readonly isStream: boolean;
}

/** A connection that we have opened. */
export interface Dialled {
  readonly peer: Peer;
  readonly information: Omit<ChannelInformation, 'handshakeHash'>;
  /** The space that it is in, if that is what was dialled. */
  readonly space: SpaceView | undefined;
}

/**
 * Dials `url`. On the channel itself rather than through ClientSecureWebSocket, whose standard interface has no way to
 * slow a peer down.
 *
 * @throws SecureWebSocketError (as a rejection) why there is no connection
 */
export async function dialPeer(
  url: URL,
  { protocols, isStream, ...options }: DialPeerOptions,
  report: DialReport,
  abort: AbortSignal,
): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    let peer: DialledPeer | undefined;
    const port = dialChannel(url, protocols, options, {
      opened: information => {
        if (protocols.length > 0 && information.protocol === '') {
          const message = `The peer chose none of the subprotocols that were offered (${protocols.join(', ')}).`;
          port.terminate(new SecureWebSocketError('PROTOCOL_NOT_OFFERED', message));
          return;
        }
        peer = new DialledPeer(port, information.peerPublicKey, isStream);
        resolve({ peer, information, space: port.space });
      },
      message: (data, isText, from) => peer?.received(data, isText, from),
      space: event => {
        report.space(event);
      },
      ping: data => {
        port.pong(data);
        if (isEndOfInput(data)) peer?.inputEnded();
      },
      closing: () => peer?.closing(),
      sent: () => peer?.progress(),
      suspended: ({ error }) => peer?.suspended(error),
      reconnecting: attempt => {
        report.reconnecting(attempt);
      },
      resumed: ({ resumed }) => {
        report.resumed(!resumed);
        peer?.resumed(!resumed);
      },
      closed: ({ code, reason, error, unacknowledged }) => {
        const lost = new SecureWebSocketError('LINK_LOST', 'The connection was lost.');
        if (peer) peer.closed({ code, reason, error, unacknowledged });
        else reject(error ?? lost);
      },
    });
    // No message before somebody listens.
    port.pause();
    abort.addEventListener('abort', () => {
      port.terminate();
    });
  });
}

class DialledPeer implements Peer {
  readonly #port: ChannelPort;
  readonly #isStream: boolean;
  #listener: PeerListener | undefined;
  #isOpen = true;
  /** Whether a message was sent or received. */
  #isUsed = false;
  #hasEndedInput = false;
  #hasInputEnded = false;
  #away: Error | undefined;
  #end: PeerEnd | undefined;
  #unsent = 0;

  constructor(
    port: ChannelPort,
    readonly publicKey: string,
    isStream: boolean,
  ) {
    this.#port = port;
    this.#isStream = isStream;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get bufferedAmount(): number {
    return this.#port.bufferedAmount + this.#unsent;
  }

  start(listener: PeerListener): void {
    this.#listener = listener;
    if (this.#hasInputEnded) listener.inputEnded();
    if (this.#away) listener.suspended(this.#away);
    if (this.#end) listener.closed(this.#end);
    else this.#port.resume();
  }

  send(data: Uint8Array, isText: boolean): void {
    this.#isUsed = true;
    if (this.#isOpen) this.#port.send(data, isText);
    else this.#unsent += data.length;
  }

  endInput(): void {
    this.#hasEndedInput = true;
    this.#port.ping(utf8(END_OF_INPUT));
  }

  close(code: number, reason?: string): void {
    this.#isOpen = false;
    this.#port.close(code, reason);
  }

  terminate(): void {
    this.#isOpen = false;
    this.#port.terminate();
  }

  pause(): void {
    this.#port.pause();
  }

  resume(): void {
    this.#port.resume();
  }

  // What the channel tells

  received(data: Uint8Array, isText: boolean, from?: string): void {
    this.#isUsed = true;
    if (isText && !isUtf8(data)) {
      const message = 'The peer sent a text message that is not UTF-8.';
      this.#isOpen = false;
      this.#port.terminate(new SecureWebSocketError('INVALID_UTF8', message));
    } else {
      this.#listener?.message(data, isText, from);
    }
  }

  inputEnded(): void {
    this.#hasInputEnded = true;
    this.#listener?.inputEnded();
  }

  progress(): void {
    this.#listener?.progress();
  }

  closing(): void {
    this.#isOpen = false;
    this.#listener?.progress();
  }

  suspended(error: Error): void {
    this.#away = error;
    this.#listener?.suspended(error);
  }

  resumed(isNew: boolean): void {
    this.#away = undefined;
    if (isNew && this.#isStream && this.#isUsed) {
      const message =
        'The other side ended the connection, and a new one would begin in the middle of the data.';
      this.#isOpen = false;
      this.#port.terminate(new SecureWebSocketError('CHANNEL_LOST', message));
      return;
    }
    if (isNew) this.#hasInputEnded = false;
    this.#listener?.resumed(isNew);
    // Whoever is there now was not told; behind what waited for the new connection, which gets it after this call.
    if (isNew && this.#hasEndedInput) {
      queueMicrotask(() => {
        this.#port.ping(utf8(END_OF_INPUT));
      });
    }
  }

  closed(end: PeerEnd): void {
    this.#isOpen = false;
    this.#end = end;
    this.#listener?.closed(end);
  }
}

/** A connection that a server of ours has accepted. To be called, and started, in its `connection` handler. */
export function acceptedPeer(socket: ServerSecureWebSocket): Peer {
  return new AcceptedPeer(socket);
}

class AcceptedPeer implements Peer {
  readonly #socket: ServerSecureWebSocket;
  #listener: PeerListener | undefined;

  constructor(socket: ServerSecureWebSocket) {
    this.#socket = socket;
  }

  get publicKey(): string {
    return this.#socket.peerPublicKey;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  start(listener: PeerListener): void {
    this.#listener = listener;
    const socket = this.#socket;
    // `close` follows, and `failure` keeps the reason.
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => {
      // A Buffer: `binaryType` is the default.
      listener.message(data as Uint8Array, !isBinary);
    });
    socket.on('ping', data => {
      if (isEndOfInput(data)) listener.inputEnded();
    });
    socket.on('suspended', error => {
      listener.suspended(error);
    });
    socket.on('resumed', () => {
      listener.resumed(false);
    });
    socket.on('close', (code, bytes) => {
      const { failure: error, unacknowledged } = socket;
      listener.closed({ code, reason: fromUtf8(bytes) ?? '', error, unacknowledged });
    });
  }

  send(data: Uint8Array, isText: boolean): void {
    this.#socket.send(data, { binary: !isText }, () => this.#listener?.progress());
  }

  endInput(): void {
    this.#socket.ping(END_OF_INPUT);
  }

  close(code: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

function isEndOfInput(payload: Uint8Array): boolean {
  return fromUtf8(payload) === END_OF_INPUT;
}
