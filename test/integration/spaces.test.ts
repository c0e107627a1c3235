import { randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import type { SpacesOptions } from '../../src/relay/spaces/spaces-options.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { inviteToSpace } from '../../src/socket/invite-to-space.js';
import { trustStore } from '../support/dialled-peer.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { freePort } from '../support/free-port.js';
import { ending, failure, outcome, relayScene } from '../support/relay-scene.js';
import { enter, type Participant, spaceUrl, together } from '../support/space-scene.js';

vi.setConfig({ testTimeout: 30_000 });

const scene = relayScene();
const AT_ONCE = { minDelay: 0, maxDelay: 50 };

const bytes = (data: unknown): Buffer => Buffer.from(data as ArrayBuffer);

/** Those who hear `speaker`, each of `numbers` once and in order. */
async function expectAll(hearers: readonly Participant[], numbers: readonly string[]): Promise<void> {
  for (const hearer of hearers) expect(await hearer.take(numbers.length)).toEqual(numbers);
}

const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, n) => String(from + n));

describe.each([
  ['wrapped keys', {}],
  ['sender keys', { senderKeyMembers: 2 }],
])('a space, with %s', (_, space) => {
  it('carries what each member sends to all others, and says who it was', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay, { space });
    const bob = await enter(scene, relay, { space });
    const carol = await enter(scene, relay, { space });
    await together(alice, bob, carol);
    alice.socket.send('hello');
    const expected = { from: alice.socket.publicKey, member: alice.id, data: 'hello' };
    expect(await bob.messages.next()).toEqual(expected);
    expect(await carol.messages.next()).toEqual(expected);
    bob.socket.send(Uint8Array.of(1, 2, 3));
    expect(bytes((await alice.messages.next()).data)).toEqual(Buffer.of(1, 2, 3));
    expect(await carol.messages.next()).toMatchObject({ from: bob.socket.publicKey, member: bob.id });
    // Nobody hears himself.
    carol.socket.send('last');
    expect(await alice.take(1)).toEqual(['last']);
    expect(await bob.take(1)).toEqual(['last']);
    expect(alice.messages.pending).toEqual([]);
  });

  it('keeps the order of each sender, whatever the size of messages', async () => {
    const relay = await scene.relay();
    const members = [];
    for (let i = 0; i < 3; i++) members.push(await enter(scene, relay, { space }));
    const [alice, bob, carol] = members as [Participant, Participant, Participant];
    await together(...members);
    const large = randomBytes(5_000_000);
    const text = 'x'.repeat(700_000);
    alice.socket.send('before');
    alice.socket.send(large);
    alice.socket.send('between');
    alice.socket.send(text);
    alice.socket.send('');
    for (const hearer of [bob, carol]) {
      expect(await hearer.take(1)).toEqual(['before']);
      expect(bytes((await hearer.take(1))[0]).equals(large)).toBe(true);
      expect(await hearer.take(3)).toEqual(['between', text, '']);
    }
    for (const speaker of members) for (const number of numbered(500)) speaker.socket.send(number);
    for (const hearer of members) {
      const heard = await hearer.messages.take(1_000);
      for (const speaker of members) {
        if (speaker === hearer) continue;
        const its = heard.filter(({ member }) => member === speaker.id).map(({ data }) => data);
        expect(its).toEqual(numbered(500));
      }
    }
  });

  it('gives new keys when somebody leaves, and wipes those that the leaver had given', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay, { space });
    const bob = await enter(scene, relay, { space });
    const carol = await enter(scene, relay, { space });
    await together(alice, bob, carol);
    for (const speaker of [alice, bob, carol]) speaker.socket.send('hello');
    for (const hearer of [alice, bob, carol]) await hearer.messages.take(2);
    const leaver = carol.id;
    await carol.leave();
    for (const who of [alice, bob]) {
      expect(await who.next('memberleave')).toEqual({ id: leaver, detail: 'left' });
      expect(await who.next('keyswiped')).toEqual({ id: leaver, detail: 'left' });
    }
    alice.socket.send('without her');
    expect(await bob.take(1)).toEqual(['without her']);
    expect(carol.messages.pending).toEqual([]);
  });
});

describe('members of a space', () => {
  it('are told of each other', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay);
    expect(alice.socket.space).toBe('room');
    expect(alice.socket.members).toEqual([
      {
        id: alice.id,
        publicKey: alice.socket.publicKey,
        isSelf: true,
        admitted: true,
        away: false,
        joined: expect.any(Number) as number,
      },
    ]);
    const bob = await enter(scene, relay);
    expect(await alice.next('memberjoin')).toEqual({ id: bob.id, detail: false });
    expect(alice.ids).toEqual(bob.ids);
    expect(bob.socket.members.filter(({ isSelf }) => isSelf).map(({ id }) => id)).toEqual([bob.id]);
    const id = bob.id;
    await bob.leave();
    expect(await alice.next('memberleave')).toEqual({ id, detail: 'left' });
    expect(alice.ids).toEqual([alice.id]);
    expect(bob.socket.members).toEqual([]);
  });

  it('are two when one identity enters twice, over one link', async () => {
    const relay = await scene.relay();
    const identity = await Identity.generate();
    const first = await enter(scene, relay, { identity });
    const second = await enter(scene, relay, { identity });
    const other = await enter(scene, relay);
    expect(first.id).not.toBe(second.id);
    await together(first, second, other);
    expect(other.ids).toEqual([first.id, second.id, other.id].sort());
    expect(relay.snapshot().connections).toBe(2);
    first.socket.send('from the first');
    second.socket.send('from the second');
    expect(await first.messages.next()).toMatchObject({ member: second.id, data: 'from the second' });
    expect(await second.messages.next()).toMatchObject({ member: first.id, data: 'from the first' });
    expect(await other.messages.take(2)).toHaveLength(2);
    const leaver = first.id;
    await first.leave();
    expect(await other.next('memberleave')).toEqual({ id: leaver, detail: 'left' });
    second.socket.send('still there');
    expect(await other.take(1)).toEqual(['still there']);
  });

  it('are in many spaces over one link, which do not hear of each other', async () => {
    const relay = await scene.relay();
    const [left, right] = [await Identity.generate(), await Identity.generate()];
    const names = ['one', 'zwei', 'три', '4 %&?', '五', 'six.', '~7', 'a+b'];
    const pairs = [];
    for (const name of names) {
      const here = await enter(scene, relay, { identity: left }, name);
      pairs.push([here, await enter(scene, relay, { identity: right }, name)] as const);
    }
    for (const pair of pairs) await together(...pair);
    for (const [here] of pairs) here.socket.send(here.socket.space);
    for (const [index, [, there]] of pairs.entries()) expect(await there.take(1)).toEqual([names[index]]);
    for (const [, there] of pairs) expect(there.messages.pending).toEqual([]);
    expect(relay.snapshot().connections).toBe(2);
  });

  it('talk to peers over the same link meanwhile', async () => {
    const relay = await scene.relay();
    const identity = await Identity.generate();
    const service = await scene.echo(relay);
    const alice = await enter(scene, relay, { identity });
    const bob = await enter(scene, relay);
    const channel = await scene.client(service.url, { identity });
    expect(await outcome(channel)).toBe('open');
    const echoed = new Promise(resolve => {
      channel.onmessage = ({ data, from, member }) => {
        resolve({ data: data as unknown, from, member });
      };
    });
    await together(alice, bob);
    channel.send('to the service');
    alice.socket.send('to the space');
    expect(await echoed).toEqual({ data: 'to the service', from: '', member: '' });
    expect(await bob.take(1)).toEqual(['to the space']);
    expect(relay.snapshot().connections).toBe(3);
  });

  it('ask the relay who is there', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay);
    const bob = await enter(scene, relay);
    const members = await alice.socket.refreshMembers();
    expect(members.map(({ id }) => id).sort()).toEqual([alice.id, bob.id].sort());
    const plain = await scene.client((await scene.echo(relay)).url);
    expect(await outcome(plain)).toBe('open');
    await expect(plain.refreshMembers()).rejects.toMatchObject({ name: 'InvalidStateError' });
    const rejected = expect(alice.socket.refreshMembers()).rejects.toMatchObject({ code: 'ABORTED' });
    alice.socket.close();
    await rejected;
  });

  it('do not hear what was said before they came', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay);
    const bob = await enter(scene, relay);
    await together(alice, bob);
    alice.socket.send('before');
    expect(await bob.take(1)).toEqual(['before']);
    const carol = await enter(scene, relay);
    await together(alice, bob, carol);
    alice.socket.send('after');
    expect(await carol.take(1)).toEqual(['after']);
  });
});

describe('a socket in a space', () => {
  it('leaves behind what was sent, with the code that it was closed with', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay);
    const bob = await enter(scene, relay);
    const closed = new Promise(resolve => {
      alice.socket.onclose = ({ code, reason, wasClean, unacknowledged }) => {
        resolve({ code, reason, wasClean, unacknowledged });
      };
    });
    await together(alice, bob);
    for (const number of numbered(100)) alice.socket.send(number);
    alice.socket.close(4001, 'enough');
    expect(await closed).toEqual({ code: 4001, reason: 'enough', wasClean: true, unacknowledged: [] });
    await expectAll([bob], numbered(100));
    expect(alice.socket.readyState).toBe(ClientSecureWebSocket.CLOSED);
  });

  it('closes with 1005 when no code was given', async () => {
    const alice = await enter(scene, await scene.relay());
    const end = ending(alice.socket);
    alice.socket.close();
    expect(await end).toEqual({ code: 1005, error: undefined });
  });

  it('has no peer, no subprotocol and no handshake of its own', async () => {
    const relay = await scene.relay();
    const { socket } = await enter(scene, relay);
    expect(socket.peerPublicKey).toBe('');
    expect(socket.protocol).toBe('');
    expect(socket.handshakeHash).toBeUndefined();
    expect(socket.serverPublicKey).toBe(relay.publicKey);
  });

  it('fails where subprotocols are offered', async () => {
    const relay = await scene.relay();
    const options = { identity: await Identity.generate(), trustStore };
    const socket = new ClientSecureWebSocket(spaceUrl(relay), 'chat', options);
    expect(await outcome(socket)).toBe('PROTOCOL_NOT_OFFERED');
  });

  it('can be dialled with a function, and be configured', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay);
    const identity = await Identity.generate();
    const Configured = ClientSecureWebSocket.configure({
      identity,
      trustStore,
      space: { senderKeyMembers: 2 },
    });
    const socket = new Configured(() => Promise.resolve(spaceUrl(relay)));
    scene.after(() => {
      socket.close();
    });
    expect(await outcome(socket)).toBe('open');
    socket.send('hello');
    expect(await alice.messages.next()).toMatchObject({ from: identity.publicKey, data: 'hello' });
  });

  it('works as streams', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay);
    const bob = await scene.client(spaceUrl(relay));
    const reader = bob.readable.getReader();
    expect(await outcome(bob)).toBe('open');
    await alice.next('memberjoin');
    const writer = alice.socket.writable.getWriter();
    await writer.write('one');
    await writer.write(Uint8Array.of(2));
    expect(await reader.read()).toEqual({ done: false, value: 'one' });
    expect(await reader.read()).toEqual({ done: false, value: Uint8Array.of(2) });
  });

  it('is told why it may not enter', async () => {
    const asked: unknown[] = [];
    const relay = await scene.relay({
      spaces: {
        mayEnter: entry => {
          asked.push(entry.space);
          return entry.space !== 'secret';
        },
        maxSpacesPerClient: 1,
        maxMembers: 1,
      },
    });
    const identity = await Identity.generate();
    const refused = await scene.client(spaceUrl(relay, 'secret'), { identity, reconnect: AT_ONCE });
    const error = await failure(refused);
    expect(error).toMatchObject({ code: 'SPACE_NOT_ALLOWED' });
    const first = await enter(scene, relay, { identity });
    expect(await outcome(await scene.client(spaceUrl(relay, 'other'), { identity }))).toBe('TOO_MANY_SPACES');
    expect(await outcome(await scene.client(spaceUrl(relay)))).toBe('SPACE_FULL');
    expect(asked).toContain('secret');
    // With `reconnect` a full space is waited for.
    const waiting = await scene.client(spaceUrl(relay), { reconnect: AT_ONCE });
    const attempt = new Promise(resolve => {
      waiting.onreconnecting = resolve;
    });
    expect(await attempt).toMatchObject({ error: { code: 'SPACE_FULL' } });
    await first.leave();
    expect(await outcome(waiting)).toBe('open');
  });

  it('fails at a relay that has no spaces', async () => {
    const relay = await scene.relay({ spaces: false });
    expect(await outcome(await scene.client(spaceUrl(relay)))).toBe('SPACE_REFUSED');
  });

  it('is put out by whoever runs the relay', async () => {
    const relay = await scene.relay();
    const alice = await enter(scene, relay);
    const bob = await enter(scene, relay);
    const end = ending(bob.socket);
    const { id } = bob;
    await together(alice, bob);
    relay.spaces.leave(bob.socket.publicKey, 'room');
    expect(await end).toMatchObject({ code: 1006, error: { code: 'SPACE_REMOVED' } });
    expect(await alice.next('memberleave')).toEqual({ id, detail: 'removed' });
  });
});

describe('a space with admins', () => {
  it('gives keys to those whom an admin has invited, and hears nobody else', async () => {
    const relay = await scene.relay();
    const [admin, guest, stranger] = [
      await Identity.generate(),
      await Identity.generate(),
      await Identity.generate(),
    ];
    const admins = [admin.signingKey];
    const invitation = inviteToSpace(admin, {
      space: 'room',
      publicKey: guest.publicKey,
      expires: Date.now() + 3_600_000,
    });
    const alice = await enter(scene, relay, { identity: admin, space: { admins } });
    const mallory = await enter(scene, relay, { identity: stranger, space: { admins } });
    const bob = await enter(scene, relay, { identity: guest, space: { admins, invitation } });
    const admitted = (who: Participant): string[] =>
      who.socket.members.filter(member => member.admitted).map(({ id }) => id);
    await together(alice, bob, mallory);
    for (const who of [alice, bob, mallory]) expect(admitted(who).sort()).toEqual([alice.id, bob.id].sort());
    mallory.socket.send('let me in');
    alice.socket.send('for members');
    bob.socket.send('of the circle');
    expect(await bob.messages.next()).toMatchObject({ member: alice.id, data: 'for members' });
    expect(await alice.messages.next()).toMatchObject({ member: bob.id, data: 'of the circle' });
    alice.socket.send('again');
    expect(await bob.take(1)).toEqual(['again']);
    for (const who of [alice, bob, mallory]) expect(who.messages.pending).toEqual([]);
  });

  it('takes no invitation that is for another key, for another space, or over', async () => {
    const relay = await scene.relay();
    const [admin, guest] = [await Identity.generate(), await Identity.generate()];
    const admins = [admin.signingKey];
    const { publicKey } = guest;
    const alice = await enter(scene, relay, { identity: admin, space: { admins } });
    for (const invitation of [
      inviteToSpace(admin, { space: 'room', publicKey: admin.publicKey }),
      inviteToSpace(admin, { space: 'another', publicKey }),
      inviteToSpace(admin, { space: 'room', publicKey, expires: new Date(1) }),
      inviteToSpace(guest, { space: 'room', publicKey }),
    ]) {
      const bob = await enter(scene, relay, { identity: guest, space: { admins, invitation } });
      await together(alice, bob);
      const seen = alice.socket.members.find(({ id }) => id === bob.id);
      expect(seen).toMatchObject({ admitted: false });
      await bob.leave();
    }
  });
});

/** A relay behind a proxy that fails on demand: for those who dial `url`; `direct` is the relay itself. */
async function faulty(
  spaces: SpacesOptions = {},
): Promise<{ proxy: FaultyProxy; url: string; direct: string }> {
  const port = await freePort();
  const proxy = await FaultyProxy.start(port);
  scene.after(() => proxy.close());
  const url = `ws://127.0.0.1:${String(proxy.port)}`;
  const direct = `ws://127.0.0.1:${String(port)}`;
  await scene.relay({ port, addresses: [url, direct], spaces });
  return { proxy, url, direct };
}

describe('a member that reconnects', () => {
  it('loses nothing and hears nothing twice, however often its connection is cut', async () => {
    const { proxy, url } = await faulty();
    const alice = await enter(scene, url, { reconnect: AT_ONCE });
    const bob = await enter(scene, url, { reconnect: AT_ONCE });
    await together(alice, bob);
    const count = 1_500;
    const cuts = 8;
    for (let n = 0; n < count; n++) {
      alice.socket.send(String(n));
      bob.socket.send(String(n));
      if (n % 50 === 0) await new Promise(resolve => setImmediate(resolve));
      if (n % Math.floor(count / cuts) === 100) {
        // Only when both are there again: what is sent meanwhile waits.
        proxy.cut();
        await vi.waitFor(
          () => {
            for (const { socket } of [alice, bob]) expect(socket.bufferedAmount).toBeLessThan(10_000);
          },
          { timeout: 20_000 },
        );
      }
    }
    await expectAll([alice, bob], numbered(count));
    expect(proxy.connections).toBeGreaterThan(2 + cuts);
    alice.socket.send('the end');
    expect(await bob.take(1)).toEqual(['the end']);
    for (const { messages } of [alice, bob]) expect(messages.pending).toEqual([]);
  });

  it('is away meanwhile, and gets what was said', async () => {
    const { direct, proxy, url } = await faulty();
    const alice = await enter(scene, direct);
    const bob = await enter(scene, url, { reconnect: AT_ONCE });
    await together(alice, bob);
    await alice.next('memberjoin');
    const back = new Promise<void>(resolve => {
      bob.socket.onreconnected = ({ resumed }) => {
        if (resumed) resolve();
      };
    });
    proxy.refusing = true;
    proxy.cut();
    expect(await alice.next('memberchange')).toEqual({ id: bob.id, detail: true });
    expect(alice.socket.members.find(({ id }) => id === bob.id)).toMatchObject({ away: true });
    for (const number of numbered(100)) alice.socket.send(number);
    bob.socket.send('written down');
    expect(bob.socket.readyState).toBe(ClientSecureWebSocket.OPEN);
    proxy.refusing = false;
    await back;
    await expectAll([bob], numbered(100));
    expect(await alice.take(1)).toEqual(['written down']);
    expect(await alice.next('memberchange')).toEqual({ id: bob.id, detail: false });
    expect(alice.events.pending).toEqual([]);
  });

  it('is gone without `reconnect`', async () => {
    const { direct, proxy, url } = await faulty();
    const alice = await enter(scene, direct);
    const bob = await enter(scene, url);
    const { id } = bob;
    await together(alice, bob);
    const end = ending(bob.socket);
    proxy.cut();
    expect(await end).toMatchObject({ code: 1006, error: { code: 'LINK_LOST' } });
    expect(await alice.next('memberleave')).toEqual({ id, detail: 'gone' });
  });

  it('is gone when it is away for too long, and comes back as somebody new to nobody', async () => {
    const { direct, proxy, url } = await faulty({ awayTime: 50 });
    const alice = await enter(scene, direct);
    const bob = await enter(scene, url, { reconnect: AT_ONCE });
    const { id } = bob;
    await together(alice, bob);
    await alice.next('memberjoin');
    proxy.refusing = true;
    proxy.cut();
    expect(await alice.next('memberleave')).toEqual({ id, detail: 'gone' });
    alice.socket.send('nobody hears this');
    proxy.refusing = false;
    await alice.next('memberjoin');
    alice.socket.send('welcome back');
    expect(await bob.take(1)).toEqual(['welcome back']);
    bob.socket.send('hello again');
    expect(await alice.take(1)).toEqual(['hello again']);
  });

  it('tells what was not sent when it gives up', async () => {
    const { proxy, url } = await faulty();
    const alice = await enter(scene, url, { reconnect: { ...AT_ONCE, maxAttempts: 2 } });
    await together(alice, await enter(scene, url));
    const closed = new Promise(resolve => {
      alice.socket.onclose = ({ wasClean, unacknowledged }) => {
        resolve({ wasClean, unacknowledged });
      };
    });
    proxy.refusing = true;
    proxy.cut();
    await new Promise(resolve => {
      alice.socket.onreconnecting = resolve;
    });
    alice.socket.send('never');
    expect(await closed).toEqual({ wasClean: false, unacknowledged: ['never'] });
  });
});

describe('a relay that starts anew', () => {
  it('finds all members again, who lose nothing and take nobody for gone', async () => {
    const identity = await Identity.generate();
    const first = await scene.relay({ identity });
    const port = Number(new URL(first.url).port);
    const members = [];
    for (let i = 0; i < 3; i++) members.push(await enter(scene, first, { reconnect: AT_ONCE }));
    const [alice, bob, carol] = members as [Participant, Participant, Participant];
    await together(...members);
    for (const who of members) who.socket.send('before');
    for (const who of members) expect(await who.take(2)).toEqual(['before', 'before']);
    const ids = alice.ids;
    await first.close();
    for (const [index, who] of members.entries()) who.socket.send(`meanwhile ${String(index)}`);
    const second = await scene.relay({ identity, port });
    const heard = async (who: Participant): Promise<unknown[]> => (await who.take(2)).sort();
    expect(await heard(alice)).toEqual(['meanwhile 1', 'meanwhile 2']);
    expect(await heard(bob)).toEqual(['meanwhile 0', 'meanwhile 2']);
    expect(await heard(carol)).toEqual(['meanwhile 0', 'meanwhile 1']);
    for (const who of members) {
      await vi.waitFor(() => {
        expect(who.socket.members.map(({ away }) => away)).toEqual([false, false, false]);
      });
      expect(who.ids).toEqual(ids);
      expect(who.events.pending.filter(({ type }) => type === 'memberleave')).toEqual([]);
      expect(who.events.pending.filter(({ type }) => type === 'messageslost')).toEqual([]);
    }
    alice.socket.send('after');
    expect(await bob.take(1)).toEqual(['after']);
    expect(await carol.take(1)).toEqual(['after']);
    expect(second.publicKey).toBe(first.publicKey);
  });
});

describe('targets of this library', () => {
  it('are never given to applications', async () => {
    const relay = await scene.relay();
    const service = await scene.echo(relay);
    const asked: unknown[] = [];
    service.on('connection', (_, request) => asked.push(request.url));
    for (const target of ['anything', 'space/00', 'space/' + '0'.repeat(32) + '?from=' + '1'.repeat(32)]) {
      const socket = await scene.client(`${service.url ?? ''}/.secure-websocket/${target}`);
      expect(await failure(socket)).toMatchObject({ code: 'CHANNEL_REFUSED', status: 404 });
    }
    expect(asked).toEqual([]);
  });
});
