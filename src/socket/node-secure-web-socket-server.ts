import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket as WsWebSocket } from 'ws';
import { DEFAULT_MAX_FRAME } from '../core/constants.js';
import type { Identity } from '../core/identity.js';
import type { IncomingChannel } from '../link/channel-port.js';
import type { DialOptions } from '../link/dial.js';
import type { Reconnect } from '../link/reconnect-policy.js';
import { refuseUpgrade } from '../websocket/refuse-upgrade.js';
import {
  acceptChannel,
  ServerSecureWebSocket,
  type ChannelAcceptOptions,
} from './node-server-secure-web-socket.js';
import { Places, MAX_UNREGISTERED, MAX_UNREGISTERED_PER_IP, TOO_MANY_UNREGISTERED } from '../link/places.js';
import type { RelayedRequest } from './relayed-request.js';
import {
  SecureWebSocketServer as NeutralSecureWebSocketServer,
  type CommonServerOptions,
  type SecureWebSocketServerOptions as RelayServerOptions,
} from './secure-web-socket-server.js';
import { checkCompression } from './server-options.js';
import type { ServerSocketOptions } from './server-secure-web-socket.js';
import { callGuarded } from './tasks.js';
import { verifyClient } from './verify-client.js';

/** A frame may come in so many WebSocket fragments: each costs far more than its bytes. */
const MAX_FRAGMENTS = 256;
/** The same of network chunks: they are to have so many bytes on the average, far less than a packet of TCP has. */
const MIN_CHUNK = 64;

/** The request of a client: the HTTP request of its upgrade, or what stands for it behind a relay. */
export type ServerRequest = IncomingMessage | RelayedRequest;

/** Options of a server in Node. Exactly one of `port`, `server`, `noServer` and `relay` must be given. */
export interface SecureWebSocketServerOptions
  extends
    CommonServerOptions<ServerRequest>,
    Pick<ChannelAcceptOptions, 'addresses' | 'registrationTimeout' | 'maxFrame'>,
    Pick<DialOptions, 'serverKey' | 'trustStore' | 'token' | 'WebSocket' | 'headers' | 'tls'> {
  /** Listen at this TCP port; 0: any that is free. */
  port?: number | undefined;
  /** The host name or IP address to listen at, with `port`. Default: all. */
  host?: string | undefined;
  /** Length of the queue of connections that are not accepted yet, with `port`. */
  backlog?: number | undefined;
  /** Take the upgrades of an HTTP or HTTPS server of the application. */
  server?: HttpServer | HttpsServer | undefined;
  /** Take only what is given to `handleUpgrade`. */
  noServer?: boolean | undefined;
  /** Listen at our own key behind this relay: 'wss://relay.example'. */
  relay?: RelayServerOptions['relay'] | undefined;
  /** With `relay`: connections of one peer; its further ones are refused with 503. Default: 1,024. */
  maxChannelsPerPeer?: number | undefined;
  /** With `relay`: peers at a time; others are not answered until one has gone. Default: 65,536. */
  maxPeers?: number | undefined;
  /** With `relay`: whether it is dialled again when it was lost, and how attempts follow each other. Default: true. */
  reconnect?: Reconnect | undefined;
  /** Most connections whose client has not proven its key. Default: 1000. Above it upgrades are answered with 503. */
  maxUnregistered?: number | undefined;
  /** The same from one IP address. Default: 64. Above it upgrades are answered with 429. */
  maxUnregisteredPerIp?: number | undefined;
  /**
   * The IP address that a request really comes from, when a proxy tells it in a header: for `maxUnregisteredPerIp`.
   * Undefined: not known, counted in all only. Default: the address of the connection, which is that of the proxy.
   */
  clientAddress?: ((request: IncomingMessage) => string | undefined) | undefined;
}

/**
 * Accepts encrypted channels with the shape of `WebSocketServer` of `ws`: at a port, at an HTTP server, by hand
 * (`handleUpgrade`), or at its key behind a relay.
 */
export class SecureWebSocketServer extends NeutralSecureWebSocketServer<
  ServerSecureWebSocket,
  ServerRequest
> {
  readonly #upgrades: UpgradeServer | undefined;
  readonly #acceptOptions: ChannelAcceptOptions;
  readonly #unregistered: Places;
  /** What gives back the place of a connection in `#unregistered`. */
  readonly #places = new WeakMap<IncomingMessage, () => void>();
  #loaded: Identity | undefined;

  /**
   * @param callback A listener for `listening`.
   * @throws TypeError when not exactly one of `port`, `server`, `noServer` and `relay` is given, or an option cannot be
   *   what it is.
   */
  constructor(options: SecureWebSocketServerOptions, callback?: () => void) {
    // Checked by checkOptions below, not by the type: `relay` may be absent here.
    super(options as RelayServerOptions<ServerRequest>, callback);
    const { addresses, userId, deviceId, registrationTimeout, maxFrame, maxPayload } = options;
    this.#acceptOptions = { addresses, userId, deviceId, registrationTimeout, maxFrame, maxPayload };
    const { maxUnregistered = MAX_UNREGISTERED, maxUnregisteredPerIp = MAX_UNREGISTERED_PER_IP } = options;
    this.#unregistered = new Places(maxUnregistered, maxUnregisteredPerIp);
    this.#upgrades = options.relay === undefined ? this.#listen(options) : undefined;
  }

  /** The option `path`, or ''. */
  get path(): string {
    return this.options.path ?? '';
  }

  /** Where clients dial: 'ws://localhost:8080', or 'wss://relay.example/<hex>'. Undefined when that is not known. */
  override get url(): string | undefined {
    if (this.#upgrades === undefined) return super.url;
    const { noServer, server, path = '' } = this.options as SecureWebSocketServerOptions;
    const address = noServer === true ? null : this.#upgrades.address();
    if (address === null || typeof address === 'string') return undefined;
    const scheme = server !== undefined && 'setSecureContext' in server ? 'wss' : 'ws';
    return `${scheme}://${dialable(address)}:${address.port}${path}`;
  }

  /**
   * What `net.Server.address()` gives; the `url` behind a relay; null while not listening.
   * @throws Error with `noServer`.
   */
  override address(): AddressInfo | string | null {
    return this.#upgrades === undefined ? (this.url ?? null) : this.#upgrades.address();
  }

  /**
   * Answers one HTTP upgrade, with `noServer`. `callback` is called when the client has proven its key and opened its
   * channel: later than in `ws`. When it does not, `secureClientError` is emitted instead.
   */
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: (socket: ServerSecureWebSocket, request: IncomingMessage) => void,
  ): void {
    if (this.#upgrades === undefined) {
      throw new Error('The server listens at a relay: it takes no HTTP upgrades');
    }
    this.#upgrades.handleUpgrade(request, socket, head, ws => {
      this.#register(ws, request, accepted => {
        callGuarded(() => {
          callback(accepted, request);
        });
      });
    });
  }

  protected static override checkOptions(options: SecureWebSocketServerOptions): void {
    const { port, server, noServer, relay } = options as Record<string, unknown>;
    // As in ws: a port of null is none.
    const given = [
      port !== undefined && port !== null,
      Boolean(server),
      Boolean(noServer),
      relay !== undefined,
    ];
    if (given.filter(Boolean).length !== 1) {
      throw new TypeError(
        'One and only one of the "port", "server", "noServer" and "relay" options must be specified',
      );
    }
    checkCompression(options.perMessageDeflate);
  }

  protected override createSocket(
    incoming: IncomingChannel,
    protocol: string,
    options: ServerSocketOptions,
  ): ServerSecureWebSocket {
    return new ServerSecureWebSocket(incoming, protocol, options);
  }

  protected override stop(done: () => void): void {
    if (this.#upgrades === undefined) super.stop(done);
    else this.#upgrades.close(done);
  }

  #listen(options: SecureWebSocketServerOptions): UpgradeServer {
    const { port, host, backlog, server, noServer, maxFrame = DEFAULT_MAX_FRAME } = options;
    const upgrades = new UpgradeServer(this, (request, socket) => this.#admitUpgrade(request, socket), {
      port,
      host,
      backlog,
      server,
      noServer,
      maxPayload: maxFrame,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: Math.ceil(maxFrame / MIN_CHUNK),
      perMessageDeflate: false,
      verifyClient: (information, answer) => {
        this.#verifyUpgrade(information, answer);
      },
    });
    upgrades.shouldHandle = request => this.shouldHandle(request);
    upgrades.on('connection', (ws, request) => {
      this.#register(ws, request, socket => {
        this.announce(socket, request);
      });
    });
    upgrades.on('headers', (headers, request) => this.emit('headers', headers, request));
    upgrades.on('wsClientError', (error, socket, request) =>
      this.emit('wsClientError', error, socket, request),
    );
    upgrades.on('error', error => {
      this.failed(error);
    });
    let isListening = noServer === true || server?.listening === true;
    const tell = !isListening;
    upgrades.on('listening', () => {
      isListening = true;
      if (this.#loaded !== undefined) this.started(tell);
    });
    this.identity.then(
      identity => {
        this.#loaded = identity;
        if (isListening) this.started(tell);
      },
      () => {
        this.close();
      },
    );
    return upgrades;
  }

  #verifyUpgrade(
    information: { origin: string; secure: boolean; req: IncomingMessage },
    answer: (verified: boolean, code?: number, message?: string, headers?: Record<string, string>) => void,
  ): void {
    const verify = this.options.verifyClient;
    if (!verify) {
      answer(true);
      return;
    }
    verifyClient(verify, information, answer as Parameters<typeof verifyClient>[2], error => {
      answer(false, 500);
      this.hookFailed(error);
    });
  }

  /** Counts a connection until its client is registered, or it is gone. False when there are too many. */
  #admitUpgrade(request: IncomingMessage, socket: Duplex): boolean {
    const { clientAddress } = this.options as SecureWebSocketServerOptions;
    const remoteAddress = clientAddress ? clientAddress(request) : request.socket.remoteAddress;
    const place = this.#unregistered.enter(remoteAddress);
    if (typeof place === 'string') {
      refuseUpgrade(socket, place === 'TOO_MANY' ? 503 : 429, TOO_MANY_UNREGISTERED[place]);
      return false;
    }
    this.#places.set(request, place);
    socket.once('close', place);
    return true;
  }

  #register(ws: WsWebSocket, request: IncomingMessage, done: (socket: ServerSecureWebSocket) => void): void {
    const options = { ...this.#acceptOptions, identity: this.#loaded ?? this.identity };
    acceptChannel(ws, options, request, this.resumption).then(
      accepted => {
        this.#places.get(request)?.();
        // The application has the socket of a client that came back.
        if ('resumed' in accepted) return;
        const socket = this.admit(accepted.incoming, request);
        if (socket !== undefined) done(socket);
      },
      (error: unknown) => {
        this.#places.get(request)?.();
        callGuarded(() => this.emit('secureClientError', error as Error, request));
      },
    );
  }
}

/** The HTTP half: a WebSocketServer of `ws` that asks the outer server where its own application would be asked. */
class UpgradeServer extends WebSocketServer {
  readonly #outer: SecureWebSocketServer;
  readonly #admit: (request: IncomingMessage, socket: Duplex) => boolean;

  constructor(
    outer: SecureWebSocketServer,
    admit: (request: IncomingMessage, socket: Duplex) => boolean,
    options: ConstructorParameters<typeof WebSocketServer>[0],
  ) {
    super(options);
    this.#outer = outer;
    this.#admit = admit;
  }

  override handleUpgrade(...args: Parameters<WebSocketServer['handleUpgrade']>): void {
    if (this.#admit(args[0], args[1])) super.handleUpgrade(...args);
  }

  /** `ws` answers a broken upgrade itself unless somebody listens for it: it is the outer server that is listened to. */
  override listenerCount(event: string | symbol): number {
    return event === 'wsClientError' ? this.#outer.listenerCount(event) : super.listenerCount(event);
  }
}

function dialable({ address, family }: AddressInfo): string {
  if (address === '::' || address === '0.0.0.0') return 'localhost';
  return family === 'IPv6' ? `[${address}]` : address;
}
