// Hundreds of small spaces in which everything goes wrong that can. How many, and which:
//
//   npm run simulate -- --spaces --seeds 10000 --from 500        npm run simulate -- --spaces --from 26 --trace
import { describe, expect, it } from 'vitest';
import { SpaceRun } from './space-run.js';

const from = Number(process.env['SIMULATION_FROM'] ?? 0);
const seeds = Number(process.env['SIMULATION_SEEDS'] ?? 50);
const tracing = process.env['SIMULATION_TRACE'] === 'yes';
const BLOCK = 50;

const blocks = Array.from({ length: Math.ceil(seeds / BLOCK) }, (_, block) => from + block * BLOCK);

describe('spaces: once, in order, to whoever was there, and readable by nobody else', () => {
  it.each(blocks)('from seed %i', { timeout: 300_000 }, first => {
    let delivered = 0;
    const last = Math.min(first + BLOCK, from + seeds);
    for (let seed = first; seed < last; seed++) {
      const run = new SpaceRun(seed, tracing);
      try {
        delivered += run.run().delivered;
      } finally {
        if (tracing) process.stdout.write(`${run.log.join('\n')}\n`);
      }
    }
    // A simulation in which nothing happens shows nothing.
    if (last - first === BLOCK) expect(delivered).toBeGreaterThan(2_000);
  });
});

it('the same seed leads to the same run', () => {
  for (const seed of [1, 7, 20]) expect(new SpaceRun(seed).run()).toEqual(new SpaceRun(seed).run());
});
