import { SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import type { IncomingChannel, ReconnectAttempt, Throttling } from '../link/channel-port.js';
import type { DialOptions } from '../link/dial.js';
import { resolveIdentity } from '../link/identities.js';
import { listenAtRelay } from '../link/listen.js';
import type { Reconnect } from '../link/reconnect-policy.js';
import type { Resumption } from '../link/resumption.js';
import { createDeferred, type Deferred } from './deferred.js';
import { EventEmitter } from './event-emitter.js';
import { relayedRequest, type RelayedRequest } from './relayed-request.js';
import { createResumption, type ResumptionOptions } from './resumption-options.js';
import { checkCompression, relayUrl, selectProtocol, type HandleProtocols } from './server-options.js';
import { ServerSecureWebSocket, type ServerSocketOptions } from './server-secure-web-socket.js';
import { callGuarded, reportUncaught } from './tasks.js';
import { verifyClient, type VerifyClient } from './verify-client.js';

/** The default of `pingInterval`, milliseconds. */
const PING_INTERVAL = 30_000;

/** Options that do not depend on where the server listens. */
export interface CommonServerOptions<Request>
  extends ResumptionOptions, Pick<DialOptions, 'keyStore' | 'userId' | 'deviceId' | 'maxPayload'> {
  /** Who we are. Default: the identity kept in `keyStore`. */
  identity?: Identity | Promise<Identity> | undefined;
  /** The only path that is accepted, without query: '/chat'. Default: any. */
  path?: string | undefined;
  /**
   * Chooses one of the subprotocols that a client offers, or false for none. Default: the first.
   * What the library itself puts into `Sec-WebSocket-Protocol` is not among them.
   */
  handleProtocols?: HandleProtocols<Request>;
  /** Says who may connect. In direct use at the HTTP upgrade, before the key of the client is known, as in `ws`. */
  verifyClient?: VerifyClient<Request> | undefined;
  /** Keep `clients`. Default: true. */
  clientTracking?: boolean | undefined;
  /** Answer pings. Default: true. */
  autoPong?: boolean | undefined;
  /**
   * Whether `message` and other events may be emitted several times in one task, one right after the other, when the
   * messages have come together; promises that a listener settles are served only behind the last of them then. False:
   * each has a task of its own, as the WebSockets Standard asks and as `ClientSecureWebSocket` does; slower. As in `ws`.
   * Default: true.
   */
  allowSynchronousEvents?: boolean | undefined;
  /**
   * Milliseconds between the pings that find out clients that are gone without a word; one that leaves a ping
   * unanswered until the next is terminated. The application does not see them. 0: never. Default: 30 000.
   */
  pingInterval?: number | undefined;
  /** Compression before encryption gives away what is inside: anything but false is refused. */
  perMessageDeflate?: false | undefined;
}

/** Options of a server that listens at its key behind a relay. */
export interface SecureWebSocketServerOptions<Request = RelayedRequest>
  extends
    CommonServerOptions<Request>,
    Pick<DialOptions, 'serverKey' | 'trustStore' | 'token' | 'WebSocket' | 'headers' | 'tls'> {
  /** The relay to listen at: 'wss://relay.example'. */
  relay: string | { readonly href: string };
  /**
   * Whether the relay is dialled again when it was lost, and how attempts follow each other: `reconnecting` and
   * `reconnected` tell. False: the server is closed then, with `error`. Default: true.
   */
  reconnect?: Reconnect | undefined;
  /** Connections of one peer (one public key's tab or process); its further ones are refused with 503. Default: 1,024. */
  maxChannelsPerPeer?: number | undefined;
  /** Peers at a time; others are not answered until one has gone. Default: 65,536. */
  maxPeers?: number | undefined;
}

/** The part of Node's `stream.Duplex` that `wsClientError` is about. */
export interface UpgradeSocket {
  readonly writable: boolean;
  write(data: string | Uint8Array): boolean;
  end(data?: string | Uint8Array): unknown;
  destroy(error?: Error): unknown;
}

/** The events of a server, as in `ws`, and one more. */
export interface ServerEvents<Socket, Request> {
  listening: [];
  connection: [socket: Socket, request: Request];
  /** Behind a relay: it was lost, or could not be reached again, and another attempt will be made. */
  reconnecting: [attempt: ReconnectAttempt];
  /** Behind a relay: peers can dial again. */
  reconnected: [];
  /** Behind a relay: it holds back what is sent to it, as that is more than it takes per second. Told once for each limit. */
  throttled: [throttling: Throttling];
  /** Every client is gone, after `close()` or after the relay was lost. */
  close: [];
  error: [error: Error];
  /** Node, direct use: the headers of the answer to an HTTP upgrade may be inspected and added to. */
  headers: [headers: string[], request: Request];
  /** Node, direct use: an HTTP upgrade that is none. Who listens has to answer it and to close the socket. */
  wsClientError: [error: Error, socket: UpgradeSocket, request: Request];
  /** Node, direct use: a client whose key was not proven, or who opened no channel; its connection is closed. */
  secureClientError: [error: Error, request: Request];
}

const RUNNING = 0;
const CLOSING = 1;
const CLOSED = 2;

/**
 * Accepts channels at a public key behind a relay, with the shape of `WebSocketServer` of `ws`; in Node and in browsers.
 * The class of the same name in 'secure-websocket/server' extends this one with what only Node can: `port`, `server`
 * and `noServer`.
 *
 * A server that cannot start says so loudly: `error`, else a rejected `ready`. Later errors are `error` events only.
 */
export class SecureWebSocketServer<
  Socket extends ServerSecureWebSocket = ServerSecureWebSocket,
  Request = RelayedRequest,
> extends EventEmitter<ServerEvents<Socket, Request>> {
  /** As given. `handleProtocols`, `verifyClient`, `path` and `autoPong` may be changed later: libraries do. */
  readonly options: CommonServerOptions<Request> & { readonly relay?: unknown };
  /** The sockets that are not closed; undefined with `clientTracking: false`. */
  readonly clients: Set<Socket>;
  /** Resolves to the identity. Rejections are told by `startupFailed`. */
  protected readonly identity: Promise<Identity>;
  /** Keeps the channels of clients that are away. */
  protected readonly resumption: Resumption | undefined;

  readonly #sockets = new Set<Socket>();
  readonly #ready: Deferred;
  readonly #relay: { close(): void; readonly location: string } | undefined;
  #state: typeof RUNNING | typeof CLOSING | typeof CLOSED = RUNNING;
  #started = false;
  /** Whether `ready` is settled. */
  #settled = false;
  #stopped = false;
  #publicKey: string | undefined;
  #serverPublicKey: string | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param callback A listener for `listening`.
   * @throws TypeError when an option cannot be what it is.
   */
  constructor(options: SecureWebSocketServerOptions<Request>, callback?: () => void) {
    super();
    const given: unknown = options;
    if (typeof given !== 'object' || given === null) throw new TypeError('Options must be given');
    new.target.checkOptions(options);
    this.resumption = createResumption(options);
    this.options = { ...options };
    this.clients = options.clientTracking === false ? (undefined as never) : new Set();
    this.#ready = createDeferred();
    this.identity = resolveIdentity(options, 'server');
    if (callback !== undefined) this.once('listening', callback);
    // Absent in the subclass.
    const { relay } = options as Partial<typeof options>;
    if (relay !== undefined) this.#relay = this.#listenAtRelay(relayUrl(relay), options);
    this.identity.then(
      identity => {
        this.#publicKey = identity.publicKey;
      },
      (error: unknown) => {
        if (this.#relay === undefined) this.failed(toError(error));
      },
    );
  }

  /** Our address: 64 lowercase hex characters. Undefined until the identity is loaded; `ready` waits for it. */
  get publicKey(): string | undefined {
    return this.#publicKey;
  }

  /** The address of the relay, while one is used and once it is known. */
  get serverPublicKey(): string | undefined {
    return this.#serverPublicKey;
  }

  /** Where clients dial: 'wss://relay.example/<hex>'. Undefined while not listening. */
  get url(): string | undefined {
    return this.#started && this.#state === RUNNING ? this.#relay?.location : undefined;
  }

  /**
   * Resolves when the server can be dialled: `publicKey` and `url` are known then. Rejects when it cannot start, or was
   * closed before.
   */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** The `url`, or null: what `ws` gives for a server that does not listen at an IP address. */
  address(): unknown {
    return this.url ?? null;
  }

  /** Whether `request` is one for this server: its path is that of the options. May be overridden. */
  shouldHandle(request: Request): boolean {
    const { path } = this.options;
    if (!path) return true;
    const { url = '' } = request as { url?: string };
    const query = url.indexOf('?');
    return (query === -1 ? url : url.slice(0, query)) === path;
  }

  /**
   * Stops listening. Sockets stay open; when the last is closed `close` is emitted, and `callback` called: with an
   * error when the server was closed already.
   */
  close(callback?: (error?: Error) => void): void {
    if (this.#state === CLOSED) {
      if (callback) {
        this.once('close', () => {
          callback(new Error('The server is not running'));
        });
      }
      queueMicrotask(() => this.emit('close'));
      return;
    }
    if (callback) {
      this.once('close', () => {
        callback();
      });
    }
    if (this.#state === CLOSING) return;
    this.#state = CLOSING;
    this.#abortStart();
    // Nobody who is away could come back.
    this.resumption?.close();
    this.stop(() => {
      this.#stopped = true;
      this.#finishClose();
    });
  }

  /** Throws unless a server of this class can be made with these options. */
  protected static checkOptions(options: { relay?: unknown; perMessageDeflate?: unknown }): void {
    if (options.relay === undefined) {
      throw new TypeError(
        'The option "relay" must be given; a server that listens itself (port, server, noServer) is in secure-websocket/server',
      );
    }
    checkCompression(options.perMessageDeflate);
  }

  /** Makes the socket of a channel that is accepted. */
  protected createSocket(incoming: IncomingChannel, protocol: string, options: ServerSocketOptions): Socket {
    return new ServerSecureWebSocket(incoming, protocol, options) as Socket;
  }

  /** Stops listening; calls `done`, never at once, when that is over. */
  protected stop(done: () => void): void {
    this.#relay?.close();
    queueMicrotask(done);
  }

  protected get isRunning(): boolean {
    return this.#state === RUNNING;
  }

  /** The server can be dialled. `listening` is not told where `ws` does not tell it. */
  protected started(tell = true): void {
    if (this.#settled || this.#state !== RUNNING) return;
    this.#settled = true;
    this.#started = true;
    this.#ready.resolve();
    if (tell) callGuarded(() => this.emit('listening'));
  }

  /** The server cannot start; or, once it has, something went wrong. */
  protected failed(error: Error): void {
    const heard = this.listenerCount('error') > 0;
    if (!this.#settled) {
      this.#settled = true;
      // Without a listener an unhandled rejection remains: a server that never listens must not go unnoticed.
      if (heard) this.#ready.promise.catch(() => undefined);
      this.#ready.reject(error);
    }
    callGuarded(() => this.emit('error', error));
  }

  /** What a function of the application threw while it was asked: to `error`, else an uncaught exception, as in `ws`. */
  protected hookFailed(error: unknown): void {
    if (this.listenerCount('error') > 0) callGuarded(() => this.emit('error', toError(error)));
    else reportUncaught(error);
  }

  /** Accepts a channel that may be accepted. Undefined when it was refused after all. */
  protected admit(incoming: IncomingChannel, request: Request): Socket | undefined {
    if (this.#state !== RUNNING) {
      incoming.refuse(503, 'Service Unavailable');
      return undefined;
    }
    let protocol: string;
    try {
      protocol = selectProtocol(incoming.protocols, this.options.handleProtocols, request);
    } catch (error) {
      incoming.refuse(500, 'Internal Server Error');
      this.hookFailed(error);
      return undefined;
    }
    const socket: Socket = this.createSocket(incoming, protocol, {
      autoPong: this.options.autoPong,
      allowSynchronousEvents: this.options.allowSynchronousEvents,
      onClosed: () => {
        this.#forget(socket);
      },
    });
    this.#sockets.add(socket);
    (this.clients as Set<Socket> | undefined)?.add(socket);
    this.#startPinging();
    return socket;
  }

  /** Tells the application of a new socket. */
  protected announce(socket: Socket, request: Request): void {
    callGuarded(() => this.emit('connection', socket, request));
  }

  #listenAtRelay(
    relay: URL,
    options: SecureWebSocketServerOptions<Request>,
  ): { close(): void; readonly location: string } {
    const { serverKey, trustStore, token, WebSocket, headers, tls } = options;
    const { userId, deviceId, maxPayload, maxChannelsPerPeer, maxPeers, reconnect = true } = options;
    const { resumption } = this;
    return listenAtRelay(
      relay,
      {
        identity: this.identity,
        serverKey,
        trustStore,
        token,
        WebSocket,
        headers,
        tls,
        userId,
        deviceId,
        maxPayload,
        maxChannelsPerPeer: checkLimit('maxChannelsPerPeer', maxChannelsPerPeer),
        maxPeers: checkLimit('maxPeers', maxPeers),
        reconnect,
        resumption,
      },
      {
        listening: ({ publicKey, serverPublicKey }) => {
          this.#publicKey = publicKey;
          this.#serverPublicKey = serverPublicKey;
          if (this.#started) callGuarded(() => this.emit('reconnected'));
          else this.started();
        },
        reconnecting: attempt => {
          callGuarded(() => this.emit('reconnecting', attempt));
        },
        throttled: throttling => {
          callGuarded(() => this.emit('throttled', throttling));
        },
        channel: incoming => {
          // The subclass names the type of requests, and this one is always among them.
          this.#verify(incoming, relayedRequest(incoming, relay.host) as Request);
        },
        closed: error => {
          this.#relayLost(error);
        },
      },
    );
  }

  #verify(incoming: IncomingChannel, request: Request): void {
    const verify = this.options.verifyClient;
    if (!this.shouldHandle(request)) {
      incoming.refuse(400, 'Bad Request');
      return;
    }
    if (!verify) {
      this.#connect(incoming, request);
      return;
    }
    verifyClient(
      verify,
      { origin: incoming.origin, secure: true, req: request },
      (verified, code = 401, message = 'Unauthorized') => {
        if (verified) this.#connect(incoming, request);
        else incoming.refuse(code, message);
      },
      error => {
        incoming.refuse(500, 'Internal Server Error');
        this.hookFailed(error);
      },
    );
  }

  #connect(incoming: IncomingChannel, request: Request): void {
    const socket = this.admit(incoming, request);
    if (socket !== undefined) this.announce(socket, request);
  }

  #relayLost(error: SecureWebSocketError | undefined): void {
    if (error !== undefined && this.#state === RUNNING) this.failed(error);
    if (this.#state === RUNNING) this.#state = CLOSING;
    this.#abortStart();
    // Nobody who is away could come back.
    this.resumption?.close();
    this.#stopped = true;
    this.#finishClose();
  }

  /** `ready` will not come. Whoever closed the server knows. */
  #abortStart(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#ready.promise.catch(() => undefined);
    this.#ready.reject(new SecureWebSocketError('ABORTED', 'The server was closed before it listened.'));
  }

  #forget(socket: Socket): void {
    this.#sockets.delete(socket);
    (this.clients as Set<Socket> | undefined)?.delete(socket);
    if (this.#sockets.size > 0) return;
    clearInterval(this.#pingTimer);
    this.#pingTimer = undefined;
    // After the `close` event of the socket itself.
    queueMicrotask(() => {
      this.#finishClose();
    });
  }

  #finishClose(): void {
    if (!this.#stopped || this.#state === CLOSED || this.#sockets.size > 0) return;
    this.#state = CLOSED;
    callGuarded(() => this.emit('close'));
  }

  #startPinging(): void {
    const { pingInterval = PING_INTERVAL } = this.options;
    if (this.#pingTimer !== undefined || pingInterval <= 0) return;
    this.#pingTimer = setInterval(() => {
      for (const socket of this.#sockets) socket.checkAlive();
    }, pingInterval);
    // In Node the timer alone must not keep the process; elsewhere it is a number.
    (this.#pingTimer as { unref?: () => void }).unref?.();
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** @throws TypeError unless the option is an integer of at least 1, or undefined */
function checkLimit(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return value;
  throw new TypeError(`The option "${name}" is an integer of at least 1, not ${String(value)}.`);
}
