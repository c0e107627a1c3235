/** The part of the web's MessageChannel that is used: its types here are Node's, which are others. */
interface MessageChannelLike {
  readonly port1: { onmessage: (() => void) | null; close(): void };
  readonly port2: { postMessage(message: unknown): void };
}

/** Calls `callback` in a task of its own: after the microtasks of the current one, without the delay of a timer. */
export function inNextTask(callback: () => void): void {
  if (typeof setImmediate === 'function') {
    setImmediate(callback);
    return;
  }
  // Browsers hold timers back, in background tabs by seconds; messages they do not.
  const { port1, port2 } = new MessageChannel() as unknown as MessageChannelLike;
  port1.onmessage = () => {
    port1.close();
    callback();
  };
  port2.postMessage(undefined);
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
