// @ts-check
import { Arrivals } from '../arrivals.js';
import { Payloads } from '../payloads.js';
import { microseconds } from '../statistics.js';
import { concurrently } from './concurrently.js';
import { repeatFor } from './repeat-for.js';

/** @typedef {import('../adapters/index.js').Adapter} Adapter */

/**
 * One client sends the same to many, to each by itself; the next message goes out when all have this one. The sender is
 * the one that listens: the others dial it, say which they are, and get everything in answer.
 */
export class FanOut {
  #adapter;
  #url;
  #address;
  #arrivals;
  /** What sends to each receiver. @type {((payload: Uint8Array) => void)[]} */
  #senders = [];
  /** By receiver. @type {Map<number, (value?: unknown) => void>} */
  #onGreeting = new Map();

  /** @param {{ adapter: Adapter, url: string, address: unknown, arrivals: Arrivals }} parts */
  constructor({ adapter, url, address, arrivals }) {
    this.#adapter = adapter;
    this.#url = url;
    this.#address = address;
    this.#arrivals = arrivals;
  }

  /**
   * @param {Adapter} adapter
   * @param {string} url
   * @param {number} timeLimit
   */
  static async start(adapter, url, timeLimit) {
    const arrivals = new Arrivals(timeLimit);
    const sender = await adapter.createIdentity();
    const { address } = await adapter.listen(url, sender, (greeting, reply) => {
      const number = new DataView(greeting.buffer, greeting.byteOffset).getUint32(0);
      clients.#senders[number] = reply;
      clients.#onGreeting.get(number)?.();
    });
    const clients = new FanOut({ adapter, url, address, arrivals });
    return clients;
  }

  /** @param {{ receivers: number, size: number, warmUp: number }} details `receivers`: never fewer than before */
  async prepare({ receivers, size, warmUp }) {
    const missing = Array.from(
      { length: receivers - this.#senders.length },
      (_, i) => this.#senders.length + i,
    );
    await concurrently(missing, number => this.#addReceiver(number));
    await this.#sendFor(warmUp, size, receivers);
  }

  /** @param {{ receivers: number, size: number, duration: number }} details */
  async measure({ receivers, size, duration }) {
    const before = process.cpuUsage();
    const { times, elapsed } = await this.#sendFor(duration, size, receivers);
    return { messages: times * receivers, elapsed, cpu: microseconds(process.cpuUsage(before)) };
  }

  /** @param {number} number */
  async #addReceiver(number) {
    const greeting = new Uint8Array(4);
    new DataView(greeting.buffer).setUint32(0, number);
    const identity = await this.#adapter.createIdentity();
    const { send } = await this.#adapter.dial(this.#url, identity, this.#address, data => {
      this.#arrivals.take(data, number);
    });
    await new Promise(resolve => {
      this.#onGreeting.set(number, resolve);
      send(greeting);
    });
  }

  /**
   * @param {number} duration
   * @param {number} size
   * @param {number} receivers
   */
  #sendFor(duration, size, receivers) {
    const payloads = new Payloads(size);
    let place = 0;
    return repeatFor(duration, async () => {
      const arrived = this.#arrivals.wait(payloads, 1, { receivers, from: place });
      const payload = payloads.at(place);
      for (let number = 0; number < receivers; number++) this.#senders[number]?.(payload);
      place += 1;
      await arrived;
    });
  }
}
