// @ts-check
import { withRelayCpu } from './relay-cpu.js';
import { OPENING } from './opening.js';
import { warmUpOf } from './warm-up.js';

const SIZE = 1024;

/** @type {import('./index.js').PairMeasurement} */
export const fanOut = {
  kind: 'pair',
  name: 'fan-out',
  title: 'Fan-out',
  varies: [{ key: 'receivers', label: 'receivers' }],
  isFresh: true,
  columns: [
    { figure: 'rate', label: 'delivered/s', digits: 0, hasRatio: true },
    { figure: 'relayCpu', label: 'relay CPU, µs', digits: 1, hasRatio: true },
    { figure: 'clientsCpu', label: 'clients CPU, µs', digits: 1, hasRatio: true },
  ],
  cases: ({ receivers }) => receivers.map(count => ({ receivers: count })),
  files: ({ receivers }) => Math.max(...receivers) + 1,
  async measure(parties, { receivers }, options) {
    const { relay, clients } = parties;
    const { duration } = options;
    const warmUp = warmUpOf(parties, options);
    await clients.ask('prepare', { receivers, size: SIZE, warmUp }, warmUp + receivers * OPENING);
    const [{ messages, elapsed, cpu }, relayCpu] = await withRelayCpu(relay, () =>
      clients.ask('measure', { receivers, size: SIZE, duration }, duration),
    );
    return {
      rate: (messages / elapsed) * 1000,
      relayCpu: relayCpu / messages,
      clientsCpu: cpu / messages,
    };
  },
};
