import { describe, expect, it } from 'vitest';
import { SpaceOperation } from '../../../../src/core/space/space-frame.js';
import { PATIENCE } from '../../../../src/relay/spaces/space-delivery.js';
import type { SpaceFollower } from '../../../support/space-follower.js';
import { LARGE, type Seat, SpacesBench, twoWhoRead } from '../../../support/spaces-bench.js';

/** Says so much that whoever does not read is slow. */
function fill(seat: Seat, follower: SpaceFollower, count = 6): void {
  for (let i = 0; i < count; i++) seat.send(follower.say(LARGE));
}

describe('a member that does not read', () => {
  it('is waited for, and all go on when it has read', () => {
    const { bench, a, b, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    expect([bob.heard.length, alice.unaccepted.size]).toEqual([6, 0]);
    a.send(alice.say('waits'));
    b.send(bob.say('waits, too'));
    bench.pass(PATIENCE - 1);
    expect([bob.heard.length, alice.unaccepted.size, bob.unaccepted.size]).toEqual([6, 1, 1]);
    c.port.stuck = false;
    c.drain();
    expect(alice.accepted).toHaveLength(7);
    expect(carol.heard.slice(6).map(({ text }) => text)).toEqual(['waits', 'waits, too']);
    expect([alice.offset, bob.offset]).toEqual([carol.offset, carol.offset]);
  });

  it('is waited for again when it has read a part only', () => {
    const { a, b, c, alice, bob, carol } = twoWhoRead();
    // The last ones are held.
    for (let i = 0; i < 23; i++) a.send(alice.say('x'.repeat(100_000)));
    expect(bob.heard).toHaveLength(11);
    c.drain();
    expect(bob.heard).toHaveLength(22);
    a.send(alice.say('behind all that'));
    b.send(bob.say('and this'));
    for (let i = 0; i < 5; i++) c.drain();
    expect([alice.refusals, bob.refusals]).toEqual([[], []]);
    expect(carol.heard.slice(23).map(({ text }) => text)).toEqual(['behind all that', 'and this']);
  });

  it('is left behind after a while, and catches up', () => {
    const { bench, a, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    a.send(alice.say('waits'));
    bench.pass(PATIENCE);
    expect(bob.heard).toHaveLength(7);
    expect(carol.heard).toHaveLength(6);
    // Nobody waits any more.
    fill(a, alice, 20);
    expect(bob.heard).toHaveLength(27);
    expect(c.port.queuedBytes).toBeLessThan(1_500_000);
    // It reads, in several goes.
    for (let i = 0; i < 5; i++) c.drain();
    expect(carol.heard).toHaveLength(27);
    expect([carol.offset, carol.gaps]).toEqual([bob.offset, []]);
    c.port.stuck = false;
    c.drain();
    a.send(alice.say('together again'));
    expect(carol.heard).toHaveLength(28);
  });

  it('is not waited for again soon after', () => {
    const { bench, a, c, alice, bob } = twoWhoRead();
    fill(a, alice);
    bench.pass(PATIENCE);
    c.drain();
    fill(a, alice, 8);
    expect(bob.heard).toHaveLength(14);
    c.drain();
    c.drain();
    bench.pass(60_000);
    c.drain();
    fill(a, alice, 8);
    expect(bob.heard.length).toBeLessThan(22);
  });

  it('has to enter anew when what it missed is not kept any more', () => {
    const { bench, a, c, alice, bob, carol } = twoWhoRead(new SpacesBench({ historyBytes: 500_000 }));
    fill(a, alice);
    bench.pass(PATIENCE);
    fill(a, alice, 10);
    c.port.stuck = false;
    c.drain();
    expect(carol.gaps).toMatchObject([{ from: carol.offset + 1 }]);
    a.send(alice.say('not for carol'));
    expect(carol.heard).toHaveLength(6);
    c.enter(carol, true);
    expect([carol.entered, carol.number, carol.offset]).toEqual([2, 3, bob.offset]);
    a.send(alice.say('for carol, too'));
    expect(carol.heard.slice(6).map(({ text }) => text)).toEqual(['for carol, too']);
  });

  it('gets what there was no room for at all, without an event that there is', () => {
    const { bench, a, c, alice, carol } = twoWhoRead();
    c.port.full = true;
    a.send(alice.say('hello'));
    const d = bench.seat();
    d.follow('room', { stay: true });
    d.lose();
    c.port.full = false;
    bench.pass(250);
    expect(carol.heard.map(({ text }) => text)).toEqual(['hello']);
    expect(carol.roster.get(4)).toMatchObject({ away: true });
    expect(carol.offset).toBe(alice.offset);
  });

  it('is let in when there is room', () => {
    const bench = new SpacesBench();
    const alice = bench.seat().follow();
    const b = bench.seat();
    b.port.full = true;
    const bob = b.follow();
    expect([bob.isIn, alice.roster.size]).toEqual([false, 2]);
    const c = bench.seat();
    c.follow();
    b.port.full = false;
    bench.pass(250);
    expect([bob.isIn, bob.number, bob.roster.size]).toEqual([true, 2, 3]);
    c.lose();
    expect(bob.roster.size).toBe(2);
  });

  it('hears of a refusal when there is room', () => {
    const { bench, a, alice } = twoWhoRead();
    a.port.full = true;
    a.send(alice.say('stale', { seen: 0 }));
    a.send(alice.say('behind it'));
    a.port.full = false;
    bench.pass(250);
    expect(alice.refusals).toMatchObject([{ sequence: 1, reason: 'STALE_VIEW' }]);
  });

  it('hears of it before anything that comes later in the order', () => {
    const { bench, a, b, alice, bob } = twoWhoRead();
    a.port.full = true;
    a.send(alice.say('stale', { seen: 0 }));
    a.port.full = false;
    const operations: (number | undefined)[] = [];
    const offer = a.port.offer.bind(a.port);
    a.port.offer = frame => {
      operations.push(frame[5]);
      return offer(frame);
    };
    b.send(bob.say('later'));
    bench.pass(250);
    expect(operations).toEqual([SpaceOperation.REFUSED, SpaceOperation.MESSAGE]);
  });

  it('does not let others send without end meanwhile', () => {
    const { bench, a, b, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    for (let i = 0; i < 70; i++) a.send(alice.say('.'));
    expect(alice.refusals[0]).toMatchObject({ reason: 'RATE', retryAfter: 1_000 });
    expect(alice.refusals).toHaveLength(6);
    fill(b, bob, 10);
    expect(bob.refusals).not.toHaveLength(0);
    expect(bench.limited).toContain('space_window');
    expect(bench.spaces.statistics.historyBytes).toBeLessThan(6_000_000);
    c.port.stuck = false;
    c.drain();
    for (const [seat, follower] of [
      [a, alice],
      [b, bob],
    ] as const)
      for (const frame of follower.sayAgain()) seat.send(frame);
    expect([alice.unaccepted.size, bob.unaccepted.size]).toEqual([0, 0]);
    expect(carol.heard).toHaveLength(6 + 70 + 10);
  });

  it('does not keep others waiting when it goes', () => {
    const { a, c, alice, bob } = twoWhoRead();
    fill(a, alice);
    a.send(alice.say('waits'));
    c.lose();
    expect(bob.heard).toHaveLength(7);
  });

  it('waits for what was said before somebody who said it has gone', () => {
    const { bench, a, c, alice, bob } = twoWhoRead();
    fill(a, alice);
    a.send(alice.say('last words'));
    a.lose();
    bench.pass(PATIENCE);
    expect(bob.heard).toHaveLength(7);
    // And without it, when it is in no roster any more.
    c.port.stuck = false;
    bench.pass(30_000);
    expect(bob.left).toMatchObject([{ number: 1 }]);
  });

  it('has what waited forgotten with its sender', () => {
    const { bench, a, b, alice, bob } = twoWhoRead();
    fill(a, alice);
    b.send(bob.say('x'.repeat(100_000)));
    const { historyBytes } = bench.spaces.statistics;
    b.send(bob.leave());
    expect(bench.spaces.statistics.historyBytes).toBeLessThan(historyBytes - 90_000);
    bench.pass(PATIENCE);
    expect(alice.heard).toEqual([]);
  });
});
