import { describe, expect, it } from 'vitest';
import { ITEM_OVERHEAD } from '../../../../src/relay/spaces/space-history.js';
import type { ObservedSpaceEvent } from '../../../../src/relay/spaces/observed-space.js';
import type { SpaceFollower } from '../../../support/space-follower.js';
import {
  identityOf,
  LARGE,
  reportsTo,
  type Seat,
  SpacesBench,
  twoWhoRead,
} from '../../../support/spaces-bench.js';

const texts = ({ heard }: SpaceFollower) => heard.map(({ text }) => text.slice(0, 20));

/** Says so much that whoever does not read is slow: what is said then is held. */
function fill(seat: Seat, follower: SpaceFollower): void {
  for (let i = 0; i < 6; i++) seat.send(follower.say(LARGE));
  expect(follower.unaccepted.size).toBe(0);
}

describe('what waits for its place in the order', () => {
  it('is bounded for each space', () => {
    const { bench, a, b, alice, bob } = twoWhoRead(new SpacesBench({ historyBytes: 1_500_000 }));
    fill(a, alice);
    // Each of the two has room for it.
    for (let i = 0; i < 5; i++) a.send(alice.say(LARGE));
    for (let i = 0; i < 3; i++) b.send(bob.say(LARGE));
    expect(alice.refusals).toEqual([]);
    expect(bob.refusals).toMatchObject([{ reason: 'RATE', sequence: 3, retryAfter: 1_000 }]);
    expect(bench.limited).toEqual(['space_window']);
  });

  it('is bounded for all spaces together', () => {
    const options = { historyBytes: 16_777_216, maxTotalHistoryBytes: 1_500_000 };
    const { bench, a, b, c, alice, bob } = twoWhoRead(new SpacesBench(options));
    fill(a, alice);
    for (let i = 0; i < 5; i++) a.send(alice.say(LARGE));
    for (let i = 0; i < 3; i++) b.send(bob.say(LARGE));
    expect(alice.refusals).toEqual([]);
    expect(bob.refusals).toMatchObject([{ reason: 'RATE', sequence: 3 }]);
    expect(bench.spaces.statistics.historyBytes).toBeLessThanOrEqual(1_500_000);
    for (const seat of [a, b, c]) seat.lose();
    bench.pass(30_000);
    expect(bench.spaces.statistics).toMatchObject({ spaces: 0, historyBytes: 0 });
  });

  it('is bounded for each sender: by number, and by bytes', () => {
    const { a, b, alice, bob } = twoWhoRead();
    fill(a, alice);
    for (let i = 0; i < 65; i++) a.send(alice.say('.'));
    expect(alice.refusals).toMatchObject([{ reason: 'RATE', sequence: 6 + 65 }]);
    for (let i = 0; i < 7; i++) b.send(bob.say(LARGE));
    expect(bob.refusals).toMatchObject([{ reason: 'RATE', sequence: 7 }]);
  });

  it('leaves room for more when it is in the order', () => {
    const { a, c, alice, bob } = twoWhoRead(new SpacesBench({ historyBytes: 1_500_000 }));
    for (let round = 0; round < 4; round++) {
      fill(a, alice);
      for (let i = 0; i < 5; i++) a.send(alice.say(LARGE));
      for (let i = 0; i < 40; i++) a.send(alice.say('.'));
      expect(alice.unaccepted.size).toBe(45);
      for (let i = 0; i < 4; i++) c.drain();
      expect(alice.unaccepted.size).toBe(0);
    }
    expect(alice.refusals).toEqual([]);
    expect(bob.heard).toHaveLength(4 * 51);
  });

  it('leaves room for others when its sender has gone', () => {
    const { bench, a, b, alice, bob } = twoWhoRead(new SpacesBench({ historyBytes: 1_500_000 }));
    fill(a, alice);
    for (let i = 0; i < 5; i++) b.send(bob.say(LARGE));
    b.send(bob.leave());
    for (let i = 0; i < 5; i++) a.send(alice.say(LARGE));
    expect([alice.refusals, alice.unaccepted.size]).toEqual([[], 5]);
    bench.pass(5_000);
    expect(alice.unaccepted.size).toBe(0);
  });

  it('is not accepted before, though it comes again meanwhile', () => {
    const { a, c, alice, bob } = twoWhoRead();
    fill(a, alice);
    a.send(alice.say('once'));
    const reports = reportsTo(a);
    a.send(alice.say('once', { sequence: 7 }));
    expect(reports).toEqual([]);
    c.drain();
    expect(reports).toMatchObject([{ type: 'accepted', sequence: 7, offset: alice.offset }]);
    expect(texts(bob).slice(6)).toEqual(['once']);
  });

  it('is refused when its sender has not seen enough, and what waits behind it has to come again', () => {
    const { a, c, alice, bob, carol } = twoWhoRead();
    fill(a, alice);
    // Whether it has is looked at when its turn has come.
    a.send(alice.say('stale', { seen: 0 }));
    a.send(alice.say('behind it'));
    expect(alice.refusals).toEqual([]);
    c.drain();
    expect(alice.refusals).toMatchObject([{ reason: 'STALE_VIEW', sequence: 7 }]);
    expect(texts(bob)).toHaveLength(6);
    c.port.stuck = false;
    c.drain();
    for (const frame of alice.sayAgain()) a.send(frame);
    for (const follower of [bob, carol]) expect(texts(follower).slice(6)).toEqual(['stale', 'behind it']);
    expect([alice.unaccepted.size, alice.refusals.length]).toEqual([0, 1]);
  });
});

describe('a message', () => {
  it('that comes again is accepted again, with its place as long as that is known', () => {
    const { bench, a, alice, bob } = twoWhoRead();
    a.send(alice.say('one'));
    a.send(alice.say('two'));
    const reports = reportsTo(a);
    a.send(alice.say('one', { sequence: 1 }));
    bench.pass(120_000);
    a.send(alice.say('two', { sequence: 2 }));
    expect(reports.filter(({ type }) => type === 'accepted')).toEqual([
      { type: 'accepted', sequence: 1, offset: 4 },
      { type: 'accepted', sequence: 2, offset: 0 },
    ]);
    expect(texts(bob)).toEqual(['one', 'two']);
  });

  it('is told from one of another sender that has the same number', () => {
    const { a, b, alice, bob } = twoWhoRead();
    a.send(alice.say('of alice'));
    b.send(bob.say('of bob'));
    const reports = reportsTo(a);
    a.send(alice.say('of alice', { sequence: 1 }));
    expect(reports).toEqual([{ type: 'accepted', sequence: 1, offset: 4 }]);
  });

  it('has to have room in the frame in which it comes, too', () => {
    const bench = new SpacesBench({}, { maxFrame: 1_000 });
    const a = bench.seat();
    const alice = a.follow();
    const bob = bench.seat().follow();
    // Of these 1,000 bytes two wraps take 104.
    const text = 'x'.repeat(1_000 - 5 - 97 - 4 - 2 - 104);
    const frame = alice.say(text, { wrapFor: [1, 2] });
    expect(frame).toHaveLength(1_000);
    a.send(frame);
    expect(texts(bob)).toHaveLength(1);
    a.send(alice.say(`${text}x`, { wrapFor: [1, 2] }));
    expect(alice.refusals).toMatchObject([{ reason: 'TOO_LARGE', sequence: 2 }]);
    expect(bench.limited).toEqual(['frame_size']);
  });

  it('is not taken when the first one, which was to come before it, was refused', () => {
    const bench = new SpacesBench({}, { maxFrame: 1_000 });
    const a = bench.seat();
    const alice = a.follow();
    const bob = bench.seat().follow();
    a.send(alice.say('x'.repeat(2_000)));
    a.send(alice.say('behind it'));
    expect(alice.refusals).toMatchObject([
      { reason: 'TOO_LARGE', sequence: 1 },
      { reason: 'STALE_VIEW', sequence: 2 },
    ]);
    a.send(alice.say('smaller', { sequence: 1 }));
    a.send(alice.say('behind it', { sequence: 2 }));
    expect(texts(bob)).toEqual(['smaller', 'behind it']);
  });

  it('that came too early is welcome when the time that was told is over', () => {
    const bench = new SpacesBench({ messagesPerSecond: 3 });
    const a = bench.seat();
    const alice = a.follow();
    for (let i = 0; i < 4; i++) a.send(alice.say('.'));
    const [{ reason, retryAfter = 0 } = {}] = alice.refusals;
    expect([reason, retryAfter]).toEqual(['RATE', 334]);
    bench.pass(retryAfter);
    for (const frame of alice.sayAgain()) a.send(frame);
    expect(alice.unaccepted.size).toBe(0);
  });

  it('does not use up what its sender may send when it comes again', () => {
    const bench = new SpacesBench({ messagesPerSecond: 2 });
    const a = bench.seat();
    const alice = a.follow();
    a.send(alice.say('one'));
    for (let i = 0; i < 5; i++) a.send(alice.say('one', { sequence: 1 }));
    a.send(alice.say('two'));
    expect([alice.refusals, alice.unaccepted.size]).toEqual([[], 0]);
  });

  it('is seen by whoever watches the relay, as far as that can', () => {
    const events: ObservedSpaceEvent[] = [];
    const bench = new SpacesBench({}, { observe: event => events.push(event) });
    const { a, b, alice, bob } = twoWhoRead(bench);
    const frame = alice.say('secret', { wrapFor: [2, 3] });
    a.send(frame);
    const who = { space: 'room', publicKey: identityOf(0).publicKey };
    expect(events[3]).toMatchObject({
      ...who,
      type: 'multicast',
      size: frame.length,
      wraps: 2,
      recipients: 2,
    });
    b.lose();
    b.bench.seat(1).enter(bob);
    a.send(alice.leave());
    expect(events.slice(4)).toMatchObject([
      { type: 'entered', number: 2, members: 3, resumed: true },
      { ...who, type: 'left', number: 1, members: 2, reason: 'left' },
    ]);
    expect(events.slice(0, 3)).toMatchObject(
      [1, 2, 3].map(number => ({ type: 'entered', number, members: number, resumed: false })),
    );
  });

  it('is kept with all of its wraps, which count', () => {
    const { bench, a, alice } = twoWhoRead();
    const { historyBytes } = bench.spaces.statistics;
    const frame = alice.say('x', { wrapFor: [1, 2, 3] });
    a.send(frame);
    const kept = bench.spaces.statistics.historyBytes - historyBytes - ITEM_OVERHEAD;
    expect(kept).toBeGreaterThanOrEqual(frame.length - 5);
  });
});
