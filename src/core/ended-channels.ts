import type { Session } from './session.js';

/** What is told to a peer that still speaks of a channel that has ended. */
export interface LastWord {
  /** Numbers of the next record out and in. */
  readonly position: { readonly sequence: number; readonly expected: number };
  /** Why the channel was refused; undefined for one that was closed, which is acknowledged once more. */
  readonly refusal?: Uint8Array | undefined;
}

/** Channels of one session that are remembered after their end. */
const MAX_ENDED = 64;

/** Channels that ended lately, for peers that did not hear the last of them. Bounded, and gone with their session. */
export class EndedChannels {
  readonly #bySession = new WeakMap<Session, Map<string, LastWord>>();

  add(session: Session, name: string, lastWord: LastWord): void {
    let ended = this.#bySession.get(session);
    if (!ended) this.#bySession.set(session, (ended = new Map<string, LastWord>()));
    ended.set(name, lastWord);
    if (ended.size <= MAX_ENDED) return;
    const [oldest] = ended.keys();
    if (oldest !== undefined) ended.delete(oldest);
  }

  find(session: Session, name: string): LastWord | undefined {
    return this.#bySession.get(session)?.get(name);
  }
}
