import { expect, it, vi } from 'vitest';
import { Identity } from '../../../src/core/identity.js';
import { besiege } from '../../support/hostile/attack.js';
import { inParallel } from '../../support/hostile/in-parallel.js';
import { OPEN_FLOODS } from '../../support/hostile/open-floods.js';
import { ATTACKERS, EVENTUALLY, Siege } from '../../support/hostile/siege.js';
import { addTally, type Tally } from '../../support/hostile/tally.js';

vi.setConfig({ testTimeout: 60_000 });

const hasAddresses = ATTACKERS.length > 0;
const many = { registrationTimeout: 600_000 };

it.runIf(hasAddresses)('TCP connections that stay, up to twice the unregistered of one address', async () => {
  const siege = await Siege.begin({ relay: many });
  const plan = siege.plan(500, () => siege.people.newcomer());
  const ends = await besiege(plan, async () => undefined, { tcp: true, leaves: true });
  expect(ends).toEqual({ left: 128, cut: 372 });
  expect(siege.limited).toEqual({ unregistered_per_ip: 372 });
  await siege.lifted();
});

it('TCP connections that are gone at once, by the thousand', async () => {
  const siege = await Siege.begin();
  const ends = await OPEN_FLOODS.connectAndLeave(siege.plan(2_000));
  expect((ends['left'] ?? 0) + (ends['cut'] ?? 0)).toBe(2_000);
  await siege.lifted();
});

it('requests that are none for a relay', async () => {
  const siege = await Siege.begin();
  expect(await OPEN_FLOODS.requests(siege.plan(1_000))).toEqual({ 'http 426': 1_000 });
  expect(siege.refused).toEqual({});
  await siege.lifted();
});

it.runIf(hasAddresses)('upgrades that stay, 64 of one address', async () => {
  const siege = await Siege.begin({ relay: many });
  const meanwhile = async (): Promise<void> => {
    expect(siege.relay.statistics.unregistered).toBe(64);
    await siege.people.newcomer();
  };
  const ends = await OPEN_FLOODS.upgradeAndStay(siege.plan(500, meanwhile));
  expect(ends).toEqual({ left: 64, 'http 429': 436 });
  expect(siege.limited).toEqual({ unregistered_per_ip: 436 });
  await siege.lifted();
  expect(siege.refused).toEqual({ TOO_MANY_CONNECTIONS: 436, LINK_LOST: 64 });
});

it.runIf(hasAddresses)('upgrades that stay, as many from everywhere as may be unregistered', async () => {
  const siege = await Siege.begin({ relay: { ...many, maxUnregistered: 100 } });
  const ends: Tally = {};
  const flood = async (from: string): Promise<void> => {
    const { target, ...plan } = siege.plan(200, () =>
      expect.poll(() => siege.relay.statistics.unregistered, EVENTUALLY).toBe(100),
    );
    addTally(ends, await OPEN_FLOODS.upgradeAndStay({ ...plan, target: { ...target, from } }));
  };
  await Promise.all(ATTACKERS.map(flood));
  expect(ends['left']).toBe(100);
  expect((ends['http 429'] ?? 0) + (ends['http 503'] ?? 0)).toBe(500);
  expect(siege.limited).toEqual({ unregistered_per_ip: ends['http 429'], unregistered: ends['http 503'] });
  await siege.lifted();
});

it('upgrades that are gone at once', async () => {
  const siege = await Siege.begin();
  const ends = await OPEN_FLOODS.upgradeAndLeave(siege.plan(1_000));
  // The relay learns of an end a little later than whoever makes the next connection.
  expect((ends['left'] ?? 0) + (ends['http 429'] ?? 0) + (ends['http 503'] ?? 0)).toBe(1_000);
  await siege.lifted();
  expect(siege.refused['LINK_LOST']).toBe(ends['left']);
});

it('more upgrades a second than it takes', async () => {
  const siege = await Siege.begin({ relay: { acceptRate: 20 } });
  const ends = await OPEN_FLOODS.upgradeAndLeave(siege.plan(1_000));
  expect(ends['http 503']).toBeGreaterThan(0);
  expect(siege.limited['accept_rate']).toBe(ends['http 503']);
  // Places come back: whoever comes again and again is let in.
  await siege.lifted(100_000);
});

it('clients that register and are gone', async () => {
  const siege = await Siege.begin();
  expect(await OPEN_FLOODS.registerAndLeave(siege.plan(300))).toEqual({ left: 300 });
  await siege.lifted();
  expect(siege.disconnected).toMatchObject({ 1006: 300 });
});

it.runIf(hasAddresses)('clients that register and stay, as many of one address as may', async () => {
  const siege = await Siege.begin({ relay: { maxConnectionsPerIp: 50 } });
  const ends = await besiege(
    siege.plan(200, () => siege.people.newcomer()),
    async connection => connection.register(siege.target, await Identity.generate()),
    { leaves: true },
  );
  expect(ends).toEqual({ left: 50, 'http 429': 150 });
  expect(siege.limited).toEqual({ connections_per_ip: 150 });
  await siege.lifted();
});

it('clients that register and stay, as many as there may be', async () => {
  const siege = await Siege.begin({ relay: { maxConnections: 60 } });
  const room = 60 - siege.people.connections;
  const ends = await besiege(
    siege.plan(200),
    async connection => connection.register(siege.target, await Identity.generate()),
    { leaves: true },
  );
  expect(ends).toEqual({ left: room, 'http 503': 200 - room });
  expect(siege.limited).toEqual({ connections: 200 - room });
  await siege.lifted();
});

it('one key on a thousand sockets: 256 of them', async () => {
  const siege = await Siege.begin();
  const ends = await OPEN_FLOODS.oneKey(siege.plan(1_000));
  expect(ends).toEqual({ registered: 256, 'refused TOO_MANY_CONNECTIONS': 744 });
  expect(siege.limited).toEqual({ connections_per_key: 744 });
  expect(siege.refused).toEqual({ TOO_MANY_CONNECTIONS: 744 });
  await siege.lifted();
});

it('one key on a thousand sockets of a relay that is exclusive: the newest', async () => {
  const siege = await Siege.begin({ relay: { exclusive: true } });
  const alone = (): Promise<unknown> =>
    expect.poll(() => siege.relay.statistics.connections, EVENTUALLY).toBe(siege.people.connections + 1);
  const ends = await OPEN_FLOODS.oneKey(siege.plan(1_000, alone));
  expect(ends['registered']).toBe(1_000);
  expect(ends['then ws 4001']).toBe(999);
  expect(siege.limited).toEqual({});
  await siege.lifted();
});

it('a mix of all of them at once', async () => {
  const siege = await Siege.begin({ relay: { registrationTimeout: 3_000 } });
  const floods = Object.values(OPEN_FLOODS);
  await inParallel(floods.length, floods.length, async index => floods[index]!(siege.plan(200)));
  await siege.lifted();
});
