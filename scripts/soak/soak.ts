// The soak itself: see ../soak.mjs. It starts the relay and the attackers, and is everybody who behaves.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fromHex } from '../../src/core/bytes.js';
import { CERTIFICATE, CERTIFICATE_KEY } from '../../test/support/certificate.js';
import type { Target } from '../../test/support/hostile/hostile-connection.js';
import {
  RelayProcess,
  type RelayProcessOptions,
  type RelayReport,
} from '../../test/support/hostile/relay-process.js';
import { addTally, count, type Tally, tallyText } from '../../test/support/hostile/tally.js';
import { WellBehaved } from '../../test/support/hostile/well-behaved.js';
import type { AttackersOrder, AttackersReport } from './attackers.js';

interface SoakPlan {
  readonly minutes: number;
  readonly seed: number;
  readonly tls: boolean;
  readonly files: { readonly relay: string; readonly attackers: string };
}

const MIB = 1_048_576;
/** How far heap and memory outside of it may be from where they were after the warm-up, bytes: the pool of buffers is 8 MiB. */
const HEAP_TOLERANCE = 8 * MIB;
/**
 * The same of what the operating system counts, bytes: the allocator keeps what it was given back, and gives it to the next
 * who asks, so that it differs with how much was there at once.
 */
const RSS_TOLERANCE = 32 * MIB;
const REPORT_EVERY = 10_000;
/** Each attack is warmed up with once; then so much of the time, milliseconds, all of them together. */
const WARM_UP = 30_000;
/** So long it may take until the relay has noticed that the attackers have left, milliseconds. */
const TIDY_TIME = 90_000;

/** Small enough that each limit is met, and large enough for those who behave. */
const RELAY: RelayProcessOptions = {
  registrationTimeout: 3_000,
  keepaliveInterval: 5_000,
  maxConnectionsPerIp: 300,
  acceptRate: 500,
  maxQueueBytes: 4 * MIB,
  maxTotalQueueBytes: 32 * MIB,
  queuePolicy: 'close-slow',
  framesPerSecond: 5_000,
  bytesPerSecond: 40 * MIB,
  keyFramesPerSecond: 8_000,
  maxPeers: 1_000,
  internal: { port: 0 },
  audit: {},
};

const plan = JSON.parse(process.argv[2] ?? '{}') as SoakPlan;
const began = performance.now();
const seconds = (): string => ((performance.now() - began) / 1_000).toFixed(0).padStart(4);
const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
const sleep = (time: number): Promise<void> => new Promise(resolve => setTimeout(resolve, time));

function say(text: string): void {
  console.log(`${seconds()} s  ${text}`);
}

class Attackers {
  readonly #child;
  /** How often each attack was carried out, and what came of all of them together. */
  readonly attacks: Tally = {};
  readonly outcomes: Tally = {};
  readonly problems: Tally = {};
  #over: () => void = () => undefined;
  #isEnding = false;

  constructor(file: string, failed: (what: string) => void) {
    this.#child = fork(file, { serialization: 'advanced' });
    this.#child.on('message', (report: AttackersReport) => {
      if ('over' in report) {
        this.#over();
        return;
      }
      if ('stuck' in report) {
        failed(`an attack does not end: ${report.stuck}`);
        return;
      }
      count(this.attacks, report.done);
      addTally(this.outcomes, report.tally);
      if (report.problem !== undefined) count(this.problems, `${report.done}: ${report.problem}`);
    });
    this.#child.on('exit', code => {
      if (!this.#isEnding) failed(`the attackers ended (${String(code)})`);
      this.#over();
    });
  }

  /** Resolves when they have been told to stop and have left, or have nothing left to do. */
  begin(order: 'rehearse' | 'attack', target: Target): Promise<void> {
    return new Promise(resolve => {
      this.#over = resolve;
      this.#tell({ order, target, seed: plan.seed + (order === 'attack' ? 1_000 : 0) });
    });
  }

  stop(): void {
    this.#tell({ order: 'stop' });
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  #tell(order: AttackersOrder): void {
    if (this.#child.connected) this.#child.send(order);
  }
}

class Soak {
  readonly #relay: RelayProcess;
  readonly #people: WellBehaved;
  readonly #attackers: Attackers;
  readonly #target: Target;
  /** What has gone wrong. */
  readonly problems: string[] = [];
  #isAttacked = true;

  constructor(relay: RelayProcess, people: WellBehaved, attackers: string) {
    this.#relay = relay;
    this.#people = people;
    this.#attackers = new Attackers(attackers, what => this.problems.push(what));
    this.#target = { url: relay.url, relayKey: fromHex(relay.publicKey), service: people.service };
    relay.died.catch((error: unknown) => this.problems.push(String(error)));
  }

  async run(): Promise<void> {
    const visits = this.#visit();
    const rehearsed = this.#attackers.begin('rehearse', this.#target);
    await this.#watch(rehearsed);
    await this.#attack(Math.min(WARM_UP, (plan.minutes * 60_000) / 2));
    const before = await this.#tidy();
    say(`warm: ${memoryText(before)}`);

    await this.#attack(plan.minutes * 60_000);
    const after = await this.#tidy();
    say(`done: ${memoryText(after)}`);
    this.#isAttacked = false;
    await visits;
    this.#compare(before, after);

    const messages = await this.#people.stop();
    const last = await this.#emptied(0);
    for (const [name, value] of Object.entries(last.statistics)) {
      const isTable = ['connections', 'unregistered', 'listeningKeys', 'contacts', 'queuedBytes'].includes(
        name,
      );
      if (isTable && value !== 0) this.problems.push(`${name} is ${String(value)} when everybody has left`);
    }
    say(
      `${messages} messages, each delivered both ways once and in order; ${this.#people.newcomers} newcomers`,
    );
    say(`attacks: ${tallyText(this.#attackers.attacks)}`);
    say(`what came of them: ${tallyText(this.#attackers.outcomes)}`);
    say(`limits: ${tallyText(last.limited)}`);
    say(`refused: ${tallyText(last.refused)}`);
    say(`drops: ${tallyText(last.statistics.drops)}`);
    if (Object.keys(this.#attackers.problems).length > 0) {
      say(`attacks that came to nothing: ${tallyText(this.#attackers.problems)}`);
    }
  }

  async close(): Promise<void> {
    this.#isAttacked = false;
    this.#people.terminate();
    await this.#attackers.end();
    await this.#relay.close();
  }

  async #attack(time: number): Promise<void> {
    const over = this.#attackers.begin('attack', this.#target);
    const timer = setTimeout(() => {
      this.#attackers.stop();
    }, time);
    await this.#watch(over);
    clearTimeout(timer);
  }

  /** A line each 10 seconds, until `over`, or something is wrong. */
  async #watch(over: Promise<void>): Promise<void> {
    let isOver = false;
    const ended = over.then(() => (isOver = true));
    while (!isOver) {
      await Promise.race([ended, this.#relay.died, sleep(REPORT_EVERY)]);
      const { memory, cpu, statistics, limited, refused } = await this.#relay.report();
      await this.#scrape();
      say(
        `delivered ${this.#people.delivered} (${this.#people.newcomers} newcomers)  ` +
          `connections ${statistics.connections}+${statistics.unregistered}  queued ${mib(statistics.queuedBytes)}  ` +
          `heap ${mib(memory.heapUsed)}+${mib(memory.external)}  RSS ${mib(memory.rss)} MiB  CPU ${cpu.toFixed(0)} s  ` +
          `limited ${sum(limited)}  refused ${sum(refused)}`,
      );
      this.#check();
    }
  }

  /** Newcomers, one after the other. When a flood fills all places of the unregistered, they come again. */
  async #visit(): Promise<void> {
    while (this.#isAttacked && this.#people.faults.length === 0) {
      await this.#people.newcomer(100).catch(() => undefined);
      await sleep(200);
    }
  }

  /** Prometheus' view of it has to be there all the time. */
  async #scrape(): Promise<void> {
    const response = await fetch(`${this.#relay.internalUrl ?? ''}/metrics`);
    const text = await response.text();
    if (!text.includes('secure_websocket_limits_hit_total')) this.problems.push('there are no metrics');
  }

  /** Waits until nobody is there but those who behave. */
  async #tidy(): Promise<RelayReport> {
    this.#check();
    return this.#emptied(this.#people.connections);
  }

  async #emptied(connections: number): Promise<RelayReport> {
    const deadline = performance.now() + TIDY_TIME;
    for (;;) {
      const report = await this.#relay.report();
      const { statistics, snapshot, handles } = report;
      // A newcomer may be there, and is part of nobody's table once it has gone.
      const isEmpty =
        statistics.connections <= connections + 1 &&
        statistics.unregistered <= 1 &&
        statistics.queuedBytes < MIB &&
        snapshot.throttled === 0 &&
        // Of each connection one; the two servers; and who asks for metrics.
        handles <= connections + 8;
      if (isEmpty) return report;
      if (performance.now() > deadline) {
        const { queuedBytes, unregistered } = statistics;
        this.problems.push(
          `the relay still has ${statistics.connections} connections, ${unregistered} unregistered, ` +
            `${queuedBytes} bytes queued, ${snapshot.throttled} held back and ${handles} TCP sockets`,
        );
        return report;
      }
      await sleep(200);
    }
  }

  #compare(before: RelayReport, after: RelayReport): void {
    const grown = usedBy(after) - usedBy(before);
    if (grown > HEAP_TOLERANCE) this.problems.push(`heap and buffers have grown by ${mib(grown)} MiB`);
    const resident = after.memory.rss - before.memory.rss;
    if (resident > RSS_TOLERANCE) this.problems.push(`RSS has grown by ${mib(resident)} MiB`);
  }

  #check(): void {
    this.problems.push(...this.#people.faults);
    if (this.problems.length > 0) throw new Error('It has failed.');
  }
}

function usedBy({ memory }: RelayReport): number {
  return memory.heapUsed + memory.external;
}

function memoryText({ memory }: RelayReport): string {
  return `heap ${mib(memory.heapUsed)} + ${mib(memory.external)} MiB outside of it, RSS ${mib(memory.rss)} MiB`;
}

function sum(tally: Tally): number {
  return Object.values(tally).reduce((all, each) => all + each, 0);
}

const folder = await mkdtemp(path.join(tmpdir(), 'soak-'));
let soak: Soak | undefined;
let problems = ['it did not begin'];
try {
  const [certFile, keyFile] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
  await Promise.all([writeFile(certFile, CERTIFICATE), writeFile(keyFile, CERTIFICATE_KEY)]);
  const relay = await RelayProcess.start(plan.files.relay, {
    ...RELAY,
    ...(plan.tls && { tls: { certFile, keyFile } }),
  });
  const people = await WellBehaved.start({
    url: relay.url,
    relayKey: relay.publicKey,
    clients: 6,
    seed: plan.seed,
    pause: 20,
    ...(plan.tls && { tls: { ca: CERTIFICATE } }),
  });
  say(`seed ${plan.seed}: ${relay.url}, ${people.connections} well-behaved connections`);
  soak = new Soak(relay, people, plan.files.attackers);
  ({ problems } = soak);
  await soak.run();
} catch (error) {
  if (problems.length === 0)
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await soak?.close();
  await rm(folder, { recursive: true, force: true });
}
for (const problem of new Set(problems)) console.error(`✗ ${problem}`);
console.log(
  problems.length === 0 ? '✓ nothing was lost, and memory is back where it was' : '✗ the soak has failed',
);
process.exit(problems.length === 0 ? 0 : 1);
