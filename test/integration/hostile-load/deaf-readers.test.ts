import { expect, it, vi } from 'vitest';
import { encodeEnvelope } from '../../../src/core/frame.js';
import { register } from '../../support/hostile/attack.js';
import { DEAF_ATTACKS } from '../../support/hostile/deaf-attacks.js';
import { inParallel } from '../../support/hostile/in-parallel.js';
import { EVENTUALLY, Siege } from '../../support/hostile/siege.js';

vi.setConfig({ testTimeout: 60_000 });

const MIB = 1_048_576;
const limits = { maxQueueBytes: 2 * MIB, maxTotalQueueBytes: 8 * MIB };
/** Small frames count for more than their bytes: all together, and no more than as much again. */
const MOST_OF_ONE = 2 * limits.maxQueueBytes;
const readers = ['neverReads', 'readsNowAndThen'] as const;

it.each(readers)('one that %s: its senders are told, and nobody else waits', async attack => {
  const siege = await Siege.begin({ relay: limits });
  const heard = await DEAF_ATTACKS[attack](
    siege.plan(1, () => {
      expect(siege.relay.statistics.queuedBytes).toBeLessThanOrEqual(MOST_OF_ONE);
      expect(siege.relay.statistics.queuedBytes).toBeGreaterThan(limits.maxQueueBytes / 2);
    }),
  );
  expect(heard).toEqual({ 'notice QUEUE_FULL': expect.any(Number) as number, left: 1 });
  expect(siege.limited).toEqual({ queue: 1 });
  await siege.lifted();
  expect(siege.relay.statistics.drops.queue_full).toBe(heard['notice QUEUE_FULL']);
});

it.each(readers)('one that %s, where there is no patience: it is ended, and told why', async attack => {
  const siege = await Siege.begin({ relay: { ...limits, queuePolicy: 'close-slow' } });
  const heard = await DEAF_ATTACKS[attack](siege.plan(1));
  expect(heard).toMatchObject({ 'notice QUEUE_FULL': 1, 'ws 4002': 1 });
  expect(siege.limited).toEqual({ queue: 1 });
  await siege.lifted();
});

it('many that never read: what waits for all of them stays within its bound', async () => {
  const siege = await Siege.begin({ relay: limits });
  let most = 0;
  const look = (): void => {
    most = Math.max(most, siege.relay.statistics.queuedBytes);
  };
  await inParallel(8, 8, async () => DEAF_ATTACKS.neverReads(siege.plan(1, look)));
  // Each may always have a 64th of what one may have.
  expect(most).toBeLessThanOrEqual(limits.maxTotalQueueBytes + (10 * limits.maxQueueBytes) / 64);
  expect(most).toBeGreaterThan(limits.maxTotalQueueBytes / 2);
  await siege.lifted();
});

it('one that is ended and does not read that either: what waits for it counts until it is gone', async () => {
  const siege = await Siege.begin({ relay: { ...limits, queuePolicy: 'close-slow' } });
  const [sender, deaf] = [await register(siege.target), await register(siege.target)];
  deaf.socket.pause();
  const envelope = encodeEnvelope(deaf.address, new Uint8Array(30_000));
  while (siege.limited['queue'] === undefined) {
    for (let i = 0; i < 20; i++) sender.send(envelope);
    await sender.written();
    await siege.people.rounds(1);
  }
  expect(siege.relay.statistics.connections).toBe(siege.people.connections + 1);
  expect(siege.relay.statistics.queuedBytes).toBeGreaterThan(limits.maxQueueBytes / 2);
  await deaf.leave();
  await expect.poll(() => siege.relay.statistics.queuedBytes, EVENTUALLY).toBeLessThan(100_000);
  await sender.leave();
  await siege.lifted();
});

it('one that asks for what is not there and reads no answer', async () => {
  const siege = await Siege.begin({ relay: limits });
  const bounded = (): void => {
    expect(siege.relay.statistics.queuedBytes).toBeLessThanOrEqual(MOST_OF_ONE);
  };
  expect(await DEAF_ATTACKS.unreadNotices(siege.plan(100, bounded))).toEqual({ left: 1 });
  await siege.lifted();
  expect(siege.relay.statistics.drops.not_here).toBeGreaterThanOrEqual(50_000);
});
