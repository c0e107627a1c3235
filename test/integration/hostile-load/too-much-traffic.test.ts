import { expect, it, vi } from 'vitest';
import { encodeEnvelope } from '../../../src/core/frame.js';
import { Identity } from '../../../src/core/identity.js';
import type { RelayOptions } from '../../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer } from '../../../src/socket/node-secure-web-socket-server.js';
import { register } from '../../support/hostile/attack.js';
import { tooMuchTraffic } from '../../support/hostile/envelope-floods.js';
import { inParallel } from '../../support/hostile/in-parallel.js';
import { EVENTUALLY, Siege } from '../../support/hostile/siege.js';

vi.setConfig({ testTimeout: 60_000 });

/** Limits of a connection and of a key: envelopes of 237 bytes in frames of 8 more. */
const LIMITS: [limit: string, relay: Partial<RelayOptions>, envelopes: number][] = [
  ['frames', { framesPerSecond: 2_000 }, 3_500],
  ['bytes', { bytesPerSecond: 500_000 }, 3_500],
  ['key_frames', { keyFramesPerSecond: 2_000 }, 3_500],
  ['key_bytes', { keyBytesPerSecond: 500_000 }, 3_500],
];
/** People who talk slowly enough for all of these. */
const quiet = { pause: 100, clients: 1 };

it.each(LIMITS)('%s: held back, told once, and nothing is lost or reordered', async (limit, relay, count) => {
  const siege = await Siege.begin({ relay, ...quiet });
  let most = 0;
  const watch = siege.plan(count, async () => {
    await expect.poll(() => (most = Math.max(most, siege.relay.snapshot().throttled)), EVENTUALLY).toBe(1);
  });
  const heard = await tooMuchTraffic(watch);
  expect(heard).toEqual({ 'control THROTTLED': 1, 'in order': 1 });
  expect(siege.limited).toEqual({ [limit]: 1 });
  await siege.lifted();
});

it('several at once, and those who keep to the limits are not held back', async () => {
  const siege = await Siege.begin({ relay: { framesPerSecond: 2_000 }, ...quiet });
  const heard = await inParallel(5, 5, async () => tooMuchTraffic(siege.plan(3_000)));
  for (const each of heard) expect(each).toMatchObject({ 'in order': 1 });
  expect(siege.limited['frames']).toBe(5);
  await siege.lifted();
});

it('connections of one key share what it may send, and each is told', async () => {
  const siege = await Siege.begin({ relay: { keyFramesPerSecond: 1_000 }, ...quiet });
  const identity = await Identity.generate();
  const receiver = await register(siege.target);
  const senders = await inParallel(4, 4, async () => register(siege.target, identity));
  const frame = encodeEnvelope(receiver.address, new Uint8Array(100));
  // Of one of them alone that would not be too much.
  for (let i = 0; i < 600; i++) for (const sender of senders) sender.send(frame);
  expect(await receiver.until(() => receiver.heard['envelope'] === 2_400)).toBe(true);
  for (const { heard } of senders) expect(heard['control THROTTLED'] ?? 0).toBeLessThanOrEqual(1);
  expect(siege.limited['key_frames']).toBeGreaterThanOrEqual(1);
  await siege.people.rounds(3);
  await Promise.all([receiver, ...senders].map(each => each.leave()));
  await siege.lifted();
});

it('one that leaves while it is held back is forgotten', async () => {
  const siege = await Siege.begin({ relay: { framesPerSecond: 1_000 }, clients: 1, pause: 500 });
  const sender = await register(siege.target);
  for (let i = 0; i < 5_000; i++) sender.send(encodeEnvelope(sender.address, Uint8Array.of(1)));
  await expect.poll(() => siege.relay.snapshot().throttled, EVENTUALLY).toBe(1);
  await sender.leave();
  await expect.poll(() => siege.relay.snapshot().throttled, EVENTUALLY).toBe(0);
  await siege.lifted();
});

it('a client and a service of this library are told by an event, and lose nothing', async () => {
  // Far fewer than come of the loop below, however busy the machine is.
  const siege = await Siege.begin({ relay: { framesPerSecond: 100 }, clients: 1, pause: 500 });
  const { url, publicKey: serverKey } = siege.relay;
  const service = new SecureWebSocketServer({ relay: url, serverKey, identity: Identity.generate() });
  await service.ready;
  const told: string[] = [];
  service.on('throttled', ({ limit, perSecond }) => {
    told.push(`service ${limit} ${perSecond}`);
  });
  service.on('connection', socket => {
    socket.on('message', data => socket.send(String(data as Buffer)));
  });
  const client = new ClientSecureWebSocket(`${url}/${service.publicKey ?? ''}`, [], {
    identity: Identity.generate(),
    serverKey,
  });
  client.onthrottled = ({ limit, perSecond }) => {
    told.push(`client ${limit} ${perSecond}`);
  };
  await new Promise(resolve => (client.onopen = resolve));
  const answers: string[] = [];
  const all = Array.from({ length: 300 }, (_, index) => `message ${index}`);
  const answered = new Promise<void>(resolve => {
    client.onmessage = ({ data }) => {
      answers.push(data as string);
      if (answers.length === all.length) resolve();
    };
  });
  for (const text of all) {
    client.send(text);
    // One frame each.
    await new Promise(resolve => setImmediate(resolve));
  }
  await answered;
  expect(answers).toEqual(all);
  expect(told.filter(each => each.startsWith('client'))).toEqual(['client frames 100']);
  expect(new Set(told).size).toBe(told.length);
  client.close();
  service.close();
  await siege.lifted();
});
