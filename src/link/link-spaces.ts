import type { Channel } from '../core/channel.js';
import { toHex } from '../core/bytes.js';
import type { SecureWebSocketError } from '../core/errors.js';
import type { OpenParameters } from '../core/open-parameters.js';
import type { Membership, MembershipEvent } from '../core/space/membership.js';
import { SPACE_TARGET } from '../core/space/space-target.js';
import { monotonicNow } from './clock.js';
import { type PeerCarrier, type PeerNeighbour, SpacePeers } from './space-peers.js';

/** One membership seals so many bytes before it is the turn of the next. */
const TURN = 65_536;
/** What follows `SPACE_TARGET`: the member id of the receiver, and that of the opener. */
const MEMBERS = /^([0-9a-f]{32})\?from=([0-9a-f]{32})$/;

/** Who has a membership. */
export interface SpaceOwner {
  event(event: MembershipEvent): void;
  /** The link is gone, and carries the membership no longer. */
  lost(error: SecureWebSocketError): void;
}

/** What spaces need of the link that carries them. */
export interface SpaceCarrier extends Omit<PeerCarrier, 'neighbour'> {
  /** Sends one frame of a space. */
  sendFrame(frame: Uint8Array): void;
  refuse(channel: Channel, status: number, reason: string): void;
  /** Sends and tells, at the end of this turn, what has come up. */
  schedule(): void;
  /** There are memberships on the link, or none any more. */
  welcomesChanged(): void;
}

/** A membership on a link. */
export class AttachedSpace implements PeerNeighbour {
  readonly number: number;
  readonly membership: Membership;
  readonly owner: SpaceOwner;
  readonly peers: SpacePeers;
  /** The owner wants to leave. */
  isLeaving = false;
  /** The relay is to be told so when other members have got what they need. */
  isFarewell = false;
  readonly #spaces: LinkSpaces;

  constructor(
    number: number,
    membership: Membership,
    owner: SpaceOwner,
    carrier: PeerCarrier,
    spaces: LinkSpaces,
  ) {
    this.number = number;
    this.membership = membership;
    this.owner = owner;
    this.#spaces = spaces;
    this.peers = new SpacePeers(carrier, membership, this.changed);
  }

  /** To be called after anything that gives the membership something to send or to tell. */
  readonly changed = (): void => {
    this.#spaces.changed(this);
  };

  /**
   * The link carries it no longer. What it has sealed is sent before. `leaves`: the relay is told that it is over; else its
   * place is kept, if that was agreed.
   */
  detach(leaves: boolean): void {
    this.#spaces.detach(this, leaves);
  }

  /** Leaves, behind what was sent. */
  leave(): void {
    this.isLeaving = true;
    this.membership.close(monotonicNow());
    this.changed();
  }

  tell(event: MembershipEvent): void {
    if (event.type === 'left') this.peers.forget(event.member.id);
    this.owner.event(event);
  }
}

/**
 * All memberships on one link: hands them the frames that are for them, sends theirs, keeps their time, and lets members of
 * their spaces reach them.
 */
export class LinkSpaces implements PeerCarrier {
  readonly #carrier: SpaceCarrier;
  readonly #attached = new Map<number, AttachedSpace>();
  /** Those that may have something to send, and to tell, in the order of their turn. */
  readonly #toSend = new Set<AttachedSpace>();
  readonly #toTell = new Set<AttachedSpace>();
  /** What they have sealed, and what the socket had no room for yet. */
  #frames: Uint8Array[] = [];
  #next = 1;

  constructor(carrier: SpaceCarrier) {
    this.#carrier = carrier;
  }

  get publicKey(): string {
    return this.#carrier.publicKey;
  }

  get maxFrame(): number {
    return this.#carrier.maxFrame;
  }

  get isEmpty(): boolean {
    return this.#attached.size === 0;
  }

  /** Whether there is something to send. */
  get hasOutput(): boolean {
    return this.#frames.length > 0 || this.#toSend.size > 0;
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    let at = Infinity;
    for (const { membership, peers } of this.#attached.values()) {
      at = Math.min(at, membership.wakeAt, peers.wakeAt);
    }
    return at;
  }

  /** Enters with `membership`, which is on no link. */
  attach(membership: Membership, owner: SpaceOwner): AttachedSpace {
    const number = this.#next++;
    membership.attach(number, this.#carrier.maxFrame, monotonicNow());
    const space = new AttachedSpace(number, membership, owner, this, this);
    this.#attached.set(number, space);
    if (this.#attached.size === 1) this.#carrier.welcomesChanged();
    this.changed(space);
    return space;
  }

  readonly open: PeerCarrier['open'] = (...asked) => this.#carrier.open(...asked);

  readonly accept: PeerCarrier['accept'] = (...asked) => this.#carrier.accept(...asked);

  neighbour(member: string): PeerNeighbour | undefined {
    return this.#withId(member);
  }

  changed(space: AttachedSpace): void {
    if (this.#attached.get(space.number) !== space) return;
    this.#toSend.add(space);
    this.#toTell.add(space);
    this.#carrier.schedule();
  }

  detach(space: AttachedSpace, leaves: boolean): void {
    if (this.#attached.get(space.number) !== space) return;
    for (const frame of [...this.#frames.splice(0), ...space.membership.takeFrames()]) {
      this.#carrier.sendFrame(frame);
    }
    if (leaves) this.#carrier.sendFrame(space.membership.farewell());
    this.#attached.delete(space.number);
    this.#toSend.delete(space);
    this.#toTell.delete(space);
    space.peers.end();
    space.membership.detach();
    if (this.#attached.size === 0) this.#carrier.welcomesChanged();
  }

  /** The link is gone. Gives those who were on it. */
  end(): AttachedSpace[] {
    const spaces = [...this.#attached.values()];
    this.#frames = [];
    for (const space of spaces) {
      this.#attached.delete(space.number);
      // Everything of ours is in the order of the space.
      space.isFarewell = false;
      this.#toTell.add(space);
      space.peers.end();
      space.membership.detach();
    }
    this.#toSend.clear();
    return spaces;
  }

  /**
   * A SPACE frame. One for a membership that has ended is late, and of no interest.
   * @throws SecureWebSocketError when the relay breaks the protocol
   */
  receive(number: number, operation: number, body: Uint8Array): void {
    const space = this.#attached.get(number);
    if (!space) return;
    space.membership.receive(operation, body, monotonicNow());
    this.changed(space);
  }

  timeout(now: number): void {
    for (const space of this.#attached.values()) {
      space.peers.timeout(now);
      if (now < space.membership.wakeAt) continue;
      space.membership.timeout(now);
      this.changed(space);
    }
  }

  /** Lets memberships seal, in turn, while there is `room`; what they have to say to single members goes to its channels. */
  seal(room: () => boolean, now: number): void {
    for (const space of this.#toSend) {
      if (this.#frames.length > 0 || !room()) return;
      const { membership, peers } = space;
      membership.flush(now, TURN);
      const packets = membership.takePackets(now);
      for (const output of packets) peers.give(output, now);
      this.#toTell.add(space);
      // Whoever is not finished comes last again.
      this.#toSend.delete(space);
      if (packets.length > 0 || membership.hasOutput(now)) this.#toSend.add(space);
      if (space.isLeaving && membership.isOver && !space.isFarewell && peers.isBusy) this.#farewell(space);
      if (!space.isFarewell) this.#frames = membership.takeFrames();
    }
  }

  /** Members do not listen to somebody who has left: they have to have the keys to what was said before. */
  #farewell(space: AttachedSpace): void {
    space.isFarewell = true;
    space.peers.close(() => {
      space.isFarewell = false;
      this.changed(space);
    });
  }

  /** What was sealed, to be sent. */
  takeFrames(): Uint8Array[] {
    const frames = this.#frames;
    if (frames.length > 0) this.#frames = [];
    return frames;
  }

  /** Whether this key is a member of one of our spaces. */
  knows(publicKey: Uint8Array): boolean {
    const key = toHex(publicKey);
    for (const { membership } of this.#attached.values()) if (membership.knows(key)) return true;
    return false;
  }

  /** A peer opens a channel. True when it was meant for a membership, and is answered. */
  incoming(channel: Channel, { target }: OpenParameters): boolean {
    if (!target.startsWith(SPACE_TARGET)) return false;
    const [, id = '', from = ''] = MEMBERS.exec(target.slice(SPACE_TARGET.length)) ?? [];
    const peerKey = channel.session?.publicKey;
    const space = this.#withId(id);
    const expected = peerKey && space ? space.membership.expects(toHex(peerKey), from) : 'no';
    if (expected === 'yes') space?.peers.accept(from, channel, monotonicNow());
    else if (expected === 'later') this.#carrier.refuse(channel, 425, 'not known yet');
    else this.#carrier.refuse(channel, 404, 'no such membership');
    return true;
  }

  /** Tells owners what happened. `report` is told what they throw. */
  dispatch(report: (error: unknown) => void): void {
    for (const space of this.#toTell) {
      this.#toTell.delete(space);
      if (space.isFarewell) continue;
      for (const event of space.membership.takeEvents()) {
        try {
          space.tell(event);
        } catch (error) {
          report(error);
        }
      }
    }
  }

  #withId(id: string): AttachedSpace | undefined {
    for (const space of this.#attached.values()) if (space.membership.id === id) return space;
    return undefined;
  }
}
