import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backoff } from '../../../src/link/reconnect-policy.js';
import { runs } from '../../support/fuzz.js';
import { reconnectOptions } from '../../support/reconnect-options.js';

const DEFAULTS = { minDelay: 500, maxDelay: 20_000, maxAttempts: Infinity, stableTime: 10_000 };
const MAX_HURRIED = 1_000;

/** Always the largest delay there can be. */
const largest = (options = {}) => new Backoff({ ...DEFAULTS, ...options }, () => 1);

describe('after a relay has said that it restarts', () => {
  it('the first attempt is made at once, and those that follow within a second', () => {
    const backoff = largest();
    backoff.connected(0);
    backoff.lost(20_000, 50_000);
    expect([20_000, 20_001, 30_000, 49_999].map(now => backoff.next(now))).toEqual([0, 1_000, 1_000, 1_000]);
  });

  it('attempts are spread at random, but for the first', () => {
    const values = [0.25, 0.5, 0];
    const backoff = new Backoff(DEFAULTS, () => values.shift() ?? NaN);
    backoff.lost(0, 10_000);
    expect([0, 1, 2, 3].map(now => backoff.next(now))).toEqual([0, 250, 500, 0]);
  });

  it('nobody waits for longer than it is to wait at most', () => {
    const backoff = largest({ minDelay: 0, maxDelay: 70 });
    backoff.lost(0, 10_000);
    expect([0, 1, 2].map(now => backoff.next(now))).toEqual([0, 70, 70]);
  });

  it('attempts are made as ever once the time is over', () => {
    const backoff = largest();
    backoff.lost(0, 10_000);
    expect([0, 9_999, 10_000, 10_001, 10_002].map(now => backoff.next(now))).toEqual([
      0, 1_000, 500, 1_000, 2_000,
    ]);
  });

  it('attempts do not count for those that are allowed, but are told of', () => {
    const backoff = largest({ maxAttempts: 2 });
    backoff.lost(0, 10_000);
    for (let n = 1; n <= 50; n++) {
      expect(backoff.next(n)).toBeLessThanOrEqual(MAX_HURRIED);
      expect(backoff.attempt).toBe(n);
    }
    expect([10_000, 10_001, 10_002].map(now => backoff.next(now))).toEqual([500, 1_000, undefined]);
    expect(backoff.attempt).toBe(52);
  });

  it('attempts are made also by who had none left', () => {
    const backoff = largest({ maxAttempts: 1 });
    expect([0, 1].map(now => backoff.next(now))).toEqual([500, undefined]);
    backoff.lost(2, 10_000);
    expect(backoff.next(2)).toBe(0);
    expect(backoff.next(10_000)).toBeUndefined();
  });

  it('it is not forgotten while attempts fail, and hurries nobody to a first one again', () => {
    const backoff = largest();
    backoff.lost(0, 10_000);
    expect(backoff.next(0)).toBe(0);
    // Each attempt that fails is a loss, too, of something that had said nothing; or the same link tells it again.
    backoff.lost(100);
    expect(backoff.next(100)).toBe(1_000);
    backoff.lost(200, 10_000);
    expect(backoff.next(200)).toBe(1_000);
  });

  it('it counts anew when the next one says so, too', () => {
    const backoff = largest();
    backoff.lost(0, 10_000);
    expect(backoff.next(0)).toBe(0);
    backoff.connected(50);
    backoff.lost(100, 12_000);
    expect(backoff.next(100)).toBe(0);
    expect(backoff.next(11_999)).toBe(1_000);
    expect(backoff.next(12_000)).toBe(500);
  });

  it('attempts start anew after a connection that lasted, hurried ones with them', () => {
    const backoff = largest({ maxAttempts: 3 });
    backoff.lost(0, 5_000);
    for (const now of [0, 1, 5_000, 5_001]) backoff.next(now);
    expect(backoff.attempt).toBe(4);
    backoff.connected(6_000);
    backoff.lost(16_000);
    expect(backoff.attempt).toBe(0);
    expect([16_000, 16_001].map(now => backoff.next(now))).toEqual([500, 1_000]);
    expect(backoff.attempt).toBe(2);
  });

  it('a connection that did not last makes no difference', () => {
    const backoff = largest();
    for (const now of [0, 1, 2]) backoff.next(now);
    backoff.connected(3);
    backoff.lost(4, 5_000);
    expect([4, 5, 5_000].map(now => backoff.next(now))).toEqual([0, 1_000, 4_000]);
  });
});

describe('nobody hurries', () => {
  it('when nothing was said', () => {
    const backoff = largest();
    backoff.lost(0);
    expect(backoff.next(0)).toBe(500);
  });

  it('when the time is over already', () => {
    const backoff = largest();
    backoff.lost(10_000, 10_000);
    expect(backoff.next(10_000)).toBe(500);
    expect(backoff.attempt).toBe(1);
  });

  it('without a clock', () => {
    const backoff = largest();
    backoff.lost(0, 10_000);
    expect(backoff.next()).toBe(500);
  });
});

it('whatever is lost and said, delays keep to their limits, and attempts to theirs', () => {
  const options = reconnectOptions(5_000, 6);
  const steps = fc.array(
    fc.record({
      step: fc.constantFrom('next', 'next', 'next', 'connection', 'restart'),
      time: fc.nat(3_000),
      random: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(options, steps, (given, list) => {
      let random = 0;
      const backoff = new Backoff(given, () => random);
      let now = 0;
      let [counted, hurried, tryUntil, tried] = [0, 0, -Infinity, false];
      let restarts = 0;
      for (const { step, time, ...rest } of list) {
        ({ random } = rest);
        if (step === 'connection') {
          backoff.connected(now);
          now += time;
          backoff.lost(now);
          if (time >= given.stableTime) counted = hurried = 0;
        } else if (step === 'restart') {
          // Never twice the same.
          tryUntil = now + time + ++restarts * 1e-6;
          tried = false;
          backoff.lost(now, tryUntil);
        } else {
          now += time / 10;
          const delay = backoff.next(now);
          if (now < tryUntil) {
            expect(delay).toBe(tried ? random * Math.min(MAX_HURRIED, given.maxDelay) : 0);
            [tried, hurried] = [true, hurried + 1];
          } else if (counted === given.maxAttempts) {
            expect(delay).toBeUndefined();
          } else {
            expect(delay).toBe(random * Math.min(given.maxDelay, given.minDelay * 2 ** counted));
            counted += 1;
          }
        }
        expect(backoff.attempt).toBe(counted + hurried);
      }
    }),
    runs(300),
  );
});
