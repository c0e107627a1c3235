import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server as NetServer,
  type Socket,
} from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { describeError } from '../core/describe-error.js';
import { Places } from '../link/places.js';
import { createRelayServer, secure } from './http.js';
import { receiveProxyHeader } from './limits/proxy-protocol.js';
import type { TrustedProxies } from './limits/client-address.js';

export interface RelayServerOptions {
  /** Whoever has not begun an upgrade within so many milliseconds is cut off. */
  readonly timeout: number;
  /** Most TCP connections whose client has not proven its key, in all and from one address. */
  readonly maxStrangers: number;
  readonly maxStrangersPerIp: number;
  readonly proxies: TrustedProxies;
  readonly proxyProtocol: boolean;
  readonly tls: SecureContextOptions | undefined;
  /** There was no room for one more of them. */
  readonly limited: (
    limit: 'unregistered' | 'unregistered_per_ip',
    remoteAddress: string | undefined,
  ) => void;
  /** A connection began with something else than the header that its proxy has to send. */
  readonly refused: (remoteAddress: string | undefined, message: string) => void;
}

/** A TCP connection until its client is registered: most never get as far as an upgrade. */
interface Stranger {
  readonly socket: Socket;
  /** Whom the PROXY protocol says it comes from. */
  source: string | undefined;
  /** Gives back the place that it takes. */
  place: () => void;
  readonly leave: () => void;
}

/** The server that a relay has of its own, from TCP to the upgrade: plain or with TLS, behind a proxy or not. */
export class RelayServer {
  readonly http: HttpServer | HttpsServer;
  readonly isSecure: boolean;
  readonly #options: RelayServerOptions;
  /** In front of it, where connections begin with a header of the PROXY protocol. */
  readonly #front: NetServer | undefined;
  readonly #strangers: Places;
  #isClosed = false;
  /** By the other end of the connection, which a TLS socket shares with the TCP socket beneath it. */
  readonly #byPeer = new Map<string, Stranger>();

  constructor(options: RelayServerOptions) {
    this.#options = options;
    this.isSecure = options.tls !== undefined;
    this.http = createRelayServer(options.timeout, options.tls);
    this.#strangers = new Places(options.maxStrangers, options.maxStrangersPerIp);
    // It may not go on reading by itself before its header has been read.
    if (options.proxyProtocol) {
      this.#front = createNetServer({ pauseOnConnect: true, allowHalfOpen: true }, this.#receive);
    } else {
      this.http.on('connection', this.#greet);
    }
  }

  get #listener(): NetServer {
    return this.#front ?? this.http;
  }

  get listening(): boolean {
    return this.#listener.listening;
  }

  address(): AddressInfo | string | null {
    return this.#listener.address();
  }

  /** Resolves when it listens, or was closed meanwhile. Errors after that go to `failed`. */
  async listen(
    port: number | undefined,
    host: string | undefined,
    failed: (error: Error) => void,
  ): Promise<void> {
    const listener = this.#listener;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.once('listening', resolve);
      // Instead of `listening`, when it is closed in between.
      listener.once('close', resolve);
      listener.listen({ port, host });
    });
    listener.on('error', failed);
    if (this.#isClosed) await this.close();
  }

  /** Accepts no more connections; those that there are stay. Resolves when all of them are gone. */
  close(): Promise<void> {
    const listener = this.#listener;
    this.#isClosed = true;
    if (!listener.listening) return Promise.resolve();
    return new Promise(resolve => {
      listener.close(() => {
        resolve();
      });
      this.http.closeIdleConnections();
    });
  }

  /** Cuts off whoever is not registered. */
  destroyStrangers(): void {
    for (const { socket } of this.#byPeer.values()) socket.destroy();
  }

  /** The client of this connection is no stranger any more. `socket`: the one that was upgraded. */
  welcome(socket: Socket): void {
    const peer = peerOf(socket);
    if (peer !== undefined) this.#byPeer.get(peer)?.leave();
  }

  /** The IP address that the client of a request comes from, as far as proxies that are trusted tell. */
  clientOf(request: IncomingMessage): string | undefined {
    const { socket, headers } = request;
    const peer = peerOf(socket);
    const source = peer === undefined ? undefined : this.#byPeer.get(peer)?.source;
    return source ?? this.#options.proxies.clientOf(socket.remoteAddress, headers['x-forwarded-for']);
  }

  /** What TLS connections begin with from now on. Those that there are stay as they are. */
  setSecureContext(context: SecureContextOptions): void {
    if ('setSecureContext' in this.http) this.http.setSecureContext(secure(context));
  }

  readonly #greet = (socket: Socket): Stranger | undefined => {
    const peer = peerOf(socket);
    const { proxies } = this.#options;
    // Behind a proxy all have its address.
    const group = proxies.trusts(socket.remoteAddress) ? undefined : socket.remoteAddress;
    const place = peer === undefined ? undefined : this.#enter(group, socket.remoteAddress);
    if (place === undefined || peer === undefined) {
      // Nothing has been read yet that could be answered.
      socket.destroy();
      return undefined;
    }
    const stranger: Stranger = {
      socket,
      source: undefined,
      place,
      leave: () => {
        if (this.#byPeer.get(peer) === stranger) this.#byPeer.delete(peer);
        socket.off('close', stranger.leave);
        stranger.place();
      },
    };
    this.#byPeer.set(peer, stranger);
    socket.on('close', stranger.leave);
    return stranger;
  };

  /** Its proxy has said whose it is: from now on it counts as that client's. False: there is no place for that, and it is gone. */
  #regroup(stranger: Stranger, source: string): boolean {
    stranger.place();
    const place = this.#enter(source, source);
    stranger.place = place ?? (() => undefined);
    if (place) return true;
    stranger.socket.destroy();
    return false;
  }

  #enter(group: string | undefined, remoteAddress: string | undefined): (() => void) | undefined {
    const place = this.#strangers.enter(group);
    if (typeof place !== 'string') return place;
    this.#options.limited(place === 'TOO_MANY' ? 'unregistered' : 'unregistered_per_ip', remoteAddress);
    return undefined;
  }

  /** A connection to the server in front. */
  readonly #receive = (socket: Socket): void => {
    const stranger = this.#greet(socket);
    if (!stranger) return;
    const { remoteAddress } = socket;
    const { proxies, timeout, refused } = this.#options;
    const hasHeader = proxies.trusts(remoteAddress);
    const header = hasHeader ? receiveProxyHeader(socket, timeout) : Promise.resolve(undefined);
    header.then(
      source => {
        stranger.source = source;
        // As long as it is not known whose it is, or it is another proxy's, only the places in all count.
        if (source !== undefined && !proxies.trusts(source) && !this.#regroup(stranger, source)) return;
        this.http.emit('connection', socket);
        // It was paused by the server in front.
        if (!hasHeader) socket.resume();
      },
      (error: unknown) => {
        refused(remoteAddress, describeError(error));
      },
    );
  };
}

/** Names the other end of a connection for as long as it is there. */
function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress ?? ''} ${String(remotePort)}`;
}
