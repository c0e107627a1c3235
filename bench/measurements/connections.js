// @ts-check
import { OPENING } from './opening.js';
import { withRelayCpu } from './relay-cpu.js';

/** This part of the connections is opened before, and not counted. */
const FIRST = 1 / 4;
const KIB = 1024;

/** @type {import('./index.js').PairMeasurement} */
export const connections = {
  kind: 'pair',
  name: 'connections',
  title: 'Connections',
  varies: [],
  isFresh: true,
  columns: [
    { figure: 'rate', label: 'opened/s', digits: 0, hasRatio: true },
    { figure: 'relayCpu', label: 'relay CPU each, µs', digits: 0, hasRatio: true },
    { figure: 'clientsCpu', label: 'client CPU each, µs', digits: 0, hasRatio: true },
    { figure: 'memory', label: 'relay memory each, KiB', digits: 1, hasRatio: true },
  ],
  cases: () => [{}],
  files: options => options.connections + firstOf(options),
  async measure({ relay, clients }, _case, options) {
    const count = options.connections;
    await clients.ask('prepare', { connections: count, first: firstOf(options) }, count * OPENING);
    const before = await relay.ask('memory');
    const [{ elapsed, cpu }, relayCpu] = await withRelayCpu(relay, () =>
      clients.ask('measure', { connections: count }, count * OPENING),
    );
    const after = await relay.ask('memory');
    return {
      rate: (count / elapsed) * 1000,
      relayCpu: relayCpu / count,
      clientsCpu: cpu / count,
      memory: (after - before) / KIB / count,
    };
  },
};

/** @param {{ connections: number }} options */
function firstOf(options) {
  return Math.ceil(options.connections * FIRST);
}
