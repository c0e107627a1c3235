import type { Channel } from './channel.js';
import { toHex } from './bytes.js';
import { MAX_RESUMABLE, MAX_RESUMABLE_BYTES, RESUME_WINDOW } from './constants.js';
import { Deadlines } from './deadlines.js';
import { SecureWebSocketError } from './errors.js';

/** What carries channels, and can be asked to let go of one. */
export interface Carrier {
  /** Lets go of a channel that is carried by another from now on. Nothing is told to anybody. */
  release(channel: Channel): void;
}

export interface ResumableChannelsOptions {
  /** Milliseconds that a channel is kept while its peer is out of reach. Default: 120 s. */
  readonly window?: number | undefined;
  /** Channels that are kept while their peers are out of reach. Default: 10,000. */
  readonly maxChannels?: number | undefined;
  /** Bytes that they may hold together. Default: 64 MiB. */
  readonly maxBytes?: number | undefined;
}

/** Channels that ended lately, and are remembered for peers that did not hear of it. */
const MAX_ENDED = 1_024;

interface Kept {
  readonly channel: Channel;
  carrier: Carrier | undefined;
  /** What it was counted for while its peer is out of reach. */
  bytes: number;
}

/**
 * The channels of a service that can be resumed, over whatever link their peers come back on. Those whose peers are out
 * of reach are bounded in number, in bytes and in time. Sans I/O.
 */
export class ResumableChannels {
  readonly window: number;
  readonly #maxChannels: number;
  readonly #maxBytes: number;
  readonly #byLineage = new Map<string, Kept>();
  /** Until when those are kept that nothing carries, in the order in which they lost it. */
  readonly #away = new Deadlines<Kept>();
  #awayBytes = 0;
  #closed = false;
  /** Until when those are remembered that have ended. */
  readonly #ended = new Deadlines<Kept>();

  constructor(options: ResumableChannelsOptions = {}) {
    this.window = options.window ?? RESUME_WINDOW;
    this.#maxChannels = options.maxChannels ?? MAX_RESUMABLE;
    this.#maxBytes = options.maxBytes ?? MAX_RESUMABLE_BYTES;
  }

  /** Channels whose peers are out of reach. */
  get suspended(): number {
    return this.#away.size;
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    return Math.min(this.#away.wakeAt, this.#ended.wakeAt);
  }

  /** The channel of this lineage: to be proven before anything else is done with it. */
  find(lineageId: string): Channel | undefined {
    return this.#byLineage.get(lineageId)?.channel;
  }

  /** A channel that can be resumed is carried by `carrier` from now on: whoever carried it until now lets go of it. */
  carry(channel: Channel, carrier: Carrier): void {
    const { lineage } = channel;
    if (!lineage) return;
    let kept = this.#byLineage.get(lineage.id);
    if (!kept) this.#byLineage.set(lineage.id, (kept = { channel, carrier: undefined, bytes: 0 }));
    kept.carrier?.release(channel);
    kept.carrier = carrier;
    this.#comesBack(kept);
  }

  /** Nothing carries the channel any more: its peer is waited for. */
  suspend(channel: Channel, now: number): void {
    const kept = this.#keptOf(channel);
    if (!kept) {
      channel.fail(new SecureWebSocketError('LINK_LOST', `${CLOSED}: the connection was given up.`));
      return;
    }
    if (this.#away.has(kept)) return;
    kept.carrier = undefined;
    this.#away.set(kept, now + this.window);
    if (this.#closed) {
      this.#giveUp(kept, CLOSED);
      return;
    }
    this.grew(channel);
    if (this.#away.size > this.#maxChannels) {
      const one = this.#oldestOfTheMost();
      if (one) this.#giveUp(one, 'Too many peers are out of reach at once');
    }
  }

  /** A channel whose peer is out of reach was given more to send. */
  grew(channel: Channel): void {
    const kept = this.#keptOf(channel);
    if (!kept || !this.#away.has(kept)) return;
    this.#awayBytes += channel.bytesKept - kept.bytes;
    kept.bytes = channel.bytesKept;
    if (this.#awayBytes > this.#maxBytes) {
      // Whoever takes most of the room makes it: nobody can take it away from all others.
      let most = kept;
      for (const other of this.#away.keys()) if (other.bytes > most.bytes) most = other;
      this.#giveUp(most, 'Too much waits for peers that are out of reach');
    }
  }

  /** Of the peer that has most channels here, the one that has waited longest. */
  #oldestOfTheMost(): Kept | undefined {
    const byPeer = new Map<string, Kept[]>();
    let most: Kept[] = [];
    for (const kept of this.#away.keys()) {
      const name = toHex(kept.channel.peerKey ?? EMPTY);
      const its = byPeer.get(name) ?? [];
      its.push(kept);
      byPeer.set(name, its);
      if (its.length > most.length) most = its;
    }
    return most[0];
  }

  /** A channel has ended. One that ended well is remembered a while: its peer may not have heard the last of it. */
  ended(channel: Channel, wasClean: boolean, now: number): void {
    const kept = this.#keptOf(channel);
    if (!kept) return;
    this.#comesBack(kept);
    kept.carrier = undefined;
    if (!wasClean) {
      this.#forget(kept);
      return;
    }
    this.#ended.set(kept, now + this.window);
    const oldest = this.#ended.first;
    if (oldest && this.#ended.size > MAX_ENDED) this.#forget(oldest);
  }

  timeout(now: number): void {
    for (const kept of this.#ended.expired(now)) this.#forget(kept);
    for (const kept of this.#away.expired(now)) {
      this.#giveUp(kept, `The peer was out of reach for ${String(this.window / 1000)} s`);
    }
  }

  /** Gives up every channel whose peer is out of reach, or gets there. */
  close(): void {
    this.#closed = true;
    for (const kept of [...this.#byLineage.values()]) {
      if (this.#ended.has(kept)) this.#forget(kept);
      if (this.#away.has(kept)) this.#giveUp(kept, CLOSED);
    }
  }

  #giveUp(kept: Kept, why: string): void {
    this.#comesBack(kept);
    this.#forget(kept);
    kept.channel.fail(new SecureWebSocketError('LINK_LOST', `${why}: the connection was given up.`));
  }

  #keptOf(channel: Channel): Kept | undefined {
    const kept = channel.lineage && this.#byLineage.get(channel.lineage.id);
    return kept?.channel === channel ? kept : undefined;
  }

  #comesBack(kept: Kept): void {
    if (!this.#away.has(kept)) return;
    this.#away.delete(kept);
    this.#awayBytes -= kept.bytes;
    kept.bytes = 0;
  }

  #forget(kept: Kept): void {
    this.#away.delete(kept);
    this.#ended.delete(kept);
    const { lineage } = kept.channel;
    if (!lineage) return;
    this.#byLineage.delete(lineage.id);
    lineage.wipe();
  }
}

const EMPTY = new Uint8Array(0);
const CLOSED = 'The service was closed while the peer was out of reach';
