import { describe, expect, it } from 'vitest';
import { decodeFrame } from '../../../../src/core/frame.js';
import type { EntryAnswer } from '../../../../src/relay/spaces/space-policy.js';
import type { SpacesOptions } from '../../../../src/relay/spaces/spaces-options.js';
import type { SpaceFollower } from '../../../support/space-follower.js';
import { identityOf, type Seat, SpacesBench } from '../../../support/spaces-bench.js';

const texts = ({ heard }: SpaceFollower) => heard.map(({ text }) => text);

/** Somebody decides on who may enter, and takes its time: what was asked, and what answers it. */
function askingBench(options: SpacesOptions = {}) {
  const asked: string[] = [];
  const answers: ((answer: EntryAnswer) => void)[] = [];
  const bench = new SpacesBench(options, {
    mayEnter: ({ space }) => {
      asked.push(space);
      return new Promise(resolve => answers.push(resolve));
    },
  });
  const answer = async (with_: EntryAnswer = true): Promise<void> => {
    for (const each of answers.splice(0)) each(with_);
    await new Promise(resolve => setImmediate(resolve));
    bench.settle();
  };
  return { bench, asked, answer };
}

/** A client that has asked for as much as it may, with one member, which is in. */
function exhausted(options: SpacesOptions = {}, stay = false) {
  const bench = new SpacesBench({ entersPerSecond: 1, ...options });
  const seat = bench.seat();
  const member = seat.follow('room', { stay });
  for (let i = 1; i < 64; i++) seat.send(member.who());
  expect(member.present).toBe(63);
  return { bench, seat, member };
}

describe('the spaces of a client', () => {
  it('are counted together with those that it was entered for', () => {
    const bench = new SpacesBench({ maxSpacesPerClient: 2 });
    const a = bench.seat();
    expect(a.client.subscribe('x')).toBe(true);
    expect(a.follow('y').isIn).toBe(true);
    expect(a.client.subscribe('z')).toBe(false);
    expect(a.follow('z', { membership: 2 }).refusals).toMatchObject([{ reason: 'TOO_MANY_SPACES' }]);
    // The same space a second time takes no more room.
    expect(a.client.subscribe('x')).toBe(true);
    a.client.unsubscribe('x');
    expect(a.client.subscribe('z')).toBe(true);
    expect(a.client.size).toBe(2);
  });

  it('are what it has in common with others, as long as it has a member there', () => {
    const bench = new SpacesBench();
    const [a, b] = [bench.seat(), bench.seat()];
    b.follow('room');
    b.follow('other', { membership: 2 });
    expect(a.client.sharesWith(b.client)).toBe(false);
    const [one, two] = [a.follow('room'), a.follow('room', { membership: 2 })];
    expect([a.client.sharesWith(b.client), b.client.sharesWith(a.client)]).toEqual([true, true]);
    a.send(one.leave());
    expect(a.client.sharesWith(b.client)).toBe(true);
    a.send(two.leave());
    expect(a.client.sharesWith(b.client)).toBe(false);
    a.follow('other', { membership: 3, stay: true });
    expect(a.client.sharesWith(b.client)).toBe(true);
    // Away: its place is kept, and nobody reaches it.
    a.lose();
    expect([a.client.sharesWith(b.client), b.client.sharesWith(a.client)]).toEqual([false, false]);
  });

  it('do not count one that it was put out of in the moment in which it entered', () => {
    const bench: SpacesBench = new SpacesBench(
      {},
      {
        listener: {
          entered: (space, { publicKey }) => {
            if (space === 'room') bench.spaces.remove(space, publicKey);
          },
        },
      },
    );
    const [a, b] = [bench.seat(), bench.seat()];
    expect(a.follow('room').refusals).toMatchObject([{ reason: 'REMOVED' }]);
    expect([a.client.size, bench.spaces.statistics.members]).toEqual([0, 0]);
    // Its number is free.
    a.followers.length = 0;
    expect(a.follow('elsewhere').isIn).toBe(true);
    b.follow('elsewhere');
    expect(a.client.sharesWith(b.client)).toBe(true);
  });
});

describe('a client that asks for too much', () => {
  it('is answered once and later, and that is told', () => {
    const { bench, seat, member } = exhausted();
    expect(bench.limited).toEqual([]);
    seat.send(member.who());
    expect([member.present, bench.limited]).toEqual([63, ['space_enters']]);
    // Whatever it asks now waits with that, though it might be answered by now.
    bench.now += 1_000;
    seat.send(member.fetch(1, 1));
    seat.send(member.who());
    expect([member.present, member.refetched]).toEqual([63, []]);
    bench.pass(0);
    expect([member.present, member.refetched]).toEqual([64, [1]]);
    bench.pass(1_000);
    expect([member.present, member.refetched]).toEqual([64, [1]]);
  });

  it('keeps the relay busy until it is answered', () => {
    const { bench, seat, member } = exhausted();
    const other = seat.follow('other', { membership: 2 });
    expect(other.refusals).toMatchObject([{ reason: 'RATE' }]);
    seat.send(member.who());
    seat.send(member.leave());
    expect(bench.spaces.isIdle).toBe(false);
    bench.pass(1_000);
    expect(bench.spaces.isIdle).toBe(true);
  });

  it('does not enter once more when it has left meanwhile', () => {
    const { bench, seat, member } = exhausted();
    const watcher = bench.seat().follow();
    seat.enter(member, true);
    seat.send(member.leave());
    bench.pass(1_000);
    expect([...watcher.roster.keys()]).toEqual([2]);
  });

  it.each([true, false])('does not enter once more when it is gone meanwhile, staying: %s', stay => {
    const { bench, seat, member } = exhausted({}, stay);
    const watcher = bench.seat().follow();
    seat.enter(member, true);
    seat.lose();
    bench.pass(1_000);
    expect([watcher.roster.get(1)?.away, bench.spaces.statistics.awayMembers]).toEqual(
      stay ? [true, 1] : [undefined, 0],
    );
    bench.pass(30_000);
    expect([...watcher.roster.keys()]).toEqual([2]);
  });
});

describe('whoever is being asked about', () => {
  it('may ask for what it will be told anyway', async () => {
    const { bench, answer } = askingBench();
    const a = bench.seat();
    const alice = a.follow();
    a.send(alice.who());
    a.send(alice.fetch(1, 2));
    a.send(alice.say('too early', { sequence: 1 }));
    await answer();
    expect(alice.isIn).toBe(true);
    expect(bench.spaces.statistics.messages).toBe(0);
  });

  it('counts also when it has left, beside the spaces that it was entered for', async () => {
    const { bench, answer } = askingBench({ maxSpacesPerClient: 2 });
    const a = bench.seat();
    a.client.subscribe('x');
    const one = a.follow('one');
    a.send(one.leave());
    expect(a.follow('two', { membership: 2 }).refusals).toMatchObject([{ reason: 'TOO_MANY_SPACES' }]);
    await answer();
    // Once there is an answer, it counts no more, however often that was.
    for (let i = 3; i < 8; i++) {
      const next = a.follow('two', { membership: i });
      await answer();
      expect(next.isIn).toBe(true);
      a.send(next.leave());
    }
  });

  it('is not asked about where it could not enter anyway', async () => {
    const { bench, asked, answer } = askingBench({ maxMembers: 1 });
    bench.seat().follow();
    await answer();
    expect(bench.seat().follow().refusals).toMatchObject([{ reason: 'SPACE_FULL' }]);
    expect(asked).toEqual(['room']);
  });

  it('finds no place when others have come meanwhile', async () => {
    const { bench, answer } = askingBench({ maxMembers: 1 });
    const [alice, bob] = [bench.seat().follow(), bench.seat().follow()];
    await answer();
    expect([alice.isIn, bob.isIn]).toEqual([true, false]);
    expect(bob.refusals).toMatchObject([{ reason: 'SPACE_FULL' }]);
    expect(bench.limited).toEqual(['space_members']);
    expect(bench.refused).toMatchObject([{ space: 'room', reason: 'SPACE_FULL' }]);
  });

  it('is no member when its connection is lost before there is an answer', async () => {
    const { bench, answer } = askingBench();
    const a = bench.seat();
    a.follow();
    a.lose();
    await answer();
    expect(bench.spaces.statistics).toMatchObject({ spaces: 0, members: 0 });
    expect(bench.events).toEqual([]);
  });

  it('is refused where nobody can be asked, which is noted, and may come again', async () => {
    const { bench, answer } = askingBench();
    const a = bench.seat();
    const alice = a.follow();
    await answer('unavailable');
    expect(alice.refusals).toMatchObject([{ reason: 'UNAVAILABLE' }]);
    expect(bench.refused).toMatchObject([{ space: 'room', reason: 'UNAVAILABLE' }]);
    a.enter(alice);
    await answer(false);
    expect(alice.refusals[1]).toMatchObject({ reason: 'SPACE_NOT_ALLOWED' });
    a.enter(alice);
    await answer(true);
    expect(alice.isIn).toBe(true);
  });
});

describe('a message that comes in memory which is larger than it', () => {
  /** Says something in the middle of a large buffer, which belongs to whoever gets it. */
  const sayIn = (seat: Seat, follower: SpaceFollower, text: string, length: number): Uint8Array => {
    const frame = follower.say(text);
    const memory = new Uint8Array(length);
    memory.set(frame, 100);
    const decoded = decodeFrame(memory.subarray(100, 100 + frame.length));
    if (decoded.type !== 'multicast') throw new Error('That is no message.');
    seat.client.receiveMulticast(decoded.membership, decoded.body);
    seat.bench.settle();
    return memory;
  };

  it('is kept without that', () => {
    const bench = new SpacesBench();
    const [a, b] = [bench.seat(), bench.seat()];
    const [alice, bob] = [a.follow(), b.follow('room', { stay: true })];
    b.lose();
    const { historyBytes } = bench.spaces.statistics;
    // The memory is used again for something else.
    sayIn(a, alice, 'small', 200_000).fill(0);
    expect(bench.spaces.statistics.historyBytes - historyBytes).toBeLessThan(2_000);
    bench.seat(1).enter(bob);
    expect(texts(bob)).toEqual(['small']);
  });

  it('counts with that where it is hardly larger', () => {
    const sizes: number[] = [];
    const bench = new SpacesBench(
      {},
      { observe: event => sizes.push(event.type === 'multicast' ? event.size : 0) },
    );
    const a = bench.seat();
    const alice = a.follow();
    const { historyBytes } = bench.spaces.statistics;
    sayIn(a, alice, 'small', 1_000);
    expect(bench.spaces.statistics.historyBytes - historyBytes).toBe(512 + 1_000);
    // Whoever watches is told of the frame.
    expect(sizes).toEqual([0, alice.say('small').length]);
  });
});

describe('a client whose connection ends in the moment in which it enters', () => {
  it('is no member for longer than others are', () => {
    const bench: SpacesBench = new SpacesBench(
      {},
      {
        listener: {
          entered: (_, { publicKey }) => {
            if (publicKey === identityOf(1).publicKey) bench.seats[1]?.client.remove();
          },
        },
      },
    );
    const alice = bench.seat().follow();
    bench.seat().follow('room', { stay: true });
    bench.pass(30_000);
    expect([...alice.roster.keys()]).toEqual([1]);
    expect(bench.spaces.statistics).toMatchObject({ members: 1, awayMembers: 0 });
  });
});
