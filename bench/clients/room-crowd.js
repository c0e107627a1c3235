// @ts-check
import { Arrivals } from '../arrivals.js';
import { Payloads } from '../payloads.js';
import { CONCURRENCY, concurrently } from './concurrently.js';

/** @typedef {import('../adapters/index.js').RoomAdapter} RoomAdapter */

/** Members of a room who are sent to. Every message has to reach each of them, once and in its turn. */
export class RoomCrowd {
  #adapter;
  #url;
  #atOnce;
  #arrivals;
  /** Kept, as an application would. @type {unknown[]} */
  #members = [];
  /** @type {unknown[]} */
  #identities = [];
  /** @type {Promise<unknown>} */
  #arrived = Promise.resolve();
  /** Messages that have arrived, and that were to. */
  #count = 0;
  #due = 0;

  /**
   * @param {RoomAdapter} adapter
   * @param {string} url
   * @param {number} timeLimit milliseconds; when so long nothing more arrives, what is missing is lost
   * @param {number} [crowds] how many there are of it, which enter at the same time
   */
  constructor(adapter, url, timeLimit, crowds = 1) {
    this.#atOnce = CONCURRENCY / crowds;
    this.#adapter = adapter;
    this.#url = url;
    this.#arrivals = new Arrivals(timeLimit);
  }

  /**
   * Makes the keys of so many more members.
   *
   * @param {number} count
   */
  async prepare(count) {
    for (let i = 0; i < count; i++) this.#identities.push(await this.#adapter.createIdentity());
  }

  /**
   * All whose keys are there enter.
   *
   * @param {unknown} room
   */
  async enter(room) {
    const enter = async (/** @type {unknown} */ identity) => {
      const number = this.#members.push(undefined) - 1;
      this.#members[number] = await this.#adapter.enterRoom(this.#url, identity, room, data => {
        this.#count += 1;
        this.#arrivals.take(data, number);
      });
    };
    await concurrently(this.#identities.splice(0), enter, this.#atOnce);
  }

  /**
   * What is going to be sent. Whether it arrives says `arrived`.
   *
   * @param {{ size: number, from: number, count: number }} lot `from`: the place of the first one in the sequence
   */
  expect({ size, from, count }) {
    const receivers = this.#members.length;
    this.#due += receivers * count;
    this.#arrived =
      receivers === 0
        ? Promise.resolve()
        : this.#arrivals.wait(new Payloads(size), count, { receivers, from }).catch(error => error);
  }

  /**
   * Resolves when all that was expected has arrived.
   *
   * @throws Error when something is lost, altered, out of turn, or comes twice
   */
  async arrived() {
    const error = await this.#arrived;
    if (error !== undefined) throw error;
    if (this.#count !== this.#due) {
      throw new Error(`${this.#count} messages have arrived, and ${this.#due} were sent`);
    }
  }
}
