// @ts-check
import { warmUpOf } from './warm-up.js';

const SIZE = 64;

/** @type {import('./index.js').PairMeasurement} */
export const latency = {
  kind: 'pair',
  name: 'latency',
  title: 'Latency',
  varies: [],
  isFresh: false,
  columns: [
    { figure: 'median', label: 'round trip, median, µs', digits: 0, hasRatio: true },
    { figure: 'p99', label: '99th percentile, µs', digits: 0, hasRatio: true },
    { figure: 'roundTrips', label: 'round trips in a round', digits: 0, hasRatio: false },
  ],
  cases: () => [{}],
  files: () => 0,
  async measure(parties, _case, options) {
    const { clients } = parties;
    const { duration } = options;
    const warmUp = warmUpOf(parties, options);
    await clients.ask('prepare', { size: SIZE, warmUp }, warmUp);
    return clients.ask('measure', { size: SIZE, duration }, duration);
  },
};
