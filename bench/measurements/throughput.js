// @ts-check
import { withRelayCpu } from './relay-cpu.js';
import { warmUpOf } from './warm-up.js';

/** @type {import('./index.js').PairMeasurement} */
export const throughput = {
  kind: 'pair',
  name: 'throughput',
  title: 'Throughput',
  varies: [{ key: 'size', label: 'bytes' }],
  isFresh: false,
  columns: [
    { figure: 'rate', label: 'messages/s', digits: 0, hasRatio: true },
    { figure: 'relayCpu', label: 'relay CPU, µs', digits: 1, hasRatio: true },
    { figure: 'clientsCpu', label: 'clients CPU, µs', digits: 1, hasRatio: true },
  ],
  cases: ({ sizes }) => sizes.map(size => ({ size })),
  files: () => 0,
  async measure(parties, { size }, options) {
    const { relay, clients } = parties;
    const { duration } = options;
    const warmUp = warmUpOf(parties, options);
    await clients.ask('prepare', { size, warmUp }, warmUp);
    const [{ messages, elapsed, cpu }, relayCpu] = await withRelayCpu(relay, () =>
      clients.ask('measure', { size, duration }, duration),
    );
    return {
      rate: (messages / elapsed) * 1000,
      relayCpu: relayCpu / messages,
      clientsCpu: cpu / messages,
    };
  },
};
