import type { SpaceMessage } from './space-message.js';

/** What waits for keys or for messages before it, of one sender. The rest is asked for again. */
const MAX_MESSAGES = 256;
const MAX_BYTES = 2_097_152;
/** Of all senders of a membership together. */
const MAX_TOTAL_BYTES = 16_777_216;
/** What each counts for beyond its bytes. */
const OVERHEAD = 512;

/** Where a message stands in the space. */
export interface WaitingMessage {
  readonly message: SpaceMessage | undefined;
  readonly wrap: Uint8Array | undefined;
  /** Given by the sender itself, or opened already. */
  readonly plaintext: Uint8Array | undefined;
  /** Whether its sender has seen what we have. */
  readonly agrees: boolean;
  readonly since: number;
}

/** What all senders of a membership may keep waiting. */
export class WaitingBudget {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  has(bytes: number): boolean {
    return this.#bytes + bytes <= MAX_TOTAL_BYTES;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Messages of one sender that wait, by their sequence number. */
export class WaitingMessages {
  readonly #budget: WaitingBudget;
  readonly #messages = new Map<number, WaitingMessage>();
  #bytes = 0;

  constructor(budget: WaitingBudget) {
    this.#budget = budget;
  }

  get size(): number {
    return this.#messages.size;
  }

  /** The lowest sequence number. */
  get first(): number | undefined {
    return this.#messages.size === 0 ? undefined : Math.min(...this.#messages.keys());
  }

  /** Sequence numbers, ascending. */
  get sequences(): number[] {
    return [...this.#messages.keys()].sort((a, b) => a - b);
  }

  /** Since when the one waits that has waited for longest. */
  get since(): number | undefined {
    for (const { since } of this.#messages.values()) return since;
    return undefined;
  }

  get(sequence: number): WaitingMessage | undefined {
    return this.#messages.get(sequence);
  }

  /** False: there is no room for it. `always`: there is, for it does not wait. */
  add(sequence: number, message: WaitingMessage, always: boolean): boolean {
    if (this.#messages.has(sequence)) return true;
    const bytes = sizeOf(message);
    const hasRoom =
      this.#messages.size < MAX_MESSAGES && this.#bytes + bytes <= MAX_BYTES && this.#budget.has(bytes);
    if (!hasRoom && !always) return false;
    this.#messages.set(sequence, message);
    this.#count(bytes);
    return true;
  }

  remove(sequence: number): void {
    const message = this.#messages.get(sequence);
    if (!message) return;
    this.#messages.delete(sequence);
    this.#count(-sizeOf(message));
  }

  /** Removes all before `sequence`. */
  removeBefore(sequence: number): void {
    for (const each of [...this.#messages.keys()]) if (each < sequence) this.remove(each);
  }

  clear(): void {
    for (const sequence of [...this.#messages.keys()]) this.remove(sequence);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (bytes > 0) this.#budget.take(bytes);
    else this.#budget.giveBack(-bytes);
  }
}

function sizeOf({ message, plaintext }: WaitingMessage): number {
  return OVERHEAD + (message?.body.length ?? 0) + (plaintext?.length ?? 0);
}
