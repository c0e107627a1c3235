import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateHistory } from '../../../../src/relay/operations/rate-history.js';
import { snapshotOf } from '../../../support/relay-snapshot.js';

describe('the history of rates', () => {
  it('holds rates per second, whatever time has passed', () => {
    const history = new RateHistory(10);
    history.add(0, snapshotOf({ envelopes: 100, bytes: 5_000 }));
    expect(history.since(0)).toEqual({ first: 0, samples: [] });
    history.add(2_000, snapshotOf({ envelopes: 150, bytes: 6_000, connections: 3, queuedBytes: 9 }));
    history.add(2_500, snapshotOf({ envelopes: 151, bytes: 6_000, connections: 4 }));
    expect(history.since(0)).toEqual({
      first: 0,
      samples: [
        { messages: 25, bytes: 500, connections: 3, queuedBytes: 9 },
        { messages: 2, bytes: 0, connections: 4, queuedBytes: 0 },
      ],
    });
  });

  it('does not divide by a clock that stands still', () => {
    const history = new RateHistory(10);
    history.add(5, snapshotOf());
    history.add(5, snapshotOf({ envelopes: 3 }));
    expect(history.since(0).samples).toEqual([]);
  });

  it('gives the numbered samples that are asked for, of the last ones', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 0, max: 30 }),
        fc.integer({ min: 0, max: 40 }),
        (capacity, count, first) => {
          const history = new RateHistory(capacity);
          for (let i = 0; i <= count; i++) history.add(i * 1_000, snapshotOf({ connections: i }));
          const known = Array.from({ length: count }, (_, i) => i).slice(-capacity);
          const wanted = first > count ? known : known.filter(i => i >= first);
          const found = history.since(first);
          expect(found.samples.map(({ connections }) => connections - 1)).toEqual(wanted);
          // Numbered so that the next question is for what is not known yet.
          expect(found.first + found.samples.length).toBe(count);
        },
      ),
    );
  });
});
