import type { SpaceHistory } from './space-history.js';
import type { SpaceItem } from './space-item.js';
import type { SpaceMember } from './space-member.js';

/** With more bytes than these waiting for it, a member is slow. Half of them, and it is not any more. */
const SLOW_BYTES = 1_048_576;
/** Others wait so long for a member that is slow, milliseconds. */
export const PATIENCE = 5_000;
/** And not again before so long has passed since it caught up, milliseconds. */
const IMPATIENCE = 60_000;

/** Who sends for a space. */
export interface DeliveryOwner {
  /** Tells a member that it is in, and who else is, as of now; false: there is no room for it. */
  sendEntered(member: SpaceMember): boolean;
  /** Tells a member, which has all items, who is here; false: there is no room for it. */
  sendPresent(member: SpaceMember): boolean;
  /** Nobody is waited for any more. */
  released(): void;
}

/**
 * Hands the items of a space to its members: each gets all of them, in their order. Whoever has no room for one gets it
 * from the history when there is. For a while the others wait for a member that does not read; then they go on without it.
 */
export class SpaceDelivery {
  readonly #history: SpaceHistory;
  readonly #owner: DeliveryOwner;
  readonly #slowBytes: number;
  /** For whom the others wait. */
  readonly #slow = new Set<SpaceMember>();
  /** Those that have something to come: they are looked at again when their connections have room, and from time to time. */
  readonly #owed = new Set<SpaceMember>();

  /** `maxQueueBytes`: what may wait for one connection. */
  constructor(history: SpaceHistory, owner: DeliveryOwner, maxQueueBytes: number) {
    this.#history = history;
    this.#owner = owner;
    this.#slowBytes = Math.min(SLOW_BYTES, Math.floor(maxQueueBytes / 4));
  }

  /** Whether messages have to wait. */
  get isHeld(): boolean {
    return this.#slow.size > 0;
  }

  /** Sends the item that was added to the history last. Gives to how many beside its sender. */
  send(item: SpaceItem, members: Iterable<SpaceMember>, now: number): number {
    // The same for all, made once.
    const tail = item.content.type === 'message' ? undefined : item.tail();
    let count = 0;
    for (const member of members) {
      if (!isFollowing(member) || member.through >= item.offset) continue;
      const isNext = member.through === item.offset - 1;
      // A refusal that waits belongs before it: the member must not seal again what is in the order.
      const mayHave = isNext && member.refusal === undefined && !(member.isLagging && this.#isFull(member));
      if (mayHave && member.put(item, tail)) {
        member.through = item.offset;
        if (item.sender !== member.number) count += 1;
        if (this.#isFull(member)) this.owe(member, now);
      } else {
        this.owe(member, now);
      }
    }
    return count;
  }

  /** Sends something that is no item: to whoever has no room for it, the roster later. `tail`: what is the same for all. */
  announce(tail: Uint8Array, members: Iterable<SpaceMember>, except: SpaceMember, now: number): void {
    for (const member of members) {
      if (member === except || !isFollowing(member)) continue;
      if (!this.#isFull(member) && member.offer(tail)) continue;
      member.owesRoster = true;
      this.owe(member, now);
    }
  }

  /** Tells those that have all where the order stands. */
  tellHead(tail: Uint8Array, members: Iterable<SpaceMember>): void {
    for (const member of members) {
      if (!isFollowing(member) || member.through !== this.#history.last) continue;
      // Whoever has no room for it has something else to come.
      if (!this.#isFull(member)) member.offer(tail);
    }
  }

  /** A member has asked for something that is kept in it: it gets it now, or when there is room. Nobody waits for that. */
  ask(member: SpaceMember, now: number): void {
    this.#owed.add(member);
    this.pump(member, now);
  }

  /** A member is behind, or about to be. */
  owe(member: SpaceMember, now: number): void {
    this.#owed.add(member);
    if (member.isLagging || member.slowSince !== undefined) return;
    if (now < member.impatientUntil) {
      member.isLagging = true;
      return;
    }
    member.slowSince = now;
    this.#slow.add(member);
  }

  /** The connection of a member has room again, or may have. */
  pump(member: SpaceMember, now: number): void {
    if (!this.#owed.has(member)) return;
    if (member.isAway) {
      this.forget(member);
      return;
    }
    if (!this.#catchUp(member) || this.#isFull(member, 2)) return;
    this.#owed.delete(member);
    if (member.isLagging) {
      member.isLagging = false;
      member.impatientUntil = now + IMPATIENCE;
    }
    member.slowSince = undefined;
    this.#release(member);
  }

  /** What has to happen now and then. */
  tick(now: number): void {
    for (const member of [...this.#owed]) {
      this.pump(member, now);
      const { slowSince } = member;
      if (slowSince === undefined || now - slowSince < PATIENCE) continue;
      member.slowSince = undefined;
      member.isLagging = true;
      this.#release(member);
    }
  }

  /** Nothing is to come for a member any more. */
  forget(member: SpaceMember): void {
    this.#owed.delete(member);
    this.#release(member);
  }

  #release(member: SpaceMember): void {
    if (this.#slow.delete(member) && this.#slow.size === 0) this.#owner.released();
  }

  /** `part`: of what makes a member slow. */
  #isFull(member: SpaceMember, part = 1): boolean {
    return member.queuedBytes > this.#slowBytes / part;
  }

  /** Sends what there is room for. True: that was all. */
  #catchUp(member: SpaceMember): boolean {
    const history = this.#history;
    if (member.owesEntered) {
      if (this.#isFull(member) || !this.#owner.sendEntered(member)) return false;
      member.owesEntered = false;
      // They have just been told all of it.
      member.owesRoster = false;
    }
    if (member.refusal !== undefined) {
      if (!member.tell(member.refusal)) return false;
      member.refusal = undefined;
    }
    while (!member.isLost && member.through < history.last) {
      if (this.#isFull(member)) return false;
      const offset = member.through + 1;
      const item = history.at(offset);
      if (item === undefined) {
        if (!member.tell({ type: 'unavailable', from: offset, to: history.first - 1 })) return false;
        member.isLost = true;
        // It will be told everything.
        member.wanted = undefined;
      } else {
        if (!member.put(item)) return false;
        member.through = offset;
      }
    }
    if (!this.#sendWanted(member)) return false;
    // Only of use to whoever has all items: it is of now.
    if (member.owesRoster && !member.isLost) {
      if (this.#isFull(member) || !this.#owner.sendPresent(member)) return false;
      member.owesRoster = false;
    }
    return true;
  }

  #sendWanted(member: SpaceMember): boolean {
    const { wanted } = member;
    if (wanted === undefined || member.isLost) return true;
    const history = this.#history;
    // What it has not had yet comes by itself.
    const to = Math.min(wanted.to, member.through);
    while (wanted.from <= to) {
      if (this.#isFull(member)) return false;
      const item = history.at(wanted.from);
      if (item === undefined) {
        const last = Math.min(to, history.first - 1);
        if (!member.tell({ type: 'unavailable', from: wanted.from, to: last })) return false;
        wanted.from = last + 1;
      } else {
        if (!member.put(item)) return false;
        wanted.from += 1;
      }
    }
    member.wanted = undefined;
    return true;
  }
}

/** Whether a member gets what happens. If not, it is told all of it later. */
function isFollowing({ isAway, isLost, owesEntered }: SpaceMember): boolean {
  return !isAway && !isLost && !owesEntered;
}
