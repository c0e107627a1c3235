// @ts-check
import { microseconds } from '../statistics.js';
import { concurrently } from './concurrently.js';
import { ignore } from './ignore.js';

/** @typedef {import('../adapters/index.js').Adapter} Adapter */

/** Clients that connect, register and then do nothing. Their keys are made before anything is measured. */
export class Connections {
  #adapter;
  #url;
  /** Kept, as an application would. @type {unknown[]} */
  #open = [];
  /** @type {unknown[]} */
  #identities = [];

  /**
   * @param {Adapter} adapter
   * @param {string} url
   */
  constructor(adapter, url) {
    this.#adapter = adapter;
    this.#url = url;
  }

  /**
   * @param {Adapter} adapter
   * @param {string} url
   */
  static start(adapter, url) {
    return new Connections(adapter, url);
  }

  /**
   * Opens some that stay, so that code is compiled and heaps have grown, and makes the keys of the others.
   *
   * @param {{ connections: number, first: number }} details
   */
  async prepare({ connections, first }) {
    for (let i = 0; i < first + connections; i++) this.#identities.push(await this.#adapter.createIdentity());
    await this.#register(first);
  }

  /** @param {{ connections: number }} details */
  async measure({ connections }) {
    const before = process.cpuUsage();
    const start = performance.now();
    await this.#register(connections);
    return { elapsed: performance.now() - start, cpu: microseconds(process.cpuUsage(before)) };
  }

  /** @param {number} count */
  async #register(count) {
    await concurrently(this.#identities.splice(0, count), async identity => {
      this.#open.push(await this.#adapter.listen(this.#url, identity, ignore));
    });
  }
}
