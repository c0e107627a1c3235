import { describe, expect, it } from 'vitest';
import { decodeFrame } from '../../../../src/core/frame.js';
import { decodeSpaceReport } from '../../../../src/core/space/space-frame.js';
import { PATIENCE } from '../../../../src/relay/spaces/space-delivery.js';
import type { SpaceFollower } from '../../../support/space-follower.js';
import { LARGE, type Seat, SpacesBench, twoWhoRead } from '../../../support/spaces-bench.js';

/** Says so much that whoever does not read is slow. */
function fill(seat: Seat, follower: SpaceFollower, count = 6): void {
  for (let i = 0; i < count; i++) seat.send(follower.say(LARGE));
}

/** What the relay says to a client from now on, by its name. */
function toldTo(seat: Seat): string[] {
  const told: string[] = [];
  const offer = seat.port.offer.bind(seat.port);
  seat.port.offer = frame => {
    const decoded = decodeFrame(frame.slice());
    const isTaken = offer(frame);
    if (isTaken && decoded.type === 'space') {
      told.push(decodeSpaceReport(decoded.operation, decoded.body).type);
    }
    return isTaken;
  };
  return told;
}

describe('a member that is slow', () => {
  it('is so with a quarter of what may wait for its connection, where that is less than usual', () => {
    const { a, c, alice } = twoWhoRead(new SpacesBench({}, { maxQueueBytes: 400_000 }));
    // What is beside the text of a message is not much.
    for (let i = 0; i < 2; i++) a.send(alice.say('x'.repeat(48_000)));
    a.send(alice.say('x'.repeat(48_000)));
    expect([alice.unaccepted.size, c.port.queuedBytes > 100_000]).toEqual([0, true]);
    a.send(alice.say('waits'));
    expect(alice.unaccepted.size).toBe(1);
  });

  it('is told where others went when it reads again, and not before', () => {
    const { bench, a, c, alice, carol } = twoWhoRead();
    const d = bench.seat();
    d.follow('room', { stay: true });
    fill(a, alice);
    const told = toldTo(c);
    d.lose();
    expect([told, carol.roster.get(4)?.away]).toEqual([[], false]);
    c.port.stuck = false;
    c.drain();
    expect(told).toEqual(['roster', 'present']);
    expect(carol.roster.get(4)?.away).toBe(true);
  });

  it('is not told where the order stands, which it will see', () => {
    const { bench, a, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    // It has all, and more than enough waits for it.
    bench.pass(15_000);
    expect([bob.heads, carol.heads]).toEqual([[9], []]);
    c.port.stuck = false;
    c.drain();
    // Nor where there is room for that, and not for what comes before it.
    c.port.max = 1_000;
    a.send(alice.say('x'.repeat(2_000)));
    bench.pass(15_000);
    expect([bob.heads, carol.heads]).toEqual([[9, 10], []]);
    c.port.max = Infinity;
    bench.pass(250);
    expect(carol.offset).toBe(alice.offset);
  });
});

describe('those who wait for a member that is slow', () => {
  it('do so until half of what made it slow has gone', () => {
    const { a, c, alice } = twoWhoRead();
    fill(a, alice);
    a.send(alice.say('waits'));
    c.port.queuedBytes = 600_000;
    c.client.drained();
    a.bench.settle();
    expect(alice.unaccepted.size).toBe(1);
    c.port.queuedBytes = 500_000;
    c.client.drained();
    a.bench.settle();
    expect(alice.unaccepted.size).toBe(0);
  });

  it('do so no longer because others come and go meanwhile', () => {
    const { bench, a, alice, bob } = twoWhoRead();
    fill(a, alice);
    a.send(alice.say('waits'));
    bench.pass(PATIENCE - 1);
    const d = bench.seat();
    d.follow();
    d.lose();
    expect([bob.heard.length, bob.left.length]).toEqual([6, 1]);
    bench.pass(1);
    expect(bob.heard).toHaveLength(7);
  });
});

describe('a member that is slow and goes', () => {
  it.each<[string, (c: Seat, carol: SpaceFollower) => unknown]>([
    ['leaves', (c, carol) => c.send(carol.leave())],
    ['is put out', ({ bench, identity }) => bench.spaces.remove('room', identity.publicKey)],
    [
      'is gone for good',
      c => {
        c.lose();
      },
    ],
  ])('keeps nobody waiting any more: %s', (_, go) => {
    const { bench, a, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    a.send(alice.say('waits'));
    expect(bob.heard).toHaveLength(6);
    go(c, carol);
    bench.settle();
    expect([bob.heard.length, alice.unaccepted.size]).toEqual([7, 0]);
  });
});

describe('a member that was left behind', () => {
  it('gets what it has missed as fast as it reads', () => {
    const { bench, a, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    bench.pass(PATIENCE);
    fill(a, alice, 20);
    for (let i = 0; i < 10; i++) {
      expect(c.port.queuedBytes).toBeLessThan(1_300_000);
      c.drain();
    }
    expect(carol.offset).toBe(bob.offset);
  });

  it('is told what it cannot have, and nothing more until it enters anew', () => {
    const { bench, a, c, alice, carol } = twoWhoRead(new SpacesBench({ historyItems: 4 }));
    fill(a, alice);
    bench.pass(PATIENCE);
    fill(a, alice, 10);
    c.port.stuck = false;
    const told = toldTo(c);
    c.drain();
    // Its own joining is item 3; of items 4 to 19 it has the first six.
    expect(carol.gaps).toEqual([{ from: 10, to: 15 }]);
    c.send(carol.who());
    c.send(carol.fetch(4, 19));
    bench.seat().follow('room', { stay: true });
    bench.seats.at(-1)?.lose();
    a.send(alice.say('not for carol'));
    bench.spaces.get('room')?.tellPresent();
    bench.pass(15_000);
    expect(told).toEqual(['unavailable']);
    // Nobody waits for it.
    expect(alice.unaccepted.size).toBe(0);
    c.enter(carol, true);
    a.send(alice.say('for carol'));
    expect(told.slice(1)).toEqual(['roster', 'entered', 'message']);
    expect([carol.roster.size, carol.roster.get(4)?.away]).toEqual([4, true]);
  });
});

describe('a member that is away', () => {
  it('keeps nobody waiting, whoever else moves', () => {
    const { a, b, c, alice } = twoWhoRead();
    b.lose();
    c.lose();
    a.send(alice.say('hello'));
    expect(alice.unaccepted.size).toBe(0);
  });

  it('was slow, and is not when it is back', () => {
    const { bench, a, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    a.send(alice.say('waits'));
    c.lose();
    expect(bob.heard).toHaveLength(7);
    const back = bench.seat(2);
    back.enter(carol);
    expect(carol.heard).toHaveLength(7);
    // As patient with it as with anybody.
    back.port.stuck = true;
    fill(a, alice);
    a.send(alice.say('waits, too'));
    bench.pass(PATIENCE - 1);
    expect(bob.heard).toHaveLength(13);
    bench.pass(1);
    expect(bob.heard).toHaveLength(14);
  });

  it('was left behind, and is waited for when it is back', () => {
    const { bench, a, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    bench.pass(PATIENCE);
    fill(a, alice, 2);
    c.lose();
    const back = bench.seat(2);
    back.enter(carol);
    expect(carol.offset).toBe(alice.offset);
    back.port.stuck = true;
    fill(a, alice);
    a.send(alice.say('waits'));
    expect(bob.heard).toHaveLength(14);
  });
});

describe('what is told to a member that enters', () => {
  it('begins with who is there, whatever happens before there is room for it', () => {
    const bench = new SpacesBench();
    const [a, b, c] = [bench.seat(), bench.seat(), bench.seat()];
    const alice = a.follow();
    c.follow('room', { stay: true });
    b.port.full = true;
    const bob = b.follow();
    const told = toldTo(b);
    b.port.full = false;
    c.lose();
    a.send(alice.say('not for bob, who has not been told'));
    bench.spaces.get('room')?.tellPresent();
    bench.pass(250);
    expect(told).toEqual(['roster', 'entered']);
    expect([bob.roster.get(2)?.away, bob.heard]).toEqual([true, []]);
  });

  it('is that once, though it asks for it as well', () => {
    const bench = new SpacesBench();
    const b = bench.seat();
    b.port.full = true;
    const bob = b.follow();
    const told = toldTo(b);
    b.send(bob.who());
    b.port.full = false;
    bench.pass(250);
    expect(told).toEqual(['roster', 'entered']);
    expect(bob.isIn).toBe(true);
  });

  it('waits until there is not too much to come', () => {
    const { bench, a, b, c, alice, carol } = twoWhoRead();
    fill(a, alice);
    const told = toldTo(c);
    c.enter(carol, true);
    expect(told).toEqual([]);
    b.lose();
    c.drain();
    expect(told).toEqual(['roster', 'entered']);
    bench.pass(250);
    expect([carol.entered, carol.roster.get(2)?.away]).toEqual([2, true]);
  });

  it('begins with that it has resumed, then where others are, then what it has missed', () => {
    const { bench, a, b, c, alice, bob } = twoWhoRead();
    b.lose();
    c.lose();
    a.send(alice.say('missed'));
    const back = bench.seat(1);
    const told = toldTo(back);
    back.enter(bob);
    expect(told).toEqual(['entered', 'moved', 'moved', 'message']);
    expect(bob.moves.slice(-2).map(({ number }) => number)).toEqual([2, 3]);
  });
});

describe('what a member asks for again', () => {
  it('comes as fast as it reads', () => {
    const { bench, a, c, alice, carol } = twoWhoRead();
    fill(a, alice, 5);
    c.port.queuedBytes = 0;
    c.send(carol.fetch(1, 99));
    for (let i = 0; i < 3; i++) c.send(carol.fetch(4, 8));
    expect(c.port.queuedBytes).toBeLessThan(1_300_000);
    for (let i = 0; i < 5; i++) {
      c.drain();
      expect(c.port.queuedBytes).toBeLessThan(1_300_000);
    }
    expect(new Set(carol.refetched)).toEqual(new Set([3, 4, 5, 6, 7, 8]));
    // Nobody waits for that.
    a.send(alice.say('hello'));
    expect(alice.unaccepted.size).toBe(0);
    expect(bench.limited).toEqual([]);
  });

  it('is all that it has asked for, also when that was little by little', () => {
    const { a, c, alice, carol } = twoWhoRead();
    c.port.stuck = false;
    for (let i = 0; i < 6; i++) a.send(alice.say(`${i}`));
    c.port.full = true;
    c.send(carol.fetch(6, 7));
    c.send(carol.fetch(4, 6));
    c.send(carol.fetch(5, 9));
    c.port.full = false;
    c.drain();
    expect(carol.refetched).toEqual([4, 5, 6, 7, 8, 9]);
  });

  it('does not come before the member joined, nor is it said to be gone', () => {
    const bench = new SpacesBench();
    const [a, b] = [bench.seat(), bench.seat()];
    const alice = a.follow();
    for (let i = 0; i < 4; i++) a.send(alice.say('before'));
    const bob = b.follow();
    const told = toldTo(b);
    b.send(bob.fetch(1, 5));
    expect(told).toEqual([]);
    b.send(bob.fetch(2, 6));
    expect(told).toEqual(['joined']);
  });

  it('may be gone in part, and is told up to where', () => {
    const bench = new SpacesBench({ historyItems: 4 });
    const [a, b] = [bench.seat(), bench.seat()];
    const alice = a.follow();
    const bob = b.follow();
    for (let i = 0; i < 8; i++) a.send(alice.say(`${i}`));
    b.send(bob.fetch(3, 8));
    expect([bob.gaps, bob.refetched]).toEqual([[{ from: 3, to: 6 }], [7, 8]]);
    b.send(bob.fetch(3, 4));
    expect(bob.gaps[1]).toEqual({ from: 3, to: 4 });
  });

  it('does not follow it to another connection, where it is told everything', () => {
    const { bench, a, c, alice, carol } = twoWhoRead();
    fill(a, alice, 3);
    c.port.full = true;
    c.send(carol.fetch(4, 6));
    const back = bench.seat(2);
    const told = toldTo(back);
    back.enter(carol, true);
    bench.pass(250);
    expect(told).toEqual(['roster', 'entered']);
  });
});

describe('a member that asks who is there', () => {
  it('is told once, and when it has read what came before', () => {
    const { bench, a, c, alice, carol } = twoWhoRead();
    fill(a, alice);
    const told = toldTo(c);
    c.send(carol.who());
    expect(told).toEqual([]);
    c.port.stuck = false;
    c.drain();
    expect(told).toEqual(['roster', 'present']);
    c.send(carol.fetch(3, 3));
    a.send(alice.say('hello'));
    bench.pass(250);
    expect(told.slice(2)).toEqual(['joined', 'message']);
  });
});

describe('a refusal for which there was no room', () => {
  it('is told once, and the first one only', () => {
    const { bench, a, b, alice, bob } = twoWhoRead();
    a.port.full = true;
    a.send(alice.say('stale', { seen: 0 }));
    a.send(alice.say('behind it'));
    a.port.full = false;
    const told = toldTo(a);
    bench.pass(250);
    b.send(bob.say('one'));
    bench.pass(250);
    b.send(bob.say('two'));
    expect(told).toEqual(['refused', 'message', 'message']);
    expect(alice.refusals).toMatchObject([{ sequence: 1 }]);
  });

  it('is nothing to whoever comes back, who says all of it again', () => {
    const { bench, a, alice } = twoWhoRead();
    a.port.full = true;
    a.send(alice.say('stale', { seen: 0 }));
    a.lose();
    const back = bench.seat(0);
    const told = toldTo(back);
    back.enter(alice);
    bench.pass(250);
    expect(told).toEqual(['entered', 'moved']);
  });
});
