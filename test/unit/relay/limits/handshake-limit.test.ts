import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HandshakeLimit } from '../../../../src/relay/limits/handshake-limit.js';
import { expectCode } from '../../../support/errors.js';
import { runs } from '../../../support/fuzz.js';

/** How many of `count` handshakes at once are allowed. */
function atOnce(limit: HandshakeLimit, destination: string, now: number, count = 1_000): number {
  let allowed = 0;
  for (let each = 0; each < count; each++) if (limit.allows(destination, now)) allowed++;
  return allowed;
}

describe('HandshakeLimit', () => {
  it('allows a burst to each destination, and so many per second after it', () => {
    const limit = new HandshakeLimit(20, 128);
    expect(atOnce(limit, 'a', 0)).toBe(128);
    expect(atOnce(limit, 'b', 0)).toBe(128);
    expect(atOnce(limit, 'a', 1_000)).toBe(20);
    expect(atOnce(limit, 'a', 1_049)).toBe(0);
    expect(atOnce(limit, 'a', 1_050)).toBe(1);
    expect(atOnce(limit, 'a', 60_000)).toBe(128);
  });

  it('keeps to the burst with rates that do not divide evenly', () => {
    for (const rate of [3, 7, 11, 13, 33, 999]) {
      for (const burst of [1, 2, 128])
        expect(atOnce(new HandshakeLimit(rate, burst), 'a', 1e9 + 0.1)).toBe(burst);
    }
  });

  it('does not give a new burst to a destination that was crowded out', () => {
    const limit = new HandshakeLimit(1, 10, 16);
    expect(atOnce(limit, 'victim', 0)).toBe(10);
    let toVictim = 0;
    for (let round = 0; round < 100; round++) {
      for (let other = 0; other < 64; other++) atOnce(limit, `${round} ${other}`, 0, 10);
      toVictim += atOnce(limit, 'victim', 0);
    }
    expect(toVictim).toBe(0);
    expect(limit.destinations).toBe(16);
  });

  it('lets all others share one budget while every budget is in use', () => {
    const limit = new HandshakeLimit(1, 10, 2);
    atOnce(limit, 'a', 0);
    atOnce(limit, 'b', 0);
    expect(atOnce(limit, 'c', 0)).toBe(10);
    expect(atOnce(limit, 'd', 0)).toBe(0);
    // Ten seconds later the budgets are full, and can be forgotten.
    expect(atOnce(limit, 'd', 10_000)).toBe(10);
    expect(atOnce(limit, 'e', 10_000)).toBe(10);
  });

  it('forgets those first that were not used for longest, not those that came first', () => {
    const limit = new HandshakeLimit(1, 10, 16);
    const hot = Array.from({ length: 8 }, (_, at) => `hot ${at}`);
    const cold = Array.from({ length: 8 }, (_, at) => `cold ${at}`);
    for (const each of [...hot, ...cold]) limit.allows(each, 0);
    for (const each of hot) atOnce(limit, each, 2_000);
    expect(atOnce(limit, 'first', 2_000)).toBe(10);
    expect(atOnce(limit, 'second', 2_000)).toBe(10);
    expect(atOnce(limit, 'hot 0', 2_000)).toBe(0);
  });

  it('stands still when the clock goes back', () => {
    const limit = new HandshakeLimit(20, 128);
    expect(limit.allows('a', 100_000)).toBe(true);
    expect(atOnce(limit, 'a', 0)).toBe(127);
  });

  it('lets a connection greet very many peers once each', () => {
    const limit = new HandshakeLimit(20, 128);
    let refused = 0;
    for (let peer = 0; peer < 20_000; peer++) if (!limit.allows(`peer ${peer}`, peer / 10)) refused++;
    expect(refused).toBe(0);
  });

  it('forgets budgets that are full again, although there is room', () => {
    const limit = new HandshakeLimit(20, 128);
    for (let peer = 0; peer < 500; peer++) limit.allows(`peer ${peer}`, 0);
    for (let peer = 0; peer < 100; peer++) limit.allows(`late ${peer}`, 1_000);
    expect(limit.destinations).toBeLessThanOrEqual(100);
  });

  it('never makes one destination answer more than twice burst + rate * t, and stays within its table', () => {
    const steps = fc.array(
      fc.record({
        destination: fc.nat(12),
        count: fc.integer({ min: 1, max: 12 }),
        after: fc.oneof(fc.constant(0), fc.integer({ min: -50, max: 400 })),
      }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 6 }),
        steps,
        (rate, burst, size, all) => {
          const limit = new HandshakeLimit(rate, burst, size);
          const allowed = new Map<number, number[]>();
          let now = 0;
          let latest = 0;
          for (const { destination, count, after } of all) {
            now += after;
            latest = Math.max(latest, now);
            const times = allowed.get(destination) ?? [];
            allowed.set(destination, times);
            for (let each = atOnce(limit, String(destination), now, count); each > 0; each--)
              times.push(latest);
            expect(limit.destinations).toBeLessThanOrEqual(size);
          }
          for (const times of allowed.values()) {
            for (const [from, first] of times.entries()) {
              for (const [more, at] of times.slice(from).entries()) {
                const bound = burst + (rate * (at - first)) / 1_000;
                expect(more + 1).toBeLessThanOrEqual(2 * bound + 0.01);
              }
            }
          }
        },
      ),
      runs(200),
    );
  });

  it('never allows more than burst + rate * t while there are no more destinations than budgets', () => {
    const steps = fc.array(fc.record({ destination: fc.nat(3), after: fc.nat(100) }), { maxLength: 200 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 8 }),
        steps,
        (rate, burst, all) => {
          const limit = new HandshakeLimit(rate, burst, 4);
          // In thousandths of a handshake.
          const missing = new Map<number, { amount: number; at: number }>();
          let now = 0;
          for (const { destination, after } of all) {
            now += after;
            const before = missing.get(destination) ?? { amount: 0, at: now };
            const amount = Math.max(0, before.amount - (now - before.at) * rate);
            const over = amount + 1_000 - burst * 1_000;
            const fits = limit.allows(String(destination), now);
            // It lets a thousandth pass, for what is lost by rounding; what is exactly that much may go either way.
            if (over !== 1) expect(fits).toBe(over < 1);
            missing.set(destination, { amount: fits ? amount + 1_000 : amount, at: now });
          }
        },
      ),
      runs(300),
    );
  });

  it('refuses what is no rate or burst', () => {
    expectCode(() => new HandshakeLimit(0, 1), 'INVALID_ARGUMENT');
    expectCode(() => new HandshakeLimit(1, NaN), 'INVALID_ARGUMENT');
  });
});
