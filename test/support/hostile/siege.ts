import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, type TestContext } from 'vitest';
import { Identity } from '../../../src/core/identity.js';
import { Relay, type RelayOptions } from '../../../src/relay/relay.js';
import { CERTIFICATE, CERTIFICATE_KEY } from '../certificate.js';
import type { Plan } from './attack.js';
import type { Target } from './hostile-connection.js';
import { Random } from './random.js';
import { count, type Tally } from './tally.js';
import { WellBehaved, type WellBehavedOptions } from './well-behaved.js';

/** Attackers have addresses of their own, where the machine has more than one for itself. */
export const ATTACKERS = process.platform === 'darwin' ? [] : ['127.0.0.66', '127.0.0.67', '127.0.0.68'];

export interface SiegeOptions extends Pick<WellBehavedOptions, 'pause' | 'clients'> {
  readonly relay?: Partial<RelayOptions> | undefined;
  readonly tls?: boolean | undefined;
}

/** What a test knows of itself: to be given where several run at the same time. */
type Test = Pick<TestContext, 'expect' | 'onTestFinished'>;

/** A relay, those who use it, and what it tells of those who attack it. */
export class Siege {
  readonly relay: Relay;
  readonly people: WellBehaved;
  readonly target: Target;
  /** How often each limit was hit, each client refused, and each status code the end of a connection. */
  readonly limited: Tally = {};
  readonly refused: Tally = {};
  readonly disconnected: Tally = {};

  readonly #test: Test;

  private constructor(relay: Relay, people: WellBehaved, test: Test) {
    this.#test = test;
    this.relay = relay;
    this.people = people;
    this.target = {
      url: relay.url,
      relayKey: Buffer.from(relay.publicKey, 'hex'),
      service: people.service,
      from: ATTACKERS[0],
    };
    relay.on('limited', ({ limit }) => {
      count(this.limited, limit);
    });
    relay.on('refused', ({ code }) => {
      count(this.refused, code);
    });
    relay.on('disconnection', (_client, code) => {
      count(this.disconnected, String(code));
    });
  }

  /** Resolves when those who behave are connected, and talk. Everything ends with the test. */
  static async begin(
    { relay: options = {}, tls = false, ...people }: SiegeOptions = {},
    test: Test = { expect, onTestFinished },
  ): Promise<Siege> {
    const relay = new Relay({
      port: 0,
      host: '127.0.0.1',
      identity: Identity.generate(),
      ...options,
      ...(tls && { tls: await certificate(test) }),
    });
    await relay.listen();
    test.onTestFinished(() => relay.close());
    const { url, publicKey } = relay;
    const ca = tls ? { tls: { ca: CERTIFICATE } } : {};
    const all = await WellBehaved.start({ url, relayKey: publicKey, ...people, ...ca });
    test.onTestFinished(() => {
      all.terminate();
    });
    return new Siege(relay, all, test);
  }

  /** An attack of so many, during which those who behave are served. `meanwhile`: what else is looked at. */
  plan(attackers: number, meanwhile?: () => unknown): Plan {
    return {
      target: this.target,
      count: attackers,
      random: new Random(attackers),
      meanwhile: async () => {
        await meanwhile?.();
        await this.people.rounds(3);
      },
    };
  }

  /**
   * The attack is over: those who behave are served, others can come, and nothing of the attackers is left. Then they
   * leave, too, and have missed nothing. `tries`: how often a newcomer may have to come.
   */
  async lifted(tries = ATTACKERS.length === 0 ? 10_000 : 1): Promise<void> {
    const { relay, people } = this;
    const { expect } = this.#test;
    await expect
      .poll(() => relay.statistics, EVENTUALLY)
      .toMatchObject({ connections: people.connections, unregistered: 0 });
    await people.rounds(2);
    await people.newcomer(tries);
    expect(await people.stop()).toBeGreaterThan(0);
    expect(people.faults).toEqual([]);
    await expect.poll(() => relay.statistics, EVENTUALLY).toMatchObject(NOBODY);
    expect(relay.snapshot()).toMatchObject({ connections: 0, unregistered: 0, queuedBytes: 0, throttled: 0 });
    expect(relay.isReady).toBe(true);
  }
}

/** How long to look for what takes its time on a busy machine. */
export const EVENTUALLY = { timeout: 20_000, interval: 10 } as const;

const NOBODY = { connections: 0, unregistered: 0, listeningKeys: 0, contacts: 0, queuedBytes: 0 };

async function certificate({ onTestFinished }: Test): Promise<{ certFile: string; keyFile: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'secure-websocket-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const files = { certFile: path.join(folder, 'cert.pem'), keyFile: path.join(folder, 'key.pem') };
  await writeFile(files.certFile, CERTIFICATE);
  await writeFile(files.keyFile, CERTIFICATE_KEY);
  return files;
}
