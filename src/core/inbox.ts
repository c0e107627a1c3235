import { writeUint64 } from './bytes.js';
import { ITEM_OVERHEAD, RECEIVE_WINDOW } from './constants.js';
import { SecureWebSocketError } from './errors.js';
import { compact, MessageAssembler } from './message-assembler.js';
import type { Item } from './record.js';
import type { Message } from './sent-records.js';

/** What arrives on a channel: puts messages together, keeps them while nobody reads, and counts the credit of the peer. */
export class Inbox {
  readonly #assembler: MessageAssembler;
  readonly #deliver: (data: Uint8Array, isText: boolean) => void;
  #paused = false;
  #messages: Message[] = [];
  #consumed = 0;
  #owed = 0;
  #limitTold = RECEIVE_WINDOW;

  constructor(maxPayload: number, deliver: (data: Uint8Array, isText: boolean) => void) {
    this.#assembler = new MessageAssembler(maxPayload);
    this.#deliver = deliver;
  }

  set maxPayload(bytes: number) {
    this.#assembler.maxPayload = bytes;
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** What arrived and was not read counts for, and what came of a message that is not complete, bytes. */
  get bytes(): number {
    return this.#owed + this.#assembler.length;
  }

  /** Whether the peer should be told how much more it may send. In large steps: a quarter of the window at least. */
  get owesCredit(): boolean {
    return this.#consumed + RECEIVE_WINDOW - this.#limitTold >= RECEIVE_WINDOW / 4;
  }

  /** The payload of CREDIT: how much the peer may send in all. */
  takeCredit(): Uint8Array {
    this.#limitTold = this.#consumed + RECEIVE_WINDOW;
    const payload = new Uint8Array(8);
    writeUint64(payload, 0, this.#limitTold);
    return payload;
  }

  /**
   * Takes a data item.
   * @throws SecureWebSocketError `FLOW_CONTROL`, and what a `MessageAssembler` throws
   */
  add(item: Item): void {
    this.#owed += item.payload.length + ITEM_OVERHEAD;
    if (this.#consumed + this.#owed > this.#limitTold) {
      throw new SecureWebSocketError('FLOW_CONTROL', 'The peer sent more than it had credit for.');
    }
    const message = this.#assembler.add(item);
    if (!this.#paused) {
      this.#consumed += this.#owed;
      this.#owed = 0;
    }
    if (!message) return;
    if (this.#paused) this.#messages.push({ ...message, data: compact(message.data) });
    else this.#deliver(message.data, message.isText);
  }

  pause(): void {
    this.#paused = true;
  }

  /** Hands over what was kept. False when it was not paused. */
  resume(): boolean {
    if (!this.#paused) return false;
    this.#paused = false;
    const messages = this.#messages;
    this.#messages = [];
    for (const { data, isText } of messages) this.#deliver(data, isText);
    this.#consumed += this.#owed;
    this.#owed = 0;
    return true;
  }

  /** Whatever was not read is of no use to anybody. */
  discard(): void {
    this.#messages = [];
  }

  /** No more comes. */
  end(): void {
    this.#assembler.clear();
  }
}
