import { toHex } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { asSecureWebSocketError, SecureWebSocketError } from '../errors.js';
import { peerAddress } from '../frame.js';
import { AbsentMembers } from './absent-members.js';
import type { LossReason } from './incoming-sender.js';
import { IncomingSenders } from './incoming-senders.js';
import { createJoin, type Signer, type SpacePlace } from './join-record.js';
import { decodePacket, type Packet } from './key-packet.js';
import type { MembershipEvent, PeerOutput } from './membership-event.js';
import { RosterPages } from './roster-pages.js';
import {
  decodeSpaceReport,
  encodeSpaceRequest,
  type Entered,
  type Entry,
  type LeaveReason,
  type SpaceReport,
  type SpaceRequest,
} from './space-frame.js';
import { SpaceIntake } from './space-intake.js';
import { joinedDigest, leftDigest, messageDigest, nextLogHash } from './space-log.js';
import { informationOf, type Member, type MemberInformation, SpaceMembers } from './space-members.js';
import { decodeSpaceMessage, type SpaceMessage } from './space-message.js';
import { SpaceOrder } from './space-order.js';
import type { SentMessage } from './space-outbox.js';
import { SpacePairs } from './space-pairs.js';
import { refusalOf } from './space-refusal.js';
import { SpaceSender } from './space-sender.js';
import { SPACE_TARGET } from './space-target.js';

export type { LeaveReason, LossReason, MemberInformation, MembershipEvent, PeerOutput };

/** The relay has so long to let us in. */
export const ENTER_TIMEOUT = 15_000;
/** So long what was sent is waited for when the space is left. */
const LEAVE_TIMEOUT = 10_000;
/** Who is there is asked for again after this, when the answer was of another time. */
const WHO_INTERVAL = 1_000;
/** Members that were told of before they have entered: where they are. */
const MAX_MOVES = 1_024;

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
  readonly #members: SpaceMembers;
  readonly #order: SpaceOrder;
  readonly #sender: SpaceSender;
  readonly #pairs = new SpacePairs(() => this.#sender.sequence);
  readonly #senders: IncomingSenders;
  readonly #intake: SpaceIntake;
  readonly #absent = new AbsentMembers();
  readonly #pages = new RosterPages();
  /** Where those are of whose joining we know only that it is to come. */
  readonly #moves = new Map<number, Pick<Entry, 'connectionId' | 'away'>>();
  #state: 'away' | 'entering' | 'in' | 'over' = 'away';
  #number = 0;
  #maxFrame = 0;
  #frames: Uint8Array[] = [];
  #events: MembershipEvent[] = [];
  /** What was sealed before this is not for us. */
  #ownJoinedAt = 0;
  #hasEntered = false;
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
    this.#members = new SpaceMembers({ crypto, place: this.#place, ownId: this.id, admins, wallClock });
    this.#order = new SpaceOrder(crypto);
    this.#intake = new SpaceIntake(this.#order, (from, to) => {
      this.#request({ type: 'fetch', from, to });
    });
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
      members: this.#members,
      senderKeyMembers: options.senderKeyMembers,
      senderKeyRate: options.senderKeyRate,
      absent: () => this.#absent.ids,
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
    this.#members.expire();
    const there = [...this.#members].map(member => informationOf(member));
    return [...there, ...[...this.#absent].map(member => informationOf(member, true))];
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
    this.#enter(this.#hasEntered, now);
  }

  /** The link is gone, and all channels to members with it. */
  detach(): void {
    if (this.#state === 'over') return;
    this.#state = 'away';
    this.#frames = [];
    this.#pages.clear();
    this.#enterBy = this.#askWhoAt = Infinity;
    this.#intake.stop();
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
    this.#members.expire();
    const member = this.#members.get(fromMember);
    if (!member) return 'later';
    return member.publicKey === peerKey && member.admitted && !member.isSelf ? 'yes' : 'no';
  }

  /** Whether a key is that of one of the members. */
  knows(peerKey: string): boolean {
    for (const { publicKey, isSelf } of this.#members) if (!isSelf && publicKey === peerKey) return true;
    return false;
  }

  /** A channel with a member is open, whoever has opened it. */
  peerOpened(member: string): void {
    if (this.#members.get(member)) this.#pairs.opened(member);
  }

  /** What a member says through its channel. */
  peerMessage(member: string, bytes: Uint8Array, now: number): void {
    this.#members.expire();
    const known = this.#members.get(member);
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
    if (this.#pairs.lost(member, now, clean) && this.#members.get(member)) this.#sender.giveAgain(member);
  }

  /** What members are to be told. */
  takePackets(now: number): PeerOutput[] {
    if (this.#state !== 'in') return [];
    return this.#pairs
      .take(now, id => this.#members.get(id)?.away === false)
      .flatMap(output => {
        const member = this.#members.get(output.member);
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
    const { epoch, offset: seen, viewHash } = this.#order;
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
    const at = Math.min(this.#absent.wakeAt, this.#sender.wakeAt(this.#maySend), this.#leaveBy ?? Infinity);
    if (!isIn) return Math.min(at, this.#enterBy);
    return Math.min(at, this.#intake.wakeAt, this.#pairs.wakeAt, this.#senders.wakeAt, this.#askWhoAt);
  }

  timeout(now: number): void {
    if (this.#state === 'over') return;
    this.#sender.timeout(now, this.#maySend);
    for (const member of this.#absent.expired(now)) this.#departed(member, 'gone', now);
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
      this.#intake.timeout(now);
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
    this.#absent.clear();
    this.#intake.stop();
    this.#pages.clear();
    this.#moves.clear();
  }

  get #maySend(): boolean {
    return this.#state === 'in' && this.#repeatAt === undefined;
  }

  #report(report: SpaceReport, now: number): void {
    switch (report.type) {
      case 'roster':
        if (!this.#pages.add(report.entries)) throw lie('The relay names too many members');
        return;
      case 'entered':
        this.#entered(report, now);
        return;
      case 'present':
        this.#present(report, now);
        return;
      case 'refused':
        this.#refused(report, now);
        return;
      case 'moved':
        this.#moved(report.number, report.connectionId, report.away);
        return;
      case 'accepted':
        this.#accepted(report.sequence, report.offset, now);
        return;
      case 'head':
        if (this.#state === 'in') this.#intake.toldHead(report.offset, report.logHash, now);
        return;
      case 'unavailable':
        if (this.#state === 'in' && report.to > this.#order.offset) this.#enter(false, now);
        return;
      case 'joined': {
        const { offset, version, rosterHash, entry } = report;
        const kept = { ...entry, join: entry.join.slice() };
        const hash = rosterHash.slice();
        this.#moves.delete(entry.number);
        this.#item(offset, kept.join.length, now, at => {
          this.#joined(kept, version, hash, at);
        });
        return;
      }
      case 'left': {
        const { offset, version, number, reason } = report;
        const hash = report.rosterHash.slice();
        this.#item(offset, 0, now, at => {
          this.#left(number, version, hash, reason, at);
        });
        return;
      }
      case 'message': {
        const message = report.message.slice();
        const wrap = report.wrap?.slice();
        this.#item(report.offset, message.length, now, at => {
          this.#message(message, wrap, at);
        });
        return;
      }
    }
  }

  // Entering

  #enter(resume: boolean, now: number): void {
    const { epoch, offset } = this.#order;
    this.#state = 'entering';
    this.#pages.clear();
    this.#enterBy = now + ENTER_TIMEOUT;
    this.#askWhoAt = Infinity;
    this.#intake.stop();
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
    const order = this.#order;
    const isSameOrder = this.#hasEntered && this.#options.crypto.equal(order.epoch, entered.epoch);
    this.#enterBy = Infinity;
    if (entered.resumed) {
      if (!isSameOrder || entered.offset < order.offset) {
        throw lie('The relay goes on with an order that we do not know');
      }
      this.#pages.clear();
      this.#state = 'in';
      this.#intake.toldHead(entered.offset, entered.logHash, now);
    } else {
      this.#begin(entered, isSameOrder, now);
      this.#state = 'in';
    }
    const wasIn = this.#hasEntered;
    this.#hasEntered = true;
    if (wasIn) this.#repeatAt = entered.offset;
    this.#events.push({ type: 'entered', resumed: entered.resumed });
    for (const member of this.#pairs.takeUnsure())
      if (this.#members.get(member)) this.#sender.giveAgain(member);
    this.#repeatIfCaughtUp(isSameOrder);
  }

  /** The relay has told everything anew. */
  #begin(entered: Entered, isSameOrder: boolean, now: number): void {
    const { crypto } = this.#options;
    const order = this.#order;
    const { epoch, offset, version, rosterHash, logHash, number } = entered;
    // In one order it goes forward only, and what was told of it stays true.
    if (isSameOrder) {
      if (offset < order.offset || version < this.#members.version) {
        throw lie('The relay goes back in the order of the space');
      }
      this.#intake.toldHead(offset, logHash, now);
    }
    const before = new Map([...this.#members].map(member => [member.id, member]));
    const isSameRoster = isSameOrder && version === this.#members.version;
    if (isSameRoster && !crypto.equal(rosterHash, this.#members.rosterHash)) {
      throw lie('The relay has changed the roster without saying so');
    }
    this.#members.replace(this.#pages.take(), epoch, version, rosterHash);
    const own = this.#members.get(this.id);
    if (own?.number !== number || !crypto.equal(own.join.bytes, this.#join)) {
      throw lie('The relay has let in somebody else in our place');
    }
    if (entered.before) {
      const digest = joinedDigest(crypto, version, rosterHash, number, this.#join);
      if (!crypto.equal(nextLogHash(crypto, entered.before, offset, digest), logHash)) {
        throw lie('The relay tells of an order in which we have not entered');
      }
      this.#ownJoinedAt = offset;
    } else if (!isSameOrder) {
      // It was not told to us at once, and what came before is not known.
      this.#ownJoinedAt = 0;
    }
    order.start(epoch, offset, this.#members, logHash);
    this.#intake.start();
    this.#moves.clear();
    this.#sender.rosterChanged();
    if (this.#hasEntered) this.#compare(before, isSameOrder, now);
  }

  /** Who has come and gone while we were away. */
  #compare(before: ReadonlyMap<string, Member>, isSameOrder: boolean, now: number): void {
    for (const member of this.#members) {
      if (member.isSelf) continue;
      const absent = this.#absent.take(member.id);
      const known = before.get(member.id) ?? absent;
      if (known && known.publicKey !== member.publicKey) this.#departed(known, 'gone', now);
      else if (known) this.#back(member, known, isSameOrder, now);
      else {
        this.#events.push({ type: 'joined', member: informationOf(member) });
        if (isSameOrder) this.#askForMore(member, now);
      }
    }
    for (const member of before.values()) {
      if (member.isSelf || this.#members.get(member.id)) continue;
      // The relay has started anew: they may come back, as we do.
      if (isSameOrder || !this.#absent.add(member, now)) this.#departed(member, 'gone', now);
    }
  }

  /** A member is there whom we know. */
  #back(member: Member, known: Member, isSameOrder: boolean, now: number): void {
    this.#senders.renew(member);
    if (known.away !== member.away) this.#events.push({ type: 'moved', member: informationOf(member) });
    // What was in an order that is no more, or was told while we were not there: whoever has sent something says so, and
    // who misses something asks.
    if (isSameOrder) this.#askForMore(member, now);
    if (member.admitted) this.#sender.returned(member.id);
  }

  /** It may have said something that we were not told of. */
  #askForMore(member: Member, now: number): void {
    if (member.admitted && this.#members.isAdmitted) this.#senders.askForMore(member, now);
  }

  #repeatIfCaughtUp(isSameOrder = true): void {
    if (this.#repeatAt === undefined || this.#order.offset < this.#repeatAt) return;
    this.#repeatAt = undefined;
    this.#sender.repeat(!isSameOrder);
  }

  // The order

  /** Takes an item in its place. `bytes`: what it keeps if it has to wait. */
  #item(offset: number, bytes: number, now: number, apply: (now: number) => void): void {
    if (this.#state !== 'in') return;
    this.#intake.item(offset, bytes, now, apply);
    this.#repeatIfCaughtUp();
  }

  #joined(entry: Entry, version: number, rosterHash: Uint8Array, now: number): void {
    const { crypto } = this.#options;
    if (version !== this.#members.version + 1)
      throw lie('The relay has counted a change of the roster wrongly');
    const moved = this.#moves.get(entry.number);
    this.#moves.delete(entry.number);
    const member = this.#members.add({ ...entry, ...moved }, version, rosterHash);
    this.#order.advance(joinedDigest(crypto, version, rosterHash, entry.number, entry.join), this.#members);
    this.#sender.rosterChanged();
    const known = this.#absent.take(member.id);
    if (known?.publicKey === member.publicKey) {
      this.#back(member, { ...known, away: true }, false, now);
      return;
    }
    if (known) this.#departed(known, 'gone', now);
    this.#events.push({ type: 'joined', member: informationOf(member) });
  }

  #left(number: number, version: number, rosterHash: Uint8Array, reason: LeaveReason, now: number): void {
    const { crypto } = this.#options;
    if (version !== this.#members.version + 1)
      throw lie('The relay has counted a change of the roster wrongly');
    const member = this.#members.remove(number, version, rosterHash);
    if (!member || member.isSelf) throw lie('The relay tells of the leaving of nobody');
    this.#order.advance(leftDigest(crypto, version, rosterHash, number, reason), this.#members);
    this.#sender.rosterChanged();
    this.#departed(member, reason, now);
  }

  #message(bytes: Uint8Array, wrap: Uint8Array | undefined, now: number): void {
    const { crypto } = this.#options;
    const [order, members] = [this.#order, this.#members];
    // Whatever a member says in the wrong form is in the order all the same, and harms nobody else.
    const message = wellFormed(bytes);
    const digest = messageDigest(crypto, bytes);
    const agrees = message && hasSeenTheSame(order, message);
    order.advance(digest, members);
    if (!message || !crypto.equal(message.header.epoch, order.epoch)) return;
    members.check();
    members.expire();
    const member = members.get(toHex(message.header.sender));
    if (member?.isSelf) {
      this.#ownMessage(message.header.sequence, digest);
      return;
    }
    // Sealed before we were there: it is not for us. To whoever is not signed in nothing is.
    if (!member?.admitted || !members.isAdmitted || message.header.seen < this.#ownJoinedAt) return;
    this.#senders.message(member, message, wrap, agrees !== false, now);
  }

  /** A relay tells of our own messages with ACCEPTED, or so. */
  #ownMessage(sequence: number, digest: Uint8Array): void {
    const own = this.#sender.digestOf(sequence);
    if (!own || !this.#options.crypto.equal(own, digest)) {
      throw lie('The relay tells of a message of ours that we have not sent');
    }
    this.#sender.accepted(sequence);
  }

  #accepted(sequence: number, offset: number, now: number): void {
    if (offset <= this.#order.offset) {
      // Something that was repeated, and that the relay has had in its order for longer than we knew.
      if (!this.#sender.settled(sequence)) {
        throw lie('The relay has accepted a message before it was sent');
      }
      return;
    }
    this.#item(offset, 0, now, () => {
      const digest = this.#sender.accepted(sequence);
      // All before it were in the order before it, and that is a place that we have passed.
      if (!digest || !this.#sender.settled(sequence))
        throw lie('The relay has accepted a message that was not sent');
      this.#order.advance(digest, this.#members);
    });
  }

  // Members

  #moved(number: number, connectionId: number, away: boolean): void {
    const member = this.#members.numbered(number);
    if (!member) {
      // It may be told of while we wait for its joining.
      if (this.#moves.size < MAX_MOVES) this.#moves.set(number, { connectionId, away });
      return;
    }
    const wasAway = member.away;
    member.connectionId = connectionId;
    member.away = away;
    if (wasAway !== away && !member.isSelf)
      this.#events.push({ type: 'moved', member: informationOf(member) });
  }

  /** A member is gone, and with it all that was kept for it. */
  #departed(member: Member, reason: LeaveReason, now: number, wiped: LeaveReason | 'absent' = reason): void {
    const information = informationOf(member, false);
    this.#senders.departed(member, now);
    this.#sender.departed(member.id);
    this.#pairs.remove(member.id);
    this.#events.push({ type: 'left', member: information, reason });
    this.#events.push({ type: 'wiped', member: information, reason: wiped });
  }

  /** The relay tells who is there, because it was asked or of its own accord: keys of nobody else are kept. */
  #present(report: Entered, now: number): void {
    const pages = this.#pages.take();
    if (this.#state !== 'in') return;
    if (report.offset !== this.#order.offset) {
      this.#intake.toldHead(report.offset, report.logHash, now);
      // It is of another time than what we know.
      this.#askWhoAt = Math.min(this.#askWhoAt, now + WHO_INTERVAL);
      return;
    }
    const { crypto } = this.#options;
    this.#members.check();
    const isSame = pages.every(({ number, join }) => {
      const known = this.#members.numbered(number);
      return known !== undefined && crypto.equal(known.join.bytes, join);
    });
    if (!isSame || pages.length !== this.#members.size) {
      throw lie('The relay names other members than those who have entered');
    }
    for (const { number, connectionId, away } of pages) this.#moved(number, connectionId, away);
    for (const member of this.#absent.expired(Infinity)) this.#departed(member, 'gone', now, 'absent');
    this.#events.push({ type: 'present' });
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
      this.#pairs.isEmpty(id => this.#members.get(id)?.away === false);
    if (isDone || !this.#hasEntered || now >= this.#leaveBy) this.#leave();
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

/** A relay cannot hold a message back by its word for longer than this. */
const MAX_RETRY_AFTER = 60_000;

function lie(what: string): SecureWebSocketError {
  return new SecureWebSocketError('ROSTER_MISMATCH', `${what}: it lies, or is broken.`);
}

/** Undefined: it cannot be told. */
function hasSeenTheSame(order: SpaceOrder, { header }: SpaceMessage): boolean | undefined {
  return order.agrees(header.seen, header.version, header.viewHash);
}

function wellFormed(bytes: Uint8Array): SpaceMessage | undefined {
  try {
    return decodeSpaceMessage(bytes);
  } catch {
    return undefined;
  }
}
