import { toHex } from '../core/bytes.js';
import { asSecureWebSocketError, SecureWebSocketError } from '../core/errors.js';
import { peerAddress } from '../core/frame.js';
import type { Identity } from '../core/identity.js';
import { type Location, parseLocation } from '../core/location.js';
import { platform } from '#platform';
import type { ChannelEnd, ChannelInformation, ChannelListener, ChannelPort } from './channel-port.js';
import { resolveIdentity } from './identities.js';
import type { KeyStore } from './key-store.js';
import type { Link } from './link.js';
import { leaseLink, register, startLink } from './link-pool.js';
import type { WebSocketConstructor } from './raw-socket.js';
import { parseServerKey, type ServerKey, type TrustStore } from './trust.js';

/** How a dialled socket connects. Everything is optional. */
export interface DialOptions {
  /** Who we are. Default: the identity kept in `keyStore`. */
  readonly identity?: Identity | Promise<Identity> | undefined;
  /** Where the identity is kept. Default: IndexedDB in browsers, a file that only the user can read in Node. */
  readonly keyStore?: KeyStore | undefined;
  /** The public key that the server or relay must have (hex), or several of which it must have one. */
  readonly serverKey?: ServerKey | undefined;
  /** Asked about the server's key when there is no `serverKey`. Default: trust on first use, while the page or process lives. */
  readonly trustStore?: TrustStore | undefined;
  /** A WebSocket class to dial with, instead of the runtime's own. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** Take the URL as that of a server even if its path holds 64 hex digits that could be the address of a peer. */
  readonly direct?: boolean | undefined;
  /** A name of the user, told to the server (sealed) as part of the signed device information. At most 256 characters. */
  readonly userId?: string | undefined;
  /** Tells the devices of one user apart. At most 256 characters. */
  readonly deviceId?: string | undefined;
  /** HTTP headers of the opening handshake. Node only. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Options for `tls.connect`, such as `ca`. Node only. */
  readonly tls?: Readonly<Record<string, unknown>> | undefined;
  /** Messages larger than this end the connection, bytes. Default: 100 MiB. */
  readonly maxPayload?: number | undefined;
}

/**
 * Opens a channel: with the server at `url`, or with the peer whose address is in its path, through the relay there.
 * Returns at once; all else is told to `listener`.
 * @throws SecureWebSocketError with an address code when the URL holds a 64-digit hex segment that is no canonical
 *   address; `INVALID_ARGUMENT` when `serverKey` is none
 */
export function dialChannel(
  url: URL,
  protocols: readonly string[],
  options: DialOptions,
  listener: ChannelListener,
): ChannelPort {
  const location = parseLocation(url, options.direct);
  if (options.serverKey !== undefined) parseServerKey(options.serverKey);
  return new DialledChannel(location, protocols, options, listener);
}

class DialledChannel implements ChannelPort {
  readonly #location: Location;
  readonly #protocols: readonly string[];
  readonly #options: DialOptions;
  readonly #listener: ChannelListener;
  /** The channel on its link, once there is a link. */
  #port: ChannelPort | undefined;
  /** Lets go of whatever this socket holds: a registration under way, a share in a link. */
  #release: (() => void) | undefined;
  #ended = false;
  #paused = false;

  constructor(
    location: Location,
    protocols: readonly string[],
    options: DialOptions,
    listener: ChannelListener,
  ) {
    this.#location = location;
    this.#protocols = protocols;
    this.#options = options;
    this.#listener = listener;
    this.#connect().catch((error: unknown) => {
      this.#fail(error);
    });
  }

  get bufferedAmount(): number {
    return this.#port?.bufferedAmount ?? 0;
  }

  send(data: Uint8Array, isText: boolean): void {
    this.#port?.send(data, isText);
  }

  ping(data: Uint8Array): void {
    this.#port?.ping(data);
  }

  pong(data: Uint8Array): void {
    this.#port?.pong(data);
  }

  close(code?: number, reason?: string): void {
    if (this.#port) this.#port.close(code, reason);
    else this.#abort(new SecureWebSocketError('ABORTED', 'The socket was closed before it was open.'));
  }

  terminate(error?: SecureWebSocketError): void {
    if (this.#port) this.#port.terminate(error);
    else
      this.#abort(
        error ?? new SecureWebSocketError('ABORTED', 'The socket was terminated before it was open.'),
      );
  }

  pause(): void {
    this.#paused = true;
    this.#port?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#port?.resume();
  }

  async #connect(): Promise<void> {
    const identity = await resolveIdentity(this.#options, 'client');
    if (this.#ended) return;
    if (this.#location.peerKey) await this.#connectToPeer(identity, this.#location.peerKey);
    else await this.#connectToServer(identity);
  }

  /** Direct use: a link of its own, whose registration is the first session with the server. */
  async #connectToServer(identity: Identity): Promise<void> {
    const { dialled, origin } = this.#location;
    const dialling = register(dialled, origin, identity, this.#options);
    this.#release = () => {
      dialling.abort(new SecureWebSocketError('ABORTED', 'The socket was closed before it was open.'));
    };
    const socket = await dialling.registered;
    if (this.#ended) {
      socket.socket.close(1000);
      return;
    }
    const address = peerAddress(socket.serverKey, 0);
    const link = startLink(
      socket,
      identity,
      this.#options,
      {
        onIdle: () => {
          link.close(new SecureWebSocketError('ABORTED', 'The socket was closed.'));
        },
      },
      endpoint => {
        endpoint.adopt(address, socket.keys);
      },
    );
    this.#release = undefined;
    this.#open(link, address, identity);
  }

  async #connectToPeer(identity: Identity, peerKey: Uint8Array): Promise<void> {
    const { dialled, origin } = this.#location;
    const lease = leaseLink(dialled, origin, identity, this.#options, {});
    this.#release = () => {
      lease.release();
    };
    const link = await lease.ready;
    if (this.#ended) return;
    this.#open(link, peerAddress(peerKey, 0), identity);
  }

  #open(link: Link, address: Uint8Array, identity: Identity): void {
    const parameters = {
      target: this.#location.target,
      protocols: this.#protocols,
      origin: platform.origin(),
    };
    const listener: ChannelListener = {
      opened: information => {
        this.#opened(information);
      },
      message: (data, isText) => {
        this.#listener.message(data, isText);
      },
      ping: data => this.#listener.ping?.(data),
      pong: data => this.#listener.pong?.(data),
      closing: () => this.#listener.closing?.(),
      sent: bytes => this.#listener.sent?.(bytes),
      closed: end => {
        this.#end(end);
      },
    };
    this.#port = link.open(address, parameters, listener);
    if (this.#paused) this.#port.pause();
    this.#listener.registered?.({ publicKey: identity.publicKey, serverPublicKey: link.serverPublicKey });
  }

  #opened(information: ChannelInformation): void {
    const { protocol } = information;
    if (protocol !== '' && !this.#protocols.includes(protocol)) {
      const message = `The peer chose the subprotocol "${protocol}", which was not offered.`;
      this.#port?.terminate(new SecureWebSocketError('PROTOCOL_NOT_OFFERED', message));
      return;
    }
    this.#listener.opened?.(information);
  }

  #abort(error: SecureWebSocketError): void {
    queueMicrotask(() => {
      this.#fail(error);
    });
  }

  #fail(error: unknown): void {
    const known = asSecureWebSocketError(error, 'LINK_FAILED', 'The connection could not be made.');
    this.#end({ code: 1006, reason: '', wasClean: false, error: known });
  }

  #end(end: ChannelEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    // After this turn, so that a CLOSE that has just been sealed is on its way before its link is closed.
    const release = this.#release;
    this.#release = undefined;
    if (release) queueMicrotask(release);
    this.#listener.closed(end);
  }
}

/** The location of a peer behind a relay, as it is dialled. */
export function peerLocation(relayUrl: string, publicKey: Uint8Array): string {
  const url = new URL(relayUrl);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${toHex(publicKey)}`;
  return url.href;
}
