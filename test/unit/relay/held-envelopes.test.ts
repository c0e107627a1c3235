import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldEnvelopes, type HeldTotal } from '../../../src/relay/held-envelopes.js';
import { runs } from '../../support/fuzz.js';

/** What one costs beside its bytes, and the bounds: a change of them is one of what hostile clients can make a relay keep. */
const OVERHEAD = 256;
const MAX_FRAMES = 16;
const MAX_BYTES = 131_072;
const MAX_KEYS = 256;
const MAX_TOTAL_BYTES = 33_554_432;

const frame = (n: number, length = 8): Uint8Array => new Uint8Array(length).fill(n);

function setUp(bytes = 0): { total: HeldTotal; held: HeldEnvelopes } {
  const total = { bytes };
  return { total, held: new HeldEnvelopes(total) };
}

describe('held envelopes', () => {
  it('are given back in their order, once', () => {
    const { total, held } = setUp();
    for (const n of [1, 2, 3]) expect(held.hold('a', frame(n))).toBe(true);
    expect(held.hold('b', frame(4))).toBe(true);
    expect(total.bytes).toBe(4 * (8 + OVERHEAD));
    expect(held.holds('a')).toBe(true);
    expect(held.take('a')).toEqual([1, 2, 3].map(n => frame(n)));
    expect(held.holds('a')).toBe(false);
    expect(held.take('a')).toEqual([]);
    expect(held.holds('b')).toBe(true);
    expect(total.bytes).toBe(8 + OVERHEAD);
  });

  it('are copies in memory of their own', () => {
    const { held } = setUp();
    const buffer = new Uint8Array(1_000).fill(9);
    held.hold('a', buffer.subarray(10, 20));
    buffer.fill(0);
    const [kept] = held.take('a');
    expect(kept).toEqual(frame(9, 10));
    // A view would keep all of it alive.
    expect(kept?.buffer.byteLength).toBe(10);
  });

  it('are so many for each key', () => {
    const { total, held } = setUp();
    for (let n = 0; n < MAX_FRAMES; n++) expect(held.hold('a', frame(n))).toBe(true);
    const { bytes } = total;
    expect(held.hold('a', frame(99))).toBe(false);
    expect(total.bytes).toBe(bytes);
    expect(held.hold('b', frame(1))).toBe(true);
    expect(held.take('a')).toEqual(Array.from({ length: MAX_FRAMES }, (_, n) => frame(n)));
    expect(held.hold('a', frame(1))).toBe(true);
  });

  it('are so many bytes of one connection', () => {
    const { held } = setUp();
    const half = MAX_BYTES / 2 - OVERHEAD;
    expect(held.hold('a', frame(1, half))).toBe(true);
    expect(held.hold('b', frame(2, half + 1))).toBe(false);
    expect(held.hold('b', frame(2, half))).toBe(true);
    expect(held.hold('c', frame(3, 0))).toBe(false);
    held.take('a');
    expect(held.hold('c', frame(3, half))).toBe(true);
    // What is not larger than all may be, alone.
    const other = setUp().held;
    expect(other.hold('a', frame(1, MAX_BYTES - OVERHEAD + 1))).toBe(false);
    expect(other.hold('a', frame(1, MAX_BYTES - OVERHEAD))).toBe(true);
  });

  it('are so many bytes of all connections', () => {
    const total = { bytes: MAX_TOTAL_BYTES - 2 * (8 + OVERHEAD) };
    const [one, other] = [new HeldEnvelopes(total), new HeldEnvelopes(total)];
    expect(one.hold('a', frame(1, 9))).toBe(true);
    expect(other.hold('a', frame(1, 8))).toBe(false);
    expect(other.hold('a', frame(1, 7))).toBe(true);
    expect(total.bytes).toBe(MAX_TOTAL_BYTES);
    one.release();
    expect(other.hold('a', frame(1, 9))).toBe(true);
  });

  it('are waited for also where there was no room for the first', () => {
    const { held } = setUp(MAX_TOTAL_BYTES);
    expect(held.hold('a', frame(1))).toBe(false);
    expect(held.holds('a')).toBe(true);
    expect(held.take('a')).toEqual([]);
    expect(held.holds('a')).toBe(false);
  });

  it('are for so many keys', () => {
    const { held } = setUp();
    for (let n = 0; n < MAX_KEYS; n++) {
      expect(held.isFull).toBe(false);
      held.hold(String(n), frame(n, 1));
    }
    expect(held.isFull).toBe(true);
    held.take('7');
    expect(held.isFull).toBe(false);
  });

  it('are forgotten with their connection', () => {
    const { total, held } = setUp(1_000);
    for (const key of ['a', 'b']) held.hold(key, frame(1));
    held.release();
    expect(total.bytes).toBe(1_000);
    expect(held.holds('a')).toBe(false);
    held.release();
    expect(total.bytes).toBe(1_000);
  });

  it('are accounted for to the byte, whatever happens', () => {
    const steps = fc.array(
      fc.record({
        who: fc.nat(2),
        key: fc.constantFrom('a', 'b', 'c'),
        what: fc.constantFrom('hold', 'hold', 'hold', 'take', 'release'),
        length: fc.oneof(fc.nat(200), fc.integer({ min: 30_000, max: MAX_BYTES })),
      }),
      { maxLength: 120, size: 'max' },
    );
    fc.assert(
      fc.property(steps, fc.nat(400_000), (list, left) => {
        const start = MAX_TOTAL_BYTES - left;
        const total = { bytes: start };
        const all = [0, 1, 2].map(() => ({
          held: new HeldEnvelopes(total),
          kept: new Map<string, number[]>(),
        }));
        const cost = (lengths: Iterable<number>): number =>
          [...lengths].reduce((sum, length) => sum + length + OVERHEAD, 0);
        for (const { who, key, what, length } of list) {
          const one = all[who];
          if (!one) continue;
          const mine = one.kept.get(key) ?? [];
          if (what === 'hold') {
            const own = cost([...one.kept.values()].flat());
            const fits =
              mine.length < MAX_FRAMES &&
              own + length + OVERHEAD <= MAX_BYTES &&
              total.bytes + length + OVERHEAD <= MAX_TOTAL_BYTES;
            expect(one.held.hold(key, new Uint8Array(length))).toBe(fits);
            one.kept.set(key, fits ? [...mine, length] : mine);
          } else if (what === 'take') {
            expect(one.held.take(key).map(each => each.length)).toEqual(mine);
            one.kept.delete(key);
          } else {
            one.held.release();
            one.kept.clear();
          }
          expect(one.held.holds(key)).toBe(one.kept.has(key));
          expect(total.bytes).toBe(start + cost(all.flatMap(({ kept }) => [...kept.values()].flat())));
        }
      }),
      runs(150),
    );
  });
});
