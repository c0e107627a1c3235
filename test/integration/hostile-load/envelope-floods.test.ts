import { expect, it, vi } from 'vitest';
import { encodeEnvelope, peerAddress } from '../../../src/core/frame.js';
import { Identity } from '../../../src/core/identity.js';
import { register } from '../../support/hostile/attack.js';
import { ENVELOPE_FLOODS } from '../../support/hostile/envelope-floods.js';
import { inParallel } from '../../support/hostile/in-parallel.js';
import { Siege } from '../../support/hostile/siege.js';

vi.setConfig({ testTimeout: 60_000 });

it('envelopes to keys that are not here, each answered', async () => {
  const siege = await Siege.begin();
  expect(await ENVELOPE_FLOODS.toAbsentKeys(siege.plan(20_000))).toEqual({ 'notice NOT_HERE': 20_000 });
  expect(siege.relay.statistics).toMatchObject({ drops: { not_here: 20_000 } });
  await siege.lifted();
});

it('envelopes to somebody who is here and has not asked', async () => {
  const siege = await Siege.begin();
  const before = siege.relay.statistics.envelopes;
  expect(await ENVELOPE_FLOODS.toAStranger(siege.plan(5_000))).toEqual({});
  expect(siege.relay.statistics.envelopes - before).toBeGreaterThanOrEqual(5_000);
  await siege.lifted();
});

it('handshakes to one, of which most are dropped', async () => {
  const siege = await Siege.begin({ relay: { handshakeRate: 1, handshakeBurst: 50 } });
  const { envelopes } = siege.relay.statistics;
  const heard = await ENVELOPE_FLOODS.handshakesToOne(siege.plan(8_000));
  const limited = heard['notice HANDSHAKES_LIMITED'] ?? 0;
  // 50 of each of four, and one for each second that it takes.
  expect(limited).toBeGreaterThan(4_000);
  expect(siege.limited).toEqual({ handshakes: 4 });
  expect(siege.relay.statistics.drops.handshakes_limited).toBe(limited);
  expect(siege.relay.statistics.envelopes).toBeGreaterThan(envelopes);
  await siege.lifted();
});

it('handshakes to many, of which most are dropped', async () => {
  const siege = await Siege.begin({ relay: { handshakeRate: 1, handshakeBurst: 5 } });
  const heard = await ENVELOPE_FLOODS.handshakesToMany(siege.plan(8_000));
  expect(heard['notice HANDSHAKES_LIMITED']).toBeGreaterThan(1_000);
  expect(siege.limited).toEqual({ handshakes: 4 });
  await siege.lifted();
});

it('more peers than one may write to', async () => {
  const siege = await Siege.begin({ relay: { maxPeers: 20 } });
  const sender = await register(siege.target);
  const others = await inParallel(30, 8, async () => register(siege.target));
  for (const other of others) {
    for (let i = 0; i < 10; i++) sender.send(encodeEnvelope(other.address, Uint8Array.of(4)));
  }
  expect(await sender.until(() => sender.heard['notice TOO_MANY_PEERS'] === 100)).toBe(true);
  await siege.people.rounds(3);
  // Who goes makes room.
  await others[0]!.leave();
  await siege.people.rounds(1);
  expect(siege.limited).toEqual({ peers: 1 });
  expect(siege.relay.statistics.drops.too_many_peers).toBe(100);
  await Promise.all([sender, ...others].map(each => each.leave()));
  await siege.lifted();
});

it('all of them at once, from senders that come and go', async () => {
  const siege = await Siege.begin();
  const floods = Object.values(ENVELOPE_FLOODS);
  await inParallel(2 * floods.length, floods.length, async index =>
    floods[index % floods.length]!(siege.plan(1_000)),
  );
  const absent = peerAddress((await Identity.generate()).publicKeyBytes, 0);
  await inParallel(20, 5, async () => {
    const sender = await register(siege.target);
    for (let i = 0; i < 100; i++) sender.send(encodeEnvelope(absent, Uint8Array.of(4)));
    await sender.leave();
  });
  await siege.lifted();
});
