import { toHex } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import { AbsentMembers } from './absent-members.js';
import type { SpacePlace } from './join-record.js';
import { RosterPages } from './roster-pages.js';
import type { Entered, Entry, LeaveReason, SpaceReport } from './space-frame.js';
import { SpaceIntake } from './space-intake.js';
import { joinedDigest, leftDigest, messageDigest, nextLogHash } from './space-log.js';
import { type Member, SpaceMembers } from './space-members.js';
import { decodeSpaceMessage, type SpaceMessage } from './space-message.js';
import { SpaceOrder } from './space-order.js';

/** Members that were told of before they have entered: where they are. */
const MAX_MOVES = 1_024;

/** What happens in a space, in its order. */
type Item = Extract<SpaceReport, { type: 'joined' | 'left' | 'message' }>;

export interface KnownSpaceOptions {
  readonly crypto: Crypto;
  readonly place: SpacePlace;
  /** Our member id, hex. */
  readonly ownId: string;
  /** What we enter with. */
  readonly ownJoin: Uint8Array;
  readonly admins: ReadonlySet<string> | undefined;
  readonly wallClock: () => number;
}

/** Who has to do with what happens in a space. */
export interface KnownSpaceListener {
  /** Asks the relay for items, first and last. */
  fetch(from: number, to: number): void;
  /** The roster is another one: keys are for one only. */
  rosterChanged(): void;
  /** Somebody is there for the first time. `missed`: it may have said something that we were not told of. */
  joined(member: Member, missed: boolean, now: number): void;
  moved(member: Member): void;
  /** Somebody is there again whom we know, and who was away before or was not. */
  returned(member: Member, wasAway: boolean, missed: boolean, now: number): void;
  /** Somebody is gone, and with it all that was kept for it. `wiped`: why that is so. */
  departed(member: Member, reason: LeaveReason, wiped: LeaveReason | 'absent', now: number): void;
  /** Another member has said something that is for us. `agrees`: it was shown what we were. */
  message(
    member: Member,
    message: SpaceMessage,
    wrap: Uint8Array | undefined,
    agrees: boolean,
    now: number,
  ): void;
  /** One of our own is in the order. */
  ownMessage(sequence: number, digest: Uint8Array): void;
}

/**
 * A space as the relay tells of it: who is in it, and in which order what happened. Each word is held against those before
 * it (docs/protocol.md, "Spaces"): what does not fit is a `SecureWebSocketError`, mostly `ROSTER_MISMATCH`.
 */
export class KnownSpace {
  readonly members: SpaceMembers;
  readonly order: SpaceOrder;
  /** Members of the order before this one, as long as they may come back. */
  readonly absent = new AbsentMembers();
  readonly #options: KnownSpaceOptions;
  readonly #listener: KnownSpaceListener;
  readonly #intake: SpaceIntake;
  readonly #pages = new RosterPages();
  /** Where those are of whose joining we know only that it is to come. */
  readonly #moves = new Map<number, Pick<Entry, 'connectionId' | 'away'>>();
  #hasEntered = false;
  /** What was sealed before this is not for us. */
  #ownJoinedAt = 0;

  constructor(options: KnownSpaceOptions, listener: KnownSpaceListener) {
    this.#options = options;
    this.#listener = listener;
    this.members = new SpaceMembers(options);
    this.order = new SpaceOrder(options.crypto);
    this.#intake = new SpaceIntake(this.order, (from, to) => {
      listener.fetch(from, to);
    });
  }

  /** Whether the relay has ever let us in. */
  get hasEntered(): boolean {
    return this.#hasEntered;
  }

  /** When `timeout` wants to be called, or Infinity. `isIn`: the relay tells us of the space. */
  wakeAt(isIn: boolean): number {
    return Math.min(this.absent.wakeAt, isIn ? this.#intake.wakeAt : Infinity);
  }

  timeout(now: number, isIn: boolean): void {
    for (const member of this.absent.expired(now)) this.#listener.departed(member, 'gone', 'gone', now);
    if (isIn) this.#intake.timeout(now);
  }

  /** The relay tells us nothing any more, until we have entered again. */
  stop(): void {
    this.#pages.clear();
    this.#intake.stop();
  }

  /** Forgets who is not there. */
  clear(): void {
    this.stop();
    this.absent.clear();
    this.#moves.clear();
  }

  /** A part of a roster, of which the rest and what it is for are to come. */
  page(entries: readonly Entry[]): void {
    if (!this.#pages.add(entries)) throw lie('The relay names too many members');
  }

  /** The relay has let us in. True: it goes on with the order that we know. */
  entered(entered: Entered, now: number): boolean {
    const { order } = this;
    const isSameOrder = this.#hasEntered && this.#options.crypto.equal(order.epoch, entered.epoch);
    if (entered.resumed) {
      if (!isSameOrder || entered.offset < order.offset) {
        throw lie('The relay goes on with an order that we do not know');
      }
      this.#pages.clear();
      this.#intake.toldHead(entered.offset, entered.logHash, now);
    } else {
      this.#begin(entered, isSameOrder, now);
    }
    this.#hasEntered = true;
    return isSameOrder;
  }

  /** The relay has told everything anew. */
  #begin(entered: Entered, isSameOrder: boolean, now: number): void {
    const { crypto, ownId, ownJoin } = this.#options;
    const { order, members } = this;
    const { epoch, offset, version, rosterHash, logHash, number } = entered;
    // In one order it goes forward only, and what was told of it stays true.
    if (isSameOrder) {
      if (offset < order.offset || version < members.version) {
        throw lie('The relay goes back in the order of the space');
      }
      this.#intake.toldHead(offset, logHash, now);
    }
    const before = new Map([...members].map(member => [member.id, member]));
    const isSameRoster = isSameOrder && version === members.version;
    if (isSameRoster && !crypto.equal(rosterHash, members.rosterHash)) {
      throw lie('The relay has changed the roster without saying so');
    }
    members.replace(this.#pages.take(), epoch, version, rosterHash);
    const own = members.get(ownId);
    if (own?.number !== number || !crypto.equal(own.join.bytes, ownJoin)) {
      throw lie('The relay has let in somebody else in our place');
    }
    if (entered.before) {
      const digest = joinedDigest(crypto, version, rosterHash, number, ownJoin);
      if (!crypto.equal(nextLogHash(crypto, entered.before, offset, digest), logHash)) {
        throw lie('The relay tells of an order in which we have not entered');
      }
      this.#ownJoinedAt = offset;
    } else if (!isSameOrder) {
      // It was not told to us at once, and what came before is not known.
      this.#ownJoinedAt = 0;
    }
    order.start(epoch, offset, members, logHash);
    this.#intake.start();
    this.#moves.clear();
    this.#listener.rosterChanged();
    if (this.#hasEntered) this.#compare(before, isSameOrder, now);
  }

  /** Who has come and gone while we were away. */
  #compare(before: ReadonlyMap<string, Member>, isSameOrder: boolean, now: number): void {
    for (const member of this.members) {
      if (member.isSelf) continue;
      const absent = this.absent.take(member.id);
      const known = before.get(member.id) ?? absent;
      // What was told while we were not there is asked for. What was in an order that is no more, whoever has sent it says.
      if (!known) this.#listener.joined(member, isSameOrder, now);
      else if (known.publicKey !== member.publicKey) this.#listener.departed(known, 'gone', 'gone', now);
      else this.#listener.returned(member, known.away, isSameOrder, now);
    }
    for (const member of before.values()) {
      if (member.isSelf || this.members.get(member.id)) continue;
      // The relay has started anew: they may come back, as we do.
      if (isSameOrder || !this.absent.add(member, now)) this.#listener.departed(member, 'gone', 'gone', now);
    }
  }

  /** Something has happened. It is taken in its place: later, if what is before it is missing. */
  item(item: Item, now: number): void {
    switch (item.type) {
      case 'joined': {
        const { version } = item;
        const entry = { ...item.entry, join: item.entry.join.slice() };
        const hash = item.rosterHash.slice();
        this.#moves.delete(entry.number);
        this.at(item.offset, entry.join.length, now, at => {
          this.#joined(entry, version, hash, at);
        });
        return;
      }
      case 'left': {
        const { version, number, reason } = item;
        const hash = item.rosterHash.slice();
        this.at(item.offset, 0, now, at => {
          this.#left(number, version, hash, reason, at);
        });
        return;
      }
      case 'message': {
        const message = item.message.slice();
        const wrap = item.wrap?.slice();
        this.at(item.offset, message.length, now, at => {
          this.#message(message, wrap, at);
        });
        return;
      }
    }
  }

  /** Does `apply` when it is the turn of `offset`: it has to `advance`. `bytes`: what it keeps if it has to wait. */
  at(offset: number, bytes: number, now: number, apply: (now: number) => void): void {
    this.#intake.item(offset, bytes, now, apply);
  }

  /** The next item has happened. */
  advance(itemDigest: Uint8Array): void {
    this.order.advance(itemDigest, this.members);
  }

  /** The relay says how far the order has come. */
  head(offset: number, logHash: Uint8Array, now: number): void {
    this.#intake.toldHead(offset, logHash, now);
  }

  moved(number: number, connectionId: number, away: boolean): void {
    const member = this.members.numbered(number);
    if (!member) {
      // It may be told of while we wait for its joining.
      if (this.#moves.size < MAX_MOVES) this.#moves.set(number, { connectionId, away });
      return;
    }
    const wasAway = member.away;
    member.connectionId = connectionId;
    member.away = away;
    if (wasAway !== away && !member.isSelf) this.#listener.moved(member);
  }

  /** The relay tells who is there: nobody else is. False: that is of another time than what we know. */
  present(report: Entered, now: number): boolean {
    const pages = this.#pages.take();
    if (report.offset !== this.order.offset) {
      this.#intake.toldHead(report.offset, report.logHash, now);
      return false;
    }
    const { crypto } = this.#options;
    this.members.check();
    const isSame = pages.every(({ number, join }) => {
      const known = this.members.numbered(number);
      return known !== undefined && crypto.equal(known.join.bytes, join);
    });
    if (!isSame || pages.length !== this.members.size) {
      throw lie('The relay names other members than those who have entered');
    }
    for (const { number, connectionId, away } of pages) this.moved(number, connectionId, away);
    for (const member of this.absent.expired(Infinity))
      this.#listener.departed(member, 'gone', 'absent', now);
    return true;
  }

  #joined(entry: Entry, version: number, rosterHash: Uint8Array, now: number): void {
    this.#checkVersion(version);
    const moved = this.#moves.get(entry.number);
    this.#moves.delete(entry.number);
    const member = this.members.add({ ...entry, ...moved }, version, rosterHash);
    this.advance(joinedDigest(this.#options.crypto, version, rosterHash, entry.number, entry.join));
    this.#listener.rosterChanged();
    const known = this.absent.take(member.id);
    if (known?.publicKey === member.publicKey) {
      this.#listener.returned(member, true, false, now);
      return;
    }
    if (known) this.#listener.departed(known, 'gone', 'gone', now);
    this.#listener.joined(member, false, now);
  }

  #left(number: number, version: number, rosterHash: Uint8Array, reason: LeaveReason, now: number): void {
    this.#checkVersion(version);
    const member = this.members.remove(number, version, rosterHash);
    if (!member || member.isSelf) throw lie('The relay tells of the leaving of nobody');
    this.advance(leftDigest(this.#options.crypto, version, rosterHash, number, reason));
    this.#listener.rosterChanged();
    this.#listener.departed(member, reason, reason, now);
  }

  #checkVersion(version: number): void {
    if (version !== this.members.version + 1)
      throw lie('The relay has counted a change of the roster wrongly');
  }

  #message(bytes: Uint8Array, wrap: Uint8Array | undefined, now: number): void {
    const { crypto } = this.#options;
    const { order, members } = this;
    // Whatever a member says in the wrong form is in the order all the same, and harms nobody else.
    const message = wellFormed(bytes);
    const digest = messageDigest(crypto, bytes);
    const agrees = message && hasSeenTheSame(order, message);
    this.advance(digest);
    if (!message || !crypto.equal(message.header.epoch, order.epoch)) return;
    members.check();
    members.expire();
    const member = members.get(toHex(message.header.sender));
    if (member?.isSelf) {
      this.#listener.ownMessage(message.header.sequence, digest);
      return;
    }
    // Sealed before we were there: it is not for us. To whoever is not signed in nothing is.
    if (!member?.admitted || !members.isAdmitted || message.header.seen < this.#ownJoinedAt) return;
    this.#listener.message(member, message, wrap, agrees !== false, now);
  }
}

export function lie(what: string): SecureWebSocketError {
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
