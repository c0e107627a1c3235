import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../../../src/relay/limits/token-bucket.js';
import { TrafficLimit } from '../../../../src/relay/limits/traffic-limit.js';
import { expectCode } from '../../../support/errors.js';
import { runs } from '../../../support/fuzz.js';

/** Whole numbers, as options are. */
const bucket = fc.record({
  rate: fc.integer({ min: 1, max: 5_000 }),
  burst: fc.integer({ min: 1, max: 500 }),
});
const steps = fc.array(
  fc.record({ after: fc.integer({ min: 0, max: 300 }), count: fc.integer({ min: 0, max: 600 }) }),
  { maxLength: 60 },
);

describe('TokenBucket', () => {
  it('is full in the beginning, and fills again', () => {
    const tokens = new TokenBucket(10, 3);
    expect([1, 2, 3, 4].map(() => tokens.take(1, 1_000))).toEqual([true, true, true, false]);
    expect(tokens.take(1, 1_099)).toBe(false);
    expect(tokens.take(1, 1_100)).toBe(true);
    expect(tokens.take(3, 60_000)).toBe(true);
    expect(tokens.take(1, 60_000)).toBe(false);
  });

  it('gives all or nothing', () => {
    const tokens = new TokenBucket(1, 5);
    expect(tokens.take(6, 0)).toBe(false);
    expect(tokens.take(5, 0)).toBe(true);
  });

  it('takes what has happened already, and says how long it takes to pay', () => {
    const tokens = new TokenBucket(10, 5);
    expect(tokens.spend(5, 0)).toBe(0);
    expect(tokens.spend(1, 0)).toBe(100);
    expect(tokens.spend(19, 0)).toBe(2_000);
    expect(tokens.spend(0, 1_999)).toBe(1);
    expect(tokens.spend(0, 2_000)).toBe(0);
    expect(tokens.take(1, 2_000)).toBe(false);
  });

  it('rounds waits up', () => {
    expect(new TokenBucket(3, 1).spend(2, 0)).toBe(334);
  });

  it('stands still when the clock goes back', () => {
    const tokens = new TokenBucket(10, 5);
    expect(tokens.take(4, 1_000)).toBe(true);
    expect(tokens.take(1, 0)).toBe(true);
    expect(tokens.take(1, 1_000)).toBe(false);
    expect(tokens.take(1, 1_100)).toBe(true);
  });

  it('never says to wait for longer than a timer can', () => {
    expect(new TokenBucket(1, 1).spend(1e12, 0)).toBe(2 ** 31 - 1);
  });

  it('refuses what is no rate or burst', () => {
    for (const bad of [0, -1, NaN, Infinity]) {
      expectCode(() => new TokenBucket(bad, 1), 'INVALID_ARGUMENT');
      expectCode(() => new TokenBucket(1, bad), 'INVALID_ARGUMENT');
    }
  });

  it('gives what a model gives: the time at which it is full again', () => {
    fc.assert(
      fc.property(bucket, steps, fc.nat(1_000_000), ({ rate, burst }, all, start) => {
        const tokens = new TokenBucket(rate, burst);
        // In thousandths of a token.
        let missing = 0;
        let now = start;
        for (const { after, count } of all) {
          now += after;
          missing = Math.max(0, missing - after * rate);
          const fits = missing + count * 1_000 <= burst * 1_000;
          expect(tokens.take(count, now)).toBe(fits);
          if (fits) missing += count * 1_000;
        }
      }),
      runs(300),
    );
  });

  it('never gives more than burst + rate * t in any time, even when the clock goes back', () => {
    const steps = fc.array(
      fc.record({ after: fc.double({ min: -100, max: 300, noNaN: true }), count: fc.nat(50) }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(bucket, steps, ({ rate, burst }, all) => {
        const tokens = new TokenBucket(rate, burst);
        const taken: { at: number; count: number }[] = [];
        let now = 0;
        let latest = 0;
        for (const { after, count } of all) {
          now += after;
          latest = Math.max(latest, now);
          if (tokens.take(count, now)) taken.push({ at: latest, count });
        }
        for (const [from, first] of taken.entries()) {
          let sum = 0;
          for (const { at, count } of taken.slice(from)) {
            sum += count;
            expect(sum).toBeLessThanOrEqual(burst + (rate * (at - first.at)) / 1_000 + 1e-6);
          }
        }
      }),
      runs(300),
    );
  });

  it('is out of debt exactly after the wait that it names', () => {
    fc.assert(
      fc.property(
        bucket,
        fc.array(fc.nat(2_000), { minLength: 1, maxLength: 10 }),
        ({ rate, burst }, counts) => {
          const tokens = new TokenBucket(rate, burst);
          const wait = Math.max(...counts.map(count => tokens.spend(count, 0)));
          if (wait > 0) expect(tokens.spend(0, wait - 1)).toBe(1);
          expect(tokens.spend(0, wait)).toBe(0);
        },
      ),
      runs(300),
    );
  });
});

describe('TrafficLimit', () => {
  it('has no limit without limits', () => {
    const limit = new TrafficLimit(undefined, undefined);
    expect(limit.spend(1e9, 1e9, 0)).toBeUndefined();
  });

  it('lets a second’s worth through at once, and says which limit holds the next back, and for how long', () => {
    const limit = new TrafficLimit(10, 1_000);
    expect(limit.spend(10, 1_000, 0)).toBeUndefined();
    expect(limit.spend(1, 50, 0)).toEqual({ wait: 100, limit: 'frames' });
    expect(limit.spend(0, 150, 0)).toEqual({ wait: 200, limit: 'bytes' });
    expect(limit.spend(0, 0, 200)).toBeUndefined();
  });

  it('makes one frame that is larger than a second’s worth wait for longer', () => {
    expect(new TrafficLimit(undefined, 1_000).spend(1, 5_000, 0)).toEqual({ wait: 4_000, limit: 'bytes' });
  });

  it('lets no more through than the limits when whoever reads obeys', () => {
    const chunks = fc.array(fc.record({ frames: fc.integer({ min: 1, max: 20 }), bytes: fc.nat(5_000) }), {
      minLength: 1,
      maxLength: 50,
    });
    fc.assert(
      fc.property(chunks, all => {
        const limit = new TrafficLimit(10, 1_000);
        let now = 0;
        let frames = 0;
        let bytes = 0;
        for (const chunk of all) {
          // What is read before a pause may be one chunk too many, and is paid for before the next.
          expect(frames).toBeLessThanOrEqual(10 + (10 * now) / 1_000);
          expect(bytes).toBeLessThanOrEqual(1_000 + now);
          frames += chunk.frames;
          bytes += chunk.bytes;
          now += limit.spend(chunk.frames, chunk.bytes, now)?.wait ?? 0;
        }
      }),
      runs(200),
    );
  });

  it('refuses limits that are none', () => {
    expectCode(() => new TrafficLimit(0, undefined), 'INVALID_ARGUMENT');
    expectCode(() => new TrafficLimit(undefined, -1), 'INVALID_ARGUMENT');
  });
});
