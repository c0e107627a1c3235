import type { DialOptions } from '../link/dial.js';
import { MAX_BUFFERED, type SpaceOptions } from '../link/space-options.js';

export type { SpaceOptions };

/** The third argument of `new ClientSecureWebSocket()`, and the argument of `ClientSecureWebSocket.configure()`. */
export interface ClientSecureWebSocketOptions extends DialOptions {
  /**
   * With `reconnect`: so many bytes may wait while the peer cannot be reached; `send` throws `BUFFER_FULL` for what
   * would be more. In a space, where nobody can be slowed down, so many bytes of what has come may wait to be read, too: with
   * more the connection fails with `BUFFER_FULL`. Default: 16 MiB.
   */
  readonly maxBuffered?: number | undefined;
  /** How the socket takes part in the space, if its URL is that of one. */
  readonly space?: SpaceOptions | undefined;
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

/**
 * The option `maxBuffered`, bytes.
 * @throws TypeError unless it is a finite number that is not negative
 */
export function maxBufferedOf({ maxBuffered = MAX_BUFFERED }: ClientSecureWebSocketOptions): number {
  const given: unknown = maxBuffered;
  if (typeof given === 'number' && Number.isFinite(given) && given >= 0) return given;
  throw new TypeError('The option "maxBuffered" must be a finite number of bytes, 0 or more.');
}

function given(options: ClientSecureWebSocketOptions): ClientSecureWebSocketOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
