import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, microseconds, quantile } from '../../../bench/statistics.js';

describe('median', () => {
  it.each([
    [[3], 3],
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[10, 9, 100, 1, 5], 9],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('of nothing is not a number', () => {
    expect(median([])).toBeNaN();
  });

  it('leaves what it is given as it was', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('quantile', () => {
  it('lies between two values', () => {
    const hundred = Array.from({ length: 101 }, (_, index) => 100 - index);
    expect(quantile(hundred, 0.99)).toBe(99);
    expect(quantile([0, 10], 0.25)).toBe(2.5);
  });

  it('never leaves the range of the values, and grows with the part', () => {
    const part = fc.double({ min: 0, max: 1, noNaN: true });
    const values = fc.array(fc.integer(), { minLength: 1 });
    fc.assert(
      fc.property(values, part, part, (of, one, other) => {
        const [low, high] = [quantile(of, Math.min(one, other)), quantile(of, Math.max(one, other))];
        expect(low).toBeLessThanOrEqual(high);
        expect(low).toBeGreaterThanOrEqual(Math.min(...of));
        expect(high).toBeLessThanOrEqual(Math.max(...of));
      }),
    );
  });
});

it('CPU time is that of the program and of the system', () => {
  expect(microseconds({ user: 30, system: 12 })).toBe(42);
});
