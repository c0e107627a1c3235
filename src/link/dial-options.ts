import { Identity } from '../core/identity.js';
import { resolveIdentity } from './identities.js';
import type { KeyStore } from './key-store.js';
import type { WebSocketConstructor } from '../websocket/raw-socket.js';
import type { Reconnect } from './reconnect-policy.js';
import { parseServerKey, type ServerKey, type TrustStore } from './trust.js';

/** A value, or a function that is asked for it at each attempt to connect. It may fail: the attempt has failed then. */
export type Provided<Value> = Value | (() => Value | Promise<Value>);

/** How a dialled socket connects. Everything is optional. */
export interface DialOptions {
  /** Who we are. Default: the identity kept in `keyStore`. */
  readonly identity?: Provided<Identity> | Promise<Identity> | undefined;
  /** Where the identity is kept. Default: IndexedDB in browsers, a file that only the user can read in Node. */
  readonly keyStore?: KeyStore | undefined;
  /** The public key that the server or relay must have (hex), or several of which it must have one. */
  readonly serverKey?: Provided<ServerKey> | undefined;
  /** Asked about the server's key when there is no `serverKey`. Default: trust on first use, while the page or process lives. */
  readonly trustStore?: TrustStore | undefined;
  /**
   * Told to the server, sealed, once its key has been checked: what it admits us for. At most 4,096 characters. A function is
   * asked again before what it gave expires, where a relay says when that is: the connection goes on with the fresh one.
   */
  readonly token?: Provided<string | undefined>;
  /**
   * Whether the connection outlives its links: true, or how attempts to connect follow each other. Default: false, it
   * ends with its link as a WebSocket does.
   */
  readonly reconnect?: Reconnect | undefined;
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

/** The options of one attempt: what functions had to say is known. */
export interface AttemptOptions extends Omit<DialOptions, 'identity' | 'serverKey' | 'token'> {
  readonly identity: Identity;
  readonly serverKey?: ServerKey | undefined;
  readonly token?: string | undefined;
  /** Limits of the endpoint, where it takes what peers open. */
  readonly maxChannelsPerPeer?: number | undefined;
  readonly maxPeers?: number | undefined;
  /** Where a fresh token can be had, if anywhere: what the application gave as a function. */
  readonly freshToken?: (() => string | undefined | Promise<string | undefined>) | undefined;
}

/**
 * Asks every function among `options`. `role` names the identity that is used when none is given.
 * Rejects with whatever they throw, and with `INVALID_ARGUMENT` when a pin is no key.
 *
 * @param meanwhile Called when no function is left to ask, and it is yet to be loaded who we are.
 */
export async function attemptOptions(
  options: DialOptions,
  role: string,
  meanwhile?: () => void,
): Promise<AttemptOptions> {
  const { keyStore, identity: source } = options;
  const asked = Promise.all([
    typeof source === 'function' ? source() : undefined,
    provided(options.serverKey),
    provided(options.token),
  ]).then(([identity, serverKey, token]) => {
    if (serverKey !== undefined) parseServerKey(serverKey);
    if (identity === undefined && !(source instanceof Identity)) meanwhile?.();
    return { identity, serverKey, token };
  });
  const [given, answers] = await Promise.all([typeof source === 'function' ? undefined : source, asked]);
  const identity = answers.identity ?? given ?? (await resolveIdentity({ keyStore }, role));
  const freshToken = typeof options.token === 'function' ? options.token : undefined;
  return { ...options, ...answers, identity, freshToken };
}

async function provided<Value>(value: Provided<Value> | Promise<Value>): Promise<Value> {
  return typeof value === 'function' ? (value as () => Value | Promise<Value>)() : value;
}
