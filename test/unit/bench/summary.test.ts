import { expect, it } from 'vitest';
import { summarize } from '../../../bench/summary.js';

const columns = [
  { figure: 'rate', label: '', digits: 0, hasRatio: true },
  { figure: 'count', label: '', digits: 0, hasRatio: false },
];
const measured = new Map([
  ['plain-ws', [10, 100, 1000].map(rate => ({ rate, count: 1 }))],
  ['other', [5, 20, 900].map(rate => ({ rate, count: 2 }))],
]);

it('ratios are of the same round', () => {
  const { figures } = summarize(columns, { size: 64 }, 'other', measured);
  // Not 20 / 100: the rounds have 0.5, 0.2 and 0.9.
  expect(figures['rate']).toEqual({ median: 20, ratio: 0.5, rounds: [5, 20, 900] });
  expect(figures['count']).toEqual({ median: 2, ratio: null, rounds: [2, 2, 2] });
});

it('without plain ws there are no ratios', () => {
  const { adapter, figures } = summarize(columns, {}, 'other', new Map([['other', [{ rate: 1, count: 1 }]]]));
  expect(adapter).toBe('other');
  expect(figures['rate']?.ratio).toBeNull();
});

it('ratios are to another adapter where that is asked for', () => {
  const { figures } = summarize(columns, {}, 'plain-ws', measured, 'other');
  expect(figures['rate']?.ratio).toBe(2);
});
