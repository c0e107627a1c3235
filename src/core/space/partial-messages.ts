/** What members have begun to say and not finished may take so much memory, or the largest message that is accepted, if that is more. */
const MAX_PARTIAL_BYTES = 33_554_432;

/** Who has a message that is not whole yet. */
export interface PartialOwner {
  /** It is forgotten: others need the memory. */
  dropPartial(): void;
}

/** Messages that came in part, of all senders of a membership. Whoever has not gone on with its own for longest has to give way. */
export class PartialMessages {
  readonly #limit: number;
  readonly #sizes = new Map<PartialOwner, number>();
  #bytes = 0;

  /** `maxPayload`: the most that a message may have, bytes. */
  constructor(maxPayload: number) {
    this.#limit = Math.max(maxPayload, MAX_PARTIAL_BYTES);
  }

  /** The message of `owner` has so many bytes now; 0: it is whole, or there is none. */
  set(owner: PartialOwner, bytes: number): void {
    this.#remove(owner);
    if (bytes === 0) return;
    this.#sizes.set(owner, bytes);
    this.#bytes += bytes;
    for (const stalest of this.#sizes.keys()) {
      if (this.#bytes <= this.#limit || stalest === owner) break;
      this.#remove(stalest);
      stalest.dropPartial();
    }
  }

  #remove(owner: PartialOwner): void {
    this.#bytes -= this.#sizes.get(owner) ?? 0;
    this.#sizes.delete(owner);
  }
}
