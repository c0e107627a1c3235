import { page } from '#page';
import { startTimer, stopTimer } from './clock.js';

/**
 * Calls `go` once, in `delay` milliseconds, or as soon as there is reason to believe that the network is back. A program that
 * has nothing else to do does not end meanwhile. What it returns gives the attempt up.
 */
export function waitForAttempt(delay: number, go: () => void): () => void {
  const attempt = (): void => {
    stop();
    go();
  };
  const timer = startTimer(delay, attempt, true);
  const forget = page.onWake(attempt);
  const stop = (): void => {
    stopTimer(timer);
    forget();
  };
  return stop;
}
