import { describe, expect, it } from 'vitest';
import { createJoin } from '../../../../src/core/space/join-record.js';
import { SpaceFollower } from '../../../support/space-follower.js';
import { identityOf, type Seat, SpacesBench } from '../../../support/spaces-bench.js';

const texts = ({ heard }: SpaceFollower) => heard.map(({ text }) => text);

/** Two members of a space, each on a connection of its own. */
function pair(bench = new SpacesBench()) {
  const [a, b] = [bench.seat(), bench.seat()];
  return { bench, a, b, alice: a.follow('room', { stay: true }), bob: b.follow('room', { stay: true }) };
}

/** A member comes back over a new connection. */
function comeBack(bench: SpacesBench, n: number, follower: SpaceFollower, anew = false): Seat {
  const seat = bench.seat(n);
  seat.enter(follower, anew);
  return seat;
}

describe('members of a space', () => {
  it('see each other come and go, and hear each other in one order', () => {
    const { bench, a, b, alice, bob } = pair();
    expect([...alice.roster.keys()]).toEqual([1, 2]);
    a.send(alice.say('one'));
    const c = bench.seat();
    const carol = c.follow();
    b.send(bob.say('two'));
    a.send(alice.say('three'));
    expect(texts(bob)).toEqual(['one', 'three']);
    expect(texts(carol)).toEqual(['two', 'three']);
    expect(alice.accepted).toEqual([1, 2]);
    expect([alice, bob, carol].map(({ offset }) => offset)).toEqual([6, 6, 6]);
    b.send(bob.leave());
    expect(carol.left).toEqual([{ number: 2, reason: 'left' }]);
    expect(bench.spaces.statistics).toMatchObject({ spaces: 1, members: 2, messages: 3, deliveries: 5 });
    a.send(alice.leave());
    c.send(carol.leave());
    expect(bench.spaces.statistics).toMatchObject({ spaces: 0, members: 0, historyBytes: 0 });
  });

  it('of one connection are several', () => {
    const bench = new SpacesBench();
    const a = bench.seat();
    const [one, two] = [a.follow(), a.follow('room', { membership: 2 })];
    const other = a.follow('other', { membership: 3 });
    a.send(one.say('hello'));
    expect([texts(two), texts(other)]).toEqual([['hello'], []]);
    a.lose();
    expect(bench.spaces.statistics).toMatchObject({ spaces: 0, members: 0 });
  });

  it('get one copy of what is said, each with its own wrap', () => {
    const { bench, a, b, alice, bob } = pair();
    const c = bench.seat();
    const carol = c.follow();
    for (const { port } of [b, c]) port.tails.length = 0;
    const long = 'x'.repeat(2_000);
    a.send(alice.say(long, { wrapFor: [2] }));
    expect(bob.heard).toMatchObject([{ text: long, wrap: '00000002' }]);
    expect(carol.heard).toMatchObject([{ text: long, wrap: undefined }]);
    expect(b.port.tails).toHaveLength(1);
    expect(b.port.tails[0]).toBe(c.port.tails[0]);
  });

  it('get a space anew when the last one before has left', () => {
    const { bench, a, b, alice, bob } = pair();
    const { epoch } = bob;
    a.send(alice.leave());
    b.send(bob.leave());
    const again = bench.seat().follow();
    expect(again.offset).toBe(1);
    expect(again.epoch).not.toEqual(epoch);
  });

  it('hear where the order stands from time to time, when it has moved', () => {
    const { bench, a, alice, bob } = pair();
    bench.pass(15_000);
    expect(bob.heads).toEqual([2]);
    bench.pass(15_000);
    expect(bob.heads).toEqual([2]);
    a.send(alice.say('hello'));
    bench.pass(15_000);
    expect([alice.heads, bob.heads]).toEqual([
      [2, 3],
      [2, 3],
    ]);
  });

  it('are told who is here when they ask, and when the operator wants it', () => {
    const { bench, a, alice, bob } = pair();
    a.send(alice.who());
    expect([alice.present, bob.present]).toEqual([1, 0]);
    bench.spaces.get('room')?.tellPresent();
    bench.settle();
    expect([alice.present, bob.present]).toEqual([2, 1]);
  });

  it('are put out by the operator, and may come back', () => {
    const { bench, b, alice, bob } = pair();
    expect(bench.spaces.remove('room', identityOf(1).publicKey)).toBe(1);
    bench.settle();
    expect(bob.isIn).toBe(false);
    expect(bob.refusals).toMatchObject([{ reason: 'REMOVED' }]);
    expect(alice.left).toEqual([{ number: 2, reason: 'removed' }]);
    b.send(bob.say('still here?'));
    expect(texts(alice)).toEqual([]);
    bob.membership = 9;
    b.enter(bob);
    expect(bob.number).toBe(3);
    expect(bench.spaces.remove('nowhere', identityOf(1).publicKey)).toBe(0);
  });
});

describe('a member whose connection is lost', () => {
  it('leaves at once when it does not want to stay', () => {
    const bench = new SpacesBench();
    const alice = bench.seat().follow();
    const b = bench.seat();
    b.follow();
    b.lose();
    expect(alice.left).toEqual([{ number: 2, reason: 'gone' }]);
  });

  it('keeps its place, and gets what it has missed when it comes back', () => {
    const { bench, a, b, alice, bob } = pair();
    a.send(alice.say('before'));
    b.lose();
    expect(alice.moves).toEqual([{ number: 2, connectionId: b.connectionId, away: true }]);
    a.send(alice.say('meanwhile', { wrapFor: [2] }));
    const carol = bench.seat().follow();
    const back = comeBack(bench, 1, bob);
    expect(bob.resumed).toBe(1);
    expect(bob.heard).toMatchObject([{ text: 'before' }, { text: 'meanwhile', wrap: '00000002' }]);
    expect([...bob.roster.keys()]).toEqual([1, 2, 3]);
    expect(carol.moves).toEqual([{ number: 2, connectionId: back.connectionId, away: false }]);
    expect(bench.spaces.statistics).toMatchObject({ members: 3, awayMembers: 0 });
    expect(bench.events).toEqual(
      ['room + ', 'room + ', 'room + '].map((text, n) => text + identityOf(n).publicKey.slice(0, 4)),
    );
  });

  it('is told where the others went meanwhile', () => {
    const { bench, a, b, alice, bob } = pair();
    const carol = bench.seat();
    carol.follow('room', { stay: true });
    b.lose();
    a.lose();
    const back = comeBack(bench, 0, alice);
    comeBack(bench, 1, bob);
    expect(bob.moves.slice(-2)).toMatchObject([
      { number: 1, connectionId: back.connectionId, away: false },
      { number: 2 },
    ]);
    expect(bob.roster.get(1)).toMatchObject({ connectionId: back.connectionId, away: false });
    // Nothing was to be said of those who stayed.
    expect(bob.moves.filter(({ number }) => number === 3)).toEqual([]);
  });

  it('is gone after a while, and somebody new when it comes back', () => {
    const { bench, b, alice, bob } = pair();
    b.lose();
    bench.pass(29_999);
    expect(alice.left).toEqual([]);
    bench.pass(1);
    expect(alice.left).toEqual([{ number: 2, reason: 'gone' }]);
    comeBack(bench, 1, bob);
    expect([bob.number, bob.resumed]).toEqual([3, 0]);
    expect(alice.roster.size).toBe(2);
  });

  it('has what it said accepted once, wherever the answer was lost', () => {
    const { bench, b, alice, bob } = pair();
    b.send(bob.say('one'));
    // The relay has it, and its answer is lost.
    b.port.full = true;
    b.send(bob.say('two'));
    b.lose();
    // This one never came.
    bob.say('three');
    const back = comeBack(bench, 1, bob);
    // Its own message comes in its place of the order.
    expect(bob.accepted).toEqual([1, 2]);
    for (const frame of bob.sayAgain()) back.send(frame);
    expect(texts(alice)).toEqual(['one', 'two', 'three']);
    expect([bob.accepted, bob.unaccepted.size]).toEqual([[1, 2, 3], 0]);
    expect(bob.offset).toBe(alice.offset);
    // Once more, after it was accepted.
    bob.unaccepted.set(3, { message: new Uint8Array(0), text: 'three' });
    for (const frame of bob.sayAgain()) back.send(frame);
    expect([texts(alice).length, bob.unaccepted.size]).toEqual([3, 0]);
  });

  it('takes its place from a connection that is only half dead', () => {
    const { bench, b, alice, bob } = pair();
    const old = new SpaceFollower(identityOf(1), bench.relayKey, 'room', { memberId: bob.memberId });
    b.followers.splice(0, 1, old);
    old.isIn = true;
    const back = comeBack(bench, 1, bob);
    expect([bob.resumed, bob.number]).toEqual([1, 2]);
    expect(old.refusals).toMatchObject([{ reason: 'REMOVED' }]);
    expect(alice.moves).toEqual([{ number: 2, connectionId: back.connectionId, away: false }]);
    // What is still under way from there is of nobody; and its end is nobody's.
    b.send(bob.say('from there', { sequence: 7 }));
    b.lose();
    expect([texts(alice), alice.left]).toEqual([[], []]);
    back.send(bob.say('from here', { sequence: 1 }));
    expect(texts(alice)).toEqual(['from here']);
  });

  it('sees all anew when it cannot resume', () => {
    const { bench, a, b, alice, bob } = pair(new SpacesBench({ historyItems: 4 }));
    b.lose();
    for (let i = 0; i < 5; i++) a.send(alice.say(`${i}`));
    comeBack(bench, 1, bob);
    expect([bob.entered, bob.resumed, bob.number, texts(bob)]).toEqual([2, 0, 2, []]);
    a.send(alice.say('now'));
    expect(texts(bob)).toEqual(['now']);
    expect(alice.left).toEqual([]);
  });

  it.each([
    ['of another epoch', (bob: SpaceFollower) => (bob.epoch = bob.epoch.map(byte => byte ^ 1))],
    ['from before it came', (bob: SpaceFollower) => (bob.offset = 1)],
    ['from the future', (bob: SpaceFollower) => (bob.offset = 99)],
  ])('resumes nothing %s', (_, change) => {
    const { bench, b, bob } = pair();
    b.lose();
    change(bob);
    comeBack(bench, 1, bob);
    expect([bob.entered, bob.resumed, bob.offset]).toEqual([2, 0, 2]);
  });

  it('keeps no more places than it may be in spaces', () => {
    const bench = new SpacesBench({ maxSpacesPerClient: 2 });
    const [a, b] = [bench.seat(0), bench.seat(0)];
    for (const seat of [a, b])
      for (const space of ['x', 'y']) seat.follow(space, { stay: true, membership: space === 'x' ? 1 : 2 });
    a.lose();
    b.lose();
    expect(bench.spaces.statistics).toMatchObject({ members: 2, awayMembers: 2 });
    bench.pass(30_000);
    expect(bench.spaces.statistics).toMatchObject({ spaces: 0, members: 0, awayMembers: 0 });
  });
});

describe('a message', () => {
  it('is refused when its sender has not seen enough, and those behind it, too', () => {
    const { a, alice, bob } = pair();
    a.send(alice.say('stale', { seen: 0 }));
    a.send(alice.say('behind it'));
    expect(alice.refusals).toMatchObject([
      { reason: 'STALE_VIEW', sequence: 1 },
      { reason: 'STALE_VIEW', sequence: 2 },
    ]);
    for (const frame of alice.sayAgain()) a.send(frame);
    expect(texts(bob)).toEqual(['stale', 'behind it']);
    a.send(alice.say('from the future', { seen: 99 }));
    a.send(alice.say('of another space', { sequence: 3, epoch: new Uint8Array(8) }));
    expect(alice.refusals.slice(2)).toMatchObject([
      { reason: 'STALE_VIEW', sequence: 3 },
      { reason: 'STALE_VIEW', sequence: 3 },
    ]);
    expect(texts(bob)).toHaveLength(2);
  });

  it('may be 512 items behind, and not more', () => {
    const { a, b, alice, bob } = pair();
    for (let i = 0; i < 512; i++) a.send(alice.say('.'));
    b.send(bob.say('just', { seen: 2 }));
    b.send(bob.say('not', { seen: 2 }));
    expect(texts(alice)).toEqual(['just']);
    expect(bob.refusals).toMatchObject([{ reason: 'STALE_VIEW', sequence: 2 }]);
  });

  it('may have any number when it is the first', () => {
    const { a, alice, bob } = pair();
    alice.sequence = 41;
    a.send(alice.say('hello'));
    expect(bob.heard).toMatchObject([{ sequence: 42 }]);
  });

  it('is refused when it would make too large a frame', () => {
    const bench = new SpacesBench({}, { maxFrame: 1_000 });
    const { a, alice, bob } = pair(bench);
    const room = 1_000 - 15 - 97 - 4 - 64;
    a.send(alice.say('x'.repeat(room)));
    a.send(alice.say('y'.repeat(room + 1)));
    expect(texts(bob)).toEqual(['x'.repeat(room)]);
    expect(alice.refusals).toMatchObject([{ reason: 'TOO_LARGE', sequence: 2 }]);
    // A wrap takes 48 bytes more.
    a.send(alice.say('z'.repeat(room + 64 - 47), { sequence: 2, wrapFor: [2] }));
    expect(alice.refusals).toHaveLength(2);
    expect(bench.limited).toEqual(['frame_size', 'frame_size']);
  });

  it('is not taken in the name of another member', () => {
    const { a, alice, bob } = pair();
    expect(() => {
      a.send(alice.say('I am bob', { sender: bob.memberId }));
    }).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }));
    expect(texts(bob)).toEqual([]);
  });

  it('comes again when it is asked for, as long as it is kept', () => {
    const { bench, a, b, alice, bob } = pair();
    a.send(alice.say('one'));
    a.send(alice.say('two'));
    b.send(bob.say('three'));
    b.send(bob.fetch(1, 99));
    // Not what was before it came, and not twice what has not come.
    expect(bob.refetched).toEqual([2, 3, 4]);
    expect(bob.gaps).toEqual([]);
    bench.pass(120_000);
    b.send(bob.fetch(3, 5));
    expect(bob.gaps).toEqual([{ from: 3, to: 5 }]);
  });

  it('is not sent faster than a member may', () => {
    const bench = new SpacesBench({ messagesPerSecond: 2 });
    const { a, alice, bob } = pair(bench);
    for (const text of ['1', '2', '3', '4']) a.send(alice.say(text));
    expect(texts(bob)).toEqual(['1', '2']);
    expect(alice.refusals).toMatchObject([
      { reason: 'RATE', sequence: 3, retryAfter: 500 },
      { reason: 'STALE_VIEW', sequence: 4 },
    ]);
    expect(bench.limited).toEqual(['space_messages']);
    bench.pass(500);
    for (const frame of alice.sayAgain()) a.send(frame);
    expect(texts(bob)).toEqual(['1', '2', '3']);
  });
});

describe('whoever is not let in', () => {
  const refusalsOf = (bench: SpacesBench, follower: SpaceFollower, seat = bench.seat()) => {
    seat.enter(follower);
    return follower.refusals.map(({ reason }) => reason);
  };

  it('has a join record that is not its own for this space', () => {
    const bench = new SpacesBench();
    const [alice, bob] = [identityOf(0), identityOf(1)];
    const follower = (changes: Partial<SpaceFollower> = {}) =>
      Object.assign(new SpaceFollower(alice, bench.relayKey, 'room'), changes);
    const join = (signer = alice, place = { relayKey: bench.relayKey, name: 'room' }) =>
      createJoin(signer, place, new Uint8Array(16), 0);
    const forged = join().slice();
    forged[20]! ^= 1;
    const signedByAnother = join({
      ...alice,
      signingKey: alice.signingKey,
      publicKeyBytes: alice.publicKeyBytes,
      sign: (message: Uint8Array) => bob.sign(message),
    } as never);
    for (const bad of [
      join(bob),
      join(alice, { relayKey: bench.relayKey, name: 'elsewhere' }),
      join(alice, { relayKey: new Uint8Array(32), name: 'room' }),
      signedByAnother,
      forged,
      new Uint8Array(154),
      new Uint8Array(3),
    ]) {
      expect(refusalsOf(bench, follower({ join: bad }), bench.seat(0))).toEqual(['JOIN_INVALID']);
    }
    expect(bench.spaces.statistics.spaces).toBe(0);
    expect(bench.refused).toHaveLength(7);
  });

  it('wants the member id of somebody else', () => {
    const bench = new SpacesBench();
    const alice = bench.seat().follow();
    const mallory = new SpaceFollower(identityOf(1), bench.relayKey, 'room', { memberId: alice.memberId });
    expect(refusalsOf(bench, mallory)).toEqual(['JOIN_INVALID']);
  });

  it.each(['', 'x'.repeat(129), 'a/b', 'a\nb', 'e\u0301', '..'])('names no space: %j', name => {
    const bench = new SpacesBench();
    expect(refusalsOf(bench, new SpaceFollower(identityOf(0), bench.relayKey, name))).toEqual([
      'SPACE_NAME_INVALID',
    ]);
  });

  it('comes where there are no spaces', () => {
    const bench = new SpacesBench({}, { limits: undefined });
    expect(refusalsOf(bench, new SpaceFollower(identityOf(0), bench.relayKey, 'room'))).toEqual([
      'SPACES_DISABLED',
    ]);
  });

  it('finds it full, or too many of them', () => {
    const bench = new SpacesBench({ maxMembers: 2, maxSpaces: 2, maxSpacesPerClient: 2, maxTotalMembers: 3 });
    const a = bench.seat();
    a.follow('one');
    a.follow('two', { membership: 2 });
    expect(a.follow('one', { membership: 3 }).refusals).toMatchObject([{ reason: 'TOO_MANY_SPACES' }]);
    const b = bench.seat();
    expect(b.follow('three').refusals).toMatchObject([{ reason: 'TOO_MANY_SPACES' }]);
    b.follow('one', { membership: 2 });
    const c = bench.seat();
    expect(c.follow('one').refusals).toMatchObject([{ reason: 'SPACE_FULL' }]);
    expect(c.follow('two', { membership: 2 }).refusals).toMatchObject([{ reason: 'SPACE_FULL' }]);
    expect(bench.limited).toEqual(['spaces_per_client', 'spaces', 'space_members', 'space_members']);
    // Whoever has a place comes back to it all the same.
    expect(bench.spaces.statistics).toMatchObject({ spaces: 2, members: 3 });
  });

  it('comes too often', () => {
    const bench = new SpacesBench({ entersPerSecond: 1 });
    const a = bench.seat();
    const late = new SpaceFollower(a.identity, bench.relayKey, 'room');
    for (let i = 0; i < 64; i++) a.send(a.enter(late, true).leave());
    a.enter(late, true);
    expect(late.refusals).toMatchObject([{ reason: 'RATE', retryAfter: 1_000 }]);
    expect(bench.limited).toEqual(['space_enters']);
    bench.pass(1_000);
    a.enter(late, true);
    expect(late.isIn).toBe(true);
    // Who is in, is answered later, and all at once.
    a.send(late.who());
    a.send(late.fetch(1, 2));
    expect([late.present, late.refetched]).toEqual([0, []]);
    bench.pass(1_000);
    expect([late.present, late.refetched]).toEqual([1, [1]]);
    a.enter(late, true);
    a.send(late.who());
    expect(late.entered).toBe(65);
    bench.pass(1_000);
    expect([late.entered, late.present]).toEqual([66, 1]);
  });
});

describe('a client that does what it must not', () => {
  it.each([
    ['gives two memberships one number', (seat: Seat) => seat.follow('other')],
    ['enters as somebody else where it is in', (seat: Seat) => seat.follow('room')],
    [
      'asks for what no member asks for',
      (seat: Seat) => {
        seat.client.receive(1, 0x80, new Uint8Array(0));
      },
    ],
    [
      'sends what cannot be read',
      (seat: Seat) => {
        seat.client.receiveMulticast(1, new Uint8Array(20));
      },
    ],
  ])('%s', (_, misbehave) => {
    const bench = new SpacesBench();
    const seat = bench.seat();
    seat.follow();
    expect(() => {
      misbehave(seat);
    }).toThrow(/PROTOCOL_VIOLATION|gives two|Received/);
  });

  it('speaks of a membership that there is not: that may have ended while it was under way', () => {
    const bench = new SpacesBench();
    const seat = bench.seat();
    const follower = new SpaceFollower(seat.identity, bench.relayKey, 'room');
    for (const frame of [follower.say('hello'), follower.who(), follower.fetch(1, 2), follower.leave()])
      seat.send(frame);
    expect(seat.port.frames).toEqual([]);
  });
});

describe('whoever decides on who may enter', () => {
  it('is told who it is', () => {
    const asked: unknown[] = [];
    const bench = new SpacesBench(
      {},
      {
        mayEnter: entry => {
          asked.push(entry);
          return entry.space === 'open';
        },
      },
    );
    const seat = bench.seat();
    expect(seat.follow('open').isIn).toBe(true);
    expect(seat.follow('closed', { membership: 2 }).refusals).toMatchObject([
      { reason: 'SPACE_NOT_ALLOWED' },
    ]);
    const { publicKey } = seat.identity;
    expect(asked[0]).toEqual({ space: 'open', publicKey, userId: undefined, deviceId: '', ip: '192.0.2.1' });
    expect(bench.refused).toMatchObject([{ space: 'closed', reason: 'SPACE_NOT_ALLOWED' }]);
  });

  it('may take its time, in which the client may leave, or be lost', async () => {
    const answers: ((answer: boolean | 'unavailable') => void)[] = [];
    const bench = new SpacesBench(
      { maxSpacesPerClient: 3 },
      { mayEnter: () => new Promise(resolve => answers.push(resolve)) },
    );
    const [a, b] = [bench.seat(), bench.seat()];
    const one = a.follow('room');
    const two = a.follow('room', { membership: 2 });
    a.send(two.leave());
    const three = a.follow('room', { membership: 3 });
    // Who has left is still being asked about.
    const four = a.follow('room', { membership: 4 });
    expect(four.refusals).toMatchObject([{ reason: 'TOO_MANY_SPACES' }]);
    const lost = b.follow('room');
    b.lose();
    for (const answer of answers) answer(answer === answers[2] ? 'unavailable' : true);
    await Promise.resolve();
    await Promise.resolve();
    bench.settle();
    expect([one, two, three, lost].map(({ isIn }) => isIn)).toEqual([true, false, false, false]);
    expect(three.refusals).toMatchObject([{ reason: 'UNAVAILABLE' }]);
    expect(bench.spaces.statistics.members).toBe(1);
  });

  it('is not asked about a second time by one number', () => {
    const bench = new SpacesBench({}, { mayEnter: () => new Promise(() => undefined) });
    const seat = bench.seat();
    const follower = seat.follow();
    expect(() => {
      seat.enter(follower);
    }).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }));
  });
});

describe('an audience', () => {
  it('is the members that are here, and those that were entered: each connection once', () => {
    const { bench, a, b } = pair();
    const c = bench.seat();
    a.follow('room', { membership: 2 });
    expect([c.client.subscribe('room'), a.client.subscribe('room')]).toEqual([true, true]);
    const ids = () => [...bench.spaces.audience('room')].map(({ connectionId }) => connectionId);
    expect(ids()).toEqual([a, b, c].map(({ connectionId }) => connectionId));
    b.lose();
    expect(ids()).toEqual([a, c].map(({ connectionId }) => connectionId));
    expect([c.client.unsubscribe('room'), c.client.unsubscribe('room')]).toEqual([true, false]);
    a.lose();
    expect(ids()).toEqual([]);
  });

  it('counts among the spaces of a client, and of the relay', () => {
    const bench = new SpacesBench({ maxSpacesPerClient: 2, maxSpaces: 2 });
    const [a, b] = [bench.seat(), bench.seat()];
    expect(['x', 'y', 'z'].map(space => a.client.subscribe(space))).toEqual([true, true, false]);
    expect(b.client.subscribe('z')).toBe(false);
    expect(bench.limited).toEqual(['spaces_per_client', 'spaces']);
    a.lose();
    expect(b.client.subscribe('z')).toBe(true);
    expect(a.client.subscribe('z')).toBe(false);
  });
});
