// @ts-check
import { Arrivals } from '../arrivals.js';
import { Payloads, windowOf } from '../payloads.js';
import { microseconds } from '../statistics.js';
import { repeatFor } from './repeat-for.js';
import { ignore } from './ignore.js';

/** @typedef {import('../adapters/index.js').Adapter} Adapter */

/** One client sends to another, a window at a time: the next starts when the last message of the one before is there. */
export class Throughput {
  #send;
  #arrivals;

  /**
   * @param {(payload: Uint8Array) => void} send
   * @param {Arrivals} arrivals
   */
  constructor(send, arrivals) {
    this.#send = send;
    this.#arrivals = arrivals;
  }

  /**
   * @param {Adapter} adapter
   * @param {string} url
   * @param {number} timeLimit
   */
  static async start(adapter, url, timeLimit) {
    const arrivals = new Arrivals(timeLimit);
    const receiver = await adapter.createIdentity();
    const { address } = await adapter.listen(url, receiver, data => arrivals.take(data));
    const { send } = await adapter.dial(url, await adapter.createIdentity(), address, ignore);
    return new Throughput(send, arrivals);
  }

  /**
   * Windows grow here, so that a slow library has not to fill one more than it is measured with.
   *
   * @param {{ size: number, warmUp: number }} details
   */
  async prepare({ size, warmUp }) {
    let count = 1;
    await this.#exchangeFor(warmUp, size, () => {
      count = Math.min(2 * count, windowOf(size));
      return count;
    });
  }

  /** @param {{ size: number, duration: number }} details */
  async measure({ size, duration }) {
    const count = windowOf(size);
    const before = process.cpuUsage();
    const { times, elapsed } = await this.#exchangeFor(duration, size, () => count);
    return { messages: times * count, elapsed, cpu: microseconds(process.cpuUsage(before)) };
  }

  /**
   * @param {number} duration
   * @param {number} size
   * @param {() => number} nextCount how many messages the next window has
   */
  #exchangeFor(duration, size, nextCount) {
    const payloads = new Payloads(size);
    return repeatFor(duration, async () => {
      const count = nextCount();
      const arrived = this.#arrivals.wait(payloads, count);
      for (let place = 0; place < count; place++) this.#send(payloads.at(place));
      await arrived;
    });
  }
}
