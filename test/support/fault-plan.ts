import type { FaultyProxy } from './faulty-proxy.js';

/**
 * Faults in the middle of an exchange, one after the other: each once the connection has come back from the last and
 * some more messages have arrived.
 */
export class FaultPlan {
  readonly #proxies: readonly FaultyProxy[];
  readonly #most: number;
  readonly #every: number;
  #arrived = 0;
  #isUp = true;
  readonly #waiting: { readonly count: number; readonly go: () => void }[] = [];
  /** Faults so far. */
  count = 0;

  /** `most` faults in all, each after `every` messages. */
  constructor(proxies: readonly FaultyProxy[], most: number, every: number) {
    this.#proxies = proxies;
    this.#most = most;
    this.#every = every;
  }

  /** A message has arrived, at either end. */
  arrived(): void {
    this.#arrived++;
    if (!this.#isUp || this.#arrived < this.#every || this.count >= this.#most) return;
    this.#isUp = false;
    this.#fault(this.count++);
    for (const { count, go } of this.#waiting) if (count <= this.count) go();
  }

  /** Resolves when there were so many faults: senders wait for it, so that there is something left for each. */
  async reached(count: number): Promise<void> {
    if (this.count >= Math.min(count, this.#most)) return;
    await new Promise<void>(go => {
      this.#waiting.push({ count, go });
    });
  }

  /** The connection has come back. */
  resumed(): void {
    this.#isUp = true;
    this.#arrived = 0;
  }

  #fault(number: number): void {
    const proxy = this.#proxies[number % this.#proxies.length];
    const kind = Math.floor(number / this.#proxies.length) % 3;
    if (kind === 0) {
      proxy?.cut();
    } else if (kind === 1) {
      // Silence, then the end of it.
      proxy?.stall();
      setTimeout(() => {
        proxy?.cut();
      }, 50);
    } else if (proxy) {
      proxy.refusing = true;
      proxy.cut();
      setTimeout(() => {
        proxy.refusing = false;
      }, 100);
    }
  }
}
