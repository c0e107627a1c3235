import { SPACE_WINDOW_BYTES, SPACE_WINDOW_MESSAGES } from '../constants.js';
import type { SentMessage } from './space-outbox.js';

/** A relay that says nothing of what it was sent is sent it again after this, and then after twice as long each time. */
const ANSWER_TIMEOUT = 10_000;
const MAX_ANSWER_TIMEOUT = 160_000;
/** A message that is refused more often than this is not sent again at once: after this, and twice as long each time. */
const FREE_REFUSALS = 2;
const REFUSAL_DELAY = 100;
const MAX_REFUSAL_DELAY = 5_000;

/** A message that is sealed, and not in the order. */
export interface Unaccepted {
  readonly sequence: number;
  readonly plaintext: Uint8Array;
  readonly ended: readonly SentMessage[];
  frame: Uint8Array;
  digest: Uint8Array;
  /** What has to be done: nothing but wait, send it again as it is, or seal it again. */
  todo: 'wait' | 'same' | 'anew';
  /** Not before this; or, when it waits, when it was sent. */
  at: number;
  refusals: number;
  /** It was sent more than once, so that the relay may have told of it what has not reached us. */
  isRepeated: boolean;
}

/**
 * What is on its way to the relay, and not in its order yet. A relay takes the messages of a member one after the other:
 * with the one that it refuses all behind it are refused, whether it says so or not.
 */
export class SentWindow {
  readonly #messages = new Map<number, Unaccepted>();
  #bytes = 0;
  /**
   * The one that was refused and sent again, until that is answered: what is said until then of those behind it is about
   * what was sent before.
   */
  #again: number | undefined;
  #timeout = ANSWER_TIMEOUT;

  get size(): number {
    return this.#messages.size;
  }

  get hasRoom(): boolean {
    return this.#messages.size < SPACE_WINDOW_MESSAGES && this.#bytes < SPACE_WINDOW_BYTES;
  }

  [Symbol.iterator](): Iterator<Unaccepted> {
    return this.#messages.values();
  }

  get(sequence: number): Unaccepted | undefined {
    return this.#messages.get(sequence);
  }

  /** When something has to be sent again, or Infinity. */
  get wakeAt(): number {
    let wakeAt = Infinity;
    for (const { todo, at } of this.#messages.values()) {
      if (todo !== 'wait') return Math.min(wakeAt, at);
      wakeAt = Math.min(wakeAt, at + this.#timeout);
    }
    return wakeAt;
  }

  add(message: Unaccepted): void {
    this.#messages.set(message.sequence, message);
    this.#bytes += message.plaintext.length;
  }

  /** It is sent again now. */
  repeated(message: Unaccepted, now: number): void {
    message.todo = 'wait';
    message.at = now;
    message.isRepeated = true;
  }

  /** The relay has put it into the order. */
  accepted(sequence: number): Unaccepted | undefined {
    const message = this.#messages.get(sequence);
    if (!message) return undefined;
    this.#messages.delete(sequence);
    this.#bytes -= message.plaintext.length;
    this.#timeout = ANSWER_TIMEOUT;
    if (this.#again !== undefined && sequence >= this.#again) this.#again = undefined;
    return message;
  }

  /**
   * The relay has had it in the order for longer than we have been there, and so all before it. False: something of that
   * was sent once only.
   */
  settled(sequence: number): boolean {
    let areRepeated = true;
    for (const each of [...this.#messages.values()]) {
      if (each.sequence > sequence) break;
      areRepeated &&= each.isRepeated;
      this.accepted(each.sequence);
    }
    return areRepeated;
  }

  /**
   * The relay has not. `isStale`: because of what we had seen, or because one before it is missing; else it may be sent as
   * it is, at `at`. True: something has to be sealed again.
   */
  refused(sequence: number, isStale: boolean, at: number, now: number): boolean {
    const message = this.#messages.get(sequence);
    if (!message) return false;
    if (message.todo !== 'wait') {
      message.at = Math.max(message.at, at);
      return false;
    }
    if (isStale && this.#again !== undefined && sequence > this.#again) return false;
    this.#again = sequence;
    message.refusals++;
    const excess = Math.min(message.refusals - FREE_REFUSALS, 16);
    const delay = excess > 0 ? Math.min(MAX_REFUSAL_DELAY, REFUSAL_DELAY * 2 ** excess) : 0;
    for (const each of this.#messages.values()) {
      if (each.sequence < sequence) continue;
      if (each.todo !== 'anew') each.todo = isStale ? 'anew' : 'same';
      each.at = 0;
    }
    message.at = Math.max(at, now + delay);
    return isStale;
  }

  /** There is another link: what the relay has not told of is told again. `anew`: in another order. */
  repeat(anew: boolean): void {
    this.#again = undefined;
    this.#timeout = ANSWER_TIMEOUT;
    for (const each of this.#messages.values()) {
      if (each.todo !== 'anew') each.todo = anew ? 'anew' : 'same';
      each.at = 0;
    }
  }

  /** What the relay says nothing of is sent again, with all behind it. */
  timeout(now: number): void {
    let isLate = false;
    for (const each of this.#messages.values()) {
      if (each.todo !== 'wait') continue;
      isLate ||= now >= each.at + this.#timeout;
      if (!isLate) return;
      each.todo = 'same';
      each.at = 0;
    }
    if (isLate) this.#timeout = Math.min(MAX_ANSWER_TIMEOUT, 2 * this.#timeout);
  }
}
