import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HistoryBudget, ITEM_OVERHEAD, SpaceHistory } from '../../../../src/relay/spaces/space-history.js';
import { SpaceItem } from '../../../../src/relay/spaces/space-item.js';
import { runs } from '../../../support/fuzz.js';

const limits = { historyItems: 5, historyBytes: 10_000, historyTime: 1_000 };

function push(history: SpaceHistory, bytes: number, now = 0): SpaceItem {
  const message = new Uint8Array(0);
  const content = { type: 'message', sender: 1, sequence: history.last + 1, message, bytes } as const;
  const item = new SpaceItem(history, now, { ...content, wrapFor: () => undefined });
  history.push(item);
  return item;
}

describe('the history of a space', () => {
  it('keeps the latest items, and no more than it may', () => {
    const budget = new HistoryBudget(1_000_000);
    const history = new SpaceHistory(limits, budget);
    expect([history.first, history.last, history.size]).toEqual([1, 0, 0]);
    for (let i = 0; i < 7; i++) push(history, 100);
    expect([history.first, history.last, history.size]).toEqual([3, 7, 5]);
    expect([history.at(2), history.at(8)]).toEqual([undefined, undefined]);
    expect([history.at(3)?.offset, history.find(1, 7), history.find(1, 2), history.find(2, 7)]).toEqual([
      3,
      7,
      undefined,
      undefined,
    ]);
    push(history, 9_000);
    expect([history.first, history.last]).toEqual([8, 8]);
    push(history, 20_000);
    expect([history.size, history.last, history.bytes, budget.used]).toEqual([0, 9, 0, 0]);
  });

  it('finds what it keeps, however much it has forgotten before', () => {
    const history = new SpaceHistory(limits, new HistoryBudget(1_000_000));
    for (let last = 1; last <= 500; last++) {
      push(history, 1);
      const kept = Math.min(last, limits.historyItems);
      expect([history.last, history.size, history.first]).toEqual([last, kept, last - kept + 1]);
      expect(history.at(history.first)?.offset).toBe(history.first);
      expect([history.find(1, history.first), history.find(1, last)]).toEqual([history.first, last]);
    }
  });

  it('forgets what is too old', () => {
    const history = new SpaceHistory(limits, new HistoryBudget(1_000_000));
    push(history, 1, 0);
    push(history, 1, 500);
    history.expire(999);
    expect(history.size).toBe(2);
    history.expire(1_000);
    expect(history.first).toBe(2);
    push(history, 1, 1_500);
    expect(history.first).toBe(3);
  });

  it('of all spaces together loses the oldest first, and makes room for what is held', () => {
    const cost = ITEM_OVERHEAD + 100;
    const budget = new HistoryBudget(4 * cost);
    const [one, two] = [new SpaceHistory(limits, budget), new SpaceHistory(limits, budget)];
    for (const history of [one, two, one, two]) push(history, 100);
    push(one, 100);
    expect([one.first, two.first]).toEqual([2, 1]);
    expect(budget.hold(2 * cost)).toBe(true);
    expect([one.size, two.size]).toEqual([1, 1]);
    expect(budget.hold(3 * cost)).toBe(false);
    budget.release(2 * cost);
    one.clear();
    two.clear();
    expect(budget.used).toBe(0);
  });

  it('stays within its bounds, whatever comes', () => {
    const steps = fc.array(fc.record({ space: fc.nat(2), bytes: fc.nat(6_000), time: fc.nat(300) }), {
      maxLength: 80,
    });
    fc.assert(
      fc.property(steps, list => {
        const budget = new HistoryBudget(15_000);
        const histories = [0, 1, 2].map(() => new SpaceHistory(limits, budget));
        // All that was ever pushed, oldest first.
        const all: SpaceItem[] = [];
        let now = 0;
        for (const { space, bytes, time } of list) {
          now += time;
          all.push(push(histories[space] as SpaceHistory, bytes, now));
          expect(budget.used).toBe(histories.reduce((sum, history) => sum + history.bytes, 0));
          expect(budget.used).toBeLessThanOrEqual(budget.maxBytes);
          for (const history of histories) {
            expect(history.size).toBeLessThanOrEqual(limits.historyItems);
            expect(history.bytes).toBeLessThanOrEqual(limits.historyBytes);
            const kept = all.filter(item => item.history === history).slice(-history.size || Infinity);
            expect(kept.map(({ offset }) => history.at(offset))).toEqual(kept);
          }
        }
      }),
      runs(200),
    );
  });
});
