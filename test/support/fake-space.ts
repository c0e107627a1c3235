// A space of the chat example without a relay: everybody in one process, everything at once.
import type { Member, Space, SpaceEvents } from '../../examples/chat/page/space.js';

/** What somebody who is no room of the example need not listen to. */
type SomeEvents = Partial<SpaceEvents>;

/** One room. `open` has the shape of the example's `openSpace`. */
export class FakeSpace {
  readonly #members = new Map<string, { member: Member; events: SomeEvents }>();
  #count = 0;

  /** Somebody enters, with a key of its own, or with `publicKey`. */
  open(events: SomeEvents, publicKey?: string): Space & { readonly member: Member } {
    this.#count++;
    const id = this.#count.toString(16).padStart(32, '0');
    const member: Member = { id, publicKey: publicKey ?? id.repeat(2), isSelf: false, away: false };
    const others = (): SomeEvents[] =>
      [...this.#members.values()].filter(other => other.member.id !== id).map(other => other.events);
    for (const other of others()) other.joined?.(member);
    this.#members.set(id, { member, events });
    // As a real one: nothing has happened before this returns.
    queueMicrotask(() => {
      const members = [...this.#members.values()].map(({ member: one }) => ({
        ...one,
        isSelf: one.id === id,
      }));
      events.opened?.({ ...member, isSelf: true }, members);
    });
    return {
      member,
      send: data => {
        const given = typeof data === 'string' ? data : data.slice().buffer;
        for (const other of others()) other.message?.({ id, publicKey: member.publicKey }, given);
      },
      drained: () => Promise.resolve(),
      close: () => {
        if (!this.#members.delete(id)) return;
        for (const other of others()) other.left?.(member, 'left');
        events.ended?.('');
      },
    };
  }
}
