export type Timer = ReturnType<typeof setTimeout>;

/** The longest that a timer of the runtimes can wait, milliseconds; a longer one would fire at once. */
export const MAX_DELAY = 2 ** 31 - 1;

/** Milliseconds of a clock that only goes forward: for ages and deadlines. */
export function monotonicNow(): number {
  return performance.now();
}

/** Milliseconds since 1970: what is told to others, and never trusted. */
export function wallClock(): number {
  return Date.now();
}

/**
 * A timer that does not keep a Node process alive by itself: the connection does that. `keepsAlive`: there is none, and
 * there is to be one.
 */
export function startTimer(delay: number, callback: () => void, keepsAlive = false): Timer {
  const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delay)), MAX_DELAY));
  // Browsers give a number.
  if (typeof timer === 'object' && !keepsAlive) timer.unref();
  return timer;
}

export function stopTimer(timer: Timer | undefined): void {
  if (timer !== undefined) clearTimeout(timer);
}

const settled = Promise.resolve();

/**
 * `queueMicrotask`, for what is done all the time: in Node that makes an object for each call which takes longer than
 * most callbacks. `callback` must not throw.
 */
export function inMicrotask(callback: () => void): void {
  void settled.then(callback);
}
