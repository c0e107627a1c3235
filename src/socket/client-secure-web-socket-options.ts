import type { DialOptions } from '../link/dial.js';

/** The third argument of `new ClientSecureWebSocket()`, and the argument of `ClientSecureWebSocket.configure()`. */
export type ClientSecureWebSocketOptions = DialOptions;

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
