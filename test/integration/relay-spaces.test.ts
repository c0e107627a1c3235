import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { utf8, writeUint32 } from '../../src/core/bytes.js';
import { encodeEnvelope, FrameType, NoticeReason } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { encodeSpaceReport } from '../../src/core/space/space-frame.js';
import type { Relay, RelayOptions } from '../../src/relay/relay.js';
import type { SpacesOptions } from '../../src/relay/spaces/spaces-options.js';
import { relayScene } from '../support/relay-scene.js';
import type { SpaceFollower } from '../support/space-follower.js';
import { SpaceParty } from '../support/space-party.js';

const scene = relayScene();

async function party(relay: Relay, identity?: Identity): Promise<SpaceParty> {
  const one = await SpaceParty.at(relay, identity);
  scene.after(() => {
    one.client.ws.terminate();
  });
  return one;
}

async function pair(options: Partial<RelayOptions> = {}, stay = false) {
  const relay = await scene.relay(options);
  const [a, b] = [await party(relay), await party(relay)];
  const alice = await a.enter('room', { stay });
  const bob = await b.enter('room', { stay });
  await a.until(() => alice.roster.size === 2);
  return { relay, a, b, alice, bob };
}

const texts = ({ heard }: SpaceFollower) => heard.map(({ text }) => text);

describe('a relay with spaces', () => {
  it('hands what one member says to all others, in one order', async () => {
    const { relay, a, b, alice, bob } = await pair();
    const c = await party(relay);
    const carol = await c.enter();
    const events: unknown[] = [];
    relay.on('spaceLeft', (left, reason) => events.push([left.memberId, reason]));
    for (let i = 0; i < 50; i++) {
      a.client.send(alice.say(`a${i}`));
      b.client.send(bob.say(`b${i}`));
    }
    await c.until(() => carol.heard.length === 100);
    await a.until(() => alice.offset === carol.offset);
    await b.until(() => bob.offset === carol.offset);
    expect(alice.logHash).toEqual(carol.logHash);
    expect(texts(bob)).toEqual(Array.from({ length: 50 }, (_, i) => `a${i}`));
    expect(relay.snapshot()).toMatchObject({
      spaces: 1,
      spaceMembers: 3,
      spaceMessages: 100,
      spaceDeliveries: 200,
    });

    b.client.send(bob.leave());
    await a.until(() => alice.left.length === 1);
    const left = once(relay, 'spaceLeft');
    c.client.ws.close();
    await left;
    expect(events).toMatchObject([
      [Buffer.from(bob.memberId).toString('hex'), 'left'],
      [Buffer.from(carol.memberId).toString('hex'), 'gone'],
    ]);
    a.client.send(alice.leave());
    await expect.poll(() => relay.snapshot()).toMatchObject({ spaces: 0, spaceHistoryBytes: 0 });
  });

  it('carries large messages, whole and beside others, in one copy', async () => {
    const { relay, a, b, alice, bob } = await pair();
    const c = await party(relay);
    const carol = await c.enter();
    const lengths = [1, 400, 500, 600, 5_000, 65_000, 70_000, 200_000];
    for (const [i, length] of lengths.entries()) {
      a.client.send(alice.say(`${i}`.repeat(length)));
      a.client.send(encodeEnvelope(b.client.address, utf8(`envelope ${i}`)));
    }
    for (const [one, follower] of [
      [b, bob],
      [c, carol],
    ] as const) {
      await one.until(() => follower.heard.length === lengths.length);
      expect(texts(follower)).toEqual(lengths.map((length, i) => `${i}`.repeat(length)));
    }
    await b.until(() => b.others.length === lengths.length);
    expect(b.others.map(each => each.type === 'envelope' && Buffer.from(each.body).toString())).toEqual(
      lengths.map((_, i) => `envelope ${i}`),
    );
  });

  it('keeps the place of a member, and what it misses', async () => {
    const { relay, a, b, alice, bob } = await pair({}, true);
    b.client.ws.terminate();
    await a.until(() => alice.moves.length === 1);
    expect(relay.snapshot().spaceMembersAway).toBe(1);
    a.client.send(alice.say('meanwhile', { wrapFor: [bob.number] }));
    await a.until(() => alice.accepted.length === 1);
    const back = await party(relay, bob.identity);
    await back.enterAs(bob);
    await back.until(() => bob.heard.length === 1);
    expect([bob.resumed, texts(bob)]).toEqual([1, ['meanwhile']]);
    await a.until(() => alice.moves.length === 2);
    expect(alice.moves).toMatchObject([
      { away: true },
      { away: false, connectionId: back.client.connectionId },
    ]);
  });

  it('gives the place to whoever comes back, though the old connection is still there', async () => {
    const { relay, b, bob } = await pair();
    const old = Object.assign(Object.create(Object.getPrototypeOf(bob) as object) as SpaceFollower, bob);
    const back = await party(relay, bob.identity);
    await back.enterAs(bob);
    expect(bob.resumed).toBe(1);
    await b.until(() => bob.refusals.length > 0);
    expect(old.refusals).toMatchObject([{ reason: 'REMOVED' }]);
  });

  it('is empty when it has gone down, and tells nobody of anybody', async () => {
    const { relay, a, alice } = await pair();
    const closed = a.client.closed;
    await relay.close();
    expect((await closed).code).toBe(1001);
    await expect(a.until(() => alice.left.length > 0)).rejects.toThrow('over');
  });
});

describe('whoever is not let in hears why', () => {
  const reasonOf = async (spaces: false | SpacesOptions, name = 'room') => {
    const relay = await scene.relay({ spaces });
    const follower = await (await party(relay)).enter(name);
    return follower.refusals.map(({ reason }) => reason)[0] ?? 'in';
  };

  it('from the relay', async () => {
    expect(await reasonOf(false)).toBe('SPACES_DISABLED');
    expect(await reasonOf({}, 'a/b')).toBe('SPACE_NAME_INVALID');
  });

  it('from a function', async () => {
    expect(await reasonOf({ mayEnter: () => false })).toBe('SPACE_NOT_ALLOWED');
    expect(await reasonOf({ mayEnter: () => Promise.resolve(false) })).toBe('SPACE_NOT_ALLOWED');
    expect(await reasonOf({ mayEnter: () => Promise.resolve(true) })).toBe('in');
    expect(await reasonOf({ mayEnter: () => Promise.reject(new Error('gone')) })).toBe('UNAVAILABLE');
    expect(await reasonOf({ mayEnter: () => JSON.parse('"yes"') as boolean })).toBe('UNAVAILABLE');
    const thrower = (): boolean => {
      throw new Error('broken');
    };
    expect(await reasonOf({ mayEnter: thrower })).toBe('UNAVAILABLE');
  });

  it('from somebody who is asked by HTTP', async () => {
    const questions: unknown[] = [];
    const server = createServer((request, response) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        const question = JSON.parse(Buffer.concat(chunks).toString()) as { space: string };
        questions.push({ ...question, authorization: request.headers.authorization });
        if (question.space === 'broken') response.writeHead(500).end();
        else response.end(JSON.stringify({ allow: question.space === 'open' }));
      })();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    scene.after(() => server.close());
    const hook = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, secret: 'secret' };
    expect(await reasonOf({ hook }, 'open')).toBe('in');
    expect(await reasonOf({ hook }, 'closed')).toBe('SPACE_NOT_ALLOWED');
    expect(await reasonOf({ hook }, 'broken')).toBe('UNAVAILABLE');
    expect(await reasonOf({ hook: { ...hook, failOpen: true } }, 'broken')).toBe('in');
    // Both have to agree.
    expect(await reasonOf({ hook, mayEnter: () => false }, 'open')).toBe('SPACE_NOT_ALLOWED');
    expect(questions[0]).toMatchObject({ space: 'open', ip: '127.0.0.1', authorization: 'Bearer secret' });
  });

  it('when the join is not its own', async () => {
    const relay = await scene.relay();
    const [a, b] = [await party(relay), await party(relay)];
    const alice = await a.enter();
    const thief = await b.enter('other');
    Object.assign(thief, { join: alice.join, place: alice.place, membership: 7 });
    await b.enterAs(thief, true);
    expect(thief.refusals).toMatchObject([{ reason: 'JOIN_INVALID' }]);
    expect(relay.spaces.members('room')).toHaveLength(1);
  });

  it('and it is noted', async () => {
    const lines: string[] = [];
    const audit = { sink: { write: (line: string) => void lines.push(line) } };
    const relay = await scene.relay({
      audit,
      spaces: { mayEnter: ({ space }) => space === 'open' },
      internal: { port: 0 },
    });
    const a = await party(relay);
    await a.enter('closed');
    await a.enter('open');
    relay.spaces.leave(a.client.identity.publicKey, 'open');
    const metrics = await (await fetch(`${relay.internalUrl ?? ''}/metrics`)).text();
    expect(metrics).toContain('secure_websocket_space_refusals_total{code="SPACE_NOT_ALLOWED"} 1');
    expect(metrics).toContain(
      'secure_websocket_question_duration_seconds_count{about="space",outcome="no"} 1',
    );
    await relay.close();
    const records = lines.map(line => JSON.parse(line) as Record<string, unknown>);
    const publicKey = a.client.identity.publicKey.slice(0, 8);
    expect(records).toContainEqual(
      expect.objectContaining({
        event: 'space_refused',
        space: 'closed',
        code: 'SPACE_NOT_ALLOWED',
        publicKey,
      }),
    );
    expect(records).toContainEqual(
      expect.objectContaining({
        event: 'administered',
        action: 'remove_from_space',
        detail: { publicKey, space: 'open', members: 1 },
      }),
    );
  });
});

describe('a client that does what no member does is closed', () => {
  const withMembership = (type: number, rest: readonly number[]) => {
    const frame = new Uint8Array(5 + rest.length);
    frame[0] = type;
    writeUint32(frame, 1, 1);
    frame.set(rest, 5);
    return frame;
  };

  it.each<[string, (follower: SpaceFollower) => Uint8Array]>([
    ['an unknown operation', () => withMembership(FrameType.SPACE, [0x33])],
    ['what only relays say', () => encodeSpaceReport(1, { type: 'accepted', sequence: 1, offset: 1 })],
    ['what is no JSON', () => withMembership(FrameType.SPACE, [1, 2, 3])],
    ['a message that is none', () => withMembership(FrameType.MULTICAST, [1, 2, 3])],
    ['another sender', follower => follower.say('hello', { sender: new Uint8Array(16) })],
    [
      'a number for two spaces',
      follower => Object.assign(follower, { place: { ...follower.place, name: 'b' } }).enter(true),
    ],
  ])('%s', async (_, misbehave) => {
    const relay = await scene.relay();
    const a = await party(relay);
    const follower = await a.enter();
    a.client.send(misbehave(follower));
    expect((await a.client.closed).code).toBe(1002);
    await expect.poll(() => relay.snapshot().spaceMembers).toBe(0);
  });

  it('but not for a message that is too large', async () => {
    const { relay, a, b, alice, bob } = await pair({ maxFrame: 32_768 });
    a.client.send(alice.say('x'.repeat(33_000)));
    await a.until(() => alice.refusals.length === 1);
    expect(alice.refusals).toMatchObject([{ reason: 'TOO_LARGE', sequence: 1 }]);
    a.client.send(alice.say('smaller', { sequence: 1 }));
    await b.until(() => bob.heard.length === 1);
    expect(relay.connections).toBe(2);
  });
});

describe('members reach each other past the rules', () => {
  it('as long as both are in one space', async () => {
    const asked: string[] = [];
    const reach = {
      decide: () => {
        asked.push('asked');
        return false;
      },
    };
    const { relay, a, b, bob } = await pair({ reach });
    const c = await party(relay);
    await c.enter('elsewhere');
    a.client.send(encodeEnvelope(b.client.address, utf8('hello')));
    await b.until(() => b.others.length === 1);
    expect(b.others).toMatchObject([{ type: 'envelope', body: utf8('hello') }]);
    expect(asked).toEqual([]);
    c.client.send(encodeEnvelope(b.client.address, utf8('hello')));
    await c.until(() => c.others.length === 1);
    expect(c.others).toMatchObject([{ type: 'notice', reason: NoticeReason.NOT_ALLOWED }]);

    b.client.send(bob.leave());
    await expect.poll(() => relay.spaces.members('room').length).toBe(1);
    a.client.send(encodeEnvelope(b.client.address, utf8('still there?')));
    await a.until(() => a.others.length === 1);
    expect(a.others).toMatchObject([{ type: 'notice', reason: NoticeReason.NOT_ALLOWED }]);
  });
});

describe('relay.spaces', () => {
  it('knows who is in, and puts out', async () => {
    const { relay, a, b, alice, bob } = await pair();
    expect(relay.spaces.names()).toEqual(['room']);
    expect(relay.spaces.members('room')).toMatchObject([
      { publicKey: alice.identity.publicKey, connectionId: a.client.connectionId, isAway: false },
      { publicKey: bob.identity.publicKey },
    ]);
    expect(relay.spaces.leave(bob.identity.publicKey, 'room')).toBe(1);
    await b.until(() => bob.refusals.length > 0);
    expect(bob.refusals).toMatchObject([{ reason: 'REMOVED' }]);
    await a.until(() => alice.left.length === 1);
    expect(alice.left).toEqual([{ number: 2, reason: 'removed' }]);
    relay.spaces.tellPresent();
    await a.until(() => alice.present === 1);
    expect(relay.spaces.leave(bob.identity.publicKey, 'room')).toBe(0);
  });

  it('enters connected clients for what is emitted to a space, and forgets them with their connections', async () => {
    const { relay, a } = await pair();
    const identity = await Identity.generate();
    const listeners = [await party(relay, identity), await party(relay, identity)];
    expect(relay.spaces.enter(identity.publicKey, 'room')).toBe(2);
    expect(relay.spaces.enter((await Identity.generate()).publicKey, 'room')).toBe(0);
    expect(relay.spaces.enter(a.client.identity.publicKey, 'room')).toBe(1);
    const size = () => [...relay.spaces.audience('room')].length;
    expect(size()).toBe(4);
    listeners[0]?.client.ws.terminate();
    await expect.poll(size).toBe(3);
    expect(relay.spaces.leave(identity.publicKey, 'room')).toBe(1);
    expect(size()).toBe(2);
  });

  it('refuses what is no key and no name, and knows nobody before it listens', async () => {
    const relay = await scene.relay();
    const { publicKey } = await Identity.generate();
    expect(() => relay.spaces.enter('nobody', 'room')).toThrow(
      expect.objectContaining({ code: 'INVALID_ADDRESS_LENGTH' }),
    );
    for (const call of [
      () => relay.spaces.enter(publicKey, ''),
      () => relay.spaces.leave(publicKey, 'a/b'),
      () => relay.spaces.members('..'),
      () => relay.spaces.audience(''),
      () => {
        relay.spaces.tellPresent('\n');
      },
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
    await relay.close();
    expect([relay.spaces.names(), relay.spaces.members('room')]).toEqual([[], []]);
  });

  it('may be told to put somebody out in the moment in which it enters', async () => {
    const relay = await scene.relay();
    relay.on('spaceEntered', ({ publicKey, space }) => relay.spaces.leave(publicKey, space));
    const a = await party(relay);
    const alice = await a.enter();
    await a.until(() => alice.refusals.length > 0);
    expect(alice.refusals).toMatchObject([{ reason: 'REMOVED' }]);
    expect(relay.snapshot()).toMatchObject({ spaces: 0, spaceMembers: 0 });
  });
});
