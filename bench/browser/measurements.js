// @ts-check
// What pages measure. The columns are those of the tables.
import { latency as inNode } from '../measurements/latency.js';
import { warmUpOf } from '../measurements/warm-up.js';

/**
 * @typedef {import('playwright').Page} Page
 * @typedef {{ sender: Page, receiver: Page, isNew: boolean }} Pages
 * @typedef {import('./options.js').Options} Options
 * @typedef {import('../measurements/index.js').Case} Case
 * @typedef {Pick<import('../measurements/index.js').Common, 'name' | 'title' | 'varies' | 'columns'> & {
 *   cases(options: Options): Case[],
 *   measure(pages: Pages, of: any, options: Options): Promise<Record<string, number>>,
 * }} BrowserMeasurement
 */

const LATENCY_SIZE = 64;

/** @type {BrowserMeasurement} */
const throughput = {
  name: 'throughput',
  title: 'Throughput between two pages',
  varies: [{ key: 'size', label: 'bytes' }],
  columns: [{ figure: 'rate', label: 'messages/s', digits: 0, hasRatio: true }],
  cases: ({ sizes }) => sizes.map(size => ({ size })),
  async measure(pages, { size }, options) {
    await pages.receiver.evaluate(`bench.expect(${size})`);
    const measureFor = (/** @type {number} */ duration) =>
      pages.sender.evaluate(`bench.throughput(${size}, ${duration}, ${options.timeout})`);
    await measureFor(warmUpOf(pages, options));
    return /** @type {Record<string, number>} */ (await measureFor(options.duration));
  },
};

/** @type {BrowserMeasurement} */
const latency = {
  name: 'latency',
  title: 'Latency between two pages',
  varies: [],
  columns: inNode.columns,
  cases: () => [{}],
  async measure(pages, _case, options) {
    await pages.receiver.evaluate('bench.echo()');
    const measureFor = (/** @type {number} */ duration) =>
      pages.sender.evaluate(`bench.latency(${LATENCY_SIZE}, ${duration}, ${options.timeout})`);
    await measureFor(warmUpOf(pages, options));
    return /** @type {Record<string, number>} */ (await measureFor(options.duration));
  },
};

export const browserMeasurements = [throughput, latency];
