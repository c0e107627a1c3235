import { compareBytes, toHex } from '../../core/bytes.js';
import { SPACE_HEAD_INTERVAL } from '../../core/constants.js';
import type { JoinRecord } from '../../core/space/join-record.js';
import {
  encodeSpaceReport,
  type Enter,
  type Entered,
  type LeaveReason,
} from '../../core/space/space-frame.js';
import { TokenBucket } from '../limits/token-bucket.js';
import type { UploadedMessage } from './held-messages.js';
import { SpaceDelivery } from './space-delivery.js';
import { SpaceHistory } from './space-history.js';
import { behindHead } from './space-item.js';
import { SpaceMember } from './space-member.js';
import { SpaceMessages } from './space-messages.js';
import { SpaceOrder } from './space-order.js';
import type { SpaceClient } from './space-port.js';
import { SpaceRoster } from './space-roster.js';
import type { SpaceShared } from './space-shared.js';

/** Who wants to enter, once that is allowed. */
export interface Entrant {
  readonly client: SpaceClient;
  /** The number of the membership on its connection. */
  readonly membership: number;
  readonly join: JoinRecord;
  readonly request: Pick<Enter, 'stay' | 'resume'>;
}

/**
 * One space: who is in it, and in which order what is said in it. That is a chain of items, which all members get and can
 * check: somebody has joined, has left, has said something. What is said the relay cannot read.
 */
export class Space {
  readonly name: string;
  /** Tells it apart from every other one of this name: 8 random bytes. */
  readonly epoch: Uint8Array;
  readonly #shared: SpaceShared;
  readonly #roster: SpaceRoster;
  readonly #order: SpaceOrder;
  readonly #delivery: SpaceDelivery;
  readonly #messages: SpaceMessages;
  readonly #away = new Set<SpaceMember>();
  /** How often a member has come to a connection, or lost it. */
  #moves = 0;
  /** When members were told last where the order stands, and where it stood. */
  #headAt: number;
  #headTold = 0;

  constructor(name: string, shared: SpaceShared) {
    const { crypto, relayKey, limits, budget, maxQueueBytes } = shared;
    this.name = name;
    this.#shared = shared;
    const epoch = (this.epoch = crypto.randomBytes(8));
    const history = new SpaceHistory(limits, budget);
    const roster = (this.#roster = new SpaceRoster(crypto, epoch));
    const order = (this.#order = new SpaceOrder(crypto, { relayKey, name }, epoch, history));
    const owner = {
      sendEntered: (member: SpaceMember) => this.#sendRoster(member, 'entered'),
      sendPresent: (member: SpaceMember) => this.#sendRoster(member, 'present'),
      released: () => {
        this.#messages.placeHeld();
      },
    };
    const delivery = (this.#delivery = new SpaceDelivery(history, owner, maxQueueBytes));
    this.#messages = new SpaceMessages(shared, { name, epoch, roster, order, delivery });
    this.#headAt = shared.now();
  }

  get size(): number {
    return this.#roster.size;
  }

  /** In the order in which they came. */
  get members(): Iterable<SpaceMember> {
    return this.#roster.members;
  }

  /** `id`: 32 hex digits. */
  member(id: string): SpaceMember | undefined {
    return this.#roster.get(id);
  }

  /**
   * Lets somebody in, or back to its place. The caller has checked that it may, that the join record is its own, and that
   * the member which has its id, if there is one, has its keys.
   */
  enter(entrant: Entrant): SpaceMember {
    const known = this.#roster.get(toHex(entrant.join.memberId));
    const member = known === undefined ? this.#join(entrant) : this.#return(known, entrant);
    const { publicKey, id: memberId, number } = member;
    const members = this.size;
    const resumed = known !== undefined;
    this.#shared.observe?.({
      type: 'entered',
      space: this.name,
      publicKey,
      memberId,
      number,
      members,
      resumed,
    });
    return member;
  }

  #join({ client, membership, join, request }: Entrant): SpaceMember {
    const { limits, joined, now } = this.#shared;
    const { number, digest } = this.#roster.next(join.bytes);
    const { messagesPerSecond: perSecond } = limits;
    const member = new SpaceMember(number, join, digest, {
      joinedAt: this.#order.last + 1,
      before: this.#order.logHash,
      client,
      rate: perSecond === undefined ? undefined : new TokenBucket(perSecond, perSecond),
    });
    member.attach(client, membership, request.stay, this.#moves);
    this.#roster.add(member);
    const { version, hash: rosterHash } = this.#roster;
    const item = this.#order.append({ type: 'joined', version, rosterHash, member }, now());
    this.#letIn(member);
    this.#delivery.send(item, this.members, now());
    joined(this.name, member);
    return member;
  }

  /** A member comes back: over another connection, before or after the old one is gone, or to see everything anew. */
  #return(member: SpaceMember, { client, membership, request }: Entrant): SpaceMember {
    const { client: former, membership: formerNumber, isAway: wasAway, cameAt } = member;
    const isSame = !wasAway && former === client && formerNumber === membership;
    if (!wasAway && !isSame) {
      // Should anybody still be there: it is another one now who has the place.
      member.tell({ type: 'refused', reason: 'REMOVED', message: 'Another connection has taken the place.' });
      former.forget(formerNumber);
    }
    this.#delivery.forget(member);
    if (this.#away.delete(member)) this.#shared.away(member, false);
    member.attach(client, membership, request.stay, this.#moves);
    if (!isSame) this.#moved(member);
    const { resume } = request;
    if (resume === undefined || !this.#canResume(member, resume)) {
      this.#letIn(member);
      return member;
    }
    member.through = resume.offset;
    if (member.tell({ type: 'entered', ...this.#standing(member, true) })) this.#tellMoves(member, cameAt);
    else member.owesEntered = true;
    this.#delivery.ask(member, this.#shared.now());
    return member;
  }

  #canResume(member: SpaceMember, { epoch, offset }: NonNullable<Enter['resume']>): boolean {
    const { first, last } = this.#order.history;
    const isKept = offset + 1 >= first && offset <= last;
    return isKept && offset >= member.joinedAt && compareBytes(epoch, this.epoch) === 0;
  }

  /** Tells a member where everybody went since it knew that, itself included. */
  #tellMoves(member: SpaceMember, since: number): void {
    for (const other of this.members) {
      if (other.movedAt <= since) continue;
      const { number, connectionId, isAway: away } = other;
      if (member.tell({ type: 'moved', number, connectionId, away })) continue;
      member.owesRoster = true;
      return;
    }
  }

  /** A member leaves, or is put out. */
  leave(member: SpaceMember, reason: LeaveReason): void {
    if (!this.#roster.has(member)) return;
    const { observe, left, now } = this.#shared;
    if (!member.isAway) {
      if (reason === 'removed') {
        member.tell({ type: 'refused', reason: 'REMOVED', message: 'The operator has removed this member.' });
      }
      member.client.forget(member.membership);
    }
    if (this.#away.delete(member)) this.#shared.away(member, false);
    this.#messages.drop(member);
    this.#roster.remove(member);
    const { version, hash: rosterHash } = this.#roster;
    const { number, publicKey, id: memberId } = member;
    const item = this.#order.append({ type: 'left', version, rosterHash, number, reason }, now());
    this.#delivery.send(item, this.members, now());
    left(this.name, member, reason);
    observe?.({ type: 'left', space: this.name, publicKey, memberId, number, members: this.size, reason });
    member.detach();
    // Others may go on.
    this.#delivery.forget(member);
  }

  /** The connection of a member is gone. */
  lost(member: SpaceMember): void {
    const { limits, mayKeepPlace, away, now } = this.#shared;
    if (!member.stays || limits.awayTime === 0 || !mayKeepPlace(member)) {
      this.leave(member, 'gone');
      return;
    }
    member.detach(now() + limits.awayTime);
    this.#away.add(member);
    away(member, true);
    this.#moved(member);
    this.#delivery.forget(member);
  }

  /**
   * A member says something.
   * @throws SecureWebSocketError `PROTOCOL_VIOLATION` when it speaks in another one's name
   */
  say(upload: UploadedMessage): void {
    this.#messages.say(upload);
  }

  /** A member gets what it has asked for: now, or as soon as there is room for it. */
  answer(member: SpaceMember): void {
    this.#delivery.ask(member, this.#shared.now());
  }

  /** Tells all who are here. */
  tellPresent(): void {
    for (const member of [...this.members]) {
      if (member.isAway) continue;
      member.owesRoster = true;
      this.answer(member);
    }
  }

  /** The connection of a member has room again, or may have. */
  drained(member: SpaceMember): void {
    this.#delivery.pump(member, this.#shared.now());
  }

  /** What has to happen now and then. */
  tick(now: number): void {
    this.#order.history.expire(now);
    for (const member of [...this.#away]) if (member.awayUntil <= now) this.leave(member, 'gone');
    this.#delivery.tick(now);
    if (now - this.#headAt < SPACE_HEAD_INTERVAL) return;
    this.#headAt = now;
    const { last: offset, logHash } = this.#order;
    if (offset === this.#headTold) return;
    this.#headTold = offset;
    this.#delivery.tellHead(
      behindHead(encodeSpaceReport(0, { type: 'head', offset, logHash })),
      this.members,
    );
  }

  /** Nobody is here any more: forgets all. */
  close(): void {
    this.#messages.clear();
    this.#order.history.clear();
  }

  /** Tells a member that everything is new to who is here, and where the order stands: now, or when there is room. */
  #letIn(member: SpaceMember): void {
    member.owesEntered = true;
    this.#delivery.ask(member, this.#shared.now());
  }

  /** A member has come to a connection, or lost it. */
  #moved(member: SpaceMember): void {
    member.movedAt = this.#moves += 1;
    this.#roster.moved();
    const { number, connectionId, isAway: away } = member;
    const tail = behindHead(encodeSpaceReport(0, { type: 'moved', number, connectionId, away }));
    this.#delivery.announce(tail, this.members, member, this.#shared.now());
  }

  #standing(member: SpaceMember, resumed: boolean): Entered {
    const { last: offset, logHash } = this.#order;
    const { version, hash: rosterHash } = this.#roster;
    return { epoch: this.epoch, offset, version, rosterHash, logHash, number: member.number, resumed };
  }

  /** False: there is no room for it. Part of it may be under way all the same; it comes again as a whole. */
  #sendRoster(member: SpaceMember, type: 'entered' | 'present'): boolean {
    for (const page of this.#roster.pages) if (!member.offer(page)) return false;
    // Right behind its own item it can follow the order from the beginning.
    const before = type === 'entered' && this.#order.last === member.joinedAt ? member.before : undefined;
    if (!member.tell({ type, ...this.#standing(member, false), before })) return false;
    if (type === 'entered') {
      member.through = this.#order.last;
      member.before = undefined;
    }
    return true;
  }
}
