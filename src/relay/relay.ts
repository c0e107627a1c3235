import { EventEmitter } from 'node:events';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseAddress } from '../core/address.js';
import { describeError } from '../core/describe-error.js';
import type { Crypto } from '../core/crypto.js';
import { SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import { resolveIdentity } from '../link/identities.js';
import { refuseUpgrade } from '../websocket/refuse-upgrade.js';
import { Clients } from './clients.js';
import { drainConnections, drainTime } from './drain.js';
import { Equipment } from './equipment.js';
import { pathOf } from './http.js';
import { Keepalive } from './keepalive.js';
import { HandshakeLimit } from './limits/handshake-limit.js';
import type { RelayClient, RelayConnection } from './relay-connection.js';
import type {
  RelayLimited,
  RelayObserver,
  RelayRefusal,
  RelaySnapshot,
  RelaySpaceEnd,
  RelaySpaceEvent,
  Reloadable,
} from './relay-observer.js';
import { type CheckedOptions, checkOptions, type RelayOptions } from './relay-options.js';
import { RelayServer } from './relay-server.js';
import { Services } from './service/services.js';
import type { RouterConnection } from './router-connection.js';
import { noDrops, Router, type RouterStatistics } from './router.js';
import { RelaySpaces } from './spaces/relay-spaces.js';
import type { Spaces } from './spaces/spaces.js';
import { SpacesOfRelay } from './spaces/spaces-of-relay.js';

export type { RelayClient, RelayLimited, RelayOptions, RelayRefusal, RelaySnapshot };

export interface RelayEvents {
  /** A client has registered. */
  connection: [client: RelayClient];
  /**
   * A registered client is gone. `code`: the status code of RFC 6455 that its connection ended with. One that came back
   * under its connection id may have connected before; `client` is the object that its own `connection` event had.
   */
  disconnection: [client: RelayClient, code: number];
  /**
   * A client is connected, and can be told events: the same as `connection`, with the same object, at the same moment.
   * This, `clientDisconnected`, `spaceEntered` and `spaceLeft` are what a service that uses the relay from code listens to.
   */
  clientConnected: [client: RelayClient];
  /** It is not connected any more: the same as `disconnection`. */
  clientDisconnected: [client: RelayClient, code: number];
  /** Somebody was turned away. */
  refused: [refusal: RelayRefusal];
  /** Somebody ran into a limit. Once for each connection and limit, where it could be again and again. */
  limited: [limited: RelayLimited];
  /** Somebody has become a member of a space. */
  spaceEntered: [entered: RelaySpaceEvent];
  /** A member has left: by itself, its connection was lost for too long, or it was removed. */
  spaceLeft: [left: RelaySpaceEvent, reason: RelaySpaceEnd];
  /** A file was read again, because it has changed or `reload` was called. With an error what was there before is in use. */
  reloaded: [what: Reloadable, error: Error | undefined];
  /** `drain` was called: it is not ready any more. */
  draining: [];
  /** The relay's own HTTP server, or a sink of its logs, failed after it had begun to listen. Emitted only if somebody listens. */
  error: [error: Error];
}

export interface RelayStatistics extends RouterStatistics {
  /** Connections whose client has not proven its key. */
  readonly unregistered: number;
}

/** On `close` whoever does not answer the closing handshake is cut off after so many milliseconds. */
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
 * It cannot read what it forwards; it sees who talks to whom, when and how much. Give it a certificate (`tls`), an HTTPS
 * `server`, or a proxy with TLS in front of it, to keep that from everybody else.
 */
export class Relay extends EventEmitter<RelayEvents> {
  readonly #options: CheckedOptions;
  readonly #equipment: Equipment;
  /** Made here, closed here: once what it needs has been read. */
  #ownServer: RelayServer | undefined;
  #state: 'new' | 'starting' | 'listening' | 'draining' | 'closed' = 'new';
  #startedAt = 0;
  #closing: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  /** Ends the waiting of `drain`. */
  #hurry: () => void = () => undefined;
  #identity: Identity | undefined;
  #router: Router | undefined;
  #keepalive: Keepalive | undefined;
  #clients: Clients | undefined;
  #spaces: SpacesOfRelay | undefined;
  /** The spaces of this relay: who is in them, and who is put out of them. */
  readonly spaces: RelaySpaces = new RelaySpaces({
    spaces: () => this.#spaces?.spaces,
    clients: publicKey => this.#clients?.spacesOf(publicKey) ?? [],
    administered: (action, detail) => {
      this.#equipment.observer.administered(action, detail);
    },
  });
  #services: Services | undefined;

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when an option cannot be what it is */
  constructor(options: RelayOptions) {
    super();
    this.#options = checkOptions(options);
    this.#equipment = new Equipment(this.#options, {
      observer: this.#emitter,
      snapshot: () => this.snapshot(),
      isReady: () => this.isReady,
      listsChanged: () => {
        this.#clients?.judgeAgain();
      },
      failed: error => {
        this.#failed(error);
      },
    });
  }

  /**
   * Reads everything that the options name (certificates, lists, rules, keys of tokens), looks whether logs can be written,
   * and listens nowhere: for those who want to know whether it would start. Rejects with what is wrong; where that is
   * more than one thing, with an error whose `cause` is an array of them.
   */
  async check(): Promise<void> {
    const nobody = { observer: {}, snapshot: () => this.snapshot(), isReady: () => false };
    const ignored = (): void => undefined;
    const equipment = new Equipment(this.#options, { ...nobody, listsChanged: ignored, failed: ignored });
    try {
      await equipment.check();
    } finally {
      await equipment.close();
    }
  }

  /**
   * Loads the identity and all that the options name, and starts to listen. Rejects with what the key store, the options
   * or the operating system say; the relay is closed then.
   */
  async listen(): Promise<void> {
    if (this.#state !== 'new') throw new SecureWebSocketError('INVALID_ARGUMENT', 'A relay listens once.');
    this.#state = 'starting';
    try {
      const identity = await resolveIdentity(this.#options, 'relay');
      this.#checkOpen();
      await this.#equipment.open();
      this.#checkOpen();
      this.#identity = identity;
      this.#spaces = new SpacesOfRelay(this.#options, this.#equipment, identity);
      this.#router = this.#newRouter(identity, this.#spaces.spaces);
      this.#keepalive = new Keepalive(this.#options.keepaliveInterval);
      this.#clients = new Clients({
        options: this.#options,
        equipment: this.#equipment,
        identity,
        router: this.#router,
        keepalive: this.#keepalive,
        welcome: socket => this.#ownServer?.welcome(socket),
      });
      this.#services = this.#newServices(identity, this.#router);
      if (this.#options.server === undefined) this.#ownServer = this.#newServer();
      this.#server?.on('upgrade', this.#upgrade);
      const { port, host } = this.#options;
      await this.#ownServer?.listen(port, host, error => {
        this.#failed(error);
      });
      this.#checkOpen();
      this.#startedAt = Date.now() / 1000;
      this.#state = 'listening';
      this.#equipment.observer.state('listening');
    } catch (error) {
      await this.close();
      // What was being opened meanwhile.
      await this.#equipment.close();
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
    const { addresses, path, publicUrl } = this.#options;
    if (publicUrl !== undefined) return publicUrl;
    return `${addresses?.[0] ?? this.#localLocation()}${path === undefined || path === '/' ? '' : path}`;
  }

  /** Where the internal server is, with its status page; undefined without one. */
  get internalUrl(): string | undefined {
    return this.#equipment.internalUrl;
  }

  /** What `net.Server.address()` gives; null while not listening. */
  address(): AddressInfo | string | null {
    return this.#ownServer?.address() ?? this.#options.server?.address() ?? null;
  }

  /** Whether it listens, and is not about to go down: what a load balancer wants to know. */
  get isReady(): boolean {
    return this.#state === 'listening';
  }

  /** Registered connections. */
  get connections(): number {
    return this.#router?.statistics.connections ?? 0;
  }

  /** What passed through, and what is here at the moment. */
  get statistics(): RelayStatistics {
    const router = this.#router?.statistics ?? NO_STATISTICS;
    return { ...router, unregistered: this.#clients?.unregistered ?? 0 };
  }

  /** All that metrics and the status page tell. */
  snapshot(): RelaySnapshot {
    const { connections, listeningKeys, envelopes, bytes, drops, queuedBytes } =
      this.#router?.statistics ?? NO_STATISTICS;
    const spaces = this.#spaces?.spaces.statistics;
    const services = this.#services?.statistics;
    return {
      state: this.#state === 'new' ? 'starting' : this.#state,
      publicKey: this.#identity?.publicKey ?? '',
      startedAt: this.#startedAt,
      connections,
      unregistered: this.#clients?.unregistered ?? 0,
      listeningKeys,
      envelopes,
      bytes,
      drops,
      queuedBytes,
      maxTotalQueueBytes: this.#options.maxTotalQueueBytes,
      maxConnections: this.#options.maxConnections,
      spaces: spaces?.spaces ?? 0,
      spaceMembers: spaces?.members ?? 0,
      spaceMembersAway: spaces?.awayMembers ?? 0,
      spaceMessages: spaces?.messages ?? 0,
      spaceDeliveries: spaces?.deliveries ?? 0,
      spaceHistoryBytes: spaces?.historyBytes ?? 0,
      maxTotalHistoryBytes: this.#options.spaces.maxTotalHistoryBytes,
      serverEvents: services?.events ?? 0,
      serverEventDrops: services?.eventDrops ?? 0,
      serverEventBytes: services?.eventBytes ?? 0,
      watchedKeys: services?.watchedKeys ?? 0,
      throttled: this.#clients?.throttled ?? 0,
      certificateExpiresAt: this.#equipment.certificate?.expiresAt,
    };
  }

  /**
   * Reads the certificate, lists, rules and keys of tokens again, and begins new log files. Nobody is disconnected, unless
   * the lists say so; what is wrong is told with `reloaded`, and changes nothing.
   */
  async reload(): Promise<void> {
    this.#equipment.observer.administered('reload', {});
    await this.#equipment.reload();
  }

  /**
   * Ends all connections of a key, with 4004; they do not come back by themselves, but may be made again unless the key is on the
   * list of those that are denied. Gives how many they were.
   * @throws SecureWebSocketError with an address code when that is no public key
   */
  disconnect(publicKey: string): number {
    parseAddress(publicKey);
    const connections = this.#clients?.disconnect(publicKey, 'disconnected by the operator') ?? 0;
    this.#equipment.observer.administered('disconnect', { publicKey, connections });
    return connections;
  }

  /**
   * Goes down without losing anything: is not ready, so that load balancers send nobody more; after `drain.delay` accepts
   * nobody; tells everybody to come back, to whoever takes its place; and closes connections one after the other over
   * `drain.time`. Then it is closed. `close` ends it at once.
   */
  drain(): Promise<void> {
    return (this.#draining ??= this.#drain());
  }

  /**
   * Closes every connection with status 1001 and stops to listen. Whoever does not answer within a second is cut off.
   * A `server` that was given stays open.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /**
   * Whether a client with this public key (64 hex digits) is connected.
   * @throws SecureWebSocketError with an address code when that is no public key
   */
  isPresent(publicKey: string): boolean {
    parseAddress(publicKey);
    return this.#clients?.has(publicKey) ?? false;
  }

  /**
   * Tells whoever is in a space something: its members that are connected, and the connections that `spaces.enter` has let
   * in. Members know that it is the relay that says so: the sockets that are in the space, and those to peers over the same
   * connection, have an event `serverevent` with `data` and `space`. All else is as with {@link emitToUsers}.
   *
   * @returns to how many connections it is on its way
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when that is no name of a space, `MESSAGE_TOO_LARGE`
   */
  emitToSpace(space: string, data: string | Uint8Array): number {
    return this.#emit(this.spaces.audience(space), space, data);
  }

  /**
   * Tells all connected clients of these users, or of one, something: each of their sockets through this relay has an event `serverevent`
   * with `data`, a string or bytes, at most 1 MiB. It is sealed by the relay's own identity for each connection, and arrives
   * there once and in the order of the calls, or not at all when the connection ends, or its client does not read.
   *
   * A user is who the clients' `userId` says: see {@link RelayOptions.userIds}.
   *
   * @returns to how many connections it is on its way. 0 while the relay does not listen.
   * @throws SecureWebSocketError `MESSAGE_TOO_LARGE`
   */
  emitToUsers(userIds: string | Iterable<string>, data: string | Uint8Array): number {
    // A string is iterable, too.
    const users = typeof userIds === 'string' ? [userIds] : userIds;
    return this.#emit(this.#clients?.ofUsers(users) ?? [], '', data);
  }

  async #drain(): Promise<void> {
    const clients = this.#clients;
    if (this.#state === 'listening' && clients) {
      const { delay, time, tryFor } = this.#options.drain;
      this.#state = 'draining';
      const { observer } = this.#equipment;
      observer.administered('drain', { connections: this.connections });
      observer.state('draining');
      await this.#sleep(delay);
      clients.letNobodyIn();
      // Resolves when everybody is gone, who are told below.
      void this.#ownServer?.close();
      const stop = drainConnections(clients.registered(), { time, tryFor });
      await Promise.race([clients.whenAllClosed(), this.#sleep(drainTime(time))]);
      stop();
    }
    await this.close();
  }

  async #close(): Promise<void> {
    const { observer } = this.#equipment;
    const hasListened = this.#state === 'listening' || this.#state === 'draining';
    this.#state = 'closed';
    this.#hurry();
    this.#server?.off('upgrade', this.#upgrade);
    this.#keepalive?.stop();
    this.#spaces?.close();
    const stopped = this.#ownServer?.close();

    this.#clients?.close();
    this.#services?.close();
    const gone = this.#clients?.whenAllClosed();
    let cutOff: NodeJS.Timeout | undefined;
    const grace = new Promise<void>(resolve => {
      cutOff = setTimeout(resolve, CLOSE_GRACE);
    });
    await Promise.race([gone, grace]);
    clearTimeout(cutOff);
    this.#clients?.terminate();
    this.#ownServer?.destroyStrangers();
    await gone;
    await stopped;
    if (hasListened) observer.state('closed');
    await this.#equipment.close();
  }

  #emit(clients: Iterable<RelayClient>, space: string, data: string | Uint8Array): number {
    return this.#services?.emit(clients, space, data) ?? 0;
  }

  get #server(): HttpServer | HttpsServer | undefined {
    return this.#options.server ?? this.#ownServer?.http;
  }

  #newRouter(identity: Identity, spaces: Spaces): Router {
    const { maxFrame, maxQueueBytes, maxTotalQueueBytes, onEnvelope, closeSlow, maxPeers } = this.#options;
    const { handshakeRate, handshakeBurst } = this.#options;
    const { reach } = this.#equipment;
    return new Router({
      maxFrame,
      maxQueueBytes,
      maxTotalQueueBytes,
      maxPeers,
      closeSlow,
      onEnvelope,
      mayReach: reach && ((from, to) => reach.may(from, to)),
      handshakeLimit: () => {
        const limit = new HandshakeLimit(handshakeRate, handshakeBurst);
        return { allows: destination => limit.allows(destination, performance.now()) };
      },
      limited: (limit, connection) => {
        const { publicKey, remoteAddress } =
          (connection as RouterConnection & Partial<RelayConnection>).client ?? {};
        this.#equipment.observer.limited({ limit, publicKey, remoteAddress });
      },
      spaces: (port, connection) => {
        const { client } = connection as RouterConnection & Partial<RelayConnection>;
        // Nobody speaks before it is registered.
        return spaces.client(port, client as RelayClient);
      },
      ownKey: identity.publicKeyBytes,
      randomUint32: randomNumbers(identity.crypto),
    });
  }

  #newServices(identity: Identity, router: Router): Services {
    const { maxFrame, maxConnections, presence } = this.#options;
    return new Services({
      identity,
      router,
      maxFrame,
      maxConnections,
      presence,
      client: (publicKey, connectionId) => this.#clients?.client(publicKey, connectionId),
      isPresent: publicKey => this.#clients?.has(publicKey) ?? false,
      failed: error => {
        this.#failed(error instanceof Error ? error : new Error(describeError(error)));
      },
    });
  }

  #newServer(): RelayServer {
    const { maxUnregistered, maxUnregisteredPerIp, registrationTimeout, clientAddress } = this.#options;
    const { proxies, proxyProtocol } = this.#options;
    const { certificate, context } = this.#equipment;
    const server = new RelayServer({
      timeout: registrationTimeout,
      // Twice as many, so that those above the limits still hear why. Behind a proxy all have its address.
      maxStrangers: 2 * maxUnregistered,
      maxStrangersPerIp: clientAddress === undefined ? 2 * maxUnregisteredPerIp : Infinity,
      proxies,
      proxyProtocol,
      tls: context,
      limited: (limit, remoteAddress) => {
        this.#equipment.observer.limited({ limit, remoteAddress });
      },
      refused: (remoteAddress, message) => {
        this.#equipment.observer.refused({ remoteAddress, code: 'LINK_FAILED', message });
      },
    });
    if (certificate) {
      certificate.onContext = changed => {
        server.setSecureContext(changed);
      };
    }
    return server;
  }

  #sleep(delay: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, delay);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
      // `close` may have been called before.
      if (this.#closing) this.#hurry();
    });
  }

  #failed(error: Error): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw new SecureWebSocketError('ABORTED', 'The relay was closed.');
  }

  #localLocation(): string {
    const address = this.address();
    if (address === null || typeof address === 'string') throw notListening();
    const scheme = this.#server !== undefined && 'setSecureContext' in this.#server ? 'wss' : 'ws';
    const all = address.address === '::' || address.address === '0.0.0.0';
    const host = all ? 'localhost' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
    const { port } = address;
    return port === (scheme === 'wss' ? 443 : 80)
      ? `${scheme}://${host}`
      : `${scheme}://${host}:${String(port)}`;
  }

  /** What programs are told, before logs and metrics are. */
  readonly #emitter: RelayObserver = {
    registered: client => {
      this.#services?.connected(client);
      this.emit('connection', client);
      this.emit('clientConnected', client);
    },
    disconnected: (client, code) => {
      this.#services?.disconnected(client);
      this.emit('disconnection', client, code);
      this.emit('clientDisconnected', client, code);
    },
    refused: refusal => {
      this.emit('refused', refusal);
    },
    limited: limited => {
      this.emit('limited', limited);
    },
    spaceEntered: entered => {
      this.emit('spaceEntered', entered);
    },
    spaceLeft: (left, reason) => {
      this.emit('spaceLeft', left, reason);
    },
    reloaded: (what, error) => {
      this.emit('reloaded', what, error);
    },
    state: state => {
      if (state === 'draining') this.emit('draining');
    },
  };

  readonly #upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const { path, clientAddress } = this.#options;
    if (path !== undefined && pathOf(request) !== path) {
      // On a server that is shared the path may be somebody else's.
      if ((this.#server?.listenerCount('upgrade') ?? 0) > 1) return;
      refuseUpgrade(socket, 404, 'There is no relay at this path.');
      return;
    }
    const remoteAddress = clientAddress ? clientAddress(request) : this.#clientOf(request);
    this.#clients?.accept(request, socket, head, remoteAddress);
  };

  #clientOf(request: IncomingMessage): string | undefined {
    if (this.#ownServer) return this.#ownServer.clientOf(request);
    return this.#options.proxies.clientOf(request.socket.remoteAddress, request.headers['x-forwarded-for']);
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
  drops: noDrops(),
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
