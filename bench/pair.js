// @ts-check
// Two processes of one adapter: the relay, and all of its clients.
import { Party } from './party.js';

export class Pair {
  /** They have measured nothing yet. */
  isNew = true;

  /**
   * @param {Party} relay
   * @param {Party} clients
   */
  constructor(relay, clients) {
    this.relay = relay;
    this.clients = clients;
  }

  /**
   * @param {string} name of the adapter
   * @param {string} measurement
   * @param {{ environment: Record<string, string | undefined>, timeLimit: number }} common
   */
  static async open(name, measurement, common) {
    const pair = new Pair(
      new Party(`${name}, relay`, 'relay-process.js', { ...common, execArgv: ['--expose-gc'] }),
      new Party(name, 'client-process.js', common),
    );
    try {
      const url = await pair.relay.ask('start', { adapter: name });
      await pair.clients.ask('start', { adapter: name, measurement, url, timeLimit: common.timeLimit });
      return pair;
    } catch (error) {
      await pair.end();
      throw error;
    }
  }

  async end() {
    await Promise.all([this.clients.end(), this.relay.end()]);
  }
}
