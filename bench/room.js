// @ts-check
// A room of one adapter: the relay, the one who sends, and some processes with those who are sent to.
import { setTimeout as delay } from 'node:timers/promises';
import { Party } from './party.js';

/**
 * @typedef {{ cpu: number, uploaded: number }} Usage microseconds of CPU time, bytes
 * @typedef {{ relay: number, sender: Usage, crowd: number }} Usages of all processes; `crowd`: CPU time of all of them
 */

/** Processes of those who are sent to. One alone would be the slowest of all. */
const CROWDS = 4;
/** So many messages are sent before the first of them has to have arrived ... */
const LOT = 50;
/** ... and at most so many bytes to all members together. */
const LOT_BYTES = 512 * 1024 * 1024;
/** A relay that was idle for so long has done what it had to, milliseconds. */
const IDLE_TIME = 250;
/** Microseconds of CPU time in that time: as good as nothing. */
const IDLE_CPU = 5_000;

export class Room {
  #parties;
  #room;
  /** Members, the sender included. */
  #members = 1;
  /** Messages that were sent. */
  #sent = 0;
  /** It has measured nothing yet. */
  isNew = true;

  /**
   * @param {{ relay: Party, sender: Party, crowds: readonly Party[] }} parties
   * @param {unknown} room what the sender says that others are to be given
   */
  constructor(parties, room) {
    this.#parties = parties;
    this.#room = room;
  }

  /**
   * @param {string} name of the adapter
   * @param {{ environment: Record<string, string | undefined>, timeLimit: number }} common
   */
  static async open(name, common) {
    const party = (
      /** @type {string} */ title,
      file = 'room-process.js',
      execArgv = /** @type {string[]} */ ([]),
    ) => new Party(`${name}, ${title}`, file, { ...common, execArgv });
    const relay = party('relay', 'relay-process.js', ['--expose-gc']);
    const sender = party('sender');
    const crowds = Array.from({ length: CROWDS }, () => party('members'));
    const parties = { relay, sender, crowds };
    try {
      const url = await relay.ask('start', { adapter: name, kind: 'room' });
      const details = { adapter: name, url, timeLimit: common.timeLimit, crowds: CROWDS };
      const [room] = await Promise.all([
        sender.ask('open', details),
        ...crowds.map(crowd => crowd.ask('start', details)),
      ]);
      return new Room(parties, room);
    } catch (error) {
      await endAll(parties);
      throw error;
    }
  }

  get relay() {
    return this.#parties.relay;
  }

  /**
   * Makes the keys of those who are missing to so many members, the sender included.
   *
   * @param {number} members never fewer than before
   * @param {number} expected milliseconds for each
   */
  async prepare(members, expected) {
    const { crowds } = this.#parties;
    const missing = members - this.#members;
    this.#members = members;
    await Promise.all(
      crowds.map((crowd, index) =>
        crowd.ask('prepare', { count: Math.floor((missing + index) / CROWDS) }, missing * expected),
      ),
    );
  }

  /**
   * Those whose keys are there enter. Resolves when the sender reaches them all.
   *
   * @param {number} expected milliseconds for each
   */
  async enter(expected) {
    const { crowds, sender } = this.#parties;
    const time = this.#members * expected;
    await Promise.all(crowds.map(crowd => crowd.ask('enter', { room: this.#room }, time)));
    await sender.ask('hasMembers', { count: this.#members }, time);
  }

  /**
   * Sends messages, and resolves when each of them has reached all members.
   *
   * @param {number} size bytes
   * @param {number} count
   */
  async exchange(size, count) {
    const { crowds, sender } = this.#parties;
    const most = Math.max(1, Math.min(LOT, Math.floor(LOT_BYTES / size / this.#members)));
    for (let left = count; left > 0; left -= most) {
      const lot = { size, from: this.#sent, count: Math.min(most, left) };
      this.#sent += lot.count;
      await Promise.all(crowds.map(crowd => crowd.ask('expect', lot)));
      await sender.ask('send', lot);
      await Promise.all(crowds.map(crowd => crowd.ask('arrived')));
    }
  }

  /**
   * Sends a message while those who are sent to do not read, which they do only then.
   *
   * @param {number} size bytes
   * @returns {Promise<number>} by how much what the relay holds grew meanwhile, bytes
   */
  async hold(size) {
    const { crowds, sender, relay } = this.#parties;
    const lot = { size, from: this.#sent, count: 1 };
    this.#sent += 1;
    await Promise.all(crowds.map(crowd => crowd.ask('expect', lot)));
    const before = await relay.ask('held');
    let held;
    for (const crowd of crowds) crowd.pause();
    try {
      await sender.ask('send', lot);
      await this.#idle();
      held = await relay.ask('held');
    } finally {
      for (const crowd of crowds) crowd.resume();
    }
    await Promise.all(crowds.map(crowd => crowd.ask('arrived')));
    return held - before;
  }

  /** Resolves when sender and relay have nothing left to do. */
  async #idle() {
    const { relay, sender } = this.#parties;
    const used = async () => (await relay.ask('cpu')) + (await sender.ask('usage')).cpu;
    for (let before = 0, now = await used(); now - before > IDLE_CPU;) {
      before = now;
      await delay(IDLE_TIME);
      now = await used();
    }
  }

  /**
   * What was used meanwhile.
   *
   * @param {() => Promise<void>} act
   * @returns {Promise<Usages>}
   */
  async used(act) {
    const before = await this.#usages();
    await act();
    const after = await this.#usages();
    return {
      relay: after.relay - before.relay,
      sender: {
        cpu: after.sender.cpu - before.sender.cpu,
        uploaded: after.sender.uploaded - before.sender.uploaded,
      },
      crowd: after.crowd - before.crowd,
    };
  }

  /** @returns {Promise<Usages>} */
  async #usages() {
    const { relay, sender, crowds } = this.#parties;
    const usages = await Promise.all(crowds.map(crowd => crowd.ask('usage')));
    return {
      relay: await relay.ask('cpu'),
      sender: await sender.ask('usage'),
      crowd: usages.reduce((sum, { cpu }) => sum + cpu, 0),
    };
  }

  async end() {
    await endAll(this.#parties);
  }
}

/** @param {{ relay: Party, sender: Party, crowds: readonly Party[] }} parties */
async function endAll({ relay, sender, crowds }) {
  await Promise.all([...crowds, sender, relay].map(party => party.end()));
}
