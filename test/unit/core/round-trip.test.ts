import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INITIAL_RETRY, MAX_RETRY, MIN_RETRY } from '../../../src/core/constants.js';
import { RoundTrip } from '../../../src/core/round-trip.js';
import { runs } from '../../support/fuzz.js';

/** After so many answers that took the same time. */
function settled(elapsed: number, samples = 100): RoundTrip {
  const roundTrip = new RoundTrip();
  for (let i = 0; i < samples; i++) roundTrip.sample(elapsed);
  return roundTrip;
}

describe('the estimate of a round trip', () => {
  it('is unknown before the first was measured', () => {
    const roundTrip = new RoundTrip();
    expect([roundTrip.smoothed, roundTrip.timeout]).toEqual([undefined, INITIAL_RETRY]);
  });

  it('is that of RFC 6298 section 2: a quarter and an eighth of what is new', () => {
    const roundTrip = new RoundTrip();
    roundTrip.sample(400);
    expect(roundTrip.smoothed).toBe(400);
    expect(roundTrip.timeout).toBe(MIN_RETRY / 2 + 400 + 4 * 200);
    roundTrip.sample(800);
    // RTTVAR = 3/4 * 200 + 1/4 * |400 - 800|; SRTT = 7/8 * 400 + 1/8 * 800.
    expect(roundTrip.smoothed).toBe(450);
    expect(roundTrip.timeout).toBe(MIN_RETRY / 2 + 450 + 4 * 250);
  });

  it('comes to what is measured', () => {
    expect(settled(700).smoothed).toBeCloseTo(700, 5);
    expect(settled(700).timeout).toBeCloseTo(MIN_RETRY / 2 + 700, 3);
  });

  it('makes nobody ask sooner than an acknowledgement may take', () => {
    expect(settled(0).timeout).toBe(MIN_RETRY);
    expect(settled(1).timeout).toBe(MIN_RETRY);
  });

  it('is not spoiled by a clock that jumps', () => {
    const roundTrip = settled(100);
    roundTrip.sample(-5_000_000);
    expect(roundTrip.smoothed).toBeGreaterThan(0);
    roundTrip.sample(5_000_000_000);
    expect(roundTrip.smoothed).toBeLessThan(MAX_RETRY);
  });

  it('stays within bounds, whatever happens', () => {
    const steps = fc.array(
      fc.oneof(
        fc.double({ min: -1e9, max: 1e12, noNaN: true }),
        fc.constantFrom('expired' as const, 'answered' as const),
      ),
    );
    fc.assert(
      fc.property(steps, list => {
        const roundTrip = new RoundTrip();
        for (const step of list) {
          if (step === 'expired') roundTrip.expired();
          else if (step === 'answered') roundTrip.answered();
          else roundTrip.sample(step);
          expect(roundTrip.timeout).toBeGreaterThanOrEqual(MIN_RETRY);
          expect(roundTrip.timeout).toBeLessThanOrEqual(MAX_RETRY);
        }
      }),
      runs(200),
    );
  });
});

describe('questions that are not answered', () => {
  it('are put at intervals that double, up to MAX_RETRY', () => {
    const roundTrip = settled(350);
    const timeouts = Array.from({ length: 9 }, () => {
      const { timeout } = roundTrip;
      roundTrip.expired();
      return Math.round(timeout);
    });
    expect(timeouts).toEqual([600, 1_200, 2_400, 4_800, 9_600, ...Array<number>(4).fill(MAX_RETRY)]);
  });

  it('are put as often as before once something was heard', () => {
    const roundTrip = settled(350);
    const before = roundTrip.timeout;
    for (let i = 0; i < 10_000; i++) roundTrip.expired();
    roundTrip.answered();
    expect(roundTrip.timeout).toBe(before);
  });
});
