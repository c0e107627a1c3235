import { describe, expect, it } from 'vitest';
import { createJoin } from '../../../../src/core/space/join-record.js';
import type { SpaceReport } from '../../../../src/core/space/space-frame.js';
import { MAX_ROSTER_PAGE } from '../../../../src/core/constants.js';
import { PATIENCE } from '../../../../src/relay/spaces/space-delivery.js';
import { SpaceFollower } from '../../../support/space-follower.js';
import { identityOf, LARGE, reportsTo, SpacesBench, threeMembers } from '../../../support/spaces-bench.js';

const texts = ({ heard }: SpaceFollower) => heard.map(({ text }) => text.slice(0, 20));

const typesOf = (reports: readonly SpaceReport[]) => reports.map(({ type }) => type);

describe('a member that comes back over another connection while the one before is there', () => {
  it('keeps nobody waiting, though it was slow and the new one has no room', () => {
    const { bench, a, c, alice, bob, carol } = threeMembers();
    c.port.stuck = true;
    for (let i = 0; i < 6; i++) a.send(alice.say(LARGE));
    a.send(alice.say('waits'));
    expect(bob.heard).toHaveLength(6);
    c.followers.length = 0;
    const back = bench.seat(2);
    back.port.full = true;
    back.enter(carol);
    expect(bob.heard).toHaveLength(7);
    // What there was no room for is told when there is, all of it anew.
    back.port.full = false;
    const reports = reportsTo(back);
    bench.pass(250);
    expect(typesOf(reports)).toEqual(['roster', 'entered']);
    a.send(alice.say('hello'));
    expect(texts(carol).slice(-1)).toEqual(['hello']);
  });

  it('is waited for there as anybody is', () => {
    const { bench, a, c, alice, bob, carol } = threeMembers();
    c.port.stuck = true;
    for (let i = 0; i < 6; i++) a.send(alice.say(LARGE));
    bench.pass(PATIENCE - 1);
    c.followers.length = 0;
    const back = bench.seat(2);
    back.enter(carol);
    back.port.stuck = true;
    for (let i = 0; i < 6; i++) a.send(alice.say(LARGE));
    a.send(alice.say('waits'));
    expect(bob.heard).toHaveLength(12);
    bench.pass(PATIENCE - 1);
    expect(bob.heard).toHaveLength(12);
    bench.pass(1);
    expect(bob.heard).toHaveLength(13);
  });

  it('is not slow there because it was so on the one before', () => {
    const { bench, a, c, alice, bob, carol } = threeMembers();
    c.port.stuck = true;
    for (let i = 0; i < 6; i++) a.send(alice.say(LARGE));
    bench.pass(PATIENCE - 1);
    c.followers.length = 0;
    const back = bench.seat(2);
    back.port.full = true;
    back.enter(carol);
    bench.pass(1);
    back.port.full = false;
    bench.pass(250);
    expect(carol.entered).toBe(2);
    // Nobody had to go on without it: it is waited for.
    back.port.stuck = true;
    for (let i = 0; i < 6; i++) a.send(alice.say(LARGE));
    a.send(alice.say('waits'));
    expect(bob.heard).toHaveLength(12);
  });

  it('hears nothing there of what was refused, or asked for, over the other one', () => {
    const { bench, a, alice } = threeMembers();
    a.port.full = true;
    a.send(alice.say('stale', { seen: 0 }));
    a.send(alice.who());
    a.send(alice.fetch(1, 3));
    a.followers.length = 0;
    const back = bench.seat(0);
    const reports = reportsTo(back);
    back.enter(alice);
    bench.pass(250);
    expect(typesOf(reports)).toEqual(['entered', 'moved']);
  });

  it('may do so under another number of the same connection', () => {
    const bench = new SpacesBench();
    const [a, b] = [bench.seat(), bench.seat()];
    const alice = a.follow('room', { membership: 1, stay: true });
    const bob = b.follow();
    const reports = reportsTo(a);
    alice.membership = 2;
    a.enter(alice);
    expect(typesOf(reports)).toEqual(['refused', 'entered', 'moved']);
    expect([alice.resumed, alice.number, bob.moves.length, bob.left]).toEqual([1, 1, 1, []]);
    b.send(bob.say('hello'));
    expect(texts(alice)).toEqual(['hello']);
    // The number before is nobody's.
    expect(a.follow('elsewhere', { membership: 1 }).isIn).toBe(true);
    a.send(alice.say('hello, too'));
    expect(texts(bob)).toEqual(['hello, too']);
  });
});

describe('a member that enters anew where it is', () => {
  it('is told everything, and nobody else anything', () => {
    const { a, b, alice, bob } = threeMembers();
    a.send(alice.say('one'));
    const [own, others] = [reportsTo(a), reportsTo(b)];
    a.enter(alice, true);
    expect(typesOf(own)).toEqual(['roster', 'entered']);
    expect(own[1]).toMatchObject({ offset: 4, number: 1, resumed: false, before: undefined });
    expect([others, bob.moves]).toEqual([[], []]);
    expect(alice.entered).toBe(2);
  });

  it('is not told once more how the order was before it joined', () => {
    const bench = new SpacesBench();
    const a = bench.seat();
    const reports = reportsTo(a);
    const alice = a.follow();
    a.enter(alice, true);
    a.send(alice.who());
    expect(typesOf(reports)).toEqual(['roster', 'entered', 'roster', 'entered', 'roster', 'present']);
    expect(reports.map(report => 'before' in report && report.before !== undefined)).toEqual([
      false,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('a member that resumes', () => {
  it.each([
    [4, 1],
    [5, 0],
  ])('of 4 items that are kept lacks %i: resumed %i times', (missed, resumed) => {
    const { bench, a, b, alice, bob } = threeMembers(new SpacesBench({ historyItems: 4 }));
    b.lose();
    for (let i = 0; i < missed; i++) a.send(alice.say(`${i}`));
    bench.seat(1).enter(bob);
    expect([bob.resumed, bob.offset]).toEqual([resumed, alice.offset]);
    expect(texts(bob)).toHaveLength(resumed * missed);
  });

  it('gets what was on its way to it when its connection was lost', () => {
    const { bench, a, b, alice, bob } = threeMembers();
    b.port.delayed = true;
    a.send(alice.say('under way'));
    b.lose();
    a.send(alice.say('missed'));
    bench.seat(1).enter(bob);
    expect([bob.resumed, texts(bob)]).toEqual([1, ['under way', 'missed']]);
  });

  it('and has missed nothing is told so, also where nothing is kept any more', () => {
    const { bench, b, bob } = threeMembers();
    b.lose();
    bench.now += 20_000;
    bench.spaces.get('room')?.tick(bench.now);
    bench.seat(1).enter(bob);
    expect([bob.resumed, bob.offset]).toEqual([1, 3]);
  });

  it('is told later where others are when there is no room for that', () => {
    const { bench, b, c, bob, carol } = threeMembers();
    b.lose();
    c.lose();
    const elsewhere = bench.seat(2);
    elsewhere.enter(carol);
    const back = bench.seat(1);
    const reports = reportsTo(back);
    // Of all that is told, the first frame finds room.
    const offer = back.port.offer.bind(back.port);
    back.port.offer = frame => reports.length === 0 && offer(frame);
    back.enter(bob);
    expect(typesOf(reports)).toEqual(['entered']);
    expect(bob.roster.get(3)?.connectionId).not.toBe(elsewhere.connectionId);
    back.port.offer = offer;
    bench.pass(250);
    expect(typesOf(reports)).toEqual(['entered', 'roster', 'present']);
    expect(bob.roster.get(3)).toMatchObject({ connectionId: elsewhere.connectionId, away: false });
  });

  it('is told of all who moved since it came, once it has come more than once', () => {
    const { bench, b, c, bob, carol } = threeMembers();
    c.lose();
    bench.seat(2).enter(carol);
    b.lose();
    const first = bench.seat(1);
    first.enter(bob);
    expect(bob.moves.map(({ number }) => number)).toContain(3);
    first.lose();
    const reports = reportsTo(bench.seat(1));
    bench.seats.at(-1)?.enter(bob);
    // Nobody has moved but itself.
    expect(typesOf(reports)).toEqual(['entered', 'moved']);
    expect(reports[1]).toMatchObject({ number: 2 });
  });
});

describe('whoever enters', () => {
  it('sees where everybody is by now', () => {
    const { bench, b, bob } = threeMembers();
    b.lose();
    const dave = bench.seat(3).follow();
    expect(dave.roster.get(2)).toMatchObject({ away: true, connectionId: b.connectionId });
    const back = bench.seat(1);
    back.enter(bob);
    const erin = bench.seat(4).follow();
    for (const follower of [dave, erin]) {
      expect(follower.roster.get(2)).toMatchObject({ away: false, connectionId: back.connectionId });
    }
    expect([...erin.roster.keys()]).toEqual([1, 2, 3, 4, 5]);
  });

  it('is told of many in several frames, none of which is too large', () => {
    const bench = new SpacesBench({ maxSpacesPerClient: 40 });
    for (let n = 0; n < 6; n++) {
      const seat = bench.seat(n % 2);
      for (let membership = 1; membership <= 40; membership++) {
        const invitation = membership % 3 === 0 ? new Uint8Array(136).fill(n) : undefined;
        const { relayKey } = bench;
        const options = { membership, ...(invitation && { invitation }) };
        seat.enter(new SpaceFollower(seat.identity, relayKey, 'room', options));
        // What is said to each of them is of no interest.
        seat.followers.length = 0;
      }
    }
    const last = bench.seat(2);
    const lengths: number[] = [];
    const offer = last.port.offer.bind(last.port);
    last.port.offer = frame => {
      if (frame[5] === 0x81) lengths.push(frame.length);
      return offer(frame);
    };
    const follower = last.follow();
    expect(follower.roster.size).toBe(241);
    expect(lengths).toHaveLength(2);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(MAX_ROSTER_PAGE);
    // Another entry would not have found room.
    for (const length of lengths.slice(0, -1)) expect(length).toBeGreaterThan(MAX_ROSTER_PAGE - 301);
  });

  it('finds room as long as a roster of so many fits into what may wait for a connection', () => {
    // Half of it takes ten entries of 301 bytes.
    const bench = new SpacesBench({}, { maxQueueBytes: 2 * 10 * 301 });
    const a = bench.seat();
    for (let membership = 1; membership <= 10; membership++) {
      expect(a.follow('room', { membership }).isIn).toBe(true);
      a.followers.length = 0;
    }
    expect(a.follow('room', { membership: 11 }).refusals).toMatchObject([{ reason: 'SPACE_FULL' }]);
  });

  it('is not taken for a member with its id unless both keys are the same', () => {
    const bench = new SpacesBench();
    const [alice, mallory] = [identityOf(0), identityOf(1)];
    const member = bench.seat(0).follow();
    const place = { relayKey: bench.relayKey, name: 'room' };
    const join = (box: typeof alice, signing: typeof alice) =>
      createJoin(
        {
          publicKeyBytes: box.publicKeyBytes,
          signingKey: signing.signingKey,
          sign: message => signing.sign(message),
        },
        place,
        member.memberId,
        0,
      );
    for (const [n, record] of [
      [0, join(alice, mallory)],
      [1, join(mallory, alice)],
      [1, join(mallory, mallory)],
    ] as const) {
      const thief = new SpaceFollower(identityOf(n), bench.relayKey, 'room', { memberId: member.memberId });
      Object.assign(thief, { join: record });
      bench.seat(n).enter(thief);
      expect(thief.refusals).toMatchObject([{ reason: 'JOIN_INVALID' }]);
    }
    expect([member.isIn, member.refusals, member.roster.size]).toEqual([true, [], 1]);
  });
});

describe('a place that is kept', () => {
  it('is none where none are kept at all', () => {
    const { b, alice } = threeMembers(new SpacesBench({ awayTime: 0 }));
    b.lose();
    expect(alice.left).toEqual([{ number: 2, reason: 'gone' }]);
  });

  it('is one of its key, whatever others have', () => {
    const { bench, a, b, c, carol } = threeMembers(new SpacesBench({ maxSpacesPerClient: 1 }));
    a.lose();
    b.lose();
    c.lose();
    expect(bench.spaces.statistics).toMatchObject({ members: 3, awayMembers: 3 });
    // However often it was needed.
    for (let i = 0; i < 3; i++) {
      const back = bench.seat(2);
      back.enter(carol);
      expect(carol.resumed).toBe(i + 1);
      back.lose();
    }
    expect(bench.spaces.statistics).toMatchObject({ members: 3, awayMembers: 3 });
    expect(bench.spaces.remove('room', identityOf(2).publicKey)).toBe(1);
    expect(bench.spaces.statistics).toMatchObject({ members: 2, awayMembers: 2 });
  });

  it('is as long as the member has asked for when it entered last', () => {
    const { bench, b, alice, bob } = threeMembers();
    b.lose();
    bob.stay = false;
    const back = bench.seat(1);
    back.enter(bob);
    back.lose();
    expect(alice.left).toEqual([{ number: 2, reason: 'gone' }]);
  });

  it('counts from when it was needed last', () => {
    const { bench, b, alice, bob } = threeMembers();
    b.lose();
    bench.pass(29_000);
    const back = bench.seat(1);
    back.enter(bob);
    bench.pass(60_000);
    expect(alice.left).toEqual([]);
    back.lose();
    bench.pass(29_999);
    expect(alice.left).toEqual([]);
    bench.pass(1);
    expect(alice.left).toEqual([{ number: 2, reason: 'gone' }]);
  });

  it('is lost once, also when whoever hears of it puts others out', () => {
    const bench: SpacesBench = new SpacesBench(
      {},
      {
        listener: {
          left: space => {
            bench.spaces.remove(space, identityOf(2).publicKey);
          },
        },
      },
    );
    const { b, c, alice } = threeMembers(bench);
    b.lose();
    c.lose();
    bench.pass(30_000);
    expect(alice.left).toEqual([
      { number: 2, reason: 'gone' },
      { number: 3, reason: 'removed' },
    ]);
    expect(bench.spaces.statistics).toMatchObject({ members: 1, awayMembers: 0 });
  });
});

describe('the bytes that a space keeps', () => {
  it('are those of join records, too', () => {
    const bench = new SpacesBench();
    const a = bench.seat();
    a.follow();
    expect(bench.spaces.statistics.historyBytes).toBe(512 + 154);
    const one = bench.seat().follow();
    bench.seats[1]?.send(one.leave());
    expect(bench.spaces.statistics.historyBytes).toBe(2 * (512 + 154) + 512);
  });
});
