import { toHex } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { asSecureWebSocketError, SecureWebSocketError } from '../errors.js';
import { peerAddress } from '../frame.js';
import type { LossReason } from './incoming-sender.js';
import { IncomingSenders } from './incoming-senders.js';
import { createJoin, type Signer, type SpacePlace } from './join-record.js';
import { decodePacket, type Packet } from './key-packet.js';
import { KnownSpace, type KnownSpaceListener, lie } from './known-space.js';
import type { MembershipEvent, PeerOutput } from './membership-event.js';
import {
  decodeSpaceReport,
  encodeSpaceRequest,
  type Entered,
  type LeaveReason,
  type SpaceReport,
  type SpaceRequest,
} from './space-frame.js';
import { informationOf, type Member, type MemberInformation } from './space-members.js';
import type { SentMessage } from './space-outbox.js';
import { SpacePairs } from './space-pairs.js';
import { refusalOf } from './space-refusal.js';
import { SpaceSender } from './space-sender.js';
import { SPACE_TARGET } from './space-target.js';

export type { LeaveReason, LossReason, MemberInformation, MembershipEvent, PeerOutput };

/** The relay has so long to let us in. */
const ENTER_TIMEOUT = 15_000;
/** So long what was sent is waited for when the space is left. */
const LEAVE_TIMEOUT = 10_000;
/** Who is there is asked for again after this, when the answer was of another time. */
const WHO_INTERVAL = 1_000;
/** A relay cannot hold a message back by its word for longer than this. */
const MAX_RETRY_AFTER = 60_000;

export interface MembershipOptions {
  readonly crypto: Crypto;
  /** Who we are: an `Identity`. */
  readonly signer: Signer;
  /** The relay's public key, 32 bytes. */
  readonly relayKey: Uint8Array;
  readonly space: string;
  /** Whether the relay is to keep our place for a while when our link is lost. */
  readonly stay: boolean;
  /** Largest message that is accepted, bytes. */
  readonly maxPayload: number;
  /** Signing keys, hex, of those who sign members in. Without them whoever is in the space is given keys. */
  readonly admins?: ReadonlySet<string> | undefined;
  /** 136 bytes, by one of the admins. */
  readonly invitation?: Uint8Array | undefined;
  /** From so many members on sender keys are used. */
  readonly senderKeyMembers?: number | undefined;
  /** Above so many messages a second as well. */
  readonly senderKeyRate?: number | undefined;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
}

/**
 * One end of a space: who is in it, what is sent and what comes, and the keys (docs/protocol.md, "Spaces"). Sans I/O, as
 * `Endpoint` is. It outlives its link: `attach` gives it another one.
 */
export class Membership {
  /** Our member id, 32 hex characters. */
  readonly id: string;
  readonly #options: MembershipOptions;
  readonly #place: SpacePlace;
  readonly #join: Uint8Array;
  readonly #space: KnownSpace;
  readonly #sender: SpaceSender;
  readonly #pairs = new SpacePairs(() => this.#sender.sequence);
  readonly #senders: IncomingSenders;
  #state: 'away' | 'entering' | 'in' | 'over' = 'away';
  #number = 0;
  #maxFrame = 0;
  #frames: Uint8Array[] = [];
  #events: MembershipEvent[] = [];
  /** What was sent before the link was lost is sent again when all is here that the relay had for us. */
  #repeatAt: number | undefined;
  #enterBy = Infinity;
  #askWhoAt = Infinity;
  #leaveBy: number | undefined;

  constructor(options: MembershipOptions) {
    const { crypto, signer, relayKey, space: name, admins, invitation, wallClock, maxPayload } = options;
    this.#options = options;
    this.#place = { relayKey: relayKey.slice(), name };
    const memberId = crypto.randomBytes(16).slice();
    this.id = toHex(memberId);
    this.#join = createJoin(signer, this.#place, memberId, wallClock(), invitation);
    this.#space = new KnownSpace(
      { crypto, place: this.#place, ownId: this.id, ownJoin: this.#join, admins, wallClock },
      this.#spaceListener(),
    );
    this.#senders = new IncomingSenders({
      crypto,
      place: this.#place,
      maxPayload,
      owner: {
        message: ({ publicKey: from, id: member }, data, isText) => {
          this.#events.push({ type: 'message', data, isText, from, member });
        },
        lost: (from, count, reason) => {
          this.#events.push({ type: 'lost', member: informationOf(from), count, reason });
        },
        ask: ({ id }, packet) => {
          this.#pairs.add(id, packet);
        },
      },
    });
    this.#sender = new SpaceSender({
      crypto,
      place: this.#place,
      senderKey: signer.publicKeyBytes,
      memberId,
      members: this.#space.members,
      senderKeyMembers: options.senderKeyMembers,
      senderKeyRate: options.senderKeyRate,
      absent: () => this.#space.absent.ids,
      give: (member, packet) => {
        this.#pairs.add(member, packet);
      },
      sent: bytes => {
        this.#events.push({ type: 'sent', bytes });
      },
    });
  }

  /** Number of this membership on its link. */
  get number(): number {
    return this.#number;
  }

  /** Everybody who is in the space, this end included; those who are expected back, too. */
  get members(): MemberInformation[] {
    const { members, absent } = this.#space;
    members.expire();
    const there = [...members].map(member => informationOf(member));
    return [...there, ...[...absent].map(member => informationOf(member, true))];
  }

  /** Payload bytes that were given to `send` and not handed on. */
  get bufferedAmount(): number {
    return this.#sender.bufferedAmount;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** What was given to `send` and is not in the order of the space. */
  unsent(): SentMessage[] {
    return this.#sender.unsent;
  }

  /** A registered link is there, on which this is membership `number`. */
  attach(number: number, maxFrame: number, now: number): void {
    if (this.#state === 'over') return;
    this.#number = number;
    this.#maxFrame = maxFrame;
    this.#enter(this.#space.hasEntered, now);
  }

  /** The link is gone, and all channels to members with it. */
  detach(): void {
    if (this.#state === 'over') return;
    this.#state = 'away';
    this.#frames = [];
    this.#enterBy = this.#askWhoAt = Infinity;
    this.#space.stop();
    this.#pairs.detach();
  }

  /** Queues a message; `data` is copied. */
  send(data: Uint8Array, isText: boolean): void {
    if (this.#state !== 'over' && this.#leaveBy === undefined) this.#sender.send(data, isText);
  }

  /** Leaves behind what was given to `send`. */
  close(now: number): void {
    this.#leaveBy ??= now + LEAVE_TIMEOUT;
    this.#leaveIfDone(now);
  }

  /** Asks the relay who is there. */
  who(): void {
    if (this.#state === 'in') this.#request({ type: 'who' });
  }

  /**
   * Whether somebody may open a channel with us as the member that it says it is. 'later': it is not known yet.
   * `peerKey`: hex, authenticated.
   */
  expects(peerKey: string, fromMember: string): 'yes' | 'later' | 'no' {
    if (this.#state === 'over') return 'no';
    this.#space.members.expire();
    const member = this.#space.members.get(fromMember);
    if (!member) return 'later';
    return member.publicKey === peerKey && member.admitted && !member.isSelf ? 'yes' : 'no';
  }

  /** Whether a key is that of one of the members. */
  knows(peerKey: string): boolean {
    for (const { publicKey, isSelf } of this.#space.members)
      if (!isSelf && publicKey === peerKey) return true;
    return false;
  }

  /** A channel with a member is open, whoever has opened it. */
  peerOpened(member: string): void {
    if (this.#space.members.get(member)) this.#pairs.opened(member);
  }

  /** What a member says through its channel. */
  peerMessage(member: string, bytes: Uint8Array, now: number): void {
    this.#space.members.expire();
    const known = this.#space.members.get(member);
    if (!known?.admitted || known.isSelf || this.#state === 'over') return;
    let packet: Packet;
    try {
      packet = decodePacket(bytes);
    } catch {
      // A member that talks nonsense harms nobody but itself.
      return;
    }
    if (packet.type === 'want') this.#sender.wanted(member, packet.from, packet.to, now);
    else this.#senders.packet(known, packet, now);
  }

  /** A channel with a member has ended, or could not be opened. `clean`: what was said through it has arrived. */
  peerLost(member: string, now: number, clean: boolean): void {
    if (this.#pairs.lost(member, now, clean) && this.#space.members.get(member))
      this.#sender.giveAgain(member);
  }

  /** What members are to be told. */
  takePackets(now: number): PeerOutput[] {
    if (this.#state !== 'in') return [];
    return this.#pairs
      .take(now, id => this.#space.members.get(id)?.away === false)
      .flatMap(output => {
        const member = this.#space.members.get(output.member);
        if (!member) return [];
        const address = peerAddress(member.join.boxKey, member.connectionId);
        return [{ ...output, address, target: `${SPACE_TARGET}${output.member}?from=${this.id}` }];
      });
  }

  /** Whether `flush` has something to seal. */
  hasOutput(now: number): boolean {
    return this.#maySend && this.#sender.canWrite(now);
  }

  /** Seals what may be sent, up to about `budget` bytes. Frames are fetched with `takeFrames`. */
  flush(now: number, budget = Infinity): void {
    if (!this.hasOutput(now)) {
      this.#leaveIfDone(now);
      return;
    }
    const { epoch, offset: seen, viewHash } = this.#space.order;
    this.#guard(() => {
      const view = { epoch, seen, viewHash };
      this.#frames.push(...this.#sender.write(this.#number, view, this.#maxFrame, budget, now));
    });
    this.#leaveIfDone(now);
  }

  takeFrames(): Uint8Array[] {
    const frames = this.#frames;
    if (frames.length > 0) this.#frames = [];
    return frames;
  }

  takeEvents(): MembershipEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    if (this.#state === 'over') return Infinity;
    const isIn = this.#state === 'in';
    const [space, sender] = [this.#space.wakeAt(isIn), this.#sender.wakeAt(this.#maySend)];
    const at = Math.min(space, sender, this.#leaveBy ?? Infinity);
    if (!isIn) return Math.min(at, this.#enterBy);
    return Math.min(at, this.#pairs.wakeAt, this.#senders.wakeAt, this.#askWhoAt);
  }

  timeout(now: number): void {
    if (this.#state === 'over') return;
    this.#sender.timeout(now, this.#maySend);
    this.#space.timeout(now, this.#state === 'in');
    if (this.#state === 'entering' && now >= this.#enterBy) {
      const seconds = String(ENTER_TIMEOUT / 1_000);
      const message = `The relay did not let us into the space within ${seconds} s.`;
      // It may still do so.
      this.#request({ type: 'leave' });
      this.#end({
        type: 'refused',
        error: new SecureWebSocketError('SESSION_TIMEOUT', message),
        retry: true,
      });
      return;
    }
    if (this.#state === 'in') {
      this.#senders.timeout(now);
      if (now >= this.#askWhoAt) {
        this.#askWhoAt = Infinity;
        this.who();
      }
    }
    if (this.#leaveBy !== undefined && now >= this.#leaveBy) this.#leave();
    else this.#leaveIfDone(now);
  }

  /** Handles one SPACE frame of this membership. What is no such frame, or a lie that shows, ends it. */
  receive(operation: number, body: Uint8Array, now: number): void {
    if (this.#state === 'over' || this.#state === 'away') return;
    this.#guard(() => {
      this.#report(decodeSpaceReport(operation, body), now);
    });
    this.#leaveIfDone(now);
  }

  /** A frame that tells the relay that this end leaves, whatever has become of it. */
  farewell(): Uint8Array {
    return encodeSpaceRequest(this.#number, { type: 'leave' });
  }

  /** Nothing more is sent or told; all keys are wiped. */
  wipe(): void {
    this.#state = 'over';
    this.#sender.wipe();
    this.#senders.wipe();
    this.#pairs.clear();
    this.#space.clear();
  }

  get #maySend(): boolean {
    return this.#state === 'in' && this.#repeatAt === undefined;
  }

  #report(report: SpaceReport, now: number): void {
    switch (report.type) {
      case 'roster':
        this.#space.page(report.entries);
        return;
      case 'entered':
        this.#entered(report, now);
        return;
      case 'refused':
        this.#refused(report, now);
        return;
      case 'moved':
        this.#space.moved(report.number, report.connectionId, report.away);
        return;
      case 'present':
        this.#present(report, now);
        return;
      case 'accepted':
        this.#accepted(report.sequence, report.offset, now);
        break;
      case 'head':
        if (this.#state === 'in') this.#space.head(report.offset, report.logHash, now);
        return;
      case 'unavailable':
        if (this.#state === 'in' && report.to > this.#space.order.offset) this.#enter(false, now);
        return;
      default:
        if (this.#state === 'in') this.#space.item(report, now);
    }
    this.#repeatIfCaughtUp();
  }

  #enter(resume: boolean, now: number): void {
    const { epoch, offset } = this.#space.order;
    this.#state = 'entering';
    this.#enterBy = now + ENTER_TIMEOUT;
    this.#askWhoAt = Infinity;
    this.#space.stop();
    this.#request({
      type: 'enter',
      space: this.#place.name,
      join: this.#join,
      stay: this.#options.stay,
      ...(resume && { resume: { epoch, offset } }),
    });
  }

  #entered(entered: Entered, now: number): void {
    if (this.#state !== 'entering') throw lie('The relay has let us in twice');
    const wasIn = this.#space.hasEntered;
    const isSameOrder = this.#space.entered(entered, now);
    this.#enterBy = Infinity;
    this.#state = 'in';
    if (wasIn) this.#repeatAt = entered.offset;
    this.#events.push({ type: 'entered', resumed: entered.resumed });
    for (const member of this.#pairs.takeUnsure())
      if (this.#space.members.get(member)) this.#sender.giveAgain(member);
    this.#repeatIfCaughtUp(isSameOrder);
  }

  #repeatIfCaughtUp(isSameOrder = true): void {
    if (this.#repeatAt === undefined || this.#space.order.offset < this.#repeatAt) return;
    this.#repeatAt = undefined;
    this.#sender.repeat(!isSameOrder);
  }

  /** What a space does to keys and messages. */
  #spaceListener(): KnownSpaceListener {
    return {
      fetch: (from, to) => {
        this.#request({ type: 'fetch', from, to });
      },
      rosterChanged: () => {
        this.#sender.rosterChanged();
      },
      joined: (member, missed, now) => {
        this.#events.push({ type: 'joined', member: informationOf(member) });
        if (missed) this.#askForMore(member, now);
      },
      moved: member => {
        this.#events.push({ type: 'moved', member: informationOf(member) });
      },
      returned: (member, wasAway, missed, now) => {
        this.#senders.renew(member);
        if (wasAway !== member.away) this.#events.push({ type: 'moved', member: informationOf(member) });
        if (missed) this.#askForMore(member, now);
        if (member.admitted) this.#sender.returned(member.id);
      },
      departed: (gone, reason, wiped, now) => {
        const member = informationOf(gone, false);
        this.#senders.departed(gone, now);
        this.#sender.departed(gone.id);
        this.#pairs.remove(gone.id);
        this.#events.push({ type: 'left', member, reason }, { type: 'wiped', member, reason: wiped });
      },
      message: (member, message, wrap, agrees, now) => {
        this.#senders.message(member, message, wrap, agrees, now);
      },
      // A relay tells of our own messages with ACCEPTED, or so.
      ownMessage: (sequence, digest) => {
        const own = this.#sender.digestOf(sequence);
        if (!own || !this.#options.crypto.equal(own, digest)) {
          throw lie('The relay tells of a message of ours that we have not sent');
        }
        this.#sender.accepted(sequence);
      },
    };
  }

  /** It may have said something that we were not told of. */
  #askForMore(member: Member, now: number): void {
    if (member.admitted && this.#space.members.isAdmitted) this.#senders.askForMore(member, now);
  }

  #accepted(sequence: number, offset: number, now: number): void {
    const space = this.#space;
    if (offset <= space.order.offset) {
      // Something that was repeated, and that the relay has had in its order for longer than we knew.
      if (!this.#sender.settled(sequence)) {
        throw lie('The relay has accepted a message before it was sent');
      }
      return;
    }
    if (this.#state !== 'in') return;
    space.at(offset, 0, now, () => {
      const digest = this.#sender.accepted(sequence);
      // All before it were in the order before it, and that is a place that we have passed.
      if (!digest || !this.#sender.settled(sequence))
        throw lie('The relay has accepted a message that was not sent');
      space.advance(digest);
    });
  }

  /** The relay tells who is there, because it was asked or of its own accord: keys of nobody else are kept. */
  #present(report: Entered, now: number): void {
    // Its pages are not those of the roster that is to come.
    if (this.#state !== 'in') this.#space.stop();
    else if (this.#space.present(report, now)) this.#events.push({ type: 'present' });
    else this.#askWhoAt = Math.min(this.#askWhoAt, now + WHO_INTERVAL);
  }

  // Ending

  #refused(report: SpaceReport & { type: 'refused' }, now: number): void {
    const { reason, message, sequence, retryAfter = 1_000 } = report;
    if (sequence === undefined) {
      this.#end({ type: 'refused', ...refusalOf(reason, message) });
    } else if (reason === 'STALE_VIEW') {
      this.#sender.refused(sequence, true, now, now);
    } else if (reason === 'RATE') {
      this.#sender.refused(sequence, false, now + Math.min(retryAfter, MAX_RETRY_AFTER), now);
    } else {
      throw new SecureWebSocketError('SPACE_REFUSED', `The relay does not take a message (${reason}).`);
    }
  }

  /** Leaves when nothing is left to do; those who are away are not waited for. */
  #leaveIfDone(now: number): void {
    if (this.#leaveBy === undefined || this.#state === 'over') return;
    const isDone =
      this.#maySend &&
      this.#sender.isIdle &&
      this.#pairs.isEmpty(id => this.#space.members.get(id)?.away === false);
    if (isDone || !this.#space.hasEntered || now >= this.#leaveBy) this.#leave();
  }

  #leave(): void {
    if (this.#state === 'in' || this.#state === 'entering') this.#request({ type: 'leave' });
    this.#end({ type: 'closed' });
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const cause = asSecureWebSocketError(
        error,
        'PROTOCOL_VIOLATION',
        'What the relay says of the space cannot be handled.',
      );
      if (this.#state !== 'away') this.#request({ type: 'leave' });
      this.#end({ type: 'failed', error: cause });
    }
  }

  #end(event: MembershipEvent): void {
    this.#events.push(event);
    this.wipe();
  }

  #request(request: SpaceRequest): void {
    this.#frames.push(encodeSpaceRequest(this.#number, request));
  }
}
