// @ts-check
import { quantile } from '../statistics.js';
import { PingPong } from './ping-pong.js';

/** @typedef {import('../adapters/index.js').Adapter} Adapter */

/** One client sends to another, which sends everything back. */
export class Latency {
  #pingPong;

  /** @param {PingPong} pingPong */
  constructor(pingPong) {
    this.#pingPong = pingPong;
  }

  /**
   * @param {Adapter} adapter
   * @param {string} url
   * @param {number} timeLimit
   */
  static async start(adapter, url, timeLimit) {
    const far = await adapter.createIdentity();
    const { address } = await adapter.listen(url, far, (data, reply) => reply(data));
    const near = await adapter.createIdentity();
    const { send } = await adapter.dial(url, near, address, data => pingPong.take(data));
    const pingPong = new PingPong(send, timeLimit);
    return new Latency(pingPong);
  }

  /** @param {{ size: number, warmUp: number }} details */
  async prepare({ size, warmUp }) {
    await this.#pingPong.play(size, warmUp);
  }

  /** @param {{ size: number, duration: number }} details */
  async measure({ size, duration }) {
    const times = await this.#pingPong.play(size, duration);
    return { roundTrips: times.length, median: quantile(times, 0.5), p99: quantile(times, 0.99) };
  }
}
