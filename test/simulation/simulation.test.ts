// Thousands of small worlds in which everything goes wrong that can. How many, and which:
//
//   npm run simulate -- --seeds 100000 --from 5000        npm run simulate -- --from 26 --trace
import { describe, expect, it } from 'vitest';
import { simulate } from './simulate.js';

const from = Number(process.env['SIMULATION_FROM'] ?? 0);
const seeds = Number(process.env['SIMULATION_SEEDS'] ?? 2_400);
const tracing = process.env['SIMULATION_TRACE'] === 'yes';
const BLOCK = 100;

const blocks = Array.from({ length: Math.ceil(seeds / BLOCK) }, (_, block) => from + block * BLOCK);

describe('once, in order, to the right end; memory bounded; nothing in the clear; alive once faults stop', () => {
  it.each(blocks)('from seed %i', { timeout: 300_000 }, first => {
    let resumed = 0;
    let delivered = 0;
    const last = Math.min(first + BLOCK, from + seeds);
    for (let seed = first; seed < last; seed++) {
      const result = simulate(seed, tracing ? print : undefined);
      resumed += result.resumed;
      delivered += result.delivered;
    }
    // A simulation in which nothing happens shows nothing.
    if (last - first === BLOCK) {
      expect(resumed).toBeGreaterThan(20);
      expect(delivered).toBeGreaterThan(500);
    }
  });
});

it('the same seed leads to the same run', () => {
  for (const seed of [1, 7, 20, 499]) expect(simulate(seed)).toEqual(simulate(seed));
});

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
