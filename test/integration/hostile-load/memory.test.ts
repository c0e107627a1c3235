import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { bundle } from '../../../scripts/soak/bundle.mjs';
import { MAX_MAX_FRAME } from '../../../src/core/constants.js';
import { DEAF_ATTACKS } from '../../support/hostile/deaf-attacks.js';
import { GARBAGE_ATTACKS, REPLAYS } from '../../support/hostile/garbage-attacks.js';
import { inParallel } from '../../support/hostile/in-parallel.js';
import { OPEN_FLOODS } from '../../support/hostile/open-floods.js';
import { Random } from '../../support/hostile/random.js';
import {
  RelayProcess,
  type RelayProcessOptions,
  type RelayReport,
} from '../../support/hostile/relay-process.js';
import { ATTACKERS, EVENTUALLY } from '../../support/hostile/siege.js';
import { SLOW_ATTACKS } from '../../support/hostile/slow-attacks.js';
import type { Plan } from '../../support/hostile/attack.js';
import { WellBehaved } from '../../support/hostile/well-behaved.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MIB = 1_048_576;
/** What a process of Node may need more at one time than at another, bytes: pools of buffers, and what is compiled. */
const SLACK = 12 * MIB;

let program: Awaited<ReturnType<typeof bundle<'relay'>>>;

beforeAll(async () => {
  program = await bundle({ relay: 'test/support/hostile/relay-process-main.ts' });
});

afterAll(async () => {
  await program.remove();
});

interface Besieged {
  readonly relay: RelayProcess;
  readonly people: WellBehaved;
  readonly plan: (count: number, meanwhile?: () => Promise<unknown>) => Plan;
  /** Bytes that it needs, garbage not counted. */
  readonly memory: () => Promise<number>;
  /** The attackers have left, nothing was lost, and the tables are empty. */
  readonly lifted: () => Promise<RelayReport>;
}

async function besieged(options: RelayProcessOptions): Promise<Besieged> {
  const relay = await RelayProcess.start(program.files.relay, options);
  onTestFinished(() => {
    relay.kill();
  });
  const people = await WellBehaved.start({ url: relay.url, relayKey: relay.publicKey, pause: 10 });
  onTestFinished(() => {
    people.terminate();
  });
  const relayKey = Buffer.from(relay.publicKey, 'hex');
  const target = { url: relay.url, relayKey, service: people.service, from: ATTACKERS[0] };
  const emptied = (connections: number): Promise<void> =>
    expect
      .poll(async () => (await relay.report()).statistics, EVENTUALLY)
      .toMatchObject({ connections, unregistered: 0 });
  return {
    relay,
    people,
    plan: (count, meanwhile) => ({
      target,
      count,
      random: new Random(count),
      meanwhile: async () => {
        await meanwhile?.();
        await Promise.race([people.rounds(3), relay.died]);
      },
    }),
    memory: async () => {
      let least = Infinity;
      // What those who behave have just said may be there, too.
      for (let i = 0; i < 4; i++) {
        const { memory } = await relay.report();
        least = Math.min(least, memory.heapUsed + memory.external);
        await Promise.race([people.rounds(1), relay.died]);
      }
      return least;
    },
    lifted: async () => {
      await emptied(people.connections);
      await people.rounds(2);
      await people.stop();
      await emptied(0);
      const last = await relay.report();
      expect(last.statistics).toMatchObject({ listeningKeys: 0, contacts: 0, queuedBytes: 0 });
      expect(last.snapshot.throttled).toBe(0);
      return last;
    },
  };
}

it('is not taken for what is only announced', async () => {
  const { memory, plan, lifted } = await besieged({ maxFrame: MAX_MAX_FRAME, keepaliveInterval: 3_000 });
  const before = await memory();
  let most = 0;
  const ends = await SLOW_ATTACKS.halfPayload(
    plan(200, async () => {
      most = await memory();
    }),
  );
  expect(ends).toEqual({ cut: 200 });
  // 16 MiB each were announced, and 20 kB were sent.
  expect(most - before).toBeLessThan(200 * 8 * 20_000 + SLACK);
  await lifted();
});

const limits = { maxQueueBytes: 2 * MIB, maxTotalQueueBytes: 8 * MIB } as const;

it.each(['notify', 'close-slow'] as const)(
  'that waits for readers who do not read is bounded for all of them (%s)',
  async queuePolicy => {
    const { memory, plan, lifted } = await besieged({ ...limits, queuePolicy });
    const before = await memory();
    const READERS = 24;
    let standing = 0;
    let look!: (memory: number) => void;
    const looked = new Promise<number>(resolve => (look = resolve));
    // They stay as they are until the last of them is there.
    const meanwhile = async (): Promise<void> => {
      standing += 1;
      if (standing === READERS) look(await memory());
      await looked;
    };
    const ended = inParallel(READERS, READERS, async () => DEAF_ATTACKS.neverReads(plan(100, meanwhile)));
    expect((await looked) - before).toBeLessThan(limits.maxTotalQueueBytes + SLACK);
    await ended;
    const { limited } = await lifted();
    expect(limited['queue']).toBe(READERS);
  },
);

it('is given back by those who come and go', async () => {
  const { memory, plan, lifted } = await besieged({ acceptRate: 10_000 });
  const visits = async (times: number): Promise<void> => {
    await OPEN_FLOODS.registerAndLeave(plan(times));
    await OPEN_FLOODS.upgradeAndLeave(plan(times));
    await OPEN_FLOODS.connectAndLeave(plan(times));
    await OPEN_FLOODS.oneKey(plan(times));
    await REPLAYS.ofTheDead(plan(times));
    await GARBAGE_ATTACKS.tinyFragments(plan(times / 10));
    await DEAF_ATTACKS.unreadNotices(plan(times / 10));
  };
  await visits(200);
  // What the engine learns about the code takes memory as well, at first: what is left behind is so each time.
  let before = await memory();
  let grown = Infinity;
  for (let round = 0; round < 3 && grown >= 3 * MIB; round++) {
    await visits(700);
    const after = await memory();
    grown = after - before;
    before = after;
  }
  // A kilobyte that each had left behind would be more.
  expect(grown).toBeLessThan(3 * MIB);
  await lifted();
});
