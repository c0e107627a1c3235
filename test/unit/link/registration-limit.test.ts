import { describe, expect, it } from 'vitest';
import { RegistrationLimit } from '../../../src/link/registration-limit.js';

/** Enters, which must succeed. */
function enter(limit: RegistrationLimit, address: string | undefined): () => void {
  const place = limit.enter(address);
  if (typeof place === 'string') throw new Error(place);
  return place;
}

describe('RegistrationLimit', () => {
  it('limits what comes from one address, and not from others', () => {
    const limit = new RegistrationLimit(10, 2);
    enter(limit, 'a');
    const leave = enter(limit, 'a');
    expect(limit.enter('a')).toBe('too many from this address');
    enter(limit, 'b');
    leave();
    enter(limit, 'a');
    expect(limit.enter('a')).toBe('too many from this address');
    expect(limit.count).toBe(3);
  });

  it('limits all together, those without an address too', () => {
    const limit = new RegistrationLimit(4, 2);
    enter(limit, 'a');
    for (let i = 0; i < 3; i++) enter(limit, undefined);
    expect(limit.enter(undefined)).toBe('too many');
    expect(limit.enter('z')).toBe('too many');
    expect(limit.count).toBe(4);
  });

  it('gives a place back once, however often that is asked', () => {
    const limit = new RegistrationLimit(2, 2);
    const leave = enter(limit, 'a');
    enter(limit, 'a');
    leave();
    leave();
    expect(limit.count).toBe(1);
    enter(limit, 'a');
    expect(limit.enter('a')).toBe('too many');
  });

  it('has 1000 and 64 by default', () => {
    const limit = new RegistrationLimit();
    let entered = 0;
    while (typeof limit.enter('a') === 'function') entered++;
    expect(entered).toBe(64);
    for (let address = 0; typeof limit.enter(`b${Math.floor(address / 64)}`) === 'function'; address++)
      entered++;
    expect(entered).toBe(1000);
  });
});
