import { Fifo } from './fifo.js';

/** The part of the web's MessageChannel that is used: its types here are Node's, which are others. */
interface MessageChannelLike {
  readonly port1: { onmessage: (() => void) | null };
  readonly port2: { postMessage(message: unknown): void };
}

/** What waits for its message; one channel carries them all, as making one takes up to milliseconds (WebKit). */
const waiting = new Fifo<() => void>();
let channel: MessageChannelLike | undefined;

/** Calls `callback` in a task of its own: after the microtasks of the current one, without the delay of a timer. */
export function inNextTask(callback: () => void): void {
  if (typeof setImmediate === 'function') {
    setImmediate(callback);
    return;
  }
  // Browsers hold timers back, in background tabs by seconds; messages they do not.
  waiting.push(callback);
  if (channel === undefined) {
    channel = new MessageChannel() as unknown as MessageChannelLike;
    channel.port1.onmessage = () => {
      waiting.shift()?.();
    };
  }
  channel.port2.postMessage(undefined);
}

/**
 * Makes an exception of the application's own code known as an uncaught exception, as `ws` does, without unwinding
 * the code of the link that happened to call it: other channels may share that link.
 */
export function reportUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** Calls a function of the application; what it throws goes to `reportUncaught`. */
export function callGuarded(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    reportUncaught(error);
  }
}
