import type { Crypto } from '../../src/core/crypto.js';
import { seededSodium } from '../support/seeded-sodium.js';
import type { Party } from './conversation.js';
import { Dialled } from './dialled.js';
import { makePlan, type Plan } from './plan.js';
import { Random } from './random.js';
import { RelaySite } from './relay-site.js';
import { SimulatedProcess } from './simulated-process.js';
import { standInCrypto } from './stand-in-crypto.js';
import { Timeline } from './timeline.js';
import type { Lies, Wire, WireOptions } from './wire.js';

/** Something that must never be, with the seed that leads to it. */
export class SimulationError extends Error {}

/** After the last fault so much time is left for everything to come to its end, milliseconds. */
const PATIENCE = 900_000;

/** Several relays, many processes and all that goes wrong between them: everything follows from the seed. */
export class World {
  readonly seed: number;
  readonly random: Random;
  readonly timeline = new Timeline();
  readonly plan: Plan;
  readonly lies: Lies = { drop: 0, repeat: 0, hold: 0, tamper: 0 };
  readonly openers = new Map<string, Party>();
  readonly directWires = new Set<Wire>();
  readonly sites: RelaySite[] = [];
  /** The process that runs under each name now. */
  readonly processes: SimulatedProcess[] = [];
  readonly everyProcess: SimulatedProcess[] = [];
  readonly dialled: Dialled[] = [];
  readonly log: string[] = [];
  attempts = 0;
  faultsAreOver = false;
  /** FNV-1a over everything that happened. */
  hash = 0x811c9dc5;
  readonly #tracing: boolean;
  readonly #secrets: Uint8Array[];
  readonly #nonces = new Set<string>();
  #streams = 1;
  #clock = 1_750_000_000_000;

  constructor(seed: number, tracing = false) {
    this.seed = seed;
    this.#tracing = tracing;
    this.random = new Random(seed);
    this.plan = makePlan(this.random, seed);
    const { relays, processes } = this.plan;
    for (let i = 0; i < relays; i++) this.sites.push(new RelaySite(this, `relay ${i}`));
    this.#secrets = Array.from({ length: processes }, () => this.random.bytes(32));
    for (let i = 0; i < processes; i++) this.processes.push(this.#startProcess(i));
  }

  get now(): number {
    return this.timeline.now;
  }

  nextStream(): number {
    return this.#streams++;
  }

  wallClock(): number {
    return this.#clock + this.now;
  }

  wireOptions(): WireOptions {
    return { latency: this.plan.latency, bandwidth: this.plan.bandwidth };
  }

  /** The cryptography of one process: it notices when a key is used twice with one nonce. */
  crypto(random: Random): Crypto {
    const randomBytes = (length: number): Uint8Array => random.bytes(length);
    const crypto = this.plan.realCrypto ? seededSodium(randomBytes) : standInCrypto(randomBytes);
    const noteNonce = (key: Uint8Array, nonce: Uint8Array): void => {
      const name = Buffer.from(key).toString('latin1') + Buffer.from(nonce).toString('latin1');
      this.check(!this.#nonces.has(name), 'a nonce was used twice with one key');
      this.#nonces.add(name);
    };
    return {
      ...crypto,
      aeadEncrypt: (key, nonce, ad, plaintext) => {
        if (ad.length === 0) noteNonce(key, nonce);
        return crypto.aeadEncrypt(key, nonce, ad, plaintext);
      },
      aeadSeal: (key, nonce, plaintext, out, offset) => {
        noteNonce(key, nonce);
        crypto.aeadSeal(key, nonce, plaintext, out, offset);
      },
    };
  }

  isUnreachable(process: SimulatedProcess): boolean {
    return process.home.isUp ? false : this.plan.directFollowsRelay;
  }

  trace(what: string): void {
    for (let i = 0; i < what.length; i++) this.hash = Math.imul(this.hash ^ what.charCodeAt(i), 0x01000193);
    this.hash = Math.imul(this.hash ^ Math.floor(this.now * 1_000), 0x01000193);
    if (this.#tracing) this.log.push(`${this.now.toFixed(3).padStart(12)} ${what}`);
  }

  wrong(what: string): never {
    this.trace(`WRONG: ${what}`);
    const seed = this.seed;
    throw new SimulationError(
      `seed ${seed}, at ${this.now.toFixed(3)} ms: ${what}. Again: npm run simulate -- --from ${seed} --trace`,
    );
  }

  check(holds: boolean, what: string): void {
    if (!holds) this.wrong(what);
  }

  /** Both ends of a new channel begin to talk. */
  opened(party: Party): void {
    this.trace(`${party.name} opened`);
    this.#talk(party);
  }

  accepted(party: Party): void {
    this.trace(`${party.name} accepted`);
    this.#talk(party);
  }

  run(): void {
    const { plan, timeline } = this;
    for (let number = 0; number < plan.conversations; number++) this.#converse(number);
    for (const fault of plan.faults)
      timeline.at(fault.at, () => {
        this.#fault(fault.kind, fault.length);
      });
    timeline.at(plan.liesFrom, () => {
      Object.assign(this.lies, plan.lies);
    });
    timeline.at(plan.faultsEnd, () => {
      Object.assign(this.lies, { drop: 0, repeat: 0, hold: 0, tamper: 0 });
      this.faultsAreOver = true;
      this.trace('faults are over');
    });
    const end = plan.faultsEnd + PATIENCE;
    while (timeline.step(end)) {
      this.check(timeline.steps < 3_000_000, 'it goes on and on');
      if (timeline.steps % 64 === 0) this.#checkMemory();
      if (timeline.steps % 256 === 0 && this.faultsAreOver && this.#isOver()) break;
    }
    this.#checkEnd();
  }

  #startProcess(index: number): SimulatedProcess {
    const home = this.sites[index % this.sites.length] as RelaySite;
    const generation = this.everyProcess.length;
    const process = new SimulatedProcess(
      this,
      `p${index}g${generation}`,
      (this.#secrets[index] as Uint8Array).slice(),
      home,
    );
    this.everyProcess.push(process);
    process.listen();
    return process;
  }

  #converse(number: number): void {
    const { random, plan } = this;
    const from = random.integer(0, plan.processes - 1);
    let to = random.integer(0, plan.processes - 2);
    if (to >= from) to++;
    const start = random.between(0, plan.faultsEnd / 2);
    const options = { direct: random.chance(plan.direct), resumable: random.chance(plan.resumable) };
    this.timeline.at(start, () => {
      const process = this.processes[from];
      if (!process?.isAlive) return;
      const name = `c${number}`;
      this.dialled.push(
        new Dialled(this, name, process, () => this.processes[to] as SimulatedProcess, options),
      );
    });
  }

  /** What one end says, and when; and when it closes, if it is the one that does. */
  #talk(party: Party): void {
    const { plan, timeline, random } = this;
    const count = random.integer(0, plan.messages);
    const closes = random.chance(0.5);
    let last = this.now;
    for (let i = 0; i < count; i++) {
      const at = this.now + random.between(0, plan.talk);
      const size = random.chance(plan.large) ? random.integer(20_000, 400_000) : random.integer(0, 400);
      last = Math.max(last, at);
      timeline.at(at, () => {
        party.send(size + 60);
      });
    }
    if (random.chance(plan.pauses)) {
      const at = this.now + random.between(0, plan.talk);
      const until = at + random.magnitude(10, 60_000);
      timeline.at(at, () => {
        party.pause();
      });
      timeline.at(until, () => {
        party.resume();
      });
      last = Math.max(last, until);
    }
    if (closes)
      timeline.at(last + random.magnitude(1, 20_000), () => {
        party.close();
      });
    // Whoever is left talks to its end, and then somebody closes.
    else
      timeline.at(Math.max(last, plan.faultsEnd) + random.magnitude(1, 20_000), () => {
        party.close();
      });
  }

  #fault(kind: string, length: number): void {
    const { random, timeline } = this;
    const wires = [...this.sites.flatMap(site => [...site.wires]), ...this.directWires].filter(
      wire => !wire.isClosed,
    );
    const site = random.pick(this.sites);
    const process = random.pick(this.processes);
    this.trace(`fault: ${kind}`);
    if (kind === 'cut' && wires.length > 0) random.pick(wires).cut();
    if (kind === 'cut all') for (const wire of wires) wire.cut();
    if (kind === 'stall' && wires.length > 0) random.pick(wires).stall();
    if (kind === 'relay' && site.isUp) {
      site.crash(random.chance(0.3));
      timeline.after(length, () => {
        site.restart();
      });
    }
    if (kind === 'sleep') process.awakeAt = Math.max(process.awakeAt, this.now + length);
    if (kind === 'clock') this.#clock += random.between(-1e9, 1e9);
    if (kind === 'crash' && process.isAlive) {
      const index = this.processes.indexOf(process);
      process.crash(random.chance(0.3));
      timeline.after(length, () => {
        this.processes[index] = this.#startProcess(index);
      });
    }
  }

  #isOver(): boolean {
    return (
      this.processes.every(({ isAlive }) => isAlive) &&
      this.dialled.every(({ isOver }) => isOver) &&
      this.everyProcess.every(
        ({ isAlive, parties }) => !isAlive || parties.every(({ ending }) => ending !== undefined),
      )
    );
  }

  #checkMemory(): void {
    for (const { isAlive, parties, resumables } of this.processes) {
      if (!isAlive) continue;
      this.check(resumables.suspended <= 1_000, 'more channels are kept than allowed');
      for (const { channel, ending, name } of parties) {
        if (ending) continue;
        // What the application has sent is its own; beside it a ring, messages that are in several of its records and so
        // kept whole, what the peer may send ahead, and a message of which the end is missing.
        const most =
          channel.bufferedAmount + 4_194_304 + 2 * this.plan.maxFrame + 2 * 2_097_152 + 4 * 400_060;
        this.check(channel.bytesKept <= most, `${name} keeps ${channel.bytesKept} bytes`);
      }
    }
  }

  /** Once faults have stopped, everything comes to its end. */
  #checkEnd(): void {
    for (const process of this.everyProcess) {
      for (const party of process.parties) {
        if (party.abandoned) continue;
        this.check(
          party.ending !== undefined,
          `${party.name} has not come to an end (${party.channel.state})`,
        );
        party.check();
        const { other, ending } = party;
        // Both processes live, and the channel can be resumed: nothing may be lost.
        const mustEndWell =
          other && !other.abandoned && party.channel.resumeWindow > 0 && other.channel.resumeWindow > 0;
        if (mustEndWell) {
          // Of two ends one must be the last to speak, and never learns whether it was heard.
          const lastWordLost = other.ending?.wasClean === true && party.channel.closeReceived !== undefined;
          this.check(
            ending?.wasClean === true || lastWordLost,
            `${party.name} has not ended well (${ending?.error?.code ?? ''})`,
          );
          this.check(
            other.delivered === party.sent.length,
            `${other.name} got ${other.delivered} of ${party.sent.length}`,
          );
        }
      }
    }
  }
}
