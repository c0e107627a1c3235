import { inNextTask } from './tasks.js';

/**
 * Runs steps in order, each in a task of its own, as the WebSockets Standard's "queue a task" asks. A channel may tell
 * of several things at once, such as that it is open and what its first messages are; between two events an application
 * gets to run what waits for the first (`await` a promise that `open` resolves, then add a listener for `message`).
 */
export class TaskQueue {
  #steps: (() => void)[] = [];
  /** Steps before this one have run: taking them out one by one would cost a copy of the others each time. */
  #next = 0;

  push(step: () => void): void {
    this.#steps.push(step);
    inNextTask(() => {
      this.#run();
    });
  }

  #run(): void {
    const step = this.#steps[this.#next++];
    if (this.#next * 2 >= this.#steps.length) {
      this.#steps = this.#steps.slice(this.#next);
      this.#next = 0;
    }
    step?.();
  }
}
