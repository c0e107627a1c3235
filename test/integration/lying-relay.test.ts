import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CONNECT_TIMEOUT, REKEY_TIMEOUT } from '../../src/core/constants.js';
import { encodeNotice, NoticeReason, peerAddress } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { EndpointClient } from '../support/endpoint-client.js';
import { flipped, type Tampering } from '../support/fuzz.js';
import { type Lie, type Packet, truth } from '../support/lying-relay.js';
import {
  aboutFirst,
  BEFORE,
  dial,
  fakeClock,
  flipEnd,
  INITIATION,
  pair,
  pass,
  relay,
  RESPONSE,
  service,
  startRelay,
  stopRelay,
  TRANSPORT,
  withBody,
} from '../support/lying-relay-scene.js';
import { failedWith } from '../support/socket-log.js';

beforeEach(startRelay);
afterEach(stopRelay);

const THIRD = await Identity.generate();
/** The address of somebody who is not there. */
const third = peerAddress(THIRD.publicKeyBytes, 99);

/** A listener whose refusals can be seen. */
async function listener(identity?: Identity): Promise<EndpointClient> {
  const client = await EndpointClient.listen(relay.url, identity);
  await expect.poll(() => relay.clientOf(client.publicKey).listening).toBe(true);
  return client;
}

const fromThird: Lie = packet => ({ ...packet, source: third });

const zeros =
  (at: number, length: number): Tampering =>
  body =>
    body.slice().fill(0, at, at + length);

/** type (1), sender's index (4), ephemeral key (32), static key (32) and tag (16), payload (28) and tag (16) */
const INITIATIONS: [string, Lie, string][] = [
  ['of another type', withBody(zeros(0, 1)), 'FRAME_MALFORMED'],
  ['as an answer', withBody(body => Uint8Array.of(RESPONSE, ...body.subarray(1))), 'REPLAYED'],
  ['cut off', withBody(body => body.slice(0, 100)), 'FRAME_MALFORMED'],
  ['a byte short', withBody(body => body.slice(0, -1)), 'DECRYPT_FAILED'],
  ['a byte long', withBody(body => Uint8Array.of(...body, 0)), 'DECRYPT_FAILED'],
  ['with another ephemeral key', withBody(flipped(5)), 'DECRYPT_FAILED'],
  ['with an ephemeral key that is none', withBody(flipped(36, 7)), 'NOISE_MESSAGE_MALFORMED'],
  ['with an ephemeral key of low order', withBody(zeros(5, 32)), 'ZERO_SHARED_SECRET'],
  ['with another static key', withBody(flipped(37)), 'DECRYPT_FAILED'],
  ['with another tag of the static key', withBody(flipped(69)), 'DECRYPT_FAILED'],
  ['with another payload', withBody(flipped(85)), 'DECRYPT_FAILED'],
  ['with another tag of the payload', withBody(flipEnd), 'DECRYPT_FAILED'],
  ['in the name of a third', fromThird, 'DECRYPT_FAILED'],
  ['in the name of its recipient', packet => ({ ...packet, source: packet.to.address }), 'DECRYPT_FAILED'],
];

describe('a relay that delivers a handshake initiation', () => {
  it.each(INITIATIONS)('%s, is refused, and the next attempt succeeds', async (_name, lie, code) => {
    const bob = await listener();
    relay.lie = aboutFirst(INITIATION, lie);
    fakeClock();
    const { log } = dial(bob.publicKey);
    expect(await bob.refusals.next()).toBe(code);
    expect(bob.events.pending).toEqual([]);
    expect(relay.passed.filter(({ body }) => body[0] === RESPONSE)).toEqual([]);
    vi.advanceTimersByTime(REKEY_TIMEOUT);
    await log.opened;
    expect(bob.refusals.pending).toEqual([]);
  });

  it('again and again, gets one answer', async () => {
    const bob = await listener();
    relay.lie = packet => (packet.body[0] === INITIATION ? [packet, packet, packet] : packet);
    await dial(bob.publicKey).log.opened;
    expect(await bob.refusals.take(2)).toEqual(['REPLAYED', 'REPLAYED']);
    const initiation = relay.passed.find(({ body }) => body[0] === INITIATION) as Packet;
    // Later, and in the name of another.
    initiation.to.deliver(initiation.source, initiation.body);
    initiation.to.deliver(third, initiation.body);
    expect(await bob.refusals.take(2)).toEqual(['REPLAYED', 'REPLAYED']);
    expect(relay.passed.filter(({ body }) => body[0] === RESPONSE)).toHaveLength(1);
  });

  it('to somebody else, is refused there', async () => {
    const [bob, carol] = [await listener(), await listener()];
    relay.lie = aboutFirst(INITIATION, packet => ({ ...packet, to: relay.clientOf(carol.publicKey) }));
    fakeClock();
    const { log } = dial(bob.publicKey);
    expect(await carol.refusals.next()).toBe('DECRYPT_FAILED');
    expect(carol.events.pending).toEqual([]);
    vi.advanceTimersByTime(REKEY_TIMEOUT);
    await log.opened;
  });

  it('back to whoever made it, is refused there', async () => {
    const bob = await listener();
    relay.lie = aboutFirst(INITIATION, packet => [
      { ...packet, to: packet.from, source: packet.to.address },
      packet,
    ]);
    const { log } = dial(bob.publicKey);
    await log.opened;
    expect(log.entries).toEqual(['open']);
  });

  it('to nobody, and says nothing, lets the client give up in time', async () => {
    const bob = await listener();
    relay.lie = packet => (packet.body[0] === INITIATION ? [] : packet);
    fakeClock();
    const { log } = dial(bob.publicKey);
    await expect.poll(() => relay.passed.length).toBe(1);
    await pass(CONNECT_TIMEOUT);
    expect(await log.closed).toEqual(failedWith('SESSION_TIMEOUT'));
  });

  it('to nobody, and says so, is believed', async () => {
    const bob = await listener();
    relay.lie = packet => {
      packet.from.send(
        encodeNotice(NoticeReason.NOT_HERE, peerAddress(packet.to.address.subarray(0, 32), 0)),
      );
      return [];
    };
    expect(await dial(bob.publicKey).log.closed).toEqual(failedWith('PEER_NOT_HERE'));
  });
});

/** type (1), sender's index (4), receiver's index (4), ephemeral key (32), payload (4) and tag (16) */
const RESPONSES: [string, Lie, string][] = [
  ['with another ephemeral key', withBody(flipped(9)), 'DECRYPT_FAILED'],
  ['with an ephemeral key that is none', withBody(flipped(40, 7)), 'NOISE_MESSAGE_MALFORMED'],
  ['with an ephemeral key of low order', withBody(zeros(9, 32)), 'ZERO_SHARED_SECRET'],
  ['with another payload', withBody(flipped(41)), 'DECRYPT_FAILED'],
  ['with another tag', withBody(flipEnd), 'DECRYPT_FAILED'],
  ['a byte short of its tag', withBody(body => body.slice(0, -1)), 'DECRYPT_FAILED'],
  ['a byte long', withBody(body => Uint8Array.of(...body, 0)), 'DECRYPT_FAILED'],
  ['in the name of a third', fromThird, 'SOURCE_MISMATCH'],
  ['in the name of its recipient', packet => ({ ...packet, source: packet.to.address }), 'SOURCE_MISMATCH'],
];

/** Without harm: the client does not take them for an answer at all, and tries again. */
const IGNORED: [string, Lie][] = [
  ['of another type', withBody(zeros(0, 1))],
  ['for another handshake', withBody(flipped(8))],
  ['cut off', withBody(body => body.slice(0, 50))],
  ['to somebody else', packet => ({ ...packet, to: relay.clientOf(THIRD.publicKey) })],
  [
    'forged in the name of a third',
    packet => ({ ...packet, source: third, body: zeros(9, 48)(packet.body) }),
  ],
];

describe('a relay that delivers the answer to a handshake', () => {
  it.each(RESPONSES)('%s, ends the attempt', async (_name, lie, code) => {
    const to = await service();
    relay.lie = aboutFirst(RESPONSE, lie);
    expect(await dial(to.publicKey).log.closed).toEqual(failedWith(code));
    expect(to.connections.pending).toEqual([]);
    relay.lie = truth;
    await pair(to);
  });

  it.each(IGNORED)('%s, is ignored, and the next attempt succeeds', async (_name, lie) => {
    const to = await service();
    const other = await listener(THIRD);
    relay.lie = aboutFirst(RESPONSE, lie);
    fakeClock();
    const identity = Identity.generate();
    const { log } = dial(to.publicKey, identity);
    await expect.poll(() => relay.passed.some(({ body }) => body[0] === RESPONSE)).toBe(true);
    // Over the same link: what came before has been seen once this is open.
    await dial(other.publicKey, identity).log.opened;
    vi.advanceTimersByTime(REKEY_TIMEOUT);
    await log.opened;
    expect(log.entries).toEqual(['open']);
  });

  it('that it makes itself, ends the attempt', async () => {
    const to = await service();
    const own = new Uint8Array(9 + 32 + 4 + 16).fill(7);
    relay.lie = packet => {
      if (packet.body[0] !== INITIATION) return packet;
      const body = own.slice();
      body[0] = RESPONSE;
      // For the handshake that is under way: everybody on the path knows its index.
      body.set(packet.body.subarray(1, 5), 5);
      return { ...packet, to: packet.from, source: packet.to.address, body };
    };
    expect(await dial(to.publicKey).log.closed).toEqual(failedWith('DECRYPT_FAILED'));
  });

  it('with another index to answer to, loses what the client says, and nothing else', async () => {
    const bob = await listener();
    relay.lie = aboutFirst(RESPONSE, withBody(flipped(4)));
    fakeClock();
    const { log } = dial(bob.publicKey);
    await expect.poll(() => relay.passed.some(({ body }) => body[0] === TRANSPORT)).toBe(true);
    vi.advanceTimersByTime(CONNECT_TIMEOUT);
    expect(await log.closed).toEqual(failedWith('SESSION_TIMEOUT'));
    expect(bob.events.pending).toEqual([]);
  });
});

describe('a relay that delivers a message', () => {
  it('in the name of a third, ends the session of the two, and not that of the third', async () => {
    const to = await service();
    const alice = await pair(to);
    const carol = await pair(to);
    const name = relay.clientOf(carol.client.socket.publicKey).address;
    relay.lie = aboutFirst(TRANSPORT, packet => ({ ...packet, source: name }));
    alice.client.socket.send('in the name of Carol');
    expect(await alice.service.log.closed).toEqual([...BEFORE, ...failedWith('SOURCE_MISMATCH')]);
    expect(await alice.client.log.closed).toEqual([...BEFORE, ...failedWith('CHANNEL_RESET')]);
    carol.client.socket.send('it was not me');
    expect(await carol.service.log.messages.next()).toBe('it was not me');
  });

  it('to the client in the name of a third, ends the session', async () => {
    const to = await service();
    const alice = await pair(to);
    relay.lie = aboutFirst(TRANSPORT, fromThird);
    alice.service.socket.send('in the name of a third');
    expect(await alice.client.log.closed).toEqual([...BEFORE, ...failedWith('SOURCE_MISMATCH')]);
    expect(await alice.service.log.closed).toEqual([...BEFORE, 'close 1006']);
  });

  it('to somebody else, ends what that one has with the sender, and shows nothing', async () => {
    const [bob, carol] = [await service(), await service()];
    const identity = Identity.generate();
    const [withBob, withCarol] = [await pair(bob, identity), await pair(carol, identity)];
    const to = relay.clientOf(carol.publicKey);
    relay.lie = aboutFirst(TRANSPORT, packet => ({ ...packet, to }));
    withBob.client.socket.send('for Bob alone');
    expect(await withCarol.service.log.closed).toEqual([...BEFORE, ...failedWith('DECRYPT_FAILED')]);
    expect(await withCarol.client.log.closed).toEqual([...BEFORE, ...failedWith('CHANNEL_RESET')]);
    // To Bob it was lost, and is sent again.
    withBob.client.socket.send('behind it');
    expect(await withBob.service.log.messages.take(2)).toEqual(['for Bob alone', 'behind it']);
    expect(withCarol.service.log.entries.join()).not.toContain('Bob');
  });

  it('to somebody who does not know the sender, is ignored', async () => {
    const [bob, carol] = [await service(), await service()];
    const withBob = await pair(bob);
    const withCarol = await pair(carol);
    const to = relay.clientOf(carol.publicKey);
    relay.lie = packet =>
      packet.body[0] === TRANSPORT && packet.to !== to ? [packet, { ...packet, to }] : packet;
    withBob.client.socket.send('for Bob alone');
    expect(await withBob.service.log.messages.next()).toBe('for Bob alone');
    withCarol.client.socket.send('for Carol');
    expect(await withCarol.service.log.messages.next()).toBe('for Carol');
    expect(carol.connections.pending).toEqual([]);
  });

  it('of an earlier session, has it delivered to nobody', async () => {
    const to = await service();
    const identity = Identity.generate();
    const first = await pair(to, identity);
    const own = relay.clientOf(first.client.socket.publicKey);
    first.client.socket.close(1000);
    expect(await first.client.log.closed).toEqual([...BEFORE, 'close 1000 clean']);
    // The relay forgets to say that it is gone.
    await expect.poll(() => relay.clients).not.toContain(own);
    const recorded = relay.passed.slice();
    const second = await pair(to, identity);
    const [client, server] = [relay.clientOf(second.client.socket.publicKey), relay.clientOf(to.publicKey)];
    expect(client.address).not.toEqual(own.address);
    // All of it, from the handshake to the end, under the old name and the new one.
    for (const { from, body } of recorded.filter(packet => packet.from === own)) {
      server.deliver(from.address, body);
      server.deliver(client.address, body);
    }
    second.client.socket.send('after');
    expect(await second.service.log.messages.next()).toBe('after');
    expect(to.connections.pending).toEqual([]);
    // The client, which is new, finds keys that were never agreed.
    for (const { from, body } of recorded.filter(packet => packet.to === own))
      client.deliver(from.address, body);
    expect(await second.client.log.closed).toEqual([...BEFORE, ...failedWith('DECRYPT_FAILED')]);
    expect(await second.service.log.closed).toEqual([...BEFORE, 'message after', 'close 1006']);
  });
});

describe('a relay that tells of a peer that is there', () => {
  it('that it is gone, is believed by both, and neither takes it for a clean end', async () => {
    const to = await service();
    const { client, service: connected } = await pair(to);
    const [one, two] = [relay.clientOf(client.socket.publicKey), relay.clientOf(to.publicKey)];
    one.send(encodeNotice(NoticeReason.PEER_GONE, two.address));
    two.send(encodeNotice(NoticeReason.PEER_GONE, one.address));
    expect(await client.log.closed).toEqual([...BEFORE, ...failedWith('PEER_GONE')]);
    expect(await connected.log.closed).toEqual([...BEFORE, 'close 1006']);
    expect(connected.socket.failure?.code).toBe('PEER_GONE');
  });

  it('that its queue is full, lets a handshake go on, and a session', async () => {
    const to = await service();
    relay.lie = aboutFirst(INITIATION, packet => {
      packet.from.send(
        encodeNotice(NoticeReason.QUEUE_FULL, peerAddress(packet.to.address.subarray(0, 32), 0)),
      );
      return packet;
    });
    const { client, service: connected } = await pair(to);
    const [one, two] = [relay.clientOf(client.socket.publicKey), relay.clientOf(to.publicKey)];
    // It is even true: the message is lost.
    relay.lie = aboutFirst(TRANSPORT, () => {
      one.send(encodeNotice(NoticeReason.QUEUE_FULL, two.address));
      return [];
    });
    client.socket.send('lost');
    expect(await connected.log.messages.next()).toBe('lost');
    client.socket.close(1000);
    expect(await connected.log.closed).toEqual([...BEFORE, 'message lost', 'close 1000 clean']);
    expect(await client.log.closed).toEqual([...BEFORE, 'close 1000 clean']);
  });
});
