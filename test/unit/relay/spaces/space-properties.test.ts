import fc from 'fast-check';
import { expect, it } from 'vitest';
import { toHex } from '../../../../src/core/bytes.js';
import type { ObservedSpaceEvent } from '../../../../src/relay/spaces/observed-space.js';
import { runs, SLOW } from '../../../support/fuzz.js';
import { SpaceFollower } from '../../../support/space-follower.js';
import { identityOf, type Seat, SpacesBench } from '../../../support/spaces-bench.js';

const OPTIONS = {
  awayTime: 3_000,
  historyItems: 20,
  historyBytes: 30_000,
  historyTime: 20_000,
  maxTotalHistoryBytes: 40_000,
  maxMembers: 5,
} as const;
const CLIENTS = 4;
const MAX_QUEUE = 40_000;

type Command =
  | { type: 'enter'; client: number; stay: boolean; isNew: boolean; anew: boolean; before: boolean }
  | { type: 'say'; client: number; length: number; wrapped: boolean; seen: 'now' | 'long ago' }
  | { type: 'leave' | 'lose' | 'remove' | 'who' | 'unheard'; client: number }
  | { type: 'fetch'; client: number; back: number }
  | { type: 'delay'; client: number; delayed: boolean }
  | { type: 'arrive'; client: number; frames: number }
  | { type: 'full'; client: number; full: boolean }
  | { type: 'pass'; time: number };

const client = fc.nat(CLIENTS - 1);
const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    often(
      5,
      fc.record({
        type: fc.constant('enter' as const),
        client,
        stay: fc.boolean(),
        isNew: fc.boolean(),
        anew: fc.boolean(),
        // Over a second connection, while the first is there.
        before: fc.boolean(),
      }),
    ),
    often(
      12,
      fc.record({
        type: fc.constant('say' as const),
        client,
        length: fc.constantFrom(16, 200, 3_000),
        wrapped: fc.boolean(),
        seen: fc.constantFrom('now', 'now', 'now', 'now', 'long ago'),
      }),
    ),
    often(
      1,
      fc.record({ type: fc.constantFrom('leave' as const, 'remove' as const, 'unheard' as const), client }),
    ),
    often(3, fc.record({ type: fc.constantFrom('lose' as const, 'who' as const), client })),
    often(1, fc.record({ type: fc.constant('fetch' as const), client, back: fc.nat(30) })),
    often(3, fc.record({ type: fc.constant('delay' as const), client, delayed: fc.boolean() })),
    often(5, fc.record({ type: fc.constant('arrive' as const), client, frames: fc.constantFrom(1, 3, 100) })),
    often(1, fc.record({ type: fc.constant('full' as const), client, full: fc.boolean() })),
    often(
      3,
      fc.record({ type: fc.constant('pass' as const), time: fc.constantFrom(250, 1_000, 5_000, 20_000) }),
    ),
  ),
  { maxLength: 100, size: 'max' },
);

/** One client: its connection, if it has one, and the member that it is, if it is one. */
interface Client {
  readonly n: number;
  seat: Seat | undefined;
  follower: SpaceFollower | undefined;
  /** Nothing that it says arrives any more, though it does not know that. */
  unheard: boolean;
}

/** A space beside the simplest thing that says who is in it, and what was said in it. */
class Model {
  /** Who has said what, in which space of that name: by its number, which nobody else gets. */
  readonly said: string[] = [];
  /** Who is in, by member id: until when it may come back, or undefined while it is here. */
  readonly members = new Map<string, number | undefined>();
  readonly bench: SpacesBench;
  readonly clients: Client[] = Array.from({ length: CLIENTS }, (_, n) => ({
    n,
    seat: undefined,
    follower: undefined,
    unheard: false,
  }));
  /** In which space, and under which number, somebody has said something last. */
  readonly #standings = new Map<SpaceFollower, string>();
  /** Everybody who ever was a member, and all that it said. */
  readonly followers = new Set<SpaceFollower>();

  constructor() {
    const observe = (event: ObservedSpaceEvent): void => {
      if (event.type !== 'multicast') return;
      const sequence = Number(Buffer.from(event.message).readBigUInt64BE(17));
      const space = this.bench.spaces.get('room');
      const number = space?.member(event.memberId)?.number;
      this.said.push(`${toHex(space?.epoch ?? new Uint8Array(0))} ${number} ${sequence}`);
    };
    this.bench = new SpacesBench(OPTIONS, { observe, maxQueueBytes: MAX_QUEUE });
  }

  run(command: Command): void {
    const { bench } = this;
    if (command.type === 'pass') {
      bench.pass(command.time);
      for (const [id, until] of this.members) {
        if (until !== undefined && until <= bench.now) this.members.delete(id);
      }
      this.check();
      return;
    }
    const one = this.clients[command.client] as Client;
    const { seat, follower } = one;
    switch (command.type) {
      case 'enter':
        this.#enter(one, command);
        break;
      case 'say':
        if (seat && follower?.isIn) {
          // What it said under another number comes first: it is in its order.
          const standing = `${toHex(follower.epoch)} ${follower.number}`;
          if (this.#standings.get(follower) !== standing) {
            this.#standings.set(follower, standing);
            for (const frame of follower.sayAgain()) seat.send(frame);
          }
          const wrapFor = command.wrapped ? [...follower.roster.keys()].sort((a, b) => a - b) : [];
          const changes = command.seen === 'now' ? {} : { seen: 0 };
          seat.send(follower.say('x'.repeat(command.length), { wrapFor, ...changes }));
        }
        break;
      case 'leave':
        if (seat && follower?.isIn) {
          seat.send(follower.leave());
          this.members.delete(toHex(follower.memberId));
          one.follower = undefined;
        }
        break;
      case 'lose':
        if (seat) this.#lose(one, seat);
        break;
      case 'remove': {
        const { publicKey } = identityOf(one.n);
        const count = [...this.followers].filter(
          each => each.identity === identityOf(one.n) && this.members.has(toHex(each.memberId)),
        ).length;
        expect(bench.spaces.remove('room', publicKey)).toBe(count);
        for (const each of this.followers) {
          if (each.identity === identityOf(one.n)) this.members.delete(toHex(each.memberId));
        }
        bench.settle();
        break;
      }
      case 'who':
        if (seat && follower?.isIn) seat.send(follower.who());
        break;
      case 'fetch':
        if (seat && follower?.isIn) {
          const from = Math.max(1, follower.offset - command.back);
          seat.send(follower.fetch(from, Math.max(from, follower.offset)));
        }
        break;
      case 'delay':
        if (seat) seat.port.delayed = command.delayed;
        break;
      case 'arrive':
        seat?.arrive(command.frames);
        break;
      case 'full':
        if (seat) seat.port.full = command.full;
        break;
      case 'unheard':
        // What it says and hears from now on is lost, until its connection is.
        one.unheard = true;
        if (seat) seat.port.full = true;
    }
    this.check();
  }

  #enter(one: Client, { stay, isNew, anew, before }: Extract<Command, { type: 'enter' }>): void {
    const { bench } = this;
    const former = one.seat;
    if (former && !before) this.#lose(one, former);
    const known = one.follower;
    const follower =
      known === undefined || isNew || former?.isGone === false ? this.#newFollower(one.n) : known;
    // Whoever was somebody else on the connection before stays so until that ends.
    if (follower !== known && former && !former.isGone) this.#lose(one, former);
    follower.stay = stay;
    // It is told of its end by the connection's, if by nothing else.
    follower.isIn = false;
    const seat = bench.seat(one.n);
    seat.port.max = MAX_QUEUE;
    one.seat = seat;
    one.unheard = false;
    one.follower = follower;
    const id = toHex(follower.memberId);
    const isFull = !this.members.has(id) && this.members.size >= OPTIONS.maxMembers;
    const refusals = follower.refusals.length;
    seat.enter(follower, anew || follower.entered === 0);
    if (isFull) {
      expect(follower.refusals[refusals]).toMatchObject({ reason: 'SPACE_FULL' });
      one.follower = undefined;
    } else {
      this.members.set(id, undefined);
    }
  }

  #newFollower(n: number): SpaceFollower {
    const follower = new SpaceFollower(identityOf(n), this.bench.relayKey, 'room');
    this.followers.add(follower);
    return follower;
  }

  #lose(one: Client, seat: Seat): void {
    one.seat = undefined;
    one.unheard = false;
    for (const each of seat.followers) {
      const id = toHex(each.memberId);
      if (!this.members.has(id)) continue;
      // What `stay` was when it entered.
      if (each.stay) this.members.set(id, this.bench.now + OPTIONS.awayTime);
      else this.members.delete(id);
    }
    seat.lose();
    seat.followers.length = 0;
  }

  check(): void {
    const { spaces } = this.bench;
    const members = [...(spaces.get('room')?.members ?? [])];
    const away = [...this.members].filter(([, until]) => until !== undefined).map(([id]) => id);
    expect(members.map(({ id }) => id).sort()).toEqual([...this.members.keys()].sort());
    expect(
      members
        .filter(({ isAway }) => isAway)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(away.sort());
    const { statistics } = spaces;
    expect(statistics).toMatchObject({
      spaces: this.members.size > 0 ? 1 : 0,
      members: this.members.size,
      awayMembers: away.length,
    });
    expect(statistics.historyBytes).toBeLessThanOrEqual(OPTIONS.maxTotalHistoryBytes);
    for (const { port } of this.bench.seats) expect(port.queuedBytes).toBeLessThanOrEqual(MAX_QUEUE);
  }

  /** All that is in the way is taken away, and everybody gets what is left. */
  settle(): void {
    const here = this.clients.filter(({ seat, follower }) => seat && follower);
    for (const { seat, unheard } of here) {
      if (!seat || unheard) continue;
      seat.port.delayed = seat.port.full = false;
    }
    for (let i = 0; i < 12; i++) {
      for (const one of here) one.seat?.arrive(1_000);
      this.bench.pass(250);
    }
    for (const one of [...here]) if (one.unheard && one.seat) this.#lose(one, one.seat);
    // Who has not got everything enters anew; who was refused says it again.
    for (let i = 0; i < 80; i++) {
      for (const one of here) {
        const { seat, follower } = one;
        if (!seat || !follower || !this.members.has(toHex(follower.memberId))) continue;
        if (follower.gaps.length > 0 && follower.offset < (follower.gaps.at(-1)?.to ?? 0)) {
          seat.enter(follower, true);
        } else {
          for (const frame of follower.sayAgain()) seat.send(frame);
        }
      }
      this.bench.pass(250);
    }
  }
}

it(
  'is the same for all members, in every order of joins, messages, losses and returns',
  () => {
    fc.assert(
      fc.property(commands, list => {
        const model = new Model();
        for (const command of list) model.run(command);
        model.settle();

        expect(new Set(model.said).size).toBe(model.said.length);
        const here = model.clients.flatMap(({ seat, follower }) =>
          seat && follower && model.members.has(toHex(follower.memberId)) ? [follower] : [],
        );
        const [first] = here;
        if (first === undefined) return;
        for (const follower of here) {
          expect(follower.offset).toBe(first.offset);
          expect(follower.logHash).toEqual(first.logHash);
          expect(follower.version).toBe(first.version);
          expect(follower.epoch).toEqual(first.epoch);
          expect([...follower.roster].sort()).toEqual([...first.roster].sort());
          expect(follower.unaccepted.size).toBe(0);
          // Who was there all the time, and missed nothing that it had to enter anew for, has heard everything.
          if (follower.entered - follower.resumed !== 1) continue;
          const heard = follower.heard.map(({ number, sequence }) => `${number} ${sequence}`);
          expect(new Set(heard).size).toBe(heard.length);
        }
        const [one, ...others] = here.filter(({ entered, resumed }) => entered - resumed === 1);
        for (const other of others) {
          if (one === undefined) break;
          // What both could hear, both have heard, in the same order.
          const since = Math.max(startOf(one), startOf(other));
          const common = (follower: SpaceFollower) =>
            follower.heard
              .filter(
                ({ offset, number }) => offset > since && number !== one.number && number !== other.number,
              )
              .map(({ offset, number, sequence }) => [offset, number, sequence]);
          expect(common(one)).toEqual(common(other));
        }
      }),
      runs(40),
    );
  },
  SLOW.timeout,
);

/** From where on somebody is sure to hear: when it joined, nobody heard more of it than its own. */
function startOf(follower: SpaceFollower): number {
  return follower.firstOffset;
}
