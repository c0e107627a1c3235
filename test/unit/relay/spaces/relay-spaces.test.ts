import { describe, expect, it } from 'vitest';
import { RelaySpaces } from '../../../../src/relay/spaces/relay-spaces.js';
import { identityOf, SpacesBench } from '../../../support/spaces-bench.js';

/** What a program sees of the spaces of a relay. */
function scene() {
  const bench = new SpacesBench();
  const administered: unknown[] = [];
  const spaces = new RelaySpaces({
    spaces: () => bench.spaces,
    clients: publicKey =>
      bench.seats
        .filter(({ identity, isGone }) => identity.publicKey === publicKey && !isGone)
        .map(({ client }) => client),
    administered: (action, detail) => administered.push([action, detail]),
  });
  return { bench, administered, spaces };
}

describe('a program that runs a relay', () => {
  it('sees who is in a space, here or away', () => {
    const { bench, spaces } = scene();
    const client = {
      publicKey: identityOf(0).publicKey,
      connectionId: 7,
      userId: 'alice',
      deviceId: 'phone',
      remoteAddress: undefined,
    };
    const a = bench.seat(0);
    Object.assign(a, { client: bench.spaces.client(a.port, client) });
    const alice = a.follow('room', { stay: true });
    const bob = bench.seat(1).follow();
    const [one, two] = [alice, bob].map(({ memberId }) => Buffer.from(memberId).toString('hex'));
    const { remoteAddress: _, ...known } = client;
    expect(spaces.names()).toEqual(['room']);
    expect(spaces.members('room')).toEqual([
      { ...known, memberId: one, isAway: false },
      {
        memberId: two,
        publicKey: identityOf(1).publicKey,
        connectionId: bench.seats[1]?.connectionId,
        userId: undefined,
        deviceId: undefined,
        isAway: false,
      },
    ]);
    a.lose();
    // Where it was, and who.
    expect(spaces.members('room')[0]).toEqual({ ...known, memberId: one, isAway: true });
    expect(spaces.members('nowhere')).toEqual([]);
  });

  it('puts out members and those that it has entered, which is noted where there was a member', () => {
    const { bench, administered, spaces } = scene();
    const { publicKey } = identityOf(0);
    const [a, other] = [bench.seat(0), bench.seat(0)];
    const bob = bench.seat(1).follow();
    expect(spaces.enter(publicKey, 'room')).toBe(2);
    expect(spaces.leave(publicKey, 'room')).toBe(2);
    expect(administered).toEqual([]);
    a.follow();
    const away = other.follow('room', { stay: true });
    other.lose();
    expect([away.isIn, bob.roster.size]).toEqual([true, 3]);
    spaces.enter(publicKey, 'room');
    // Two members, one of which is away, and one connection.
    expect(spaces.leave(publicKey, 'room')).toBe(3);
    bench.settle();
    expect([...bob.roster.keys()]).toEqual([1]);
    expect(administered).toEqual([['remove_from_space', { publicKey, space: 'room', members: 2 }]]);
    expect(bench.spaces.statistics).toMatchObject({ members: 1, awayMembers: 0 });
  });

  it('puts out of one space only, which is forgotten with its last member', () => {
    const { bench, spaces } = scene();
    const a = bench.seat();
    a.follow('one');
    const two = a.follow('two', { membership: 2 });
    expect(spaces.leave(a.identity.publicKey, 'one')).toBe(1);
    expect([spaces.names(), two.isIn]).toEqual([['two'], true]);
  });

  it('tells the members of one space who is there, or those of all', () => {
    const { bench, spaces } = scene();
    const [a, b, c] = [bench.seat(), bench.seat(), bench.seat()];
    const [alice, bob] = [a.follow('one'), b.follow('two')];
    const carol = c.follow('two', { stay: true });
    c.lose();
    const present = (): number[] => {
      bench.settle();
      return [alice, bob, carol].map(follower => follower.present);
    };
    spaces.tellPresent('two');
    expect(present()).toEqual([0, 1, 0]);
    spaces.tellPresent();
    expect(present()).toEqual([1, 2, 0]);
    spaces.tellPresent('nowhere');
    expect(present()).toEqual([1, 2, 0]);
    // Who is away sees it all when it is back; nothing is kept for it.
    const back = bench.seat(2);
    back.enter(carol);
    expect([carol.resumed, carol.present]).toEqual([1, 0]);
  });
});
