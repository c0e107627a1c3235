// What a member can do that it should not: it harms nobody but itself.
import { describe, expect, it } from 'vitest';
import { concat, utf8 } from '../../../../src/core/bytes.js';
import { createInvitation } from '../../../../src/core/space/invitation.js';
import { decodePacket, encodePacket, type Packet } from '../../../../src/core/space/key-packet.js';
import { encodeHeader, encodeSpaceMessage } from '../../../../src/core/space/space-message.js';
import { Opcode, RecordWriter } from '../../../../src/core/record.js';
import { type EndOptions, SPACE, SpaceEnd, SpaceWorld } from '../../../support/space-world.js';

const losses = (end: SpaceEnd): string[] => end.of('lost').map(({ reason }) => reason);

function three(options: EndOptions = {}) {
  const world = new SpaceWorld();
  const [a, b, m] = [world.join(1, options), world.join(2, options), world.join(3, options)];
  /** The third one says something to another, alone. */
  const say = (to: SpaceEnd, packet: Packet): void => {
    to.membership.peerMessage(m.membership.id, encodePacket(packet), world.now);
    world.settle();
  };
  /** All three can still be heard by those who behave. */
  const expectWell = (): void => {
    const had = b.texts.length;
    a.send('still here');
    world.settle();
    world.wait(10_000);
    expect(b.texts.slice(had)).toContain(`${a.tag}:still here`);
    for (const end of [a, b]) expect(end.of('failed')).toEqual([]);
  };
  return { world, a, b, m, say, expectWell };
}

const record = (sequence: number, text: string): Uint8Array => {
  const writer = new RecordWriter(1_000);
  writer.item(Opcode.TEXT, true, utf8(text));
  return writer.finish({ channelId: 0, sequenced: true, opener: false, sequence, acknowledgement: 0 });
};

const key = (generation: number, first: number): Packet => ({
  type: 'key',
  kind: 1,
  generation,
  first,
  key: new Uint8Array(32).fill(generation),
});

/** What `end` says through channels, without its being delivered. */
function packetsOf(end: SpaceEnd, world: SpaceWorld): Packet[] {
  return end.membership
    .takePackets(world.now)
    .flatMap(({ packets }) => packets.map(bytes => decodePacket(bytes)));
}

describe('a member that lies', () => {
  it('gives keys and texts in its own name only', () => {
    const { world, a, b, m, say, expectWell } = three();
    a.send('one');
    world.settle();
    say(b, key(2, 1));
    say(b, { type: 'missed', sequence: 1, plaintext: record(1, 'of its own') });
    say(b, { type: 'missed', sequence: 3, plaintext: record(2, 'with the number of another') });
    say(b, { type: 'missed', sequence: 2, plaintext: record(2, 'second') });
    expect(b.texts).toEqual([`${a.tag}:one`, `${m.tag}:of its own`, `${m.tag}:second`]);
    expect(losses(b)).toEqual(['unreadable']);
    expectWell();
  });

  it('names ranges without end: they end at once, and cost one packet', () => {
    const { world, a, b, m, say, expectWell } = three();
    for (let n = 0; n < 50; n++) a.send(String(n));
    world.settle();
    world.connects = (from, to) => from !== m && to !== m;
    const started = performance.now();
    say(b, key(1, 1));
    say(b, { type: 'head', sequence: Number.MAX_SAFE_INTEGER });
    say(b, { type: 'lost', from: 1, to: Number.MAX_SAFE_INTEGER });
    say(b, { type: 'want', from: 1, to: Number.MAX_SAFE_INTEGER });
    expect(performance.now() - started).toBeLessThan(5_000);
    world.connects = () => true;
    expectWell();
  });

  it('asks for the same again and again: it gets it a few times, and nobody waits for that', () => {
    const { world, a, m, expectWell } = three();
    a.send('x'.repeat(100_000));
    world.settle();
    packetsOf(a, world);
    let bytes = 0;
    let packets = 0;
    for (let n = 0; n < 2_000; n++) {
      world.now += 50;
      const want = encodePacket({ type: 'want', from: 1, to: Number.MAX_SAFE_INTEGER });
      a.membership.peerMessage(m.membership.id, want, world.now);
      for (const packet of packetsOf(a, world)) {
        packets++;
        if (packet.type === 'missed') bytes += packet.plaintext.length;
      }
    }
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(1_000_000);
    expect(packets).toBeLessThan(1_000);
    expectWell();
  });

  it('is not given what was not meant for it', () => {
    const { world, a, m } = three();
    world.leave(m);
    a.send('without it');
    world.settle();
    const back = new SpaceEnd(3, 'end 2');
    expect(back.membership.id).toBe(m.membership.id);
    world.ends.splice(world.ends.indexOf(m), 1, back);
    world.attach(back);
    world.settle();
    a.send('with it');
    world.settle();
    const want = encodePacket({ type: 'want', from: 1, to: 100 });
    a.membership.peerMessage(back.membership.id, want, world.now);
    const told = packetsOf(a, world);
    expect(told.filter(({ type }) => type === 'missed')).toHaveLength(1);
    expect(told).toContainEqual({ type: 'lost', from: 1, to: 1 });
  });

  it('sends what is no message, no packet, no record', () => {
    const { world, a, b, m, say, expectWell } = three();
    b.membership.peerMessage(m.membership.id, Uint8Array.of(99, 1, 2), world.now);
    b.membership.peerMessage(m.membership.id, new Uint8Array(0), world.now);
    say(b, key(1, 1));
    say(b, { type: 'missed', sequence: 1, plaintext: new Uint8Array(5) });
    say(b, { type: 'missed', sequence: 2, plaintext: concat(record(2, 'x'), Uint8Array.of(0xff)) });
    say(b, { type: 'missed', sequence: 3, plaintext: record(3, 'well') });
    expect(b.texts).toEqual([`${m.tag}:well`]);
    expect(losses(b)).toEqual(['unreadable', 'unreadable']);
    expect(a.of('failed')).toEqual([]);
    expectWell();
  });

  it('continues what it has not begun, and begins what it does not end', () => {
    const { b, m, say, expectWell } = three();
    const of = (sequence: number, ...items: readonly (readonly [Opcode, boolean, string])[]): Uint8Array => {
      const writer = new RecordWriter(10_000);
      for (const [opcode, fin, text] of items) writer.item(opcode, fin, utf8(text));
      return writer.finish({ channelId: 0, sequenced: true, opener: false, sequence, acknowledgement: 0 });
    };
    const long = 'y'.repeat(2_000);
    say(b, key(1, 1));
    const records = [
      of(1, [Opcode.CONTINUATION, true, 'the end of something'], [Opcode.TEXT, true, 'one']),
      of(2, [Opcode.TEXT, false, long]),
      of(3, [Opcode.TEXT, true, 'two']),
      of(4, [Opcode.TEXT, false, long]),
      of(5, [Opcode.CONTINUATION, true, 'z'], [Opcode.TEXT, true, 'three']),
    ];
    for (const [i, plaintext] of records.entries()) say(b, { type: 'missed', sequence: i + 1, plaintext });
    expect(b.texts).toEqual(['one', 'two', `${long}z`, 'three'].map(text => `${m.tag}:${text}`));
    expect(losses(b)).toEqual(['unreadable']);
    expectWell();
  });

  it('floods with keys, heads and messages that nobody can read: what is kept of it is bounded', () => {
    const { world, b, m, say, expectWell } = three();
    for (let n = 1; n <= 2_000; n++) say(b, key(n, 1));
    for (let n = 0; n < 2_000; n++) say(b, { type: 'head', sequence: n });
    for (let n = 0; n < 300; n++) {
      const plaintext = new Uint8Array(100_000);
      b.membership.peerMessage(
        m.membership.id,
        encodePacket({ type: 'missed', sequence: 5 + n, plaintext }),
        0,
      );
    }
    world.settle();
    expectWell();
  });

  it('speaks under keys that it never gives: that is let go of after a while', () => {
    const { world, b, m, expectWell } = three();
    world.connects = (from, to) => from !== m && to !== m;
    m.send('nobody has the keys');
    world.settle();
    world.wait(149_000);
    // As long as it may keep them, it may give them.
    expect(losses(b)).toEqual([]);
    world.wait(2_000);
    expect(b.texts).toEqual([]);
    expect(losses(b)).toEqual(['unreadable']);
    expectWell();
  });

  it('says that it has seen what it has not', () => {
    const { world, a, b, m, expectWell } = three();
    a.send('x');
    world.settle();
    const { epoch, offset, version } = world.relay;
    const sender = Buffer.from(m.membership.id, 'hex');
    const view = { epoch, version, viewHash: new Uint8Array(32), generation: 1, iteration: 0, first: 1 };
    const header = encodeHeader({ kind: 1, sender, sequence: 1, seen: offset + 50, ...view });
    const message = encodeSpaceMessage(header, new Uint8Array(40));
    world.relay.place(m, message);
    world.settle();
    expect(b.texts).toEqual([`${a.tag}:x`]);
    expectWell();
  });
});

describe('with admins', () => {
  const admin = new SpaceEnd(50, 'admin').identity;
  const admins = new Set([admin.signingKey]);
  const keyOf = (identity: number) => new SpaceEnd(identity, 'x').identity.publicKeyBytes;
  const invited = (identity: number, expires = 0): EndOptions => ({
    admins,
    invitation: createInvitation(admin, SPACE, keyOf(identity), expires),
  });

  it.each<readonly [string, EndOptions]>([
    ['no invitation', { admins }],
    ['the invitation of another', { admins, invitation: createInvitation(admin, SPACE, keyOf(2), 0) }],
    ['an invitation to another space', { admins, invitation: createInvitation(admin, 'x', keyOf(3), 0) }],
    [
      'an invitation by somebody else',
      { admins, invitation: createInvitation(new SpaceEnd(3, 'x').identity, SPACE, keyOf(3), 0) },
    ],
    ['an invitation that has expired', invited(3, 999_999)],
  ])('whoever has %s is given nothing, and heard by nobody', (_, options) => {
    const world = new SpaceWorld();
    const [a, b] = [world.join(1, invited(1)), world.join(2, invited(2))];
    // It believes in nobody's admins itself.
    const m = world.join(3, { ...options, admins: undefined });
    const told: string[] = [];
    const { membership } = m;
    const peerMessage = membership.peerMessage.bind(membership);
    membership.peerMessage = (member, bytes, now) => {
      told.push(member);
      peerMessage(member, bytes, now);
    };
    a.send('for those who may');
    m.send('let me in');
    world.settle();
    membership.peerMessage = peerMessage;
    a.membership.peerMessage(membership.id, encodePacket({ type: 'want', from: 1, to: 9 }), 0);
    a.membership.peerMessage(membership.id, encodePacket(key(1, 1)), 0);
    const plaintext = record(1, 'in a channel that nobody should have taken');
    a.membership.peerMessage(membership.id, encodePacket({ type: 'missed', sequence: 1, plaintext }), 0);
    world.wait(100_000);
    expect(b.texts).toEqual([`${a.tag}:for those who may`]);
    expect(m.texts).toEqual([]);
    expect(a.texts).toEqual([]);
    expect(told).toEqual([]);
    expect(a.membership.expects(m.identity.publicKey, membership.id)).toBe('no');
  });

  it('an invitation that ends takes its member out of the next message', () => {
    let clock = 1_000_000;
    const world = new SpaceWorld();
    const wallClock = () => clock;
    const a = world.join(1, { ...invited(1), wallClock });
    const b = world.join(2, { ...invited(2), wallClock });
    const c = world.join(3, { ...invited(3, 2_000_000), wallClock });
    a.send('one');
    world.settle();
    clock = 2_000_000;
    a.send('two');
    c.send('three');
    world.settle();
    world.wait(100_000);
    expect(b.texts).toEqual(['one', 'two'].map(text => `${a.tag}:${text}`));
    expect(c.texts).toEqual([`${a.tag}:one`]);
    expect(a.texts).toEqual([]);
    expect(a.membership.members.find(({ id }) => id === c.membership.id)?.admitted).toBe(false);
  });
});

it('what is cut for few readers, and sealed again for many, fits', () => {
  const world = new SpaceWorld();
  world.maxFrame = 32_768;
  const a = world.join(1);
  const b = world.join(2);
  let isRefused = true;
  world.relay.refuse = () => (isRefused ? 'STALE_VIEW' : undefined);
  a.send('x'.repeat(100_000));
  world.settle();
  const others = Array.from({ length: 8 }, (_, n) => world.join(10 + n));
  isRefused = false;
  world.wait(30_000);
  expect(a.of('failed')).toEqual([]);
  expect(b.texts).toHaveLength(1);
  for (const end of others) expect(end.of('failed')).toEqual([]);
});

it('memory of a frame may be used again', () => {
  const world = new SpaceWorld();
  const a = world.join(1);
  const late = new SpaceEnd(2, 'late');
  world.ends.push(late);
  world.attach(late);
  for (const frame of late.membership.takeFrames()) world.relay.receive(late, frame);
  for (const frame of late.inbox.splice(0)) {
    const body = frame.slice(6);
    late.membership.receive(frame[5] as number, body, 0);
    body.fill(0xee);
  }
  world.settle();
  late.send('well');
  world.settle();
  expect(a.texts).toEqual([`${late.tag}:well`]);
});
