import type { Identity } from '../core/identity.js';
import type { DialOptions } from '../link/dial.js';
import type { KeyStore } from '../link/key-store.js';
import type { WebSocketConstructor } from '../link/raw-socket.js';
import type { ServerKey, TrustStore } from '../link/trust.js';

/** The third argument of `new ClientSecureWebSocket()`, and the argument of `ClientSecureWebSocket.configure()`. */
export interface ClientSecureWebSocketOptions extends DialOptions {
  /**
   * Who this end is. Default: the identity kept in `keyStore`, which is made at the first use. Sockets of one identity
   * to one relay share a link.
   */
  readonly identity?: Identity | Promise<Identity> | undefined;
  /**
   * Where the identity is kept when `identity` is not given. Default: IndexedDB in a browser, in Node a file that only
   * its owner can read.
   */
  readonly keyStore?: KeyStore | undefined;
  /**
   * The public key that the server or relay at the URL must have (64 lowercase hex characters), or several of which it
   * must have one. Any other key ends the attempt with `SERVER_KEY_MISMATCH`; what is no canonical address makes the
   * constructor throw. Default: `trustStore` decides.
   */
  readonly serverKey?: ServerKey | undefined;
  /**
   * Decides whether a key may be the server at a location, when `serverKey` is not given. Default: a
   * `FirstUseTrustStore` of the page or process, so the first key seen at a location is the only one accepted there. A
   * peer behind a relay is authenticated by the key in the URL in any case.
   */
  readonly trustStore?: TrustStore | undefined;
  /** The WebSocket class beneath, for runtimes that lack one and for tests. Default: the platform's own, `ws` in Node. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /**
   * True: the server at the URL is the peer, even when a segment of the path looks like a public key. Default: a
   * segment of 64 lowercase hex characters is the peer's address, and the rest of the URL in front of it its relay's.
   */
  readonly direct?: boolean | undefined;
  /** Whose device this is: part of the signed device information that the server alone gets. At most 256 characters. */
  readonly userId?: string | undefined;
  /** Which of the user's devices this is: told like `userId`. At most 256 characters. */
  readonly deviceId?: string | undefined;
  /** HTTP headers of the opening handshake, which are not encrypted end to end. Node only; not with `WebSocket`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Options of Node's `tls.connect`, such as `ca`. Node only; not with `WebSocket`. */
  readonly tls?: Readonly<Record<string, unknown>> | undefined;
  /** Largest message accepted from the peer, bytes; a larger one ends the connection. Default: 100 MiB. */
  readonly maxPayload?: number | undefined;
}

/** What subclasses made by `configure` were given, each on top of the class that it extends. */
const configured = new WeakMap<object, ClientSecureWebSocketOptions>();

/** Keeps a copy of `options` for every socket of `constructor` and of classes that extend it. */
export function setConfiguredOptions(constructor: object, options: ClientSecureWebSocketOptions): void {
  configured.set(constructor, given(options));
}

/**
 * The options of one socket: those that its class and the classes beneath it were configured with, then those given to
 * the constructor. What is undefined changes nothing: a pin cannot be lost by a variable that was not set. An argument
 * that is no object is ignored: browsers ignore a third argument, and code exists that passes one.
 */
export function socketOptions(constructor: object, argument: unknown): ClientSecureWebSocketOptions {
  let options: ClientSecureWebSocketOptions = {};
  for (let at: object | null = constructor; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    options = { ...configured.get(at), ...options };
  }
  return typeof argument === 'object' && argument !== null ? { ...options, ...given(argument) } : options;
}

function given(options: ClientSecureWebSocketOptions): ClientSecureWebSocketOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
