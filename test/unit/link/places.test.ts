import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Places } from '../../../src/link/places.js';

describe('admission', () => {
  it('counts in all and per address, and takes back what is returned, once', () => {
    const places = new Places(3, 2);
    const first = places.enter('192.0.2.1') as () => void;
    expect(places.enter('::ffff:192.0.2.1')).toBeTypeOf('function');
    expect(places.enter('192.0.2.1')).toBe('TOO_MANY_FROM_ADDRESS');
    expect(places.enter('192.0.2.2')).toBeTypeOf('function');
    expect(places.enter('192.0.2.3')).toBe('TOO_MANY');
    expect(places.count).toBe(3);
    first();
    first();
    expect(places.count).toBe(2);
    expect(places.enter('192.0.2.1')).toBeTypeOf('function');
    expect(places.enter('192.0.2.1')).toBe('TOO_MANY');
  });

  it('takes a /64 network for one address', () => {
    const places = new Places(10, 1);
    expect(places.enter('2001:db8::1')).toBeTypeOf('function');
    expect(places.enter('2001:db8::ffff:1')).toBe('TOO_MANY_FROM_ADDRESS');
    expect(places.enter('2001:db8:0:1::1')).toBeTypeOf('function');
  });

  it('has no limit per address for those without one', () => {
    const places = new Places(3, 1);
    for (let i = 0; i < 3; i++) expect(places.enter(undefined)).toBeTypeOf('function');
    expect(places.enter(undefined)).toBe('TOO_MANY');
  });

  it('never loses or invents a place', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(3)), { maxLength: 200 }), steps => {
        const places = new Places(6, 3);
        const inside: { address: string; leave: () => void }[] = [];
        for (const [comes, who] of steps) {
          const address = `192.0.2.${String(who)}`;
          if (comes) {
            const result = places.enter(address);
            const there = inside.filter(each => each.address === address).length;
            const expected =
              inside.length === 6 ? 'TOO_MANY' : there === 3 ? 'TOO_MANY_FROM_ADDRESS' : undefined;
            if (typeof result === 'function') inside.push({ address, leave: result });
            expect(typeof result === 'function' ? undefined : result).toBe(expected);
          } else {
            inside.splice(who, 1)[0]?.leave();
          }
          expect(places.count).toBe(inside.length);
        }
      }),
    );
  });
});
