import { EventEmitter } from 'node:events';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Crypto } from '../core/crypto.js';
import { SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import { type RegisteredLink, registerAccepted } from '../link/accept.js';
import { describeError } from '../core/describe-error.js';
import { resolveIdentity } from '../link/identities.js';
import { acceptUpgrade } from '../websocket/accept-web-socket.js';
import { refuseUpgrade } from '../websocket/refuse-upgrade.js';
import { Admission, TOO_MANY_UNREGISTERED } from '../link/admission.js';
import { createRelayServer, pathOf } from './http.js';
import { Keepalive } from './keepalive.js';
import {
  type RelayClient,
  RelayConnection,
  type RelayConnectionOwner,
  relayKind,
} from './relay-connection.js';
import { type CheckedOptions, checkOptions, type RelayOptions } from './relay-options.js';
import { Router, type RouterPort, type RouterStatistics } from './router.js';
import { WriteBatch } from './write-batch.js';

export type { RelayClient, RelayOptions };

/** A client that was turned away before it was registered. */
export interface RelayRefusal {
  readonly remoteAddress: string | undefined;
  /** An error code of registration, `TOO_MANY_CONNECTIONS`, or `LINK_LOST` when the client went away by itself. */
  readonly code: string;
  readonly message: string;
}

export interface RelayEvents {
  /** A client has registered. */
  connection: [client: RelayClient];
  /**
   * A registered client is gone. `code`: the status code of RFC 6455 that its connection ended with. One that came back
   * under its connection id may have connected before; `client` is the object that its own `connection` event had.
   */
  disconnection: [client: RelayClient, code: number];
  /** Somebody was turned away. */
  refused: [refusal: RelayRefusal];
  /** The relay's own HTTP server failed after it had begun to listen. Emitted only if somebody listens. */
  error: [error: Error];
}

export interface RelayStatistics extends RouterStatistics {
  /** WebSocket connections whose client has not proven its key yet. */
  readonly unregistered: number;
}

/** `close` waits so long for clients to answer the closing handshake, milliseconds. */
const CLOSE_GRACE = 1_000;

/**
 * A relay: registers clients by their public keys over WebSockets and forwards sealed envelopes between them.
 *
 * ```ts
 * const relay = new Relay({ port: 8080 });
 * await relay.listen();
 * console.log(relay.url, relay.publicKey);
 * ```
 *
 * It cannot read what it forwards; it sees who talks to whom, when and how much. Put TLS in front of it, or give it an
 * HTTPS `server`, to keep that from everybody else.
 */
export class Relay extends EventEmitter<RelayEvents> {
  readonly #options: CheckedOptions;
  /** Made here, closed here. */
  readonly #ownServer: HttpServer | undefined;
  readonly #server: HttpServer | HttpsServer;
  readonly #unregistered: Admission;
  /** TCP connections to our own server until their client is registered: most never get as far as an upgrade. */
  readonly #strangers: Admission;
  /** What is to be done when one of them is no stranger any more. */
  readonly #tcpSockets = new Map<Duplex, () => void>();
  /** Registered or not. */
  readonly #connections = new Set<RelayConnection>();
  readonly #owner: RelayConnectionOwner;
  /** What `close` waits for, once it is called. */
  #allClosed: (() => void) | undefined;
  #state: 'new' | 'starting' | 'listening' | 'closed' = 'new';
  #closing: Promise<void> | undefined;
  #identity: Identity | undefined;
  #router: Router | undefined;
  #keepalive: Keepalive | undefined;

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when an option cannot be what it is */
  constructor(options: RelayOptions) {
    super();
    this.#options = checkOptions(options);
    const { maxFrame, maxUnregistered, maxUnregisteredPerIp, registrationTimeout, clientAddress } =
      this.#options;
    this.#owner = {
      batch: new WriteBatch(),
      // Somewhat too large an envelope is answered with a notice, not with the end of the connection.
      kind: relayKind(2 * maxFrame),
      closed: (connection, client, code) => {
        this.#forget(connection);
        this.#keepalive?.unwatch(connection);
        if (client) this.emit('disconnection', client, code);
      },
    };
    this.#unregistered = new Admission(maxUnregistered, maxUnregisteredPerIp);
    // Twice as many, so that those above the limits still hear why. Behind a proxy all have its address.
    this.#strangers = new Admission(
      2 * maxUnregistered,
      clientAddress === undefined ? 2 * maxUnregisteredPerIp : Infinity,
    );
    this.#ownServer = this.#options.server === undefined ? createRelayServer(registrationTimeout) : undefined;
    this.#server = this.#options.server ?? (this.#ownServer as HttpServer);
  }

  /**
   * Loads the identity and starts to listen. Rejects with what the key store or the operating system says; the relay
   * is closed then.
   */
  async listen(): Promise<void> {
    if (this.#state !== 'new') throw new SecureWebSocketError('INVALID_ARGUMENT', 'A relay listens once.');
    this.#state = 'starting';
    try {
      const identity = await resolveIdentity(this.#options, 'relay');
      this.#checkOpen();
      const { maxFrame, maxQueueBytes, maxTotalQueueBytes, onEnvelope, keepaliveInterval } = this.#options;
      const { crypto } = identity;
      this.#identity = identity;
      this.#router = new Router({
        maxFrame,
        maxQueueBytes,
        maxTotalQueueBytes,
        onEnvelope,
        ownKey: identity.publicKeyBytes,
        randomUint32: randomNumbers(crypto),
      });
      this.#keepalive = new Keepalive(keepaliveInterval);
      this.#server.on('upgrade', this.#upgrade);
      if (this.#ownServer) await this.#listenAtPort(this.#ownServer);
      this.#checkOpen();
      this.#state = 'listening';
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Public key of the relay, 64 hex digits: what clients can pin. Known once `listen` has resolved. */
  get publicKey(): string {
    if (!this.#identity) throw notListening();
    return this.#identity.publicKey;
  }

  /** Where clients dial the relay: the first of `addresses`, or where it listens, with the path. */
  get url(): string {
    const { addresses, path } = this.#options;
    return `${addresses?.[0] ?? this.#localLocation()}${path === undefined || path === '/' ? '' : path}`;
  }

  /** What `net.Server.address()` gives; null while not listening. */
  address(): AddressInfo | string | null {
    return this.#server.address();
  }

  /** Registered connections. */
  get connections(): number {
    return this.#router?.statistics.connections ?? 0;
  }

  /** What passed through, and what is here at the moment. */
  get statistics(): RelayStatistics {
    const router = this.#router?.statistics ?? NO_STATISTICS;
    return { ...router, unregistered: this.#unregistered.count };
  }

  /**
   * Closes every connection with status 1001 and stops to listen. Whoever does not answer within a second is cut off.
   * A `server` that was given stays open.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    this.#server.off('upgrade', this.#upgrade);
    this.#keepalive?.stop();
    const server = this.#ownServer;
    const closed = server?.listening
      ? new Promise(resolve => {
          server.close(resolve);
        })
      : undefined;

    const gone = new Promise<void>(resolve => {
      this.#allClosed = resolve;
    });
    for (const { socket } of this.#connections) socket.close(1001, 'The relay is going down.');
    if (this.#connections.size === 0) this.#allClosed?.();
    let cutOff: NodeJS.Timeout | undefined;
    const grace = new Promise<void>(resolve => {
      cutOff = setTimeout(resolve, CLOSE_GRACE);
    });
    await Promise.race([gone, grace]);
    clearTimeout(cutOff);
    for (const connection of this.#connections) connection.terminate();
    for (const socket of this.#tcpSockets.keys()) socket.destroy();
    await gone;
    await closed;
  }

  async #listenAtPort(server: HttpServer): Promise<void> {
    const { port, host } = this.#options;
    server.on('connection', this.#greet);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.once('listening', resolve);
      // Instead of `listening`, when `close` is called in between.
      server.once('close', resolve);
      server.listen({ port, host });
    });
    server.on('error', error => {
      if (this.listenerCount('error') > 0) this.emit('error', error);
    });
    if (this.#closing && server.listening) server.close();
  }

  #forget(connection: RelayConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#allClosed?.();
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw new SecureWebSocketError('ABORTED', 'The relay was closed.');
  }

  #localLocation(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw notListening();
    const scheme = 'setSecureContext' in this.#server ? 'wss' : 'ws';
    const all = address.address === '::' || address.address === '0.0.0.0';
    const host = all ? 'localhost' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
    const { port } = address;
    return port === (scheme === 'wss' ? 443 : 80)
      ? `${scheme}://${host}`
      : `${scheme}://${host}:${String(port)}`;
  }

  /** A TCP connection to our own server. */
  readonly #greet = (socket: Socket): void => {
    const place = this.#strangers.enter(socket.remoteAddress);
    if (typeof place === 'string') {
      // Nothing has been read yet that could be answered.
      socket.destroy();
      return;
    }
    const known = (): void => {
      this.#tcpSockets.delete(socket);
      socket.off('close', known);
      place();
    };
    this.#tcpSockets.set(socket, known);
    socket.on('close', known);
  };

  readonly #upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const { path, maxConnections, clientAddress } = this.#options;
    if (path !== undefined && pathOf(request) !== path) {
      // On a server that is shared the path may be somebody else's.
      if (this.#server.listenerCount('upgrade') > 1) return;
      refuseUpgrade(socket, 404, 'There is no relay at this path.');
      return;
    }
    const remoteAddress = clientAddress ? clientAddress(request) : request.socket.remoteAddress;
    if (this.#connections.size >= maxConnections) {
      this.#turnAway(socket, 503, remoteAddress, 'The relay has as many connections as it takes.');
      return;
    }
    const leave = this.#unregistered.enter(remoteAddress);
    if (typeof leave === 'string') {
      this.#turnAway(socket, leave === 'TOO_MANY' ? 503 : 429, remoteAddress, TOO_MANY_UNREGISTERED[leave]);
    } else {
      // Also when the upgrade is refused.
      socket.on('close', leave);
      // The answer to the upgrade and the challenge leave together.
      socket.cork();
      if (acceptUpgrade(request, socket)) {
        const connection = new RelayConnection(this.#owner);
        connection.socket.attach(socket, head);
        this.#register(connection, request, remoteAddress, () => {
          leave();
          socket.off('close', leave);
          this.#tcpSockets.get(socket)?.();
        });
      }
      socket.uncork();
    }
  };

  #turnAway(socket: Duplex, status: number, remoteAddress: string | undefined, message: string): void {
    refuseUpgrade(socket, status, message);
    this.emit('refused', { remoteAddress, code: 'TOO_MANY_CONNECTIONS', message });
  }

  #register(
    connection: RelayConnection,
    request: IncomingMessage,
    remoteAddress: string | undefined,
    registered: () => void,
  ): void {
    const router = this.#router;
    const identity = this.#identity;
    if (!router || !identity) throw notListening();
    this.#connections.add(connection);
    const { addresses, userId, deviceId, registrationTimeout, maxFrame } = this.#options;
    const connectionId = (publicKey: Uint8Array, wanted: number | undefined): number =>
      router.allocateConnectionId(publicKey, wanted);
    registerAccepted(
      connection.socket,
      { identity, addresses, userId, deviceId, registrationTimeout, maxFrame, connectionId },
      request,
    ).then(
      link => {
        registered();
        this.#connect(router, connection, link, remoteAddress);
      },
      (error: unknown) => {
        // Registration was the listener of the socket: the connection is, for as long as it is there.
        connection.socket.listener = connection;
        if (connection.socket.isClosed) this.#forget(connection);
        if (this.#state === 'closed') return;
        const code = error instanceof SecureWebSocketError ? error.code : 'LINK_FAILED';
        this.emit('refused', { remoteAddress, code, message: describeError(error) });
      },
    );
  }

  /** Makes a registered connection known to the router; when it cannot be, it is closed. */
  #connect(
    router: Router,
    connection: RelayConnection,
    link: RegisteredLink,
    remoteAddress: string | undefined,
  ): void {
    const { publicKey, connectionId } = link;
    const hex = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString('hex');
    const client: RelayClient = { publicKey: hex, connectionId, remoteAddress };
    let port: RouterPort;
    try {
      port = router.add(publicKey, connectionId, connection);
    } catch (error) {
      // Another key was given the same id meanwhile. The client has been told that it is its own: it has to come again.
      link.start(connection);
      connection.close(1013, 'The connection id was taken.');
      this.emit('refused', { remoteAddress, code: 'LINK_FAILED', message: describeError(error) });
      return;
    }
    connection.connect(client, port);
    this.#keepalive?.watch(connection);
    this.emit('connection', client);
    link.start(connection);
  }
}

const NO_STATISTICS: RouterStatistics = {
  connections: 0,
  envelopes: 0,
  bytes: 0,
  notices: 0,
  listeningKeys: 0,
  contacts: 0,
  queuedBytes: 0,
};

/** Unpredictable integers from 0 to 2^32 - 1. Drawn many at a time: each call of the system takes as long. */
function randomNumbers(crypto: Crypto): () => number {
  let drawn = Buffer.alloc(0);
  return () => {
    if (drawn.length === 0) drawn = Buffer.from(crypto.randomBytes(512));
    const number = drawn.readUInt32BE();
    drawn = drawn.subarray(4);
    return number;
  };
}

function notListening(): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', 'The relay is not listening: await listen() first.');
}
