import { describe, expect, it, vi } from 'vitest';
import { encodeEnvelope } from '../../../src/core/frame.js';
import { Identity } from '../../../src/core/identity.js';
import { flood, register } from '../../support/hostile/attack.js';
import { GARBAGE_ATTACKS, REPLAYS } from '../../support/hostile/garbage-attacks.js';
import { inParallel } from '../../support/hostile/in-parallel.js';
import { Siege } from '../../support/hostile/siege.js';

vi.setConfig({ testTimeout: 60_000 });

const ATTACKING = 30;
const REPLAYED = 1_000;

/** How connections may end, besides the attack's own. */
const ENDS: Record<keyof typeof GARBAGE_ATTACKS, readonly string[]> = {
  // The answer is lost when more of the garbage meets a connection that is closed.
  asRequest: ['http 400', 'cut'],
  // The frame reader's word, or that it is too much: whichever comes first.
  beforeRegistration: ['ws 1002', 'ws 1008', 'ws 1009', 'cut'],
  // What looks like half of a frame is waited for, and its client goes.
  afterRegistration: ['ws 1002', 'ws 1007', 'ws 1008', 'ws 1009', 'cut'],
  unknownFrames: ['ws 1002'],
  compressed: ['ws 1002'],
  brokenFrames: ['ws 1002', 'ws 1007', 'ws 1009'],
  giantsAnnounced: ['ws 1009'],
  giantsSent: ['ws 1009'],
  tinyFragments: ['ws 1008'],
  fragmentedMessages: ['left'],
  pings: ['left'],
  tokens: ['ws 1002'],
  relaysFrames: ['ws 1002'],
};

describe('a relay serves others while somebody sends garbage', () => {
  it.each(Object.entries(ENDS))('%s', async (name, expected) => {
    const siege = await Siege.begin();
    const ends = await GARBAGE_ATTACKS[name as keyof typeof ENDS](siege.plan(ATTACKING));
    for (const end of Object.keys(ends)) expect(expected).toContain(end);
    expect(Object.values(ends).reduce((sum, times) => sum + times, 0)).toBe(ATTACKING);
    await siege.lifted();
    if (name.startsWith('giants')) expect(siege.limited).toEqual({ frame_size: ATTACKING });
    // Nothing of it was an envelope to anybody else.
    expect(siege.relay.statistics.drops).toMatchObject({ not_here: 0, queue_full: 0 });
  });

  it('of every kind at once', async () => {
    const siege = await Siege.begin();
    const attacks = Object.values(GARBAGE_ATTACKS);
    const run = (index: number): Promise<unknown> => attacks[index]!(siege.plan(5));
    await inParallel(attacks.length, 4, run);
    await siege.lifted();
  });

  it('envelopes that are too large, and is told of each', async () => {
    const siege = await Siege.begin();
    const sender = await register(siege.target);
    const large = encodeEnvelope(sender.address, new Uint8Array(300_000));
    for (let i = 0; i < 20; i++) sender.send(large);
    await siege.people.rounds(3);
    await sender.until(() => sender.heard['notice TOO_LARGE'] === 20);
    await sender.leave();
    expect(siege.limited).toEqual({ frame_size: 1 });
    expect(siege.relay.statistics.drops.too_large).toBe(20);
    await siege.lifted();
  });
});

describe('a recorded registration, sent again a thousand times,', () => {
  it('is refused each time, and its owner stays', async () => {
    const siege = await Siege.begin();
    expect(await REPLAYS.ofTheLiving(siege.plan(REPLAYED))).toEqual({ 'ws 1008': REPLAYED });
    expect(siege.refused).toEqual({ DECRYPT_FAILED: REPLAYED });
    await siege.lifted();
  });

  it('is refused when its owner is gone, too', async () => {
    const siege = await Siege.begin();
    expect(await REPLAYS.ofTheDead(siege.plan(REPLAYED))).toEqual({ 'ws 1008': REPLAYED });
    expect(siege.refused).toEqual({ DECRYPT_FAILED: REPLAYED });
    await siege.lifted();
  });
});

it('a token that nobody asked for opens no door and closes none', async () => {
  const siege = await Siege.begin();
  const ends = await flood(siege.plan(20), async connection => {
    expect(await connection.register(siege.target, await Identity.generate(), 'x'.repeat(4_096))).toBe(true);
  });
  expect(ends).toEqual({ left: 20 });
  await siege.lifted();
});
