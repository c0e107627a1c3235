import { describe, it, vi } from 'vitest';
import { MAX_MAX_FRAME } from '../../../src/core/constants.js';
import type { RelayOptions } from '../../../src/relay/relay.js';
import { ATTACKERS, Siege } from '../../support/hostile/siege.js';
import { SLOW_ATTACKS } from '../../support/hostile/slow-attacks.js';

vi.setConfig({ testTimeout: 60_000 });

/** Fewer than may be there from one address and be unregistered. */
const ATTACKING = 40;
/** Long enough for those who behave to register on a busy machine, milliseconds. */
const PATIENCE = 3_000;

interface Stage {
  readonly attack: keyof typeof SLOW_ATTACKS;
  readonly tls?: boolean;
  readonly relay?: Partial<RelayOptions>;
  /** Whether they count as connections that are not registered, or as registered ones, while they are there. */
  readonly as?: 'unregistered' | 'connections';
  /** How all of them end. */
  readonly end: readonly string[];
  readonly refused?: Record<string, number>;
  readonly limited?: Record<string, number>;
  readonly disconnected?: Record<string, number>;
}

const timedOut = { refused: { REGISTRATION_TIMEOUT: ATTACKING }, limited: { registration_time: ATTACKING } };

/** From the first byte to the last. */
const STAGES: readonly Stage[] = [
  { attack: 'silentTcp', end: ['http 408', 'cut'] },
  { attack: 'silentTcp', tls: true, end: ['cut'] },
  // The answer is lost when more of the request meets a connection that is closed.
  { attack: 'drippedRequest', end: ['http 408', 'cut'] },
  { attack: 'halfClientHello', tls: true, end: ['cut'] },
  { attack: 'halfHandshake', tls: true, end: ['cut'] },
  { attack: 'silentUpgrade', as: 'unregistered', end: ['ws 1008'], ...timedOut },
  { attack: 'halfRegistration', as: 'unregistered', end: ['ws 1008'], ...timedOut },
  { attack: 'drippedRegistration', as: 'unregistered', end: ['ws 1008'], ...timedOut },
  // They answer no ping: it would stand in the middle of their frame.
  { attack: 'halfHeader', as: 'connections', end: ['cut'], disconnected: { 1006: ATTACKING } },
  {
    attack: 'halfPayload',
    relay: { maxFrame: MAX_MAX_FRAME },
    as: 'connections',
    end: ['cut'],
    disconnected: { 1006: ATTACKING },
  },
  {
    attack: 'halfPayload',
    end: ['ws 1009'],
    disconnected: { 1006: ATTACKING },
    limited: { frame_size: ATTACKING },
  },
];

describe('a relay serves others while somebody stops, or all but stops,', () => {
  // One waits for its time limit while the others wait for theirs.
  it.concurrent.for(STAGES)('at $attack, TLS $tls, as $as', async (stage, test) => {
    const { attack, tls, relay, as, end } = stage;
    const { expect } = test;
    const options = { registrationTimeout: PATIENCE, keepaliveInterval: PATIENCE / 2, ...relay };
    const siege = await Siege.begin({ tls, relay: options, clients: 1, pause: 20 }, test);
    const before = as === 'connections' ? siege.people.connections : 0;
    let standing = 0;
    const ends = await SLOW_ATTACKS[attack](
      siege.plan(ATTACKING, async () => {
        if (as) standing = siege.relay.statistics[as] - before;
        // They have not taken the places of those who come from elsewhere.
        if (ATTACKERS.length > 0) await siege.people.newcomer();
      }),
    );
    if (as && end[0] !== 'ws 1009') expect(standing).toBe(ATTACKING);
    for (const each of Object.keys(ends)) expect(end).toContain(each);
    expect(Object.values(ends).reduce((sum, times) => sum + times, 0)).toBe(ATTACKING);
    await siege.lifted();
    expect(siege.refused).toEqual(stage.refused ?? {});
    expect(siege.limited).toEqual(stage.limited ?? {});
    expect(siege.disconnected).toMatchObject(stage.disconnected ?? {});
  });
});
