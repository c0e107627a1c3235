import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Occupancy } from '../../../src/link/occupancy.js';
import { runs } from '../../support/fuzz.js';

describe('Occupancy', () => {
  it('has room for so many of each group', () => {
    const occupancy = new Occupancy(2);
    const leave = occupancy.enter('a');
    expect(occupancy.enter('a')).toBeTypeOf('function');
    expect(occupancy.enter('a')).toBeUndefined();
    expect(occupancy.enter('b')).toBeTypeOf('function');
    leave?.();
    expect(occupancy.count('a')).toBe(1);
    expect(occupancy.enter('a')).toBeTypeOf('function');
  });

  it('counts nobody out twice', () => {
    const occupancy = new Occupancy(2);
    const leave = occupancy.enter('a');
    occupancy.enter('a');
    leave?.();
    leave?.();
    expect(occupancy.count('a')).toBe(1);
  });

  it('counts as a model does, and remembers only groups that somebody is inside of', () => {
    const step = fc.oneof(
      fc.record({ enter: fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor') }),
      fc.record({ leave: fc.nat(30) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (max, steps) => {
        const occupancy = new Occupancy(max);
        const entered: { group: string; leave: () => void; left: boolean }[] = [];
        const inside = (group: string) => entered.filter(each => each.group === group && !each.left).length;
        for (const each of steps) {
          if ('enter' in each) {
            const room = inside(each.enter) < max;
            const leave = occupancy.enter(each.enter);
            expect(leave !== undefined).toBe(room);
            if (leave !== undefined) entered.push({ group: each.enter, leave, left: false });
          } else {
            const one = entered[each.leave % Math.max(1, entered.length)];
            one?.leave();
            if (one !== undefined) one.left = true;
          }
          const groups = new Set(entered.filter(({ left }) => !left).map(({ group }) => group));
          expect(occupancy.groups).toBe(groups.size);
          for (const group of ['a', 'b', 'c', '__proto__', 'constructor']) {
            expect(occupancy.count(group)).toBe(inside(group));
          }
        }
      }),
      runs(200),
    );
  });
});
