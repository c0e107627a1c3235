import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.js';
import { peerAddress } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { encodePresenceRequest, PRESENCE_TARGET } from '../../src/core/presence.js';
import type { RelayClient as Client, RelayOptions } from '../../src/relay/relay.js';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import { type PresenceWatch, watchPresence } from '../../src/socket/presence-watch.js';
import { trustStore } from '../support/dialled-peer.js';
import { EndpointClient } from '../support/endpoint-client.js';
import { EventQueue } from '../support/event-queue.js';
import { freePort } from '../support/free-port.js';
import { RelayClient } from '../support/relay-client.js';
import { event, relayScene } from '../support/relay-scene.js';

const scene = relayScene();

/** Somebody who may be present. */
interface Person {
  readonly name: string;
  readonly identity: Identity;
  readonly key: string;
}

async function people(...names: string[]): Promise<Person[]> {
  return Promise.all(
    names.map(async name => {
      const identity = await Identity.generate();
      return { name, identity, key: identity.publicKey };
    }),
  );
}

/** A watch, and what it tells: `alice present`, `closed`. */
async function watcher(
  url: string,
  who: readonly Person[],
  options: ClientSecureWebSocketOptions = {},
): Promise<{ watch: PresenceWatch; told: EventQueue<string> }> {
  const watch = watchPresence(
    url,
    who.map(({ key }) => key),
    { identity: await Identity.generate(), trustStore, ...options },
  );
  scene.after(() => {
    watch.close();
  });
  const told = new EventQueue<string>();
  watch.addEventListener('presence', ({ publicKey, state, present }) => {
    expect(present).toBe(state === 'present');
    told.push(`${who.find(({ key }) => key === publicKey)?.name ?? 'somebody'} ${state}`);
  });
  watch.addEventListener('reconnecting', () => {
    told.push('reconnecting');
  });
  watch.addEventListener('reconnected', () => {
    told.push('reconnected');
  });
  watch.addEventListener('close', ({ error }) => {
    told.push(`closed ${error?.code ?? ''}`);
  });
  return { watch, told };
}

const presentAt = (url: string, { identity }: Person): Promise<RelayClient> =>
  RelayClient.connect(url, { identity });

describe('presence', () => {
  it('follows who comes and goes', async () => {
    const relay = await scene.relay({ presence: true });
    const [alice, bob] = (await people('alice', 'bob')) as [Person, Person];
    const first = await presentAt(relay.url, alice);
    const { watch, told } = await watcher(relay.url, [alice, bob]);
    expect(await told.take(2)).toEqual(['alice present', 'bob absent']);
    expect(watch.present).toEqual(new Set([alice.key]));
    expect([alice, bob].map(({ key }) => watch.stateOf(key))).toEqual(['present', 'absent']);

    const other = await presentAt(relay.url, bob);
    expect(await told.next()).toBe('bob present');
    // Who has another connection is still there.
    const second = await presentAt(relay.url, alice);
    const gone = event(relay, 'disconnection');
    first.ws.close();
    await gone;
    other.ws.close();
    expect(await told.next()).toBe('bob absent');
    second.ws.close();
    expect(await told.next()).toBe('alice absent');
    expect(watch.present).toEqual(new Set());
    expect(relay.snapshot()).toMatchObject({ watchedKeys: 2, connections: 1 });

    watch.close();
    expect(await told.next()).toBe('closed ');
    await event(relay, 'disconnection');
    expect(relay.snapshot().watchedKeys).toBe(0);
  });

  it('can be asked for once, and for more or fewer', async () => {
    const relay = await scene.relay({ presence: true });
    const [alice, bob] = (await people('alice', 'bob')) as [Person, Person];
    await presentAt(relay.url, alice);
    const { watch, told } = await watcher(relay.url, []);
    // Also before there is a connection.
    expect([...(await watch.ask([bob.key, alice.key]))]).toEqual([
      [bob.key, 'absent'],
      [alice.key, 'present'],
    ]);
    expect(await watch.ask([])).toEqual(new Map());
    watch.add([alice.key]);
    watch.add([alice.key]);
    expect(await told.next()).toBe('somebody present');
    expect(watch.keys).toEqual(new Set([alice.key]));
    watch.remove([alice.key, bob.key]);
    expect(watch.stateOf(alice.key)).toBe('unknown');
    const client = await presentAt(relay.url, bob);
    watch.add([bob.key]);
    expect(await told.next()).toBe('somebody present');
    expect(told.pending).toEqual([]);
    client.ws.close();
    expect(await told.next()).toBe('somebody absent');
    const wait = watch.ask([alice.key]);
    watch.close();
    await expect(wait).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(watch.ask([alice.key])).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('shares the connection with sockets of the same identity', async () => {
    const relay = await scene.relay({ presence: true });
    const server = await scene.echo(relay);
    const identity = await Identity.generate();
    const socket = await scene.client(server.url, { identity });
    await new Promise(resolve => {
      socket.addEventListener('open', resolve);
    });
    const { watch } = await watcher(relay.url, [], { identity });
    const key = server.publicKey ?? '';
    expect(await watch.ask([key, identity.publicKey])).toEqual(
      new Map([
        [key, 'present'],
        [identity.publicKey, 'present'],
      ]),
    );
    expect(relay.connections).toBe(2);
  });

  it('refuses what is no key, too many keys, and a URL of something else', async () => {
    const relay = await scene.relay({ presence: true });
    const { watch } = await watcher(relay.url, []);
    const many = Array.from({ length: 1_001 }, (_, n) => (n + 0x1000).toString(16).padEnd(64, '0'));
    expect(() => watchPresence(relay.url, ['nobody'])).toThrow('64 hex characters');
    expect(() => {
      watch.add(many);
    }).toThrow('1000');
    expect(watch.keys.size).toBe(0);
    await expect(watch.ask(many)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(watch.ask(['x'])).rejects.toMatchObject({ code: 'INVALID_ADDRESS_LENGTH' });
    expect((await watch.ask(many.slice(1))).size).toBe(1_000);
    expect(() => watchPresence(`${relay.url}/${'ab'.repeat(31)}00`)).toThrow('names no peer');
    expect(() => watchPresence(`${relay.url}/space/room`)).toThrow('names no peer');
    expect(() => watchPresence('mailto:nobody')).toThrow('ws');
  });
});

describe('the policy', () => {
  it('lets nobody ask unless it says so', async () => {
    const relay = await scene.relay();
    const { watch, told } = await watcher(relay.url, await people('alice'));
    const asked = watch.ask([]);
    await expect(asked).rejects.toMatchObject({ code: 'PRESENCE_REFUSED' });
    expect(await told.next()).toBe('closed PRESENCE_REFUSED');
    expect(() => relay.isPresent('nobody')).toThrow('64 hex characters');
  });

  it('decides who may know of whom, when somebody asks and before each change', async () => {
    const [alice, bob, eve] = (await people('alice', 'bob', 'eve')) as [Person, Person, Person];
    const asked: [Client, string][] = [];
    let mayKnowEve = true;
    const presence: RelayOptions['presence'] = (asker, about) => {
      asked.push([asker, about]);
      if (about === bob.key) return Promise.reject(new Error('cannot say'));
      return about === alice.key || Promise.resolve(mayKnowEve);
    };
    const relay = await scene.relay({ presence, userIds: 'claimed' });
    const errors = new EventQueue<Error>();
    relay.on('error', error => {
      errors.push(error);
    });
    await Promise.all([presentAt(relay.url, alice), presentAt(relay.url, bob)]);
    const { watch, told } = await watcher(relay.url, [alice, bob, eve], { userId: 'me', deviceId: 'phone' });
    expect(await told.take(3)).toEqual(['alice present', 'bob unknown', 'eve absent']);
    expect(asked.map(([, about]) => about)).toEqual([alice, bob, eve].map(({ key }) => key));
    expect(asked[0]?.[0]).toMatchObject({ userId: 'me', deviceId: 'phone', remoteAddress: '127.0.0.1' });
    expect(await errors.next()).toMatchObject({ message: 'cannot say' });
    expect(await watch.ask([bob.key])).toEqual(new Map([[bob.key, 'unknown']]));

    // From now on it is told no more of her, whatever becomes of her.
    mayKnowEve = false;
    const client = await presentAt(relay.url, eve);
    expect(await told.next()).toBe('eve unknown');
    client.ws.close();
    await event(relay, 'disconnection');
    mayKnowEve = true;
    await presentAt(relay.url, eve);
    expect(await told.next()).toBe('eve present');
  });

  it('must be one', async () => {
    await expect(scene.relay({ presence: 'everybody' as never })).rejects.toThrow('"presence" is true');
    await expect(scene.relay({ userIds: 'all' as never })).rejects.toThrow('"userIds" is "admitted"');
  });
});

describe('a watch whose relay is lost', () => {
  it('goes on when it is back, and knows what has changed', async () => {
    const port = await freePort();
    const options = { identity: await Identity.generate(), port, presence: true };
    const before = await scene.relay(options);
    const [alice, bob] = (await people('alice', 'bob')) as [Person, Person];
    await presentAt(before.url, alice);
    const { watch, told } = await watcher(before.url, [alice, bob], {
      reconnect: { minDelay: 0, maxDelay: 20 },
    });
    expect(await told.take(2)).toEqual(['alice present', 'bob absent']);
    await before.close();
    expect(await told.next()).toBe('reconnecting');
    const answer = watch.ask([bob.key]);
    const after = await scene.relay(options);
    await presentAt(after.url, bob);
    let next: string;
    do next = await told.next();
    while (next === 'reconnecting');
    expect(next).toBe('reconnected');
    // As it was when it was asked, which may have been before he came.
    expect(['present', 'absent']).toContain((await answer).get(bob.key));
    while (watch.stateOf(bob.key) !== 'present' || watch.stateOf(alice.key) !== 'absent') await told.next();
  });

  it('ends when it is not to reconnect, and when the relay tells nobody any more', async () => {
    const port = await freePort();
    const options = { identity: await Identity.generate(), port };
    const before = await scene.relay({ ...options, presence: true });
    const once = await watcher(before.url, await people('alice'), { reconnect: false });
    const always = await watcher(before.url, await people('alice'), {
      reconnect: { minDelay: 0, maxDelay: 20 },
    });
    expect([await once.told.next(), await always.told.next()]).toEqual(['alice absent', 'alice absent']);
    await before.close();
    expect(await once.told.next()).toBe('closed LINK_LOST');
    await scene.relay(options);
    let next: string;
    do next = await always.told.next();
    while (next === 'reconnecting');
    expect(next).toBe('closed PRESENCE_REFUSED');
  });
});

describe('a client that asks for too much', () => {
  /** A channel of its own making. */
  async function asker(url: string, relayKey: string, count = 1) {
    const client = await EndpointClient.listen(url);
    const address = peerAddress(fromHex(relayKey), 0);
    const channels = Array.from({ length: count }, () =>
      client.endpoint.open(address, { target: PRESENCE_TARGET, protocols: [] }, performance.now()),
    );
    client.pump();
    return { client, channels };
  }

  it('may not watch more than 1,000 keys over one channel', async () => {
    const relay = await scene.relay({ presence: true });
    const { client, channels } = await asker(relay.url, relay.publicKey);
    expect(await client.events.next()).toMatchObject({ type: 'opened' });
    const keys = Array.from({ length: 1_001 }, (_, n) => n.toString(16).padStart(64, '0'));
    for (const part of [keys.slice(0, 600), keys.slice(600)]) {
      channels[0]?.send(encodePresenceRequest({ type: 'watch', keys: part }), false);
    }
    for (const channel of channels) client.endpoint.wake(channel);
    client.pump();
    expect(await client.events.next()).toMatchObject({ type: 'sent' });
    for (;;) {
      const next = await client.events.next();
      if (next.type !== 'closing') continue;
      expect(next.channel.closeReceived).toEqual({ code: 1008, reason: 'no more than 1000 keys' });
      break;
    }
  });

  it('has at most 16 channels, and is cut off when it talks nonsense', async () => {
    const relay = await scene.relay({ presence: true });
    const { client, channels } = await asker(relay.url, relay.publicKey, 17);
    const events = await client.events.take(17);
    expect(events.filter(({ type }) => type === 'opened')).toHaveLength(16);
    expect(events.find(({ type }) => type === 'closed')).toMatchObject({
      error: { code: 'CHANNEL_REFUSED' },
    });
    const open = channels.find(({ state }) => state === 'open');
    open?.send(Uint8Array.of(9), false);
    if (open) client.endpoint.wake(open);
    client.pump();
    expect(await client.events.next()).toMatchObject({ type: 'sent' });
    let next = await client.events.next();
    while (next.type !== 'closed') next = await client.events.next();
    expect(next).toMatchObject({ wasClean: false, code: 1006, error: { code: 'CHANNEL_RESET' } });
  });
});
