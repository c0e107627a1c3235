import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.js';
import { encodeControl, FrameType } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { SecureWebSocketServer } from '../../src/socket/secure-web-socket-server.js';
import { anyServer } from '../support/attacked.js';
import { EventQueue } from '../support/event-queue.js';
import { dial, pair, relay, service, startRelay, stopRelay } from '../support/lying-relay-scene.js';

beforeEach(startRelay);
afterEach(stopRelay);

const THROTTLED = encodeControl({ type: 'THROTTLED', limit: 'frames', perSecond: 50 });
const restarting = (reconnectIn: number): Uint8Array =>
  encodeControl({ type: 'RESTARTING', reconnectIn, tryFor: 30_000 });

/** A message there and back. */
async function exchange({ client, service: peer }: Awaited<ReturnType<typeof pair>>, text: string) {
  client.socket.send(text);
  expect(await peer.log.messages.next()).toBe(text);
  peer.socket.send(text);
  expect(await client.log.messages.next()).toBe(text);
}

describe('THROTTLED', () => {
  it('is an event of every socket of the link, once, and of no other', async () => {
    const [alice, bob] = [await Identity.generate(), await Identity.generate()];
    const to = await service();
    const hers = [await pair(to, Promise.resolve(alice)), await pair(to, Promise.resolve(alice))];
    const his = await pair(to, Promise.resolve(bob));
    // The service and two clients: both of hers are on one link.
    expect(relay.clients).toHaveLength(3);
    const told = [...hers, his].map(({ client }) => {
      const events: unknown[] = [];
      client.socket.addEventListener('throttled', ({ type, limit, perSecond }) => {
        events.push({ type, limit, perSecond });
      });
      return events;
    });
    const byProperty: unknown[] = [];
    const [first] = hers;
    if (!first) throw new Error('nobody');
    first.client.socket.onthrottled = ({ limit }) => byProperty.push(limit);
    relay.clientOf(alice.publicKey).send(THROTTLED);
    // What comes after it has been heard, it has too.
    for (const each of [...hers, his]) await exchange(each, 'after');
    const event = { type: 'throttled', limit: 'frames', perSecond: 50 };
    expect(told).toEqual([[event], [event], []]);
    expect(byProperty).toEqual(['frames']);
  });

  it('is an event of a service that listens behind the relay', async () => {
    const server = new SecureWebSocketServer({
      relay: relay.url,
      identity: Identity.generate(),
      trustStore: anyServer,
    });
    await server.ready;
    const events = new EventQueue<unknown>();
    server.on('throttled', event => {
      events.push(event);
    });
    relay.clientOf(server.publicKey ?? '').send(THROTTLED);
    expect(await events.next()).toMatchObject({ limit: 'frames', perSecond: 50 });
    server.close();
  });
});

describe('RESTARTING', () => {
  it('makes a socket leave by itself, at once for another link, and go on where it was', async () => {
    const alice = await Identity.generate();
    const to = await service();
    const both = await pair(to, Promise.resolve(alice), {
      reconnect: { minDelay: 60_000, maxDelay: 60_000 },
    });
    const attempts: unknown[] = [];
    both.client.socket.addEventListener('reconnecting', ({ attempt, delay, error }) => {
      attempts.push({ attempt, delay, code: error.code });
    });
    const before = relay.clientOf(alice.publicKey);
    const reconnected = new Promise(resolve => {
      both.client.socket.addEventListener('reconnected', resolve);
    });
    before.send(restarting(20));
    await reconnected;
    expect(attempts).toEqual([{ attempt: 1, delay: 0, code: 'RESTARTING' }]);
    expect(relay.clientOf(alice.publicKey)).not.toBe(before);
    await exchange(both, 'after');
    expect(both.client.log.entries).toEqual(['open', 'message before', 'message after']);
  });

  it('ends one that does not reconnect, with its own code', async () => {
    const alice = await Identity.generate();
    const both = await pair(await service(), Promise.resolve(alice));
    relay.clientOf(alice.publicKey).send(restarting(0));
    expect(await both.client.log.closed).toEqual([
      'open',
      'message before',
      'error RESTARTING',
      'close 1006',
    ]);
  });
});

describe('CONTROL', () => {
  it('of a kind that is not known changes nothing', async () => {
    const alice = await Identity.generate();
    const both = await pair(await service(), Promise.resolve(alice));
    for (const text of ['{"type":"LATER","x":1}', '{"type":"RESTARTING"}']) {
      relay.clientOf(alice.publicKey).send(Uint8Array.of(FrameType.CONTROL, ...utf8(text)));
    }
    await exchange(both, 'after');
  });

  it('that is malformed ends the link: what reconnects goes on over another', async () => {
    const [alice, bob] = [await Identity.generate(), await Identity.generate()];
    const to = await service();
    const hers = await pair(to, Promise.resolve(alice), { reconnect: { minDelay: 0, maxDelay: 0 } });
    const his = await pair(to, Promise.resolve(bob));
    const reconnected = new Promise(resolve => {
      hers.client.socket.addEventListener('reconnected', resolve);
    });
    for (const { publicKey } of [alice, bob]) {
      relay.clientOf(publicKey).send(Uint8Array.of(FrameType.CONTROL, ...utf8('[]')));
    }
    expect(await his.client.log.closed).toEqual([
      'open',
      'message before',
      'error FRAME_MALFORMED',
      'close 1006',
    ]);
    await reconnected;
    await exchange(hers, 'after');
  });

  it('is heard also before a channel is open', async () => {
    const alice = Identity.generate();
    const nobody = await Identity.generate();
    const late = await service();
    // On the link of somebody who waits for an answer.
    const first = await pair(late, alice);
    const waiting = dial(nobody.publicKey, alice, { reconnect: { minDelay: 60_000, maxDelay: 60_000 } });
    const told = new Promise(resolve => {
      waiting.socket.addEventListener('throttled', resolve);
    });
    relay.clientOf((await alice).publicKey).send(THROTTLED);
    await told;
    await exchange(first, 'after');
  });
});
