// The attackers of a soak, in a process of their own: several lanes of attacks, chosen by a seed, until they are told to stop.
import type { HostileConnection, Target } from '../../test/support/hostile/hostile-connection.js';
import { Random } from '../../test/support/hostile/random.js';
import type { Tally } from '../../test/support/hostile/tally.js';
import { ATTACK_MIX, type MixedAttack } from './attack-mix.js';

export type AttackersOrder =
  /** Each attack once. */
  | { readonly order: 'rehearse'; readonly target: Target; readonly seed: number }
  /** Attacks without end. */
  | { readonly order: 'attack'; readonly target: Target; readonly seed: number }
  /** No further attack is begun. */
  | { readonly order: 'stop' };

/** Told after each attack, and when there is no more. */
export type AttackersReport =
  | { readonly done: string; readonly tally: Tally; readonly problem?: string | undefined }
  /** An attack does not end: the relay has not done what it should, or not told. */
  | { readonly stuck: string }
  | { readonly over: true };

const LANES = 3;
/** No attack takes as long, milliseconds. */
const PATIENCE = 90_000;
let isStopped = true;

async function attack(target: Target, random: Random, { name, attack: run, most }: MixedAttack) {
  const size = Math.max(1, Math.ceil(most * (0.3 + 0.7 * random.next())));
  const own = new Random(random.below(2 ** 31));
  const stuck = setTimeout(() => {
    process.send?.({ stuck: `${name} (${size})` } satisfies AttackersReport);
  }, PATIENCE);
  const opened: HostileConnection[] = [];
  try {
    const tally = await run({
      target: { ...target, from: addressOf(own), opened },
      count: size,
      random: own,
    });
    process.send?.({ done: name, tally } satisfies AttackersReport);
  } catch (error) {
    // Mostly an attacker that was not let in, among so many.
    process.send?.({ done: name, tally: {}, problem: String(error) } satisfies AttackersReport);
  } finally {
    clearTimeout(stuck);
    // Those of an attack that has failed half-way.
    await Promise.all(opened.filter(({ isOver }) => !isOver).map(connection => connection.leave()));
  }
}

/** Elsewhere than on Linux and Windows this machine has one loopback address, which is that of the well-behaved, too. */
function addressOf(random: Random): string | undefined {
  return process.platform === 'darwin' ? undefined : `127.0.0.${2 + random.below(4)}`;
}

async function lane(next: () => MixedAttack | undefined, target: Target, random: Random): Promise<void> {
  for (let mixed = next(); mixed !== undefined; mixed = next()) await attack(target, random, mixed);
}

async function run(target: Target, seed: number, next: (random: Random) => MixedAttack | undefined) {
  isStopped = false;
  const lanes = Array.from({ length: LANES }, (_, index) => {
    const random = new Random(seed * LANES + index);
    return lane(() => next(random), target, random);
  });
  await Promise.all(lanes);
  process.send?.({ over: true } satisfies AttackersReport);
}

process.on('message', (message: AttackersOrder) => {
  if (message.order === 'stop') {
    isStopped = true;
  } else if (message.order === 'rehearse') {
    const left = [...ATTACK_MIX];
    void run(message.target, message.seed, () => (isStopped ? undefined : left.shift()));
  } else {
    void run(message.target, message.seed, random => (isStopped ? undefined : random.pick(ATTACK_MIX)));
  }
});
process.on('disconnect', () => {
  process.exit();
});
