import { MAX_MEMBERS, type Member } from './space-members.js';

/** So long those are waited for who were there before the relay started anew. */
const RETURN_TIME = 30_000;

/** Members of an order that is no more, who are expected in the one that has taken its place. */
export class AbsentMembers {
  readonly #members = new Map<string, { readonly member: Member; readonly until: number }>();
  /** Their member ids. */
  ids: readonly string[] = [];

  /** When `expired` should be asked, or Infinity. */
  get wakeAt(): number {
    for (const { until } of this.#members.values()) return until;
    return Infinity;
  }

  *[Symbol.iterator](): Iterator<Member> {
    for (const { member } of this.#members.values()) yield member;
  }

  /** False: so many are absent already that a relay must have made them up. */
  add(member: Member, now: number): boolean {
    if (this.#members.has(member.id)) return true;
    if (this.#members.size >= MAX_MEMBERS) return false;
    this.#members.set(member.id, { member, until: now + RETURN_TIME });
    this.#changed();
    return true;
  }

  /** The member, who is not absent any more. */
  take(id: string): Member | undefined {
    const absent = this.#members.get(id);
    if (absent && this.#members.delete(id)) this.#changed();
    return absent?.member;
  }

  /** Those for whom nobody waits any more. */
  expired(now: number): Member[] {
    const expired = [...this.#members.values()].filter(({ until }) => now >= until).map(each => each.member);
    for (const { id } of expired) this.#members.delete(id);
    if (expired.length > 0) this.#changed();
    return expired;
  }

  clear(): void {
    this.#members.clear();
    this.ids = [];
  }

  #changed(): void {
    this.ids = [...this.#members.keys()];
  }
}
