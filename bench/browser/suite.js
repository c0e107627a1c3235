// @ts-check
// Two pages of each adapter, one sends and one receives, and a relay in a process of its own. In rounds, as ../suite.js.
import { adapterNamed } from '../adapters/index.js';
import { describeMachine } from '../machine.js';
import { versionsOf } from '../packages.js';
import { Party } from '../party.js';
import { summarize } from '../summary.js';
import { launchChromium } from './chromium.js';
import { browserMeasurements } from './measurements.js';
import { startPageServer } from './page-server.js';

/**
 * @typedef {import('./options.js').Options} Options
 * @typedef {import('../measurements/index.js').Case} Case
 * @typedef {Awaited<ReturnType<typeof runSuite>>} BrowserResult
 * @typedef {{ context: import('playwright').BrowserContext, origin: string, options: Options }} Surroundings
 */

/** Those that are in page/, too. */
const NAMES = ['plain-ws', 'secure-websocket'];

/**
 * @param {Options} options
 * @param {import('../progress.js').Progress} progress
 */
export async function runSuite(options, progress) {
  const machine = describeMachine();
  const browser = await launchChromium();
  const server = await startPageServer();
  /** @type {Party[]} */
  const relays = [];
  try {
    const surroundings = { context: await browser.newContext(), origin: server.origin, options };
    /** @type {Map<string, Pair>} */
    const pairs = new Map();
    for (const name of NAMES) {
      const relay = new Party(`${name}, relay`, 'relay-process.js', { timeLimit: options.timeout });
      relays.push(relay);
      const url = await relay.ask('start', { adapter: name });
      pairs.set(name, await Pair.open(name, url, surroundings));
    }
    return {
      date: new Date().toISOString(),
      browser: `Chromium ${browser.version()}`,
      machine,
      versions: versionsOf(NAMES),
      options: { sizes: options.sizes, rounds: options.rounds, duration: options.duration },
      adapters: NAMES.map(name => ({ name, title: adapterNamed(name).pair?.title ?? name })),
      measurements: await measureAll(pairs, options, progress),
    };
  } finally {
    progress.end();
    await Promise.all(relays.map(relay => relay.end()));
    await browser.close();
    server.close();
  }
}

/**
 * @param {ReadonlyMap<string, Pair>} pairs
 * @param {Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureAll(pairs, options, progress) {
  /** @type {Record<string, import('../summary.js').Row[]>} */
  const results = {};
  for (const measurement of browserMeasurements) {
    const cases = measurement.cases(options);
    /** @type {Map<Case, Map<string, Record<string, number>[]>>} */
    const measured = new Map(cases.map(of => [of, new Map(NAMES.map(name => [name, []]))]));
    for (let round = 0; round < options.rounds; round++) {
      for (const of of cases) {
        for (const [name, pair] of pairs) {
          const step = `${measurement.name} in pages, round ${round + 1} of ${options.rounds}`;
          progress.show(step, `${of['size'] ?? 64} bytes, ${name}`);
          const figures = await pair.unlessFailed(measurement.measure(pair, of, options));
          measured.get(of)?.get(name)?.push(figures);
          pair.isNew = false;
        }
      }
    }
    results[measurement.name] = cases.flatMap(of =>
      NAMES.map(name => summarize(measurement.columns, of, name, measured.get(of))),
    );
  }
  return results;
}

/** The two pages of an adapter. */
class Pair {
  #name;
  /** Rejects when something goes wrong in a page that nobody there waits for. */
  #failure;
  isNew = true;

  /**
   * @param {string} name
   * @param {import('playwright').Page} sender
   * @param {import('playwright').Page} receiver
   */
  constructor(name, sender, receiver) {
    this.#name = name;
    this.sender = sender;
    this.receiver = receiver;
    this.#failure = new Promise((_, reject) => {
      for (const page of [sender, receiver]) page.on('pageerror', reject);
    });
    this.#failure.catch(() => {});
  }

  /**
   * @param {string} name
   * @param {string} url of the relay
   * @param {Surroundings} surroundings
   */
  static async open(name, url, { context, origin, options }) {
    const pair = new Pair(name, await context.newPage(), await context.newPage());
    const opened = async () => {
      for (const page of [pair.sender, pair.receiver]) {
        page.setDefaultTimeout(options.timeout);
        await page.goto(`${origin}/?adapter=${name}`);
        await page.waitForFunction('globalThis.bench');
      }
      const address = await pair.receiver.evaluate(`bench.receive(${JSON.stringify(url)})`);
      await pair.sender.evaluate(`bench.connect(${JSON.stringify(url)}, ${JSON.stringify(address)})`);
    };
    await pair.unlessFailed(opened());
    return pair;
  }

  /**
   * @template T
   * @param {Promise<T>} work
   * @returns {Promise<T>}
   * @throws Error that names the adapter
   */
  async unlessFailed(work) {
    try {
      return await Promise.race([work, this.#failure]);
    } catch (error) {
      throw new Error(`${this.#name}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
}
