import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import { EventQueue } from '../support/event-queue.js';
import type { Lie, Packet } from '../support/lying-relay.js';
import {
  aboutFirst,
  BEFORE,
  fakeClock,
  flipEnd,
  pair,
  pass,
  relay,
  service,
  startRelay,
  stopRelay,
  TRANSPORT,
  withBody,
} from '../support/lying-relay-scene.js';

beforeEach(startRelay);
afterEach(stopRelay);

/** Numbers from 0 to 1 that are the same each time (mulberry32). */
function numbers(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Drops, repeats and holds back; what is held back comes behind what came later. Of `tampered` packets a bit is flipped. */
function unreliable(seed: number, tampered = 0): { lie: Lie; counts: Record<string, number> } {
  const random = numbers(seed);
  const counts = { dropped: 0, repeated: 0, held: 0, tampered: 0 };
  const held: Packet[] = [];
  let spared = 0;
  const lie: Lie = packet => {
    if (packet.body[0] !== TRANSPORT) return packet;
    // An end that is told nothing of the end of its session takes 15 s to notice: the word of it gets through.
    if (spared > 0) {
      spared--;
      return packet;
    }
    const choice = random();
    if (choice < 0.04) {
      counts.dropped++;
      return [];
    }
    if (choice < 0.08) {
      counts.repeated++;
      return [packet, packet];
    }
    if (choice < 0.12) {
      counts.held++;
      held.push(packet);
      return [];
    }
    if (choice < 0.18 && counts.tampered < tampered) {
      counts.tampered++;
      spared = 40;
      return withBody(flipEnd)(packet);
    }
    return [packet, ...held.splice(0)];
  };
  return { lie, counts };
}

const MESSAGES = 100;
const texts = (prefix: string): string[] =>
  Array.from({ length: MESSAGES }, (_, index) => `${prefix} ${index}`);

/** Both ends say all they have to say, each message in a turn of its own, and close. */
async function conversation({ client, service: at }: Awaited<ReturnType<typeof pair>>): Promise<void> {
  for (let index = 0; index < MESSAGES; index++) {
    client.socket.send(`up ${index}`);
    at.socket.send(`down ${index}`);
    await new Promise(resolve => setImmediate(resolve));
  }
  expect(await at.log.messages.take(MESSAGES)).toEqual(texts('up'));
  expect(await client.log.messages.take(MESSAGES)).toEqual(texts('down'));
  // Whoever speaks last never learns whether it was heard: a service would wait for a client that is done, for minutes.
  relay.lie = packet => packet;
  client.socket.close(1000);
  expect((await client.log.closed).slice(MESSAGES + BEFORE.length)).toEqual(['close 1000 clean']);
  expect((await at.log.closed).slice(MESSAGES + BEFORE.length)).toEqual(['close 1000 clean']);
}

const RECONNECT: ClientSecureWebSocketOptions = { reconnect: { minDelay: 0, maxDelay: 20 } };

describe('a relay that drops, repeats, reorders and holds back', { timeout: 60_000 }, () => {
  it.each([1, 2, 3])('loses nothing and repeats nothing (%i)', async seed => {
    const ends = await pair(await service());
    const { lie, counts } = unreliable(seed);
    relay.lie = lie;
    await conversation(ends);
    for (const [name, count] of Object.entries(counts))
      if (name !== 'tampered') expect(count).toBeGreaterThan(0);
  });

  it.each([4, 5, 6])(
    'and tampers, loses nothing and repeats nothing for those who come back (%i)',
    async seed => {
      const to = await service();
      const ends = await pair(to, undefined, RECONNECT);
      let resumed = 0;
      ends.client.socket.onreconnected = event => {
        if (event.resumed) resumed++;
      };
      const { lie, counts } = unreliable(seed, 5);
      relay.lie = lie;
      await conversation(ends);
      expect(counts['tampered']).toBeGreaterThan(0);
      expect(resumed).toBeGreaterThan(0);
      expect(to.connections.pending).toEqual([]);
    },
  );

  it('the end for good, is noticed by those who come back, too', async () => {
    const to = await service();
    const { client, service: at } = await pair(to, undefined, RECONNECT);
    fakeClock();
    relay.lie = packet => (packet.body[0] === TRANSPORT ? [] : packet);
    client.socket.send('lost');
    client.socket.close(1000);
    await pass(300_000, () => client.socket.readyState === 3);
    expect((await client.log.closed).at(-1)).toBe('close 1006');
    expect(at.log.entries).toEqual(BEFORE);
  });
});

describe('a relay that repeats what was said in an earlier session', () => {
  it('RESUME and all, changes nothing', async () => {
    const to = await service();
    const { client, service: at } = await pair(to, undefined, RECONNECT);
    const back = new EventQueue<boolean>();
    client.socket.onreconnected = ({ resumed }) => {
      back.push(resumed);
    };
    for (const text of ['one', 'two']) {
      relay.lie = aboutFirst(TRANSPORT, withBody(flipEnd));
      client.socket.send(text);
      expect(await back.next()).toBe(true);
      expect(await at.log.messages.next()).toBe(text);
    }
    let disturbed = 0;
    client.socket.onreconnecting = () => (disturbed += 1);
    at.socket.on('suspended', () => (disturbed += 1));
    // Of three sessions, and the RESUMEs of two of them.
    for (const { to: recipient, source, body } of relay.passed.slice()) recipient.deliver(source, body);
    client.socket.send('three');
    expect(await at.log.messages.next()).toBe('three');
    at.socket.send('four');
    expect(await client.log.messages.next()).toBe('four');
    expect([disturbed, to.connections.pending.length]).toEqual([0, 0]);
    const heard = ['one', 'two', 'three'].map(text => `message ${text}`);
    expect(at.log.entries).toEqual([...BEFORE, ...heard]);
  });
});
