import { Fifo } from './fifo.js';
import { inNextTask } from './tasks.js';

/**
 * Runs steps in order, each in a task of its own, as the WebSockets Standard's "queue a task" asks. A channel may tell
 * of several things at once, such as that it is open and what its first messages are; between two events an application
 * gets to run what waits for the first (`await` a promise that `open` resolves, then add a listener for `message`).
 */
export class TaskQueue {
  readonly #steps = new Fifo<() => void>();

  push(step: () => void): void {
    this.#steps.push(step);
    inNextTask(() => {
      this.#steps.shift()?.();
    });
  }
}
