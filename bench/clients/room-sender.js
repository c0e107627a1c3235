// @ts-check
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Payloads } from '../payloads.js';

/** @typedef {import('../adapters/index.js').RoomAdapter} RoomAdapter */

/** The one who sends to a room. */
export class RoomSender {
  #open;

  /** @param {import('../adapters/index.js').OpenRoom} open */
  constructor(open) {
    this.#open = open;
  }

  /**
   * @param {RoomAdapter} adapter
   * @param {string} url
   */
  static async start(adapter, url) {
    return new RoomSender(await adapter.openRoom(url, await adapter.createIdentity()));
  }

  /** What the others are given to enter. */
  get room() {
    return this.#open.room;
  }

  /**
   * Resolves when so many are in the room that what is sent reaches all the others.
   *
   * @param {number} count
   */
  hasMembers(count) {
    return this.#open.hasMembers(count);
  }

  /**
   * Sends some messages, each in a turn of the event loop of its own: a message to a room is seldom followed by another one
   * at once, and those of one turn would share a record.
   *
   * @param {{ size: number, from: number, count: number }} lot `from`: the place of the first one in the sequence
   */
  async send({ size, from, count }) {
    const payloads = new Payloads(size);
    for (let place = from; place < from + count; place++) {
      this.#open.send(payloads.at(place));
      await nextTurn();
    }
  }
}
