import type { Result } from '../../../bench/suite.js';
import type { Figure } from '../../../bench/summary.js';

function figure(median: number, ratio: number | null): Figure {
  return { median, ratio, rounds: [median] };
}

/** A result of two adapters that is easy to recognize. */
export function exampleResult(): Result {
  const rows = [64, 1_048_576].flatMap(size => [
    {
      adapter: 'plain-ws',
      case: { size },
      figures: { rate: figure(12_345.6, 1), relayCpu: figure(2, 1), clientsCpu: figure(4, 1) },
    },
    {
      adapter: 'nostr',
      case: { size },
      figures: { rate: figure(3.25, 0.00026), relayCpu: figure(1_000, 500), clientsCpu: figure(60, 15) },
    },
  ]);
  return {
    date: '2026-01-02T03:04:05.678Z',
    machine: {
      node: 'v20.19.0',
      cpu: 'A <fast> one',
      cores: 4,
      memory: '8 GiB',
      platform: 'linux x64',
      fileLimit: 1024,
      load: 0.5,
    },
    versions: { 'secure-websocket': '1.2.3', ws: '8.0.0' },
    options: { rounds: 3, duration: 300 },
    adapters: [
      { name: 'plain-ws', title: 'plain ws' },
      { name: 'nostr', title: 'nostr & <co>' },
    ],
    skipped: [{ adapter: 'libp2p', reason: 'it needs Node 22 or newer, and this is v20.19.0' }],
    measurements: { throughput: rows },
  };
}
