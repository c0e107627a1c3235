// A relay that says anything to some of the members, at any time: nobody believes what was not said, and those whom it
// tells the truth miss nothing.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromUtf8, writeUint32 } from '../../../../src/core/bytes.js';
import { runs, SLOW } from '../../../support/fuzz.js';
import { type EndOptions, SpaceEnd, SpaceWorld } from '../../../support/space-world.js';

/** Of a frame: its type, and the number of the membership. What goes elsewhere is not for this membership. */
const HEAD = 5;
/** Longer than anybody asks or waits for anything. */
const REST = 400_000;
/** Nobody is away for longer: nothing that is said meanwhile is kept for much longer. */
const MAX_AWAY = 60_000;

/** What becomes of one frame for a member to which the relay lies. */
type Lie =
  | { readonly type: 'truth' | 'drop' | 'twice' | 'before the last' | 'later' }
  | { readonly type: 'flip'; readonly at: number; readonly bit: number }
  | { readonly type: 'add'; readonly at: number; readonly by: number }
  | { readonly type: 'cut'; readonly length: number }
  /** One that went to anybody before: also, or instead. */
  | { readonly type: 'replay' | 'replace'; readonly back: number };

type Step =
  | { readonly type: 'say'; readonly who: number; readonly times: number }
  | { readonly type: 'cut' | 'attach' | 'leave' | 'who'; readonly who: number }
  | { readonly type: 'join'; readonly isLiedTo: boolean }
  | { readonly type: 'forget'; readonly kept: number }
  | { readonly type: 'head' }
  | { readonly type: 'wait'; readonly time: number };

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });

const lies: fc.Arbitrary<Lie> = fc.oneof(
  often(
    12,
    fc.record({
      type: fc.constantFrom('truth' as const, 'truth' as const, 'drop' as const, 'later' as const),
    }),
  ),
  often(2, fc.record({ type: fc.constantFrom('twice' as const, 'before the last' as const) })),
  often(4, fc.record({ type: fc.constant('flip' as const), at: fc.nat(300), bit: fc.nat(7) })),
  // Where offsets, versions, numbers and sequences stand, counted from the front.
  often(2, fc.record({ type: fc.constant('add' as const), at: fc.nat(60), by: fc.constantFrom(1, 255) })),
  often(1, fc.record({ type: fc.constant('cut' as const), length: fc.nat(300) })),
  often(4, fc.record({ type: fc.constantFrom('replay' as const, 'replace' as const), back: fc.nat(30) })),
);

const who = fc.nat(7);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    often(8, fc.record({ type: fc.constant('say' as const), who, times: fc.constantFrom(1, 1, 1, 3, 20) })),
    often(2, fc.record({ type: fc.constantFrom('cut' as const, 'attach' as const, 'who' as const), who })),
    often(2, fc.record({ type: fc.constant('attach' as const), who })),
    often(1, fc.record({ type: fc.constant('leave' as const), who })),
    often(2, fc.record({ type: fc.constant('join' as const), isLiedTo: fc.boolean() })),
    often(1, fc.record({ type: fc.constant('forget' as const), kept: fc.nat(10) })),
    often(1, fc.record({ type: fc.constant('head' as const) })),
    often(
      3,
      fc.record({ type: fc.constant('wait' as const), time: fc.constantFrom(10, 1_000, 6_000, 31_000) }),
    ),
  ),
  { minLength: 4, maxLength: 40, size: 'max' },
);

/** Somebody in the space, and what it has said. */
interface Person {
  readonly end: SpaceEnd;
  readonly isLiedTo: boolean;
  readonly said: string[];
  /** What others had said, all of it in the order, when it came: it is not for it. */
  readonly past: ReadonlySet<string>;
  hasLeft: boolean;
  /** Since when it has been away. */
  awaySince: number;
}

class LyingWorld {
  readonly people: Person[] = [];
  readonly #world = new SpaceWorld();
  readonly #options: EndOptions;
  readonly #lies: readonly Lie[];
  #count = 0;
  #texts = 0;
  #isTrue = false;
  /** What the relay has told anybody. */
  readonly #told: Uint8Array[] = [];
  /** What it tells later: in front of the next frame that is told truly. */
  readonly #later = new Map<SpaceEnd, Uint8Array[]>();

  constructor(options: EndOptions, all: readonly Lie[]) {
    this.#options = options;
    this.#lies = all;
    this.#world.relay.toMember = (end, frame) => this.#tell(end, frame);
    // Two who are told the truth, and one who is not.
    for (const isLiedTo of [false, false, true]) this.#join(isLiedTo);
  }

  step(step: Step): void {
    const world = this.#world;
    switch (step.type) {
      case 'wait':
        this.#return(world.now + step.time - MAX_AWAY);
        world.wait(step.time);
        return;
      case 'head':
        world.relay.tellHead();
        break;
      case 'forget':
        world.relay.forget(world.relay.offset - step.kept);
        break;
      case 'join':
        if (this.people.length < 8) this.#join(step.isLiedTo);
        return;
      default: {
        const person = this.people[step.who % this.people.length] as Person;
        this.#act(person, step);
      }
    }
    world.settle();
  }

  /** No more lies, and time for everything. */
  rest(): void {
    this.#isTrue = true;
    this.#return(Infinity);
    this.#world.relay.tellHead();
    this.#world.settle();
    this.#world.wait(REST);
  }

  /** Those who have been away for so long come back. */
  #return(since: number): void {
    for (const { end, hasLeft, awaySince } of this.people) {
      const isAway = !end.isAttached && !hasLeft && !end.membership.isOver;
      if (isAway && awaySince <= since) this.#world.attach(end);
    }
    this.#world.settle();
  }

  #act(person: Person, step: Extract<Step, { readonly who: number }>): void {
    const world = this.#world;
    const { end } = person;
    if (end.membership.isOver || person.hasLeft) return;
    switch (step.type) {
      case 'say':
        for (let i = 0; i < step.times; i++) {
          const text = `text ${this.#texts++}`;
          person.said.push(text);
          end.send(text);
        }
        break;
      case 'cut':
        if (end.isAttached) person.awaySince = world.now;
        if (end.isAttached) world.cut(end);
        break;
      case 'attach':
        if (end.isAttached) world.cut(end);
        world.attach(end);
        break;
      case 'leave':
        // Somebody has to be left to whom the truth is told.
        if (this.people.indexOf(person) < 2) return;
        person.hasLeft = true;
        end.membership.close(world.now);
        break;
      case 'who':
        end.membership.who();
    }
  }

  #join(isLiedTo: boolean): void {
    const past = new Set<string>();
    for (const { end, said } of this.people) {
      const unsent = new Set(end.membership.unsent().map(({ data }) => textOf(data)));
      for (const text of said) if (!unsent.has(text)) past.add(text);
    }
    const number = this.people.length;
    const end = new SpaceEnd(number + 1, `person ${number}`, this.#options);
    this.people.push({ end, isLiedTo, said: [], past, hasLeft: false, awaySince: Infinity });
    this.#world.ends.push(end);
    this.#world.attach(end);
    this.#world.settle();
  }

  #tell(end: SpaceEnd, frame: Uint8Array): Uint8Array[] {
    const back = (count: number): Uint8Array => {
      const copy = (this.#told[Math.max(0, this.#told.length - 1 - count)] ?? frame).slice();
      writeUint32(copy, 1, end.membership.number);
      return copy;
    };
    const person = this.people.find(each => each.end === end);
    const lie = this.#lies[this.#count++ % this.#lies.length];
    const instead =
      this.#isTrue || !person?.isLiedTo || lie === undefined
        ? undefined
        : this.#changed(end, frame, lie, back);
    this.#told.push(frame.slice());
    return instead ?? [...(this.#later.get(end)?.splice(0) ?? []), frame];
  }

  #changed(
    end: SpaceEnd,
    frame: Uint8Array,
    lie: Lie,
    back: (count: number) => Uint8Array,
  ): Uint8Array[] | undefined {
    const copy = frame.slice();
    switch (lie.type) {
      case 'truth':
        return undefined;
      case 'drop':
        return [];
      case 'twice':
        return [frame, copy];
      case 'later':
        this.#later.set(end, [...(this.#later.get(end) ?? []), copy]);
        return [];
      case 'before the last': {
        const last = end.inbox.pop();
        return last === undefined ? [frame] : [frame, last];
      }
      case 'flip':
        copy[HEAD + (lie.at % (copy.length - HEAD))]! ^= 1 << lie.bit;
        return [copy];
      case 'add': {
        const at = HEAD + (lie.at % (copy.length - HEAD));
        copy[at] = (copy[at]! + lie.by) & 0xff;
        return [copy];
      }
      case 'cut':
        return [copy.slice(0, Math.max(HEAD + 1, lie.length % copy.length))];
      case 'replay':
        return [frame, back(lie.back)];
      case 'replace':
        return [back(lie.back)];
    }
  }
}

const textOf = (data: Uint8Array): string => fromUtf8(data) ?? '';

describe.each<readonly [string, EndOptions]>([
  ['wrapped keys', { senderKeyMembers: 1_000, senderKeyRate: 1_000 }],
  ['sender keys', { senderKeyMembers: 1 }],
])('a relay that says anything, with %s', (_, options) => {
  it('is not believed, and those to whom it tells the truth miss nothing', SLOW, () => {
    fc.assert(
      fc.property(fc.array(lies, { minLength: 1, maxLength: 60, size: 'max' }), steps, (all, script) => {
        const world = new LyingWorld(options, all);
        for (const step of script) world.step(step);
        world.rest();

        const { people } = world;
        for (const { end, past } of people) {
          const heard = new Map<string, string[]>();
          for (const { from, member, data } of end.of('message')) {
            const sender = people.find(each => each.end.membership.id === member);
            expect(sender?.end.identity.publicKey).toBe(from);
            expect(past.has(textOf(data)), 'something from before it came').toBe(false);
            heard.set(member, [...(heard.get(member) ?? []), textOf(data)]);
          }
          for (const { end: sender, said } of people) {
            const texts = heard.get(sender.membership.id) ?? [];
            // Each once, in the order in which it was said.
            expect(texts).toEqual(said.filter(text => texts.includes(text)));
          }
        }

        const honest = people.filter(({ isLiedTo, hasLeft }) => !isLiedTo && !hasLeft);
        for (const { end: reader, past } of honest) {
          expect(reader.membership.isOver).toBe(false);
          for (const sender of honest) {
            if (sender.end === reader) continue;
            const { id } = sender.end.membership;
            const heard = reader.of('message').filter(({ member }) => member === id);
            expect(heard.map(({ data }) => textOf(data))).toEqual(
              sender.said.filter(text => !past.has(text)),
            );
            expect(reader.of('lost').filter(({ member }) => member.id === id)).toEqual([]);
          }
        }
      }),
      runs(60),
    );
  });
});
