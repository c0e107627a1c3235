import { SPACE_WINDOW_BYTES, SPACE_WINDOW_MESSAGES } from '../../core/constants.js';
import type { Multicast } from '../../core/space/space-frame.js';
import type { MessageHeader } from '../../core/space/space-message.js';
import { type HistoryBudget, ITEM_OVERHEAD } from './space-history.js';
import type { SpaceMember } from './space-member.js';

/** A message that may become an item. */
export interface UploadedMessage {
  readonly member: SpaceMember;
  readonly header: MessageHeader;
  readonly multicast: Multicast;
  /** Bytes of memory that it keeps, and of the frame in which it came. */
  readonly bytes: number;
  readonly size: number;
}

/** Messages that wait for their place in the order of one space, as long as somebody is slow. */
export class HeldMessages {
  readonly #budget: HistoryBudget;
  readonly #maxBytes: number;
  readonly #maxMemberBytes: number;
  #messages: UploadedMessage[] = [];
  #bytes = 0;

  /** `maxBytes`: of one space. `maxFrame`: what a member counts and what a frame is may differ by so much. */
  constructor(budget: HistoryBudget, maxBytes: number, maxFrame: number) {
    this.#budget = budget;
    this.#maxBytes = maxBytes;
    this.#maxMemberBytes = SPACE_WINDOW_BYTES + maxFrame;
  }

  get size(): number {
    return this.#messages.length;
  }

  /** False: there is no room for it. Who keeps to the window of a sender finds some, unless there are very many. */
  add(message: UploadedMessage): boolean {
    const { member, bytes } = message;
    const cost = bytes + ITEM_OVERHEAD;
    if (
      member.heldMessages >= SPACE_WINDOW_MESSAGES ||
      member.heldBytes + bytes > this.#maxMemberBytes ||
      this.#bytes + cost > this.#maxBytes ||
      !this.#budget.hold(cost)
    ) {
      return false;
    }
    this.#bytes += cost;
    member.heldMessages += 1;
    member.heldBytes += bytes;
    this.#messages.push(message);
    return true;
  }

  /** The one that waits for longest. */
  take(): UploadedMessage | undefined {
    const message = this.#messages.shift();
    if (message !== undefined) this.#forget(message);
    return message;
  }

  /** Forgets all that a member has sent. */
  drop(member: SpaceMember): void {
    if (member.heldMessages === 0) return;
    const [kept, dropped]: [UploadedMessage[], UploadedMessage[]] = [[], []];
    for (const message of this.#messages) (message.member === member ? dropped : kept).push(message);
    this.#messages = kept;
    for (const message of dropped) this.#forget(message);
  }

  clear(): void {
    while (this.take() !== undefined);
  }

  #forget({ member, bytes }: UploadedMessage): void {
    const cost = bytes + ITEM_OVERHEAD;
    this.#bytes -= cost;
    this.#budget.release(cost);
    member.heldMessages -= 1;
    member.heldBytes -= bytes;
  }
}
