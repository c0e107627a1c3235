import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConnectedKeys } from '../../../src/relay/connected-keys.js';
import { RelayConnection, relayKind } from '../../../src/relay/relay-connection.js';
import { WriteBatch } from '../../../src/relay/write-batch.js';
import { runs } from '../../support/fuzz.js';

const owner = { batch: new WriteBatch(), kind: relayKind(1_000), closed: () => undefined };
const connection = (): RelayConnection => new RelayConnection(owner);

describe('the connections of a key', () => {
  it('are known from the newest to the oldest', () => {
    const keys = new ConnectedKeys();
    const [one, two, three, other] = [connection(), connection(), connection(), connection()];
    for (const each of [one, two, three]) keys.add('a', each);
    keys.add('b', other);
    expect(keys.of('a').map(each => [one, two, three].indexOf(each))).toEqual([2, 1, 0]);
    expect(keys.of('b')).toHaveLength(1);
    expect(keys.of('b')[0]).toBe(other);
    expect(keys.of('c')).toEqual([]);
    expect([...keys.keys()]).toEqual(['a', 'b']);
  });

  it('are counted no further than is asked for', () => {
    const keys = new ConnectedKeys();
    expect(keys.hasAsManyAs('a', 1)).toBe(false);
    keys.add('a', connection());
    expect([1, 2].map(max => keys.hasAsManyAs('a', max))).toEqual([true, false]);
    keys.add('a', connection());
    expect([1, 2, 3].map(max => keys.hasAsManyAs('a', max))).toEqual([true, true, false]);
    expect(keys.hasAsManyAs('b', 1)).toBe(false);
  });

  it('are an array of its own: they may go while they are gone through', () => {
    const keys = new ConnectedKeys();
    for (let n = 0; n < 3; n++) keys.add('a', connection());
    let gone = 0;
    for (const each of keys.of('a')) {
      keys.remove('a', each);
      gone += 1;
    }
    expect(gone).toBe(3);
    expect(keys.of('a')).toEqual([]);
    expect([...keys.keys()]).toEqual([]);
  });

  it('are what the simplest list of them says, whatever comes and goes', () => {
    const steps = fc.array(fc.record({ key: fc.constantFrom('a', 'b'), who: fc.nat(9) }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, list => {
        const keys = new ConnectedKeys();
        const all = Array.from({ length: 10 }, connection);
        const model: Record<'a' | 'b', RelayConnection[]> = { a: [], b: [] };
        for (const { key, who } of list) {
          const each = all[who];
          if (!each) continue;
          const at = model[key].indexOf(each);
          if (at >= 0) {
            keys.remove(key, each);
            model[key].splice(at, 1);
            expect(each.sameKey).toBeUndefined();
          } else if (model.a.includes(each) || model.b.includes(each)) {
            continue;
          } else {
            keys.add(key, each);
            model[key].unshift(each);
          }
          for (const name of ['a', 'b'] as const) {
            const found = keys.of(name);
            expect(found.map(one => all.indexOf(one))).toEqual(model[name].map(one => all.indexOf(one)));
            for (let max = 1; max < 12; max++)
              expect(keys.hasAsManyAs(name, max)).toBe(model[name].length >= max);
          }
          expect([...keys.keys()].sort()).toEqual(
            (['a', 'b'] as const).filter(name => model[name].length > 0),
          );
        }
      }),
      runs(200),
    );
  });

  it('stay when somebody goes who was not among them', () => {
    const keys = new ConnectedKeys();
    const one = connection();
    keys.add('a', one);
    keys.remove('a', connection());
    keys.remove('b', connection());
    expect(keys.of('a')).toHaveLength(1);
    expect(keys.of('a')[0]).toBe(one);
  });
});
