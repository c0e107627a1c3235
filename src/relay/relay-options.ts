import { MAX_UNREGISTERED, MAX_UNREGISTERED_PER_IP } from '../link/places.js';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import {
  DEFAULT_MAX_FRAME,
  HANDSHAKE_BURST,
  MAX_MAX_FRAME,
  MIN_MAX_FRAME,
  REGISTRATION_TIMEOUT,
} from '../core/constants.js';
import { SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import { normalizeLocation } from '../core/location.js';
import { MAX_DELAY } from '../link/clock.js';
import type { KeyStore } from '../link/key-store.js';
import type { AdmissionOptions, ReachOptions } from './admission/admission-options.js';
import { normalPath } from './http.js';
import { TrustedProxies } from './limits/client-address.js';
import type { TrafficLimiter } from './limits/meter.js';
import type { PresencePolicy } from './service/presence.js';
import type { ObservedSpaceEvent } from './spaces/observed-space.js';
import { checkSpaces, type SpacesOptions } from './spaces/spaces-options.js';
import {
  DEFAULT_MAX_PEERS,
  DEFAULT_MAX_QUEUE_BYTES,
  DEFAULT_MAX_TOTAL_QUEUE_BYTES,
  type ObservedEnvelope,
} from './router.js';

/** Certificate and key, files in PEM format. */
export interface TlsOptions {
  /** The certificate, followed by those in between, if any. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** Where operators look. Reachable from this machine only, unless `host` says otherwise. */
export interface InternalOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Default: 127.0.0.1. */
  readonly host?: string | undefined;
}

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/** Logs as JSON lines, written by pino. */
export interface LogOptions {
  /** Default `info`. */
  readonly level?: LogLevel | undefined;
  /** A file, to which is appended. Default: standard error. */
  readonly file?: string | undefined;
}

/** What a relay needs of a logger: that of pino has it. */
export interface RelayLogger {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

/** Where the lines of an audit log go. Each is one JSON object, without a line break. */
export interface AuditSink {
  /**
   * Called for one line after the other, each when the one before has resolved. A line that it has rejected, it must not
   * have kept: it may be given again.
   */
  write(line: string): void | Promise<void>;
  /** The last line that was written before this process, if any: the chain goes on from it. */
  last?(): string | undefined | Promise<string | undefined>;
  close?(): void | Promise<void>;
}

export interface AuditOptions {
  /** A file, to which is appended. Exactly one of `file` and `sink` must be given. */
  readonly file?: string | undefined;
  readonly sink?: AuditSink | undefined;
  /** Write public keys in full. Default: false, the first 8 hex digits. */
  readonly fullKeys?: boolean | undefined;
}

/** How a relay goes down without losing anything: see `Relay.drain`. Milliseconds. */
export interface DrainOptions {
  /** How long it is not ready, but still accepts: a load balancer needs so long to notice. Default 5 s. */
  readonly delay?: number | undefined;
  /** Connections end one after the other over so long. Default 10 s. */
  readonly time?: number | undefined;
  /** How long clients are told to try without pause to come back. Default 30 s. */
  readonly tryFor?: number | undefined;
}

/** Options of a relay. Exactly one of `port` and `server` must be given. */
export interface RelayOptions {
  /** Who the relay is. Default: the identity kept in `keyStore`. */
  readonly identity?: Identity | Promise<Identity> | undefined;
  /** Where the identity is kept. Default: a file that only the user can read. */
  readonly keyStore?: KeyStore | undefined;
  /** Listen at this TCP port; 0: any that is free. */
  readonly port?: number | undefined;
  /**
   * The host name or IP address to listen at, with `port`. Default: all, as with `ws` and Node's own servers;
   * '127.0.0.1' for a relay that only this machine can reach.
   */
  readonly host?: string | undefined;
  /** Take the upgrades of an HTTP or HTTPS server of the application, which goes on being its own to listen and close. */
  readonly server?: HttpServer | HttpsServer | undefined;
  /** Take only upgrades for this path. Default: any. */
  readonly path?: string | undefined;
  /**
   * Where clients dial the relay, as `wss://relay.example`: needed when that is a name or an address that the
   * connections themselves do not show, as behind a proxy. Of a path, as in `wss://relay.example/relay`, only `url` takes
   * notice: that is between clients and the proxy. Default: the local address of each connection.
   */
  readonly addresses?: readonly string[] | undefined;
  /** Names of the relay's operator and machine, told to clients in signed device information. */
  readonly userId?: string | undefined;
  readonly deviceId?: string | undefined;
  /** Largest frame, bytes, header included. 32 KiB to 16 MiB, default 256 KiB. */
  readonly maxFrame?: number | undefined;
  /** Most bytes that may wait for one connection. Default 16 MiB. */
  readonly maxQueueBytes?: number | undefined;
  /** Most bytes that may wait for all connections together, beyond a small share for each. Default 256 MiB. */
  readonly maxTotalQueueBytes?: number | undefined;
  /** Most connections, registered or not. Default 10,000; beyond it upgrades are answered with 503. */
  readonly maxConnections?: number | undefined;
  /** The same from one IPv4 address or IPv6 /64 network. Default 1,000; beyond it upgrades are answered with 429. */
  readonly maxConnectionsPerIp?: number | undefined;
  /** Registered connections of one key. Default 256; one more is refused with `TOO_MANY_CONNECTIONS`. */
  readonly maxConnectionsPerKey?: number | undefined;
  /** Upgrades that are accepted per second, and twice as many at once. Default 1,000; others are answered with 503. */
  readonly acceptRate?: number | undefined;
  /** Most connections whose client has not proven its key. Default 1,000; beyond it upgrades are answered with 503. */
  readonly maxUnregistered?: number | undefined;
  /** The same from one IPv4 address or IPv6 /64 network. Default 64; beyond it upgrades are answered with 429. */
  readonly maxUnregisteredPerIp?: number | undefined;
  /** A client must have proven its key within so many milliseconds. Default 10 s. */
  readonly registrationTimeout?: number | undefined;
  /** Connections are pinged so often, milliseconds, and ended when that stays unanswered as long. Default 30 s. */
  readonly keepaliveInterval?: number | undefined;
  /**
   * Frames, and bytes, that one connection may send per second; as many at once. What is more is read later, and the
   * client is told so once. Default: no limit.
   */
  readonly framesPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
  /** The same for all connections of one key together. Default: no limit. */
  readonly keyFramesPerSecond?: number | undefined;
  readonly keyBytesPerSecond?: number | undefined;
  /**
   * Who counts what the connections of a key send, where several relays share the limits: limiters of
   * `rate-limiter-flexible` with as many points, for one second. Default: this process, for itself.
   */
  readonly keyLimiters?: { readonly frames?: TrafficLimiter; readonly bytes?: TrafficLimiter } | undefined;
  /**
   * Handshakes that one connection may send per second to one address, and `handshakeBurst` at once; others are dropped and
   * answered with a notice. Default 20, and 128.
   */
  readonly handshakeRate?: number | undefined;
  readonly handshakeBurst?: number | undefined;
  /** Peers that one connection may send to, as long as they are there. Default 65,536. */
  readonly maxPeers?: number | undefined;
  /**
   * What happens when the queue of a connection is full: `notify` drops the envelope and tells its sender; `close-slow`
   * does so, too, and ends the connection that does not read, with 4002. Default `notify`.
   */
  readonly queuePolicy?: 'notify' | 'close-slow' | undefined;
  /**
   * One connection for each key: the newest wins, and the one before ends with 4001, for good. Default: false, several
   * live side by side.
   */
  readonly exclusive?: boolean | undefined;
  /**
   * Proxies in front of the relay, whose word on the address of a client counts: IP addresses, CIDRs (`10.0.0.0/8`),
   * `loopback`, `private`. From them, `X-Forwarded-For` (or the PROXY protocol) is believed; from others never. Default: none.
   */
  readonly trustedProxies?: readonly string[] | undefined;
  /**
   * The trusted proxies begin each TCP connection with a header of the PROXY protocol, version 1 or 2; whoever else
   * connects must not. With `port` only. Default: false.
   */
  readonly proxyProtocol?: boolean | undefined;
  /**
   * The IP address that a request really comes from, in place of `trustedProxies`. Undefined: not known, counted in all
   * only. Default: what `trustedProxies` says, or the address of the connection.
   */
  readonly clientAddress?: ((request: IncomingMessage) => string | undefined) | undefined;
  /** Speak TLS, with `port`: files in PEM format, read again when they change and by `reload`. */
  readonly tls?: TlsOptions | undefined;
  /** Who is let in, once the key is proven. Default: everybody. */
  readonly admission?: AdmissionOptions | undefined;
  /**
   * Whose word on the user of a client counts where nobody who admits clients has said anything: `claimed` takes that of the
   * client itself, as far as it states a `userId`. Anybody can state any: only where all keys are known. Default `admitted`:
   * nobody's, such a client has no user.
   */
  readonly userIds?: 'admitted' | 'claimed' | undefined;
  /** Who may ask who is present. Default: nobody. */
  readonly presence?: PresencePolicy | undefined;
  /**
   * Who may reach whom. Default: everybody everybody. Members of one space hear each other whatever is said here, and may
   * reach each other as long as both are in it.
   */
  readonly reach?: ReachOptions | undefined;
  /** Encrypted rooms. False: there are none. Default: everybody may enter any. */
  readonly spaces?: false | SpacesOptions | undefined;
  /** An HTTP server for operators, on a port of its own: `/metrics`, `/livez`, `/readyz` and a status page. Default: none. */
  readonly internal?: InternalOptions | undefined;
  /** Structured logs: a level, where they go, or a logger with the shape of pino's. Default: none. */
  readonly log?: LogOptions | RelayLogger | undefined;
  /** A record of what happened that nobody can shorten unnoticed. Default: none. */
  readonly audit?: AuditOptions | undefined;
  /** How `drain` goes. */
  readonly drain?: DrainOptions | undefined;
  /** Sees every envelope that is forwarded: from, to, size and ciphertext. For demonstrations; must not throw. */
  readonly onEnvelope?: ((envelope: ObservedEnvelope) => void) | undefined;
  /** Sees what happens in spaces: who comes and goes, and each message, as ciphertext. For demonstrations; must not throw. */
  readonly onSpace?: ((event: ObservedSpaceEvent) => void) | undefined;
}

/** Options that have been checked, with every default filled in. */
export type CheckedOptions = ReturnType<typeof checkOptions>;

/** @throws SecureWebSocketError `INVALID_ARGUMENT` */
export function checkOptions(options: RelayOptions) {
  const { port, server, path } = options;
  if ((port === undefined) === (server === undefined))
    throw invalid('Give exactly one of "port" and "server".');
  if (options.host !== undefined && server !== undefined)
    throw invalid('"host" goes with "port", not with "server".');
  if (path !== undefined && !path.startsWith('/'))
    throw invalid(`"path" starts with "/": ${JSON.stringify(path)}.`);

  const { tls, proxyProtocol, trustedProxies, queuePolicy, drain, audit } = options;
  if (tls !== undefined && server !== undefined)
    throw invalid('"tls" goes with "port", not with "server": that one has a certificate of its own.');
  if (proxyProtocol === true && server !== undefined)
    throw invalid('"proxyProtocol" goes with "port", not with "server".');
  if (proxyProtocol === true && (trustedProxies ?? []).length === 0)
    throw invalid('"proxyProtocol" needs "trustedProxies": the proxies that send its header.');
  if (queuePolicy !== undefined && !['notify', 'close-slow'].includes(queuePolicy))
    throw invalid(`"queuePolicy" is "notify" or "close-slow", not ${JSON.stringify(queuePolicy)}.`);
  if (audit !== undefined && (audit.file === undefined) === (audit.sink === undefined))
    throw invalid('Give exactly one of "file" and "sink" to "audit".');

  const { userIds, presence = false } = options;
  if (userIds !== undefined && !['admitted', 'claimed'].includes(userIds))
    throw invalid(`"userIds" is "admitted" or "claimed", not ${JSON.stringify(userIds)}.`);
  if (typeof (presence as unknown) !== 'boolean' && typeof presence !== 'function')
    throw invalid('"presence" is true, false or a function.');

  const integer = (name: keyof RelayOptions, fallback: number, min = 1, max?: number): number =>
    number(name, options[name] as number | undefined, fallback, min, max);
  const optional = (name: keyof RelayOptions): number | undefined =>
    options[name] === undefined ? undefined : integer(name, 1);
  const maxFrame = integer('maxFrame', DEFAULT_MAX_FRAME, MIN_MAX_FRAME, MAX_MAX_FRAME);
  return {
    ...options,
    path: path === undefined ? undefined : normalPath(path),
    addresses: options.addresses?.map(normalizeLocation),
    publicUrl: publicUrlOf(options.addresses?.[0]),
    proxies: new TrustedProxies(trustedProxies ?? []),
    proxyProtocol: proxyProtocol === true,
    presence,
    trustsClaims: userIds === 'claimed',
    exclusive: options.exclusive === true,
    closeSlow: queuePolicy === 'close-slow',
    maxFrame,
    maxQueueBytes: integer('maxQueueBytes', Math.max(DEFAULT_MAX_QUEUE_BYTES, maxFrame), maxFrame),
    maxTotalQueueBytes: integer('maxTotalQueueBytes', DEFAULT_MAX_TOTAL_QUEUE_BYTES),
    maxConnections: integer('maxConnections', 10_000),
    maxConnectionsPerIp: integer('maxConnectionsPerIp', 1_000),
    maxConnectionsPerKey: integer('maxConnectionsPerKey', 256),
    acceptRate: integer('acceptRate', 1_000),
    maxUnregistered: integer('maxUnregistered', MAX_UNREGISTERED),
    maxUnregisteredPerIp: integer('maxUnregisteredPerIp', MAX_UNREGISTERED_PER_IP),
    registrationTimeout: integer('registrationTimeout', REGISTRATION_TIMEOUT, 1, MAX_DELAY),
    keepaliveInterval: integer('keepaliveInterval', 30_000, 1, MAX_DELAY),
    framesPerSecond: optional('framesPerSecond'),
    bytesPerSecond: optional('bytesPerSecond'),
    keyFramesPerSecond: optional('keyFramesPerSecond'),
    keyBytesPerSecond: optional('keyBytesPerSecond'),
    handshakeRate: integer('handshakeRate', 20),
    handshakeBurst: integer('handshakeBurst', HANDSHAKE_BURST),
    maxPeers: integer('maxPeers', DEFAULT_MAX_PEERS),
    spaces: checkSpaces(options.spaces),
    drain: {
      delay: number('drain.delay', drain?.delay, 5_000, 0, MAX_DELAY),
      time: number('drain.time', drain?.time, 10_000, 0, MAX_DELAY - 10_000),
      tryFor: number('drain.tryFor', drain?.tryFor, 30_000, 0, MAX_DELAY),
    },
  };
}

/** An address with a path: where a proxy takes what is not the relay's own path. Normalized. */
function publicUrlOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const location = normalizeLocation(address);
  const path = normalPath(new URL(address).pathname);
  return path === '/' ? undefined : location + path;
}

function number(
  name: string,
  value: number | undefined,
  fallback: number,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    const range =
      max === Number.MAX_SAFE_INTEGER
        ? `of at least ${String(min)}`
        : `from ${String(min)} to ${String(max)}`;
    throw invalid(`"${name}" is an integer ${range}, not ${shown(value)}.`);
  }
  return value;
}

function invalid(message: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', message);
}

/** What a caller of plain JavaScript gave in place of a number: anything may fail to become a string. */
function shown(value: unknown): string {
  return typeof value === 'number' ? String(value) : `a ${typeof value}`;
}
