import type { Channel } from '../core/channel.js';
import { SecureWebSocketError } from '../core/errors.js';
import type { Membership, PeerOutput } from '../core/space/membership.js';
import type { ChannelEnd, ChannelListener } from './channel-port.js';
import { monotonicNow, startTimer, stopTimer } from './clock.js';
import type { LinkChannel } from './link-channel.js';

/** A channel over which nothing came and went for so long is closed by the end that has opened it, milliseconds. */
const IDLE_TIME = 30_000;
/** The other end has more patience, so that the two do not close at the same time. */
const IDLE_TIME_ACCEPTED = 45_000;
/** Channels that are being opened at a time: each is a handshake, and relays let pass only so many. */
const MAX_OPENING = 64;
/** A member that does not read what it asks for is given up with so many bytes waiting: twice what there can be to repair. */
const MAX_WAITING = 8_388_608;

/** What the channels of a membership need of its link. */
export interface PeerCarrier {
  /** Our own key, hex. */
  readonly publicKey: string;
  /** Largest frame, bytes. */
  readonly maxFrame: number;
  /** Opens a channel that does not outlive the link. */
  open(
    address: Uint8Array,
    parameters: { readonly target: string; readonly protocols: readonly string[] },
    listener: ChannelListener,
  ): LinkChannel;
  accept(channel: Channel, listener: ChannelListener): LinkChannel;
  /** The membership of ours, on the same link, that a member is, if it is one: there is no channel to oneself. */
  neighbour(member: string): PeerNeighbour | undefined;
}

/** Another membership of the same link. */
export interface PeerNeighbour {
  readonly membership: Membership;
  /** To be called after the membership was told something. */
  readonly changed: () => void;
}

/** Members that do not answer when the space is left are not waited for any longer, milliseconds. */
const FAREWELL = 5_000;

/** One channel to another member. */
interface PeerChannel {
  readonly member: string;
  readonly port: LinkChannel;
  readonly idleTime: number;
  isOpen: boolean;
  /** Whether it has been told that it is open. */
  wasOpen: boolean;
  usedAt: number;
}

/**
 * The channels between one membership and other members, each between two of them alone: keys are handed out over these,
 * and what somebody has missed. They are opened when there is something to say, and closed when there has been nothing.
 */
export class SpacePeers {
  readonly #carrier: PeerCarrier;
  readonly #membership: Membership;
  readonly #changed: () => void;
  /** Up to two for each member: one that we have opened, and one that it has. */
  readonly #opened = new Map<string, PeerChannel>();
  readonly #accepted = new Map<string, PeerChannel>();
  /** To be opened when others are open. */
  readonly #waiting = new Map<string, PeerOutput>();
  #opening = 0;
  /** When the first of them may be idle: not later than it is, as they are used meanwhile. */
  #wakeAt = Infinity;
  #ended = false;
  #onClosed: (() => void) | undefined;

  /** `changed` is called when the membership may have something to send, or to tell. */
  constructor(carrier: PeerCarrier, membership: Membership, changed: () => void) {
    this.#carrier = carrier;
    this.#membership = membership;
    this.#changed = changed;
  }

  /** When `timeout` wants to be called, or Infinity. Asked for at every turn: channels may be many. */
  get wakeAt(): number {
    return this.#wakeAt;
  }

  /** What is to be told to one member; or, without packets, a channel to it is wanted. */
  give(output: PeerOutput, now: number): void {
    const { member, packets } = output;
    const neighbour = this.#carrier.neighbour(member);
    if (neighbour) {
      this.#giveTo(neighbour, output, now);
      return;
    }
    const channel = this.#usable(member);
    if (packets.length === 0) {
      if (channel) this.#membership.peerOpened(member);
      else if (this.#opening < MAX_OPENING) this.#open(output, now);
      else this.#waiting.set(member, output);
      return;
    }
    if (!channel) {
      this.#membership.peerLost(member, now, false);
      return;
    }
    channel.usedAt = now;
    for (const packet of packets) channel.port.send(packet, false);
    if (channel.port.bufferedAmount > MAX_WAITING) {
      channel.port.terminate(new SecureWebSocketError('TOO_SLOW', 'A member does not read what it is sent.'));
    }
  }

  /** What a channel would do. */
  #giveTo({ membership, changed }: PeerNeighbour, { member, packets }: PeerOutput, now: number): void {
    const { id } = this.#membership;
    if (membership.expects(this.#carrier.publicKey, id) !== 'yes') {
      this.#membership.peerLost(member, now, false);
      return;
    }
    for (const packet of packets) membership.peerMessage(id, packet, now);
    if (packets.length === 0) this.#membership.peerOpened(member);
    else changed();
  }

  /** A channel that a member has opened, and that is expected. */
  accept(member: string, channel: Channel, now: number): void {
    // It would not have opened another while it has one: that one is gone without our having noticed.
    this.#accepted.get(member)?.port.terminate();
    const entry = this.#keep(this.#accepted, member, IDLE_TIME_ACCEPTED, now, listener =>
      this.#carrier.accept(channel, listener),
    );
    entry.isOpen = entry.wasOpen = true;
    this.#watch(entry);
    this.#membership.peerOpened(member);
    this.#changed();
  }

  /** Closes what nothing came or went over for a while. */
  timeout(now: number): void {
    if (now < this.#wakeAt) return;
    this.#wakeAt = Infinity;
    for (const channel of this.#all()) {
      if (!channel.isOpen) continue;
      if (now < channel.usedAt + channel.idleTime) {
        this.#watch(channel);
      } else {
        channel.isOpen = false;
        channel.port.close(1000);
      }
    }
  }

  /** The member is gone. */
  forget(member: string): void {
    this.#waiting.delete(member);
    this.#opened.get(member)?.port.terminate();
    this.#accepted.get(member)?.port.terminate();
  }

  /** Whether something that was said may not have arrived yet. */
  get isBusy(): boolean {
    return this.#all().some(({ isOpen, port }) => isOpen && port.channel.bytesKept > 0);
  }

  /**
   * Closes all of them, behind what was said. `closed` is called when everybody has heard it, or has had time enough: then
   * those who get no keys any more once we have left have all that they need.
   */
  close(closed: () => void): void {
    const timer = startTimer(FAREWELL, () => this.#onClosed?.());
    this.#onClosed = () => {
      this.#onClosed = undefined;
      stopTimer(timer);
      closed();
    };
    for (const channel of this.#all()) {
      if (channel.isOpen) channel.port.close(1000);
      else channel.port.terminate();
      channel.isOpen = false;
    }
  }

  /** Ends all of them. */
  end(): void {
    this.#ended = true;
    this.#waiting.clear();
    for (const { port } of this.#all()) port.terminate();
  }

  #watch({ usedAt, idleTime }: PeerChannel): void {
    this.#wakeAt = Math.min(this.#wakeAt, usedAt + idleTime);
  }

  #all(): PeerChannel[] {
    return [...this.#opened.values(), ...this.#accepted.values()];
  }

  #usable(member: string): PeerChannel | undefined {
    return [this.#opened.get(member), this.#accepted.get(member)].find(channel => channel?.isOpen);
  }

  #open({ member, address, target }: PeerOutput, now: number): void {
    if (this.#opened.has(member)) {
      // It is being closed: what there is to say has to wait until it is.
      this.#membership.peerLost(member, now, false);
      return;
    }
    this.#opening++;
    this.#keep(this.#opened, member, IDLE_TIME, now, listener =>
      this.#carrier.open(address, { target, protocols: [] }, listener),
    );
  }

  #keep(
    channels: Map<string, PeerChannel>,
    member: string,
    idleTime: number,
    usedAt: number,
    connect: (listener: ChannelListener) => LinkChannel,
  ): PeerChannel {
    const listener: ChannelListener = {
      opened: () => {
        entry.isOpen = entry.wasOpen = true;
        this.#tell(now => {
          entry.usedAt = now;
          this.#watch(entry);
          this.#membership.peerOpened(member);
        });
        this.#settled();
      },
      message: (data, isText) => {
        this.#receive(entry, data, isText);
      },
      closing: () => {
        entry.isOpen = false;
      },
      closed: end => {
        entry.isOpen = false;
        if (channels.get(member) === entry) channels.delete(member);
        this.#closed(entry, end);
        if (this.#all().length === 0) this.#onClosed?.();
        if (channels === this.#opened && !entry.wasOpen) this.#settled();
      },
    };
    const port = connect(listener);
    const entry: PeerChannel = { member, port, idleTime, isOpen: false, wasOpen: false, usedAt };
    // What is told here is small, or was in one frame before.
    port.channel.maxPayload = this.#carrier.maxFrame;
    channels.set(member, entry);
    return entry;
  }

  #receive(entry: PeerChannel, data: Uint8Array, isText: boolean): void {
    this.#tell(now => {
      entry.usedAt = now;
      if (!isText) this.#membership.peerMessage(entry.member, data, now);
    });
  }

  #closed({ member, wasOpen }: PeerChannel, { wasClean, unacknowledged }: ChannelEnd): void {
    this.#tell(now => {
      const other = this.#usable(member);
      if (!other) {
        this.#membership.peerLost(member, now, wasOpen && wasClean);
      } else if (unacknowledged.length > 0) {
        this.#membership.peerLost(member, now, false);
        this.#membership.peerOpened(member);
      }
    });
  }

  /** A channel that was being opened is open, or is not going to be. */
  #settled(): void {
    this.#opening--;
    if (this.#waiting.size === 0) return;
    this.#tell(now => {
      // Some may have come themselves meanwhile: those take no place.
      for (const next of this.#waiting.values()) {
        if (this.#opening >= MAX_OPENING) return;
        this.#waiting.delete(next.member);
        this.give(next, now);
      }
    });
  }

  #tell(what: (now: number) => void): void {
    if (this.#ended) return;
    what(monotonicNow());
    this.#changed();
  }
}
