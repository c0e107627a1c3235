import type { Attack } from '../../test/support/hostile/attack.js';
import { DEAF_ATTACKS } from '../../test/support/hostile/deaf-attacks.js';
import { ENVELOPE_FLOODS, tooMuchTraffic } from '../../test/support/hostile/envelope-floods.js';
import { GARBAGE_ATTACKS, REPLAYS } from '../../test/support/hostile/garbage-attacks.js';
import { OPEN_FLOODS } from '../../test/support/hostile/open-floods.js';
import { SLOW_ATTACKS } from '../../test/support/hostile/slow-attacks.js';

/** One attack, and how much of it is done at most. */
export interface MixedAttack {
  readonly name: string;
  readonly attack: Attack;
  readonly most: number;
}

/** `most`: of what the attack counts, unless another number is given for it. */
function all(attacks: Readonly<Record<string, Attack>>, most: number, other: Record<string, number> = {}) {
  return Object.entries(attacks).map(([name, attack]) => ({ name, attack, most: other[name] ?? most }));
}

/** Every attack that there is. */
export const ATTACK_MIX: readonly MixedAttack[] = [
  ...all(SLOW_ATTACKS, 100),
  ...all(OPEN_FLOODS, 300, { connectAndLeave: 1_000, requests: 1_000, oneKey: 400 }),
  ...all(GARBAGE_ATTACKS, 30, { asRequest: 200, beforeRegistration: 100 }),
  ...all(REPLAYS, 200),
  ...all(DEAF_ATTACKS, 500, { unreadNotices: 30 }),
  ...all(ENVELOPE_FLOODS, 20_000, { handshakesToOne: 5_000, handshakesToMany: 5_000 }),
  { name: 'tooMuchTraffic', attack: tooMuchTraffic, most: 12_000 },
];
