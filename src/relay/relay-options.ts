import { MAX_UNREGISTERED, MAX_UNREGISTERED_PER_IP } from '../link/admission.js';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { DEFAULT_MAX_FRAME, MAX_MAX_FRAME, MIN_MAX_FRAME, REGISTRATION_TIMEOUT } from '../core/constants.js';
import { SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import { normalizeLocation } from '../core/location.js';
import type { KeyStore } from '../link/key-store.js';
import { normalPath } from './http.js';
import { DEFAULT_MAX_QUEUE_BYTES, DEFAULT_MAX_TOTAL_QUEUE_BYTES, type ObservedEnvelope } from './router.js';

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
   * connections themselves do not show, as behind a proxy. Default: the local address of each connection.
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
  /** Most connections whose client has not proven its key. Default 1,000; beyond it upgrades are answered with 503. */
  readonly maxUnregistered?: number | undefined;
  /** The same from one IPv4 address or IPv6 /64 network. Default 64; beyond it upgrades are answered with 429. */
  readonly maxUnregisteredPerIp?: number | undefined;
  /** A client must have proven its key within so many milliseconds. Default 10 s. */
  readonly registrationTimeout?: number | undefined;
  /** Connections are pinged so often, milliseconds, and ended when that stays unanswered as long. Default 30 s. */
  readonly keepaliveInterval?: number | undefined;
  /**
   * The IP address that a request really comes from, when the relay stands behind a proxy that tells it in a header.
   * Undefined: not known, counted in all only. Default: the address of the connection.
   */
  readonly clientAddress?: ((request: IncomingMessage) => string | undefined) | undefined;
  /** Sees every envelope that is forwarded: from, to, size and ciphertext. For demonstrations; must not throw. */
  readonly onEnvelope?: ((envelope: ObservedEnvelope) => void) | undefined;
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

  const maxFrame = number('maxFrame', options.maxFrame, DEFAULT_MAX_FRAME, MIN_MAX_FRAME, MAX_MAX_FRAME);
  return {
    ...options,
    path: path === undefined ? undefined : normalPath(path),
    addresses: options.addresses?.map(normalizeLocation),
    maxFrame,
    maxQueueBytes: number(
      'maxQueueBytes',
      options.maxQueueBytes,
      Math.max(DEFAULT_MAX_QUEUE_BYTES, maxFrame),
      maxFrame,
    ),
    maxTotalQueueBytes: number(
      'maxTotalQueueBytes',
      options.maxTotalQueueBytes,
      DEFAULT_MAX_TOTAL_QUEUE_BYTES,
      1,
    ),
    maxConnections: number('maxConnections', options.maxConnections, 10_000, 1),
    maxUnregistered: number('maxUnregistered', options.maxUnregistered, MAX_UNREGISTERED, 1),
    maxUnregisteredPerIp: number(
      'maxUnregisteredPerIp',
      options.maxUnregisteredPerIp,
      MAX_UNREGISTERED_PER_IP,
      1,
    ),
    registrationTimeout: number(
      'registrationTimeout',
      options.registrationTimeout,
      REGISTRATION_TIMEOUT,
      1,
      MAX_DELAY,
    ),
    keepaliveInterval: number('keepaliveInterval', options.keepaliveInterval, 30_000, 1, MAX_DELAY),
  };
}

/** The longest that a timer of Node can wait. */
const MAX_DELAY = 2 ** 31 - 1;

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
    throw invalid(`"${name}" is an integer ${range}, not ${String(value)}.`);
  }
  return value;
}

function invalid(message: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', message);
}
