import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { addressGroup } from '../../../../src/link/address-group.js';
import {
  type Admittance,
  Entrance,
  type EntranceLimits,
  type TurnedAway,
} from '../../../../src/relay/limits/entrance.js';
import { runs } from '../../../support/fuzz.js';

const ROOMY: EntranceLimits = {
  maxConnections: 1_000,
  maxConnectionsPerIp: 1_000,
  acceptRate: 1_000,
  maxUnregistered: 1_000,
  maxUnregisteredPerIp: 1_000,
};

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

const entrance = (limits: Partial<EntranceLimits> = {}): Entrance => new Entrance({ ...ROOMY, ...limits });

function inside(result: Admittance | TurnedAway): Admittance {
  if ('status' in result) throw new Error(`turned away: ${result.limit}`);
  return result;
}

/** What somebody is turned away with, or 'in'. */
function fate(result: Admittance | TurnedAway): string {
  return 'status' in result ? `${String(result.status)} ${result.limit}` : 'in';
}

describe('the entrance', () => {
  it('has places for so many in all, registered or not', () => {
    const door = entrance({ maxConnections: 2 });
    const first = inside(door.enter('192.0.2.1'));
    first.registered();
    inside(door.enter('192.0.2.2'));
    expect(fate(door.enter('192.0.2.3'))).toBe('503 connections');
    expect(fate(door.enter(undefined))).toBe('503 connections');
    first.leave();
    expect(fate(door.enter('192.0.2.3'))).toBe('in');
    expect(fate(door.enter('192.0.2.3'))).toBe('503 connections');
  });

  it('has places for so many from one address, registered or not', () => {
    const door = entrance({ maxConnectionsPerIp: 2 });
    const first = inside(door.enter('192.0.2.1'));
    first.registered();
    inside(door.enter('192.0.2.1'));
    expect(fate(door.enter('192.0.2.1'))).toBe('429 connections_per_ip');
    // The same in IPv6 clothes.
    expect(fate(door.enter('::ffff:192.0.2.1'))).toBe('429 connections_per_ip');
    expect(fate(door.enter('192.0.2.2'))).toBe('in');
    first.leave();
    expect(fate(door.enter('192.0.2.1'))).toBe('in');
  });

  it('takes an IPv6 network for one address', () => {
    const door = entrance({ maxConnectionsPerIp: 1 });
    expect(fate(door.enter('2001:db8::1'))).toBe('in');
    expect(fate(door.enter('2001:db8:0:0:ffff::9'))).toBe('429 connections_per_ip');
    expect(fate(door.enter('2001:db8:0:1::1'))).toBe('in');
  });

  it('counts those whose address is not known in all only', () => {
    const door = entrance({ maxConnectionsPerIp: 1, maxUnregisteredPerIp: 1, maxUnregistered: 3 });
    for (let n = 0; n < 3; n++) expect(fate(door.enter(undefined))).toBe('in');
    expect(fate(door.enter(undefined))).toBe('503 unregistered');
  });

  it('has places for so many who have not proven their keys, in all and from one address', () => {
    const door = entrance({ maxUnregistered: 3, maxUnregisteredPerIp: 2 });
    const first = inside(door.enter('192.0.2.1'));
    inside(door.enter('192.0.2.1'));
    expect(door.unregistered).toBe(2);
    expect(fate(door.enter('192.0.2.1'))).toBe('429 unregistered_per_ip');
    first.registered();
    expect(door.unregistered).toBe(1);
    expect(fate(door.enter('192.0.2.1'))).toBe('in');
    expect(fate(door.enter('192.0.2.2'))).toBe('in');
    expect(fate(door.enter('192.0.2.3'))).toBe('503 unregistered');
    // Once it has registered, its end makes no more room for others who have not.
    first.leave();
    expect(door.unregistered).toBe(3);
    expect(fate(door.enter('192.0.2.3'))).toBe('503 unregistered');
  });

  it('gives a place back once, however often somebody leaves', () => {
    const door = entrance({ maxConnections: 2, maxConnectionsPerIp: 2, maxUnregistered: 2 });
    const first = inside(door.enter('192.0.2.1'));
    inside(door.enter('192.0.2.1'));
    first.leave();
    first.leave();
    first.registered();
    expect(door.unregistered).toBe(1);
    inside(door.enter('192.0.2.1'));
    expect(fate(door.enter('192.0.2.1'))).toBe('503 connections');
  });

  it('lets in so many per second, and twice as many at once', () => {
    const door = entrance({ acceptRate: 5 });
    const atOnce = (): number => {
      let count = 0;
      for (;;) {
        const result = door.enter('192.0.2.1');
        if ('status' in result) {
          expect(fate(result)).toBe('503 accept_rate');
          return count;
        }
        result.leave();
        count += 1;
      }
    };
    expect(atOnce()).toBe(10);
    expect(atOnce()).toBe(0);
    vi.advanceTimersByTime(199);
    expect(atOnce()).toBe(0);
    vi.advanceTimersByTime(1);
    expect(atOnce()).toBe(1);
    vi.advanceTimersByTime(1_000);
    expect(atOnce()).toBe(5);
    vi.advanceTimersByTime(60_000);
    expect(atOnce()).toBe(10);
  });

  it('does not count whom it turns away: neither as being there, nor as having come', () => {
    const door = entrance({ maxConnectionsPerIp: 1, acceptRate: 1 });
    const first = inside(door.enter('192.0.2.1'));
    for (let n = 0; n < 50; n++) expect(fate(door.enter('192.0.2.1'))).toBe('429 connections_per_ip');
    expect(door.unregistered).toBe(1);
    // The second of two at once.
    inside(door.enter('192.0.2.2')).leave();
    expect(fate(door.enter('192.0.2.2'))).toBe('503 accept_rate');
    expect(door.unregistered).toBe(1);
    first.leave();
    vi.advanceTimersByTime(1_000);
    expect(fate(door.enter('192.0.2.1'))).toBe('in');
    vi.advanceTimersByTime(1_000);
    expect(fate(door.enter('192.0.2.2'))).toBe('in');
  });

  it('says why in words', () => {
    const door = entrance({ maxConnections: 1 });
    door.enter('192.0.2.1');
    const result = door.enter('192.0.2.1');
    expect('message' in result && result.message).toMatch(/as many connections/);
  });

  it('keeps to every limit, whoever comes and goes', () => {
    const ips = ['192.0.2.1', '::ffff:192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2', undefined];
    const steps = fc.array(
      fc.record({
        what: fc.constantFrom('enter', 'enter', 'enter', 'registered', 'leave', 'wait'),
        at: fc.nat(200),
      }),
      { maxLength: 150, size: 'max' },
    );
    const limits = fc.record({
      maxConnections: fc.integer({ min: 1, max: 8 }),
      maxConnectionsPerIp: fc.integer({ min: 1, max: 5 }),
      acceptRate: fc.integer({ min: 1, max: 6 }),
      maxUnregistered: fc.integer({ min: 1, max: 6 }),
      maxUnregisteredPerIp: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(limits, steps, (given, list) => {
        const door = new Entrance(given);
        let here: { group: string | undefined; proven: boolean; admittance: Admittance }[] = [];
        let entered: number[] = [];
        for (const { what, at } of list) {
          const one = here[at % Math.max(1, here.length)];
          if (what === 'enter') {
            const ip = ips[at % ips.length];
            const group = ip === undefined ? undefined : addressGroup(ip);
            const same = here.filter(each => group !== undefined && each.group === group);
            const recent = entered.filter(time => time > performance.now() - 1_000);
            const result = door.enter(ip);
            const expected =
              here.length >= given.maxConnections
                ? '503 connections'
                : same.length >= given.maxConnectionsPerIp
                  ? '429 connections_per_ip'
                  : here.filter(({ proven }) => !proven).length >= given.maxUnregistered
                    ? '503 unregistered'
                    : same.filter(({ proven }) => !proven).length >= given.maxUnregisteredPerIp
                      ? '429 unregistered_per_ip'
                      : undefined;
            if (expected !== undefined) {
              expect(fate(result)).toBe(expected);
            } else if ('status' in result) {
              expect(result.limit).toBe('accept_rate');
              // Who is turned away for that, is so because of others who came just now.
              expect(recent.length).toBeGreaterThanOrEqual(given.acceptRate);
            } else {
              here.push({ group, proven: false, admittance: result });
              entered.push(performance.now());
              expect(recent.length).toBeLessThan(3 * given.acceptRate);
            }
          } else if (what === 'wait') {
            vi.advanceTimersByTime(at * 10);
            entered = entered.slice(-50);
          } else if (one) {
            one.admittance[what]();
            if (what === 'registered') one.proven = true;
            else here = here.filter(each => each !== one);
          }
          expect(door.unregistered).toBe(here.filter(({ proven }) => !proven).length);
        }
      }),
      runs(150),
    );
  });
});
