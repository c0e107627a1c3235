import type { Channel } from '../../src/core/channel.js';
import type { ChannelEnding } from '../../src/core/channel-event.js';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { Backoff, isTerminal, parseReconnect, PeerReturn } from '../../src/link/reconnect-policy.js';
import type { Party } from './conversation.js';
import { connectDirectly } from './direct.js';
import type { NodeLink } from './node-link.js';
import type { SimulatedProcess } from './simulated-process.js';
import type { World } from './world.js';

/** A connection that a process dials, and dials again: what src/link/dial.ts is with real links. */
export class Dialled {
  readonly #world: World;
  readonly #name: string;
  readonly #process: SimulatedProcess;
  /** Who is dialled: the process that has the name at the time. */
  readonly #target: () => SimulatedProcess;
  readonly #direct: boolean;
  readonly #resumable: boolean;
  readonly #backoff: Backoff;
  #channel: Channel | undefined;
  #party: Party | undefined;
  #isOpen = false;
  #anyProcess = false;
  #peerReturn: PeerReturn | undefined;
  #attempts = 0;
  #hasEnded = false;

  constructor(
    world: World,
    name: string,
    process: SimulatedProcess,
    target: () => SimulatedProcess,
    options: { direct: boolean; resumable: boolean },
  ) {
    this.#world = world;
    this.#name = name;
    this.#process = process;
    this.#target = target;
    this.#direct = options.direct;
    this.#resumable = options.resumable;
    const reconnect = parseReconnect({ minDelay: 200, maxDelay: 5_000 });
    if (!reconnect) throw new Error('unreachable');
    this.#backoff = new Backoff(reconnect, () => process.random.fraction());
    this.#connect();
  }

  /** True when it is over, or will never come to be. */
  get isOver(): boolean {
    return this.#hasEnded || !this.#process.isAlive;
  }

  get party(): Party | undefined {
    return this.#party;
  }

  opened(): void {
    this.#isOpen = true;
    this.#backoff.connected(this.#world.now);
    if (this.#party) this.#world.opened(this.#party);
  }

  resumed(): void {
    this.#peerReturn = undefined;
    this.#anyProcess = false;
    this.#backoff.connected(this.#world.now);
  }

  suspended(error: SecureWebSocketError): void {
    const { now } = this.#world;
    this.#peerReturn ??= new PeerReturn(now);
    this.#backoff.lost(now);
    if (error.code === 'PEER_NOT_HERE' && !this.#anyProcess) {
      this.#anyProcess = true;
      this.#process.later(0, () => {
        this.#connect();
      });
      return;
    }
    this.#anyProcess = false;
    const isGone = error.code === 'CHANNEL_LOST' && this.#peerReturn.unknown(now);
    if (isGone || (error.code !== 'CHANNEL_LOST' && isTerminal(error))) this.#channel?.fail(error);
    else this.#again();
  }

  closed(ending: ChannelEnding): void {
    const isForgivable = ending.error?.code === 'CHANNEL_RESET';
    const isFinal = ending.error && !isForgivable && isTerminal(ending.error, this.#channel?.refusalStatus);
    if (this.#isOpen || !ending.error || isFinal) {
      this.#hasEnded = true;
      return;
    }
    // It never came to be: the next attempt is a new channel.
    this.#channel = this.#party = undefined;
    this.#again();
  }

  #again(): void {
    if (this.#world.faultsAreOver) this.#attempts++;
    // Whoever gives up is no sign of a fault; but nobody may have to try for ever when all is well.
    this.#world.check(this.#attempts < 1_000, `${this.#name} cannot connect although all is well`);
    this.#process.later(this.#backoff.next() ?? 0, () => {
      this.#connect();
    });
  }

  #connect(): void {
    if (this.#hasEnded || this.#channel?.state === 'closed') return;
    if (this.#direct)
      connectDirectly(this.#process, this.#target(), link => {
        this.#linked(link);
      });
    else
      this.#process.withLink(this.#target().home, link => {
        this.#linked(link);
      });
  }

  #linked(link: NodeLink | undefined): void {
    if (this.#hasEnded || this.#channel?.state === 'closed') return;
    const world = this.#world;
    if (!link) {
      const error = new SecureWebSocketError('LINK_FAILED', 'Nobody answers.');
      if (this.#isOpen) this.suspended(error);
      else this.#again();
      return;
    }
    const address = this.#target().anyAddress;
    const channel = this.#channel;
    if (channel) {
      link.endpoint.resume(
        channel,
        this.#anyProcess || this.#direct ? address : (channel.home ?? address),
        world.now,
      );
      this.#process.carriedBy(channel, link);
    } else {
      const target = `${this.#name}.${++world.attempts}`;
      const opened = link.endpoint.open(
        address,
        { target: `/${target}`, protocols: [], resume: this.#resumable },
        world.now,
      );
      this.#channel = opened;
      this.#party = this.#process.add(opened, `/${target}`, link, this);
      world.openers.set(`/${target}`, this.#party);
    }
    link.pump();
  }
}
