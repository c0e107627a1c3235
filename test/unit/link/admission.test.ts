import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Admission } from '../../../src/link/admission.js';

describe('admission', () => {
  it('counts in all and per address, and takes back what is returned, once', () => {
    const admission = new Admission(3, 2);
    const first = admission.enter('192.0.2.1') as () => void;
    expect(admission.enter('::ffff:192.0.2.1')).toBeTypeOf('function');
    expect(admission.enter('192.0.2.1')).toBe('TOO_MANY_FROM_ADDRESS');
    expect(admission.enter('192.0.2.2')).toBeTypeOf('function');
    expect(admission.enter('192.0.2.3')).toBe('TOO_MANY');
    expect(admission.count).toBe(3);
    first();
    first();
    expect(admission.count).toBe(2);
    expect(admission.enter('192.0.2.1')).toBeTypeOf('function');
    expect(admission.enter('192.0.2.1')).toBe('TOO_MANY');
  });

  it('takes a /64 network for one address', () => {
    const admission = new Admission(10, 1);
    expect(admission.enter('2001:db8::1')).toBeTypeOf('function');
    expect(admission.enter('2001:db8::ffff:1')).toBe('TOO_MANY_FROM_ADDRESS');
    expect(admission.enter('2001:db8:0:1::1')).toBeTypeOf('function');
  });

  it('has no limit per address for those without one', () => {
    const admission = new Admission(3, 1);
    for (let i = 0; i < 3; i++) expect(admission.enter(undefined)).toBeTypeOf('function');
    expect(admission.enter(undefined)).toBe('TOO_MANY');
  });

  it('never loses or invents a place', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(3)), { maxLength: 200 }), steps => {
        const admission = new Admission(6, 3);
        const inside: { address: string; leave: () => void }[] = [];
        for (const [comes, who] of steps) {
          const address = `192.0.2.${String(who)}`;
          if (comes) {
            const result = admission.enter(address);
            const there = inside.filter(each => each.address === address).length;
            const expected =
              inside.length === 6 ? 'TOO_MANY' : there === 3 ? 'TOO_MANY_FROM_ADDRESS' : undefined;
            if (typeof result === 'function') inside.push({ address, leave: result });
            expect(typeof result === 'function' ? undefined : result).toBe(expected);
          } else {
            inside.splice(who, 1)[0]?.leave();
          }
          expect(admission.count).toBe(inside.length);
        }
      }),
    );
  });
});
