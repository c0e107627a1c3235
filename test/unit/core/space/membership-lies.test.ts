// What a relay can say that is not so: whoever is told notices, or it does no harm.
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../../../src/core/bytes.js';
import { decodeFrame } from '../../../../src/core/frame.js';
import { createJoin, decodeJoin } from '../../../../src/core/space/join-record.js';
import { entryDigest, rosterHash } from '../../../../src/core/space/roster.js';
import {
  decodeSpaceReport,
  encodeSpaceReport,
  type Entry,
  type SpaceReport,
} from '../../../../src/core/space/space-frame.js';
import { joinedDigest, nextLogHash, viewHash } from '../../../../src/core/space/space-log.js';
import {
  decodeSpaceMessage,
  encodeHeader,
  encodeSpaceMessage,
  HEADER_LENGTH,
  type MessageHeader,
} from '../../../../src/core/space/space-message.js';
import { flipped } from '../../../support/fuzz.js';
import { type EndOptions, RELAY_KEY, SPACE, SpaceEnd, SpaceWorld } from '../../../support/space-world.js';
import { seededCrypto } from '../../../support/virtual-network.js';

const crypto = seededCrypto('lies');
const PLACE = { relayKey: RELAY_KEY, name: SPACE };

type Of<Type extends SpaceReport['type']> = SpaceReport & { readonly type: Type };

/** What `victim` is told instead of what the relay would tell it: undefined leaves it as it is. */
function lie(
  world: SpaceWorld,
  victim: SpaceEnd | 'all',
  change: (report: SpaceReport, end: SpaceEnd) => readonly SpaceReport[] | undefined,
): void {
  world.relay.toMember = (end, bytes) => {
    const frame = decodeFrame(bytes.slice());
    if ((victim !== 'all' && end !== victim) || frame.type !== 'space') return [bytes];
    const changed = change(decodeSpaceReport(frame.operation, frame.body), end);
    return changed?.map(report => encodeSpaceReport(frame.membership, report)) ?? [bytes];
  };
}

function truth(world: SpaceWorld): void {
  world.relay.toMember = (_, bytes) => [bytes];
}

const failure = (end: SpaceEnd): string | undefined => end.of('failed')[0]?.error.code;
const losses = (end: SpaceEnd): string[] => end.of('lost').map(({ reason }) => reason);

/** Somebody who is in nobody's roster but that which the relay makes up. */
function stranger(): { end: SpaceEnd; entry: Entry } {
  const end = new SpaceEnd(77, 'stranger');
  const join = createJoin(end.identity, PLACE, new Uint8Array(16).fill(0x77), 5);
  return { end, entry: { number: 999, connectionId: 999, away: false, join } };
}

/** ENTERED for a roster and an order of the relay's own making, which nothing contradicts. */
function consistent(entered: Of<'entered'>, entries: readonly Entry[]): Of<'entered'> {
  const digests = entries.map(({ number, join }) => entryDigest(crypto, number, join));
  const hash = rosterHash(crypto, entered.epoch, entered.version, digests);
  const own = entries.find(({ number }) => number === entered.number) as Entry;
  const { before = new Uint8Array(32), version, offset } = entered;
  const digest = joinedDigest(crypto, version, hash, own.number, own.join);
  return { ...entered, rosterHash: hash, logHash: nextLogHash(crypto, before, offset, digest) };
}

/** Lets `end` in with other members than there are. */
function shows(change: (entries: Entry[]) => Entry[]): (report: SpaceReport) => SpaceReport[] | undefined {
  let entries: Entry[] = [];
  return report => {
    if (report.type === 'roster') {
      entries = change([...report.entries]);
      return [{ type: 'roster', entries }];
    }
    return report.type === 'entered' ? [consistent(report as Of<'entered'>, entries)] : undefined;
  };
}

function enterLate(world: SpaceWorld, change: (report: SpaceReport) => SpaceReport[] | undefined): SpaceEnd {
  const end = new SpaceEnd(9, 'late');
  world.ends.push(end);
  lie(world, end, change);
  world.attach(end);
  world.settle();
  truth(world);
  return end;
}

const KINDS: readonly (readonly [string, EndOptions])[] = [
  ['wrapped keys', { senderKeyMembers: 1_000, senderKeyRate: 1_000 }],
  ['sender keys', { senderKeyMembers: 1 }],
];

function two(options: EndOptions = {}) {
  const world = new SpaceWorld();
  const [a, b] = [world.join(1, options), world.join(2, options)];
  return { world, a, b };
}

describe('of who is in the space', () => {
  it.each([
    ['a signature that is none', (join: Uint8Array) => flipped(join.length - 1)(join)],
    ['another member id than was signed', (join: Uint8Array) => flipped(3)(join)],
    ['another signing key', (join: Uint8Array) => flipped(60)(join)],
  ])('a joining with %s', (_, change) => {
    const { world, a } = two();
    lie(world, a, report =>
      report.type === 'joined'
        ? [{ ...report, entry: { ...report.entry, join: change(report.entry.join) } }]
        : undefined,
    );
    world.join(3);
    expect(failure(a)).toBe('ROSTER_MISMATCH');
    expect(a.of('joined')).toHaveLength(1);
  });

  it.each([
    ['space', { ...PLACE, name: 'another' }],
    ['relay', { ...PLACE, relayKey: new Uint8Array(32).fill(8) }],
  ])('a joining of another %s', (_, place) => {
    const { world, a } = two();
    lie(world, a, report => {
      if (report.type !== 'joined') return undefined;
      const join = createJoin(new SpaceEnd(3, 'x').identity, place, new Uint8Array(16).fill(3), 1);
      return [{ ...report, entry: { ...report.entry, join } }];
    });
    world.join(3);
    expect(failure(a)).toBe('ROSTER_MISMATCH');
  });

  it('somebody whom only one member is shown when it enters', () => {
    const { world, a } = two();
    const { entry } = stranger();
    const late = enterLate(
      world,
      shows(entries => [...entries, entry]),
    );
    // It is let in, and sees everybody to whom it gives keys.
    expect(late.membership.members.map(({ id }) => id)).toContain('77'.repeat(16));
    a.send('to all');
    late.send('to all but one');
    world.settle();
    expect(late.texts).toEqual([]);
    expect(a.texts).toEqual([]);
    expect(losses(late)).toEqual(['view']);
    expect(losses(a)).toEqual(['view']);
  });

  it('somebody who is kept from one member when it enters', () => {
    const { world, a, b } = two();
    const late = enterLate(
      world,
      shows(entries => entries.filter(({ number }) => number !== 2)),
    );
    a.send('for three');
    late.send('for two');
    world.settle();
    expect(late.texts).toEqual([]);
    expect(losses(late)).toEqual(['view']);
    expect(a.texts).toEqual([]);
    expect(losses(a)).toEqual(['view']);
    expect(b.texts).toEqual([`${a.tag}:for three`]);
  });

  it('somebody whom only one member is shown when it enters again', () => {
    const { world, a, b } = two();
    const { entry } = stranger();
    world.cut(b);
    a.send('gone from the history');
    world.settle();
    world.relay.forget(Infinity);
    let entries: Entry[] = [];
    lie(world, b, report => {
      if (report.type === 'roster') return [{ ...report, entries: (entries = [...report.entries, entry]) }];
      if (report.type !== 'entered') return undefined;
      const digests = entries.map(({ number, join }) => entryDigest(crypto, number, join));
      return [{ ...report, rosterHash: rosterHash(crypto, report.epoch, report.version, digests) }];
    });
    world.attach(b);
    world.settle();
    expect(failure(b)).toBe('ROSTER_MISMATCH');
  });

  it('somebody whom only one member is shown when it has missed that others came', () => {
    const { world, a, b } = two();
    const { entry } = stranger();
    world.cut(b);
    const c = world.join(3);
    world.relay.forget(Infinity);
    let entries: Entry[] = [];
    lie(world, b, report => {
      if (report.type === 'roster') return [{ ...report, entries: (entries = [...report.entries, entry]) }];
      if (report.type !== 'entered') return undefined;
      const digests = entries.map(({ number, join }) => entryDigest(crypto, number, join));
      return [{ ...report, rosterHash: rosterHash(crypto, report.epoch, report.version, digests) }];
    });
    world.attach(b);
    world.settle();
    truth(world);
    // The order is what it should be, and who is in the space is not.
    a.send('from a');
    b.send('from b');
    world.settle();
    expect(b.texts).toEqual([]);
    expect(losses(b)).toEqual(['view']);
    for (const end of [a, c]) expect(losses(end)).toContain('view');
  });

  it('us, under the number of another, when we enter again', () => {
    const { world, a, b } = two();
    world.cut(b);
    a.send('gone from the history');
    world.settle();
    world.relay.forget(Infinity);
    lie(world, b, report => (report.type === 'entered' ? [{ ...report, number: 1 }] : undefined));
    world.attach(b);
    world.settle();
    expect(failure(b)).toBe('ROSTER_MISMATCH');
  });

  it('one joining to this member, another to that', () => {
    const { world, a, b } = two();
    const { entry } = stranger();
    lie(world, b, report => (report.type === 'joined' ? [{ ...report, entry }] : undefined));
    const c = world.join(3);
    truth(world);
    a.send('hello');
    world.settle();
    expect(c.texts).toEqual([`${a.tag}:hello`]);
    expect(b.texts).toEqual([]);
    // The hash of the roster is that of another one.
    expect(failure(b)).toBe('ROSTER_MISMATCH');
  });

  it.each([
    ['version', (report: Of<'joined'>) => ({ ...report, version: report.version + 1 })],
    ['hash', (report: Of<'joined'>) => ({ ...report, rosterHash: new Uint8Array(32) })],
  ])('a wrong %s of the roster', (_, change) => {
    const { world, a, b } = two();
    lie(world, a, report => (report.type === 'joined' ? [change(report)] : undefined));
    world.join(3);
    truth(world);
    b.send('told under another roster');
    world.settle();
    expect(a.texts).toEqual([]);
    expect(failure(a)).toBe('ROSTER_MISMATCH');
  });

  it('the leaving of somebody who is here, to one member', () => {
    const { world, a, b } = two();
    const c = world.join(3);
    lie(world, a, report => {
      if (report.type !== 'message') return undefined;
      const { offset } = report;
      const { version } = world.relay;
      const hash = new Uint8Array(32);
      return [{ type: 'left', offset, version: version + 1, rosterHash: hash, number: 3, reason: 'left' }];
    });
    c.send('one');
    world.settle();
    truth(world);
    b.send('two');
    world.settle();
    expect(a.texts).toEqual([]);
    expect(failure(a)).toBe('ROSTER_MISMATCH');
  });

  it('an old joining: whoever is not there is given no keys', () => {
    const { world, a, b } = two();
    const c = world.join(3);
    a.send('with three');
    world.settle();
    world.leave(c);
    const had = c.texts.length;
    // The relay enters it again with the record that it signed then.
    const [joined] = world.relay.items.flatMap(item =>
      item.kind === 'report' && item.report.type === 'joined' && item.report.entry.number === 3
        ? [item.report]
        : [],
    );
    const join = (joined as Of<'joined'>).entry.join;
    expect(toHex(decodeJoin(join).memberId)).toBe(c.membership.id);
    world.relay.enterAgain(c, join);
    world.settle();
    expect(a.membership.members).toHaveLength(3);
    a.send('with a shadow');
    world.settle();
    world.wait(100_000);
    expect(b.texts).toEqual([`${a.tag}:with three`, `${a.tag}:with a shadow`]);
    expect(c.texts).toHaveLength(had);
    expect(failure(a)).toBeUndefined();
  });

  it('more members than a space can have', () => {
    const { world } = two();
    const { entry } = stranger();
    let told = 0;
    const late = enterLate(world, report => {
      if (report.type !== 'roster') return [];
      return Array.from({ length: 700 }, () => ({
        type: 'roster' as const,
        entries: Array.from({ length: 100 }, () => ({ ...entry, number: ++told })),
      }));
    });
    expect(failure(late)).toBe('ROSTER_MISMATCH');
  });

  it('us, under another number or with another record', () => {
    const { world } = two();
    const late = enterLate(world, report =>
      report.type === 'entered' ? [{ ...report, number: 1 }] : undefined,
    );
    expect(failure(late)).toBe('ROSTER_MISMATCH');
  });

  it('an order in which we have not entered', () => {
    const { world } = two();
    const late = enterLate(world, report =>
      report.type === 'entered' ? [{ ...report, before: new Uint8Array(32) }] : undefined,
    );
    expect(failure(late)).toBe('ROSTER_MISMATCH');
  });

  it('who is present', () => {
    const { world, a } = two();
    lie(world, a, report =>
      report.type === 'roster' ? [{ ...report, entries: report.entries.slice(1) }] : undefined,
    );
    a.membership.who();
    world.settle();
    expect(failure(a)).toBe('ROSTER_MISMATCH');
  });
});

describe.each(KINDS)('of what was said, with %s', (_, options) => {
  /** `b` is told something else of the second of three messages of `a`. */
  function altered(change: (report: Of<'message'>, world: SpaceWorld) => SpaceReport[]) {
    const { world, a, b } = two(options);
    const c = world.join(3, options);
    a.send('one');
    world.settle();
    lie(world, b, report => (report.type === 'message' ? change(report, world) : undefined));
    a.send('two');
    world.settle();
    truth(world);
    a.send('three');
    world.settle();
    world.wait(20_000);
    expect(c.texts).toEqual(['one', 'two', 'three'].map(text => `${a.tag}:${text}`));
    return { world, a, b };
  }

  const inHeader = (change: (header: MessageHeader) => MessageHeader) => (report: Of<'message'>) => {
    const { header, body, signature } = decodeSpaceMessage(report.message);
    return [{ ...report, message: encodeSpaceMessage(encodeHeader(change(header)), body, signature) }];
  };

  it.each<readonly [string, (report: Of<'message'>, world: SpaceWorld) => SpaceReport[]]>([
    ['another body', report => [{ ...report, message: flipped(HEADER_LENGTH + 6)(report.message) }]],
    ['another end', report => [{ ...report, message: flipped(report.message.length - 1)(report.message) }]],
    ['another sequence number', inHeader(header => ({ ...header, sequence: header.sequence + 1 }))],
    ['another generation', inHeader(header => ({ ...header, generation: header.generation + 1 }))],
    ['another iteration', inHeader(header => ({ ...header, iteration: header.iteration + 1 }))],
    ['another view', inHeader(header => ({ ...header, viewHash: new Uint8Array(32) }))],
    ['another sender', inHeader(header => ({ ...header, sender: new Uint8Array(16).fill(9) }))],
    ['no message at all', report => [{ ...report, message: new Uint8Array(7) }]],
  ])('%s: what was said is had from who said it, and the order is found to be another', (_name, change) => {
    const { a, b } = altered(change);
    // Never anything else, never twice.
    expect([['one', 'two'].map(text => `${a.tag}:${text}`)]).toContainEqual(b.texts);
    expect(losses(b)).toEqual(['view']);
  });

  it('nothing: the next message shows that one is missing', () => {
    let skipped = 0;
    const { world, a, b } = two(options);
    a.send('one');
    world.settle();
    lie(world, b, report => {
      if (report.type !== 'message') return undefined;
      if (skipped++ === 0) return [];
      return [{ ...report, offset: report.offset - 1 }];
    });
    a.send('two');
    world.settle();
    a.send('three');
    world.settle();
    world.wait(20_000);
    expect(b.texts).toEqual(['one', 'two'].map(text => `${a.tag}:${text}`));
    expect(losses(b)).toEqual(['view']);
  });

  it('the same again, in another place', () => {
    const { world, a, b } = two(options);
    lie(world, b, report =>
      report.type === 'message' ? [report, { ...report, offset: report.offset + 1 }] : undefined,
    );
    a.send('once');
    world.settle();
    expect(b.texts).toEqual([`${a.tag}:once`]);
  });

  it('the same again after the relay has started anew, and to whoever has come back', () => {
    const { world, a, b } = two(options);
    const kept: Of<'message'>[] = [];
    lie(world, b, report => {
      if (report.type === 'message') kept.push(report);
      return undefined;
    });
    a.send('once');
    world.settle();
    truth(world);
    for (const end of [a, b]) world.cut(end);
    world.relay.restart();
    for (const end of [a, b]) world.attach(end);
    world.settle();
    const { offset } = world.relay;
    for (const [n, report] of kept.entries()) {
      world.relay.send(b, encodeSpaceReport(b.membership.number, { ...report, offset: offset + 1 + n }));
    }
    world.settle();
    world.wait(60_000);
    expect(b.texts).toEqual([`${a.tag}:once`]);
    expect(kept.length).toBeGreaterThan(0);
  });

  it('what two have said, in another order to one of them', () => {
    const { world, a, b } = two(options);
    const c = world.join(3, options);
    const waiting: Of<'message'>[] = [];
    lie(world, c, report => {
      if (report.type !== 'message') return undefined;
      waiting.push(report);
      const [first, second] = waiting;
      if (!first || !second) return [];
      return waiting.length === 2
        ? [
            { ...second, offset: first.offset },
            { ...first, offset: second.offset },
          ]
        : undefined;
    });
    a.send('a');
    world.settle();
    b.send('b');
    world.settle();
    a.send('after both');
    world.settle();
    // Whoever has seen something before it spoke cannot be heard before that.
    expect(c.texts).toEqual([`${a.tag}:a`]);
    expect(losses(c)).toEqual(['view', 'view']);
  });

  it('something in the name of a member', () => {
    const { world, a, b } = two(options);
    a.send('one');
    world.settle();
    const { epoch, offset, logHash } = world.relay;
    const header = {
      kind: 1 as const,
      sender: decodeJoin(world.relay.places.get(a.membership.id)?.entry.join ?? new Uint8Array()).memberId,
      sequence: 2,
      epoch,
      seen: offset,
      version: world.relay.version,
      viewHash: viewHash(crypto, logHash, world.relay.rosterHash),
      generation: 1,
      iteration: 0,
      first: 1,
    };
    const message = encodeSpaceMessage(encodeHeader(header), new Uint8Array(40));
    const wrap = new Uint8Array(48);
    const report = { type: 'message', offset: offset + 1, wrap, message } as const;
    world.relay.send(b, encodeSpaceReport(b.membership.number, report));
    world.settle();
    world.wait(60_000);
    expect(b.texts).toEqual([`${a.tag}:one`]);
  });
});

it('the wraps of others: the message is had from who sent it', () => {
  const { world, a, b } = two({ senderKeyMembers: 1_000 });
  const c = world.join(3);
  const wraps = new Map<SpaceEnd, Uint8Array | undefined>();
  lie(world, 'all', (report, end) => {
    if (report.type !== 'message') return undefined;
    wraps.set(end, report.wrap);
    return [{ ...report, wrap: end === c ? wraps.get(b) : concat(new Uint8Array(48)) }];
  });
  a.send('one');
  world.settle();
  world.wait(20_000);
  for (const end of [b, c]) expect(end.texts).toEqual([`${a.tag}:one`]);
  for (const end of [b, c]) expect(losses(end)).toEqual([]);
});

describe('of the order', () => {
  it('another log than it was', () => {
    const { world, a } = two();
    const { offset } = world.relay;
    const report = { type: 'head', offset, logHash: new Uint8Array(32) } as const;
    world.relay.send(a, encodeSpaceReport(a.membership.number, report));
    world.settle();
    expect(failure(a)).toBe('SPACE_ORDER');
  });

  it('another log than it will be', () => {
    const { world, a, b } = two();
    const report = { type: 'head', offset: world.relay.offset + 1, logHash: new Uint8Array(32) } as const;
    world.relay.send(b, encodeSpaceReport(b.membership.number, report));
    world.settle();
    a.send('one');
    world.settle();
    expect(failure(b)).toBe('SPACE_ORDER');
  });

  it('another log when a link is resumed', () => {
    const { world, a, b } = two();
    world.cut(b);
    a.send('one');
    world.settle();
    lie(world, b, report =>
      report.type === 'entered' ? [{ ...report, logHash: new Uint8Array(32) }] : undefined,
    );
    world.attach(b);
    world.settle();
    expect(failure(b)).toBe('SPACE_ORDER');
  });

  it('that it has gone back', () => {
    const { world, a, b } = two();
    a.send('one');
    world.settle();
    world.cut(b);
    world.relay.forget(Infinity);
    a.send('two');
    world.settle();
    world.relay.forget(Infinity);
    lie(world, b, report => (report.type === 'entered' ? [{ ...report, offset: 1 }] : undefined));
    world.attach(b);
    world.settle();
    expect(failure(b)).toBe('ROSTER_MISMATCH');
  });

  it('that a message was accepted that was never sent', () => {
    const { world, a } = two();
    const report = { type: 'accepted', sequence: 1, offset: world.relay.offset + 1 } as const;
    world.relay.send(a, encodeSpaceReport(a.membership.number, report));
    world.settle();
    expect(failure(a)).toBe('ROSTER_MISMATCH');
  });

  it('that a message was accepted before it was sent', () => {
    const { world, a } = two();
    lie(world, a, report => (report.type === 'accepted' ? [{ ...report, offset: 1 }] : undefined));
    a.send('one');
    world.settle();
    expect(failure(a)).toBe('ROSTER_MISMATCH');
  });

  it('endlessly that messages were accepted: it is nothing new', () => {
    const { world, a, b } = two();
    a.send('one');
    world.settle();
    for (let n = 0; n < 1_000; n++) {
      const report = { type: 'accepted', sequence: 1, offset: n % 3 } as const;
      world.relay.send(a, encodeSpaceReport(a.membership.number, report));
    }
    world.settle();
    a.send('two');
    world.settle();
    expect(b.texts).toEqual(['one', 'two'].map(text => `${a.tag}:${text}`));
  });

  it('that nothing is kept: everything is had from those who sent it', () => {
    const { world, a, b } = two();
    let drops = 0;
    lie(world, b, report => {
      if (report.type === 'message' && drops++ % 2 === 0) return [];
      return undefined;
    });
    world.relay.forget(Infinity);
    for (let n = 0; n < 20; n++) {
      a.send(String(n));
      world.settle();
      world.relay.forget(Infinity);
    }
    world.wait(60_000);
    expect(b.texts).toEqual(Array.from({ length: 20 }, (_, n) => `${a.tag}:${String(n)}`));
    expect(losses(b)).toEqual([]);
  });

  it('again and again that a message is refused: it is not asked for keys and frames without end', () => {
    const { world, a, b } = two();
    let sent = 0;
    world.relay.refuse = () => {
      sent++;
      return 'STALE_VIEW';
    };
    a.send('one');
    world.settle();
    world.wait(60_000);
    expect(sent).toBeLessThan(40);
    world.relay.refuse = undefined;
    world.wait(10_000);
    expect(b.texts).toEqual([`${a.tag}:one`]);
  });
});
