import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { compareBytes, fromHex } from '../../src/core/bytes.js';
import { Identity } from '../../src/core/identity.js';
import { encodeServerEvent, EVENTS_TARGET } from '../../src/core/server-event.js';
import { PRESENCE_TARGET } from '../../src/core/presence.js';
import { connectionIdOf, NoticeReason, peerAddress, encodeEnvelope } from '../../src/core/frame.js';
import type { Relay, RelayClient as Client } from '../../src/relay/relay.js';
import type { RelaySpaceEvent } from '../../src/relay/relay-observer.js';
import type { ObservedEnvelope } from '../../src/relay/router.js';
import { EndpointClient } from '../support/endpoint-client.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { RelayClient } from '../support/relay-client.js';
import { ending, event, exchange, failure, outcome, relayScene } from '../support/relay-scene.js';
import { serverEvents } from '../support/server-event-log.js';

const scene = relayScene();

/** A client of `url` that is open, and what the relay's service tells it. */
async function listener(url: string | undefined, options: Parameters<typeof scene.client>[1] = {}) {
  const socket = await scene.client(url, options);
  socket.binaryType = 'arraybuffer';
  const events = serverEvents(socket);
  expect(await outcome(socket)).toBe('open');
  return { socket, events };
}

/** Everything that was told to anybody before has arrived when this has. */
async function settle(relay: Relay, ...listeners: Awaited<ReturnType<typeof listener>>[]): Promise<void> {
  for (const { socket } of listeners) relay.spaces.enter(socket.publicKey, 'settle');
  relay.emitToSpace('settle', 'the end');
  for (const { socket, events } of listeners) {
    let last: string;
    do last = await events.next();
    while (last !== 'settle: the end');
    relay.spaces.leave(socket.publicKey, 'settle');
  }
}

describe('events to users', () => {
  it('reach every client of a user, and nobody else', async () => {
    const relay = await scene.relay({ userIds: 'claimed' });
    const { url } = await scene.echo(relay);
    const phone = await listener(url, { userId: 'alice' });
    const laptop = await listener(url, { userId: 'alice' });
    const other = await listener(url, { userId: 'bob' });
    const stranger = await listener(url);

    expect(relay.emitToUsers('alice', 'hello')).toBe(2);
    expect(relay.emitToUsers(['alice', 'bob', 'alice', 'nobody', ''], Uint8Array.of(1, 2, 3))).toBe(3);
    expect(await phone.events.take(2)).toEqual([': hello', ': [1 2 3]']);
    expect(await laptop.events.take(2)).toEqual([': hello', ': [1 2 3]']);
    expect(await other.events.take(1)).toEqual([': [1 2 3]']);
    await settle(relay, phone, laptop, other, stranger);
    expect([phone, laptop, other, stranger].flatMap(({ events }) => events.pending)).toEqual([]);
  });

  it('are for users of whom whoever admits clients has said who they are', async () => {
    const relay = await scene.relay({
      admission: { decide: ({ userId }) => (userId === 'Eve' ? {} : { userId: userId.toLowerCase() }) },
    });
    const { url } = await scene.echo(relay, { userId: 'Service' });
    const alice = await listener(url, { userId: 'Alice' });
    await listener(url, { userId: 'Eve' });
    expect(relay.emitToUsers(['Alice', 'Eve', 'eve'], 'nobody')).toBe(0);
    expect(relay.emitToUsers(['alice'], 'hello')).toBe(1);
    expect(await alice.events.next()).toBe(': hello');
  });

  it('may be emitted when the client connects', async () => {
    const relay = await scene.relay({ userIds: 'claimed' });
    const { url } = await scene.echo(relay);
    relay.on('clientConnected', ({ userId }) => {
      if (userId !== undefined) relay.emitToUsers([userId], 'welcome');
    });
    const { events } = await listener(url, { userId: 'alice' });
    expect(await events.next()).toBe(': welcome');
  });

  it('are heard by every socket over the connection, and by none that is closed', async () => {
    const relay = await scene.relay({ userIds: 'claimed' });
    const { url } = await scene.echo(relay);
    const options = { userId: 'alice', identity: await Identity.generate() };
    const first = await listener(url, options);
    const second = await listener(url, options);
    expect(relay.connections).toBe(2);
    expect(relay.emitToUsers(['alice'], 'both')).toBe(1);
    expect(await Promise.all([first.events.next(), second.events.next()])).toEqual([': both', ': both']);

    const closed = ending(first.socket);
    first.socket.close();
    relay.emitToUsers(['alice'], 'one');
    expect(await second.events.next()).toBe(': one');
    await closed;
    expect(first.events.pending).toEqual([]);
  });
});

describe('events to a space', () => {
  it('reach whoever is in its audience, each once and in order', async () => {
    const relay = await scene.relay();
    const { url } = await scene.echo(relay);
    const [alice, bob, eve] = [await listener(url), await listener(url), await listener(url)];
    expect(relay.emitToSpace('room', 'too early')).toBe(0);
    expect(relay.spaces.enter(alice.socket.publicKey, 'room')).toBe(1);
    relay.spaces.enter(bob.socket.publicKey, 'room');
    relay.spaces.enter(eve.socket.publicKey, 'elsewhere');

    const numbers = Array.from({ length: 3_000 }, (_, n) => `room: ${String(n)}`);
    for (let n = 0; n < 3_000; n++) expect(relay.emitToSpace('room', String(n))).toBe(2);
    expect(await alice.events.take(3_000)).toEqual(numbers);
    expect(await bob.events.take(3_000)).toEqual(numbers);

    relay.spaces.leave(bob.socket.publicKey, 'room');
    expect(relay.emitToSpace('room', 'alone')).toBe(1);
    expect(await alice.events.next()).toBe('room: alone');
    await settle(relay, alice, bob, eve);
    expect([alice, bob, eve].flatMap(({ events }) => events.pending)).toEqual([]);
    expect(() => relay.emitToSpace('no/name', '')).toThrow('name of a space');
  });

  it('reach its members, and with them what else they have to do with the relay', async () => {
    const relay = await scene.relay();
    const { url } = await scene.echo(relay);
    const entered: RelaySpaceEvent[] = [];
    relay.on('spaceEntered', member => entered.push(member));
    const left = event(relay, 'spaceLeft');
    const identity = await Identity.generate();
    const options = { identity, deviceId: 'phone' };
    const member = await listener(`${relay.url}/space/room`, options);
    const elsewhere = await listener(`${relay.url}/space/elsewhere`, options);
    const peer = await listener(url, options);
    const other = await listener(`${relay.url}/space/elsewhere`);
    expect(entered.map(({ space, publicKey, deviceId }) => [space, publicKey, deviceId])).toEqual([
      ['room', identity.publicKey, 'phone'],
      ['elsewhere', identity.publicKey, 'phone'],
      ['elsewhere', other.socket.publicKey, undefined],
    ]);

    expect(relay.emitToSpace('room', 'for the room')).toBe(1);
    expect(relay.emitToSpace('elsewhere', 'for those who are elsewhere')).toBe(2);
    expect(await member.events.next()).toBe('room: for the room');
    expect(await elsewhere.events.next()).toBe('elsewhere: for those who are elsewhere');
    expect(await peer.events.take(2)).toEqual([
      'room: for the room',
      'elsewhere: for those who are elsewhere',
    ]);
    expect(await other.events.next()).toBe('elsewhere: for those who are elsewhere');

    member.socket.close();
    expect(await left).toMatchObject([
      { space: 'room', publicKey: identity.publicKey, deviceId: 'phone' },
      'left',
    ]);
    expect(relay.emitToSpace('room', 'for nobody')).toBe(0);
    expect([member, elsewhere, peer, other].flatMap(({ events }) => events.pending)).toEqual([]);
  });

  it('may be large, and are at most 1 MiB', async () => {
    const relay = await scene.relay();
    const { url } = await scene.echo(relay);
    const { socket, events } = await listener(url);
    relay.spaces.enter(socket.publicKey, 'room');
    const large = 'x'.repeat(1_048_576);
    expect(relay.emitToSpace('room', large)).toBe(1);
    expect(await events.next()).toBe(`room: ${large}`);
    expect(() => relay.emitToSpace('room', `${large}x`)).toThrow('1048576 bytes');
  });
});

describe('what a relay forwards of its own events', () => {
  it('cannot be read, and is one record for what was emitted in one turn', async () => {
    const envelopes: ObservedEnvelope[] = [];
    const relay = await scene.relay({
      onEnvelope: envelope => {
        envelopes.push(envelope);
      },
    });
    const { url } = await scene.echo(relay);
    const { socket, events } = await listener(url);
    relay.spaces.enter(socket.publicKey, 'room');
    relay.emitToSpace('room', 'first');
    expect(await events.next()).toBe('room: first');

    envelopes.length = 0;
    for (let n = 0; n < 200; n++) relay.emitToSpace('room', `the secret number ${String(n)}`);
    expect((await events.take(200)).at(-1)).toBe('room: the secret number 199');
    const told = envelopes.filter(
      ({ from }) => compareBytes(from.subarray(0, 32), fromHex(relay.publicKey)) === 0,
    );
    expect(told).toHaveLength(1);
    expect(told[0]?.size).toBeGreaterThan(200 * 'the secret number 1'.length);
    for (const { body } of envelopes) {
      expect(Buffer.from(body).includes('secret')).toBe(false);
      expect(Buffer.from(body).includes('room')).toBe(false);
    }
  });

  it('makes a relay no peer of anybody who does not hear from it', async () => {
    const relay = await scene.relay();
    const client = await RelayClient.connect(relay.url);
    relay.spaces.enter(client.identity.publicKey, 'room');
    expect(relay.emitToSpace('room', 'hello')).toBe(1);
    const offer = await client.frames.next();
    if (offer.type !== 'envelope') throw new Error(`got a ${offer.type}`);
    const own = fromHex(relay.publicKey);
    expect(compareBytes(offer.address.subarray(0, 32), own)).toBe(0);
    expect(connectionIdOf(offer.address)).not.toBe(0);

    // Nothing is offered at its key.
    client.send(encodeEnvelope(peerAddress(own, 0), Uint8Array.of(1, 2, 3)));
    expect(await client.frames.next()).toMatchObject({ type: 'notice', reason: NoticeReason.REFUSED });
    expect(relay.connections).toBe(1);
    expect(relay.snapshot().connections).toBe(1);
  });
});

describe('who may not', () => {
  it('is any other client that would say something in the name of the relay', async () => {
    const relay = await scene.relay();
    const identity = await Identity.generate();
    // It listens, so that it can be reached, and hears events over the same connection.
    const victim = await scene.echo(relay, { identity });
    const { url } = await scene.echo(relay);
    const { socket, events } = await listener(url, { identity });
    expect(relay.connections).toBe(2);
    let connections = 0;
    victim.on('connection', () => connections++);

    const attacker = await EndpointClient.listen(relay.url);
    const to = peerAddress(fromHex(identity.publicKey), 0);
    const channel = attacker.endpoint.open(to, { target: EVENTS_TARGET, protocols: [] }, performance.now());
    channel.send(encodeServerEvent('', 'fake'), false);
    attacker.pump();
    const end = await attacker.events.next();
    expect(end).toMatchObject({ type: 'closed', error: { code: 'CHANNEL_REFUSED' } });
    expect(connections).toBe(0);

    relay.spaces.enter(socket.publicKey, 'room');
    relay.emitToSpace('room', 'true');
    expect(await events.next()).toBe('room: true');
    expect(events.pending).toEqual([]);
  });

  it('is anybody who would open what is reserved, at a peer or at the relay', async () => {
    const relay = await scene.relay({ presence: true });
    const server = await scene.echo(relay);
    let connections = 0;
    server.on('connection', () => connections++);
    for (const target of [EVENTS_TARGET, PRESENCE_TARGET, '/.secure-websocket/else', '/.secure-websocket/']) {
      for (const key of [server.publicKey ?? '', relay.publicKey]) {
        if (key === relay.publicKey && target === PRESENCE_TARGET) continue;
        const socket = await scene.client(`${relay.url}/${key}${target}?x=1`);
        expect(await failure(socket), target).toMatchObject({ code: 'CHANNEL_REFUSED' });
      }
    }
    expect(connections).toBe(0);
  });
});

describe('a client that is away', () => {
  it('misses what is emitted meanwhile, and hears what is emitted when it is back', async () => {
    // The service is on the other side, where nothing fails.
    const [proxy, other] = [await FaultyProxy.start(1), await FaultyProxy.start(1)];
    scene.after(() => Promise.all([proxy.close(), other.close()]));
    const urlOf = ({ port }: FaultyProxy): string => `ws://127.0.0.1:${String(port)}`;
    const relay = await scene.relay({ userIds: 'claimed', addresses: [proxy, other].map(urlOf) });
    for (const each of [proxy, other]) each.retarget((relay.address() as AddressInfo).port);
    const { publicKey = '' } = await scene.echo(urlOf(other));
    const { socket, events } = await listener(`${urlOf(proxy)}/${publicKey}`, {
      userId: 'alice',
      reconnect: { minDelay: 0, maxDelay: 10 },
    });
    for (let round = 0; round < 3; round++) {
      expect(relay.emitToUsers(['alice'], `here ${String(round)}`)).toBe(1);
      expect(await events.next()).toBe(`: here ${String(round)}`);
      const gone = event(relay, 'clientDisconnected');
      proxy.refusing = true;
      proxy.cut();
      await gone;
      expect(relay.emitToUsers(['alice'], 'away')).toBe(0);
      const back = event(relay, 'clientConnected');
      proxy.refusing = false;
      expect((await back)[0]).toMatchObject({ userId: 'alice', publicKey: socket.publicKey });
    }
    expect(await exchange(socket, 'still the same')).toBe('still the same');
    expect(relay.emitToUsers(['alice'], 'at last')).toBe(1);
    expect(await events.next()).toBe(': at last');
    expect(events.pending).toEqual([]);
  });
});

describe('a client that does not read', () => {
  it('costs others nothing, and the relay a bounded queue', async () => {
    const relay = await scene.relay();
    const { url } = await scene.echo(relay);
    const { socket, events } = await listener(url);
    // It never answers the handshake of the relay.
    const deaf = await RelayClient.connect(relay.url);
    relay.spaces.enter(deaf.identity.publicKey, 'room');
    relay.spaces.enter(socket.publicKey, 'room');

    const text = 'x'.repeat(1_000);
    const counts = new Map<number, number>();
    for (let n = 0; n < 4_000; n++) {
      const count = relay.emitToSpace('room', text);
      counts.set(count, (counts.get(count) ?? 0) + 1);
      if (n % 100 === 99) await events.take(100);
    }
    // 1 MiB of it waits for the one that is deaf.
    expect(counts.get(2)).toBeGreaterThan(900);
    expect(counts.get(2)).toBeLessThan(1_100);
    expect(counts.get(1)).toBe(4_000 - (counts.get(2) ?? 0));
    const { serverEvents: sent, serverEventDrops: dropped, serverEventBytes: waiting } = relay.snapshot();
    expect({ sent, dropped }).toEqual({ sent: 4_000, dropped: counts.get(1) });
    expect(waiting).toBeLessThanOrEqual(1_048_576);

    const gone = event(relay, 'disconnection');
    deaf.ws.close();
    await gone;
    expect(relay.snapshot()).toMatchObject({ serverEventBytes: 0, serverEventDrops: 4_000 });
  });
});

describe('rules about who may reach whom', () => {
  it('do not come between a relay and its clients', async () => {
    const asked = new Set<string>();
    const relay = await scene.relay({
      userIds: 'claimed',
      reach: {
        decide: ({ from, to }) => {
          asked.add(from).add(to);
          return from !== relay.publicKey && to !== relay.publicKey;
        },
      },
    });
    const { url, publicKey = '' } = await scene.echo(relay);
    const { socket, events } = await listener(url, { userId: 'alice' });
    relay.emitToUsers(['alice'], 'hello');
    expect(await events.next()).toBe(': hello');
    expect(asked).toEqual(new Set([socket.publicKey, publicKey]));
  });
});

describe('what is known of a client', () => {
  it('is its user, its device and its key', async () => {
    const relay = await scene.relay({ userIds: 'claimed' });
    const { url } = await scene.echo(relay);
    const told: unknown[] = [];
    relay.on('connection', client => told.push(client));
    const connected = event(relay, 'clientConnected');
    const { socket } = await listener(url, { userId: 'alice', deviceId: 'phone' });
    const [client] = (await connected) as [Client];
    expect(client).toEqual({
      publicKey: socket.publicKey,
      connectionId: expect.any(Number) as number,
      remoteAddress: '127.0.0.1',
      userId: 'alice',
      deviceId: 'phone',
    });
    expect(told).toEqual([client]);
    expect(relay.isPresent(socket.publicKey)).toBe(true);
    const gone = event(relay, 'clientDisconnected');
    socket.close();
    expect(await gone).toEqual([client, expect.any(Number)]);
    expect(relay.isPresent(socket.publicKey)).toBe(false);
  });
});

it('is silent before it listens and once it is closed', async () => {
  const relay = await scene.relay({ userIds: 'claimed', presence: true });
  const { url } = await scene.echo(relay);
  const { socket, events } = await listener(url, { userId: 'alice' });
  relay.emitToUsers(['alice'], 'hello');
  expect(await events.next()).toBe(': hello');
  const closed = ending(socket);
  await relay.close();
  expect(relay.emitToUsers(['alice'], 'too late')).toBe(0);
  expect(relay.emitToSpace('room', 'too late')).toBe(0);
  await closed;
});
