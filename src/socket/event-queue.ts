import { ITEM_OVERHEAD, RECEIVE_WINDOW } from '../core/constants.js';
import { Fifo } from './fifo.js';
import type { FlowGate } from './flow-gate.js';
import { inNextTask } from './tasks.js';

/** A message that waits for its event: text as a string where it was decoded already. */
export interface WaitingMessage<Data> {
  readonly data: Data;
  readonly isText: boolean;
  /** Bytes of payload. */
  readonly bytes: number;
  /** Who has sent it, in a space: public key and member id. */
  readonly from?: string | undefined;
  readonly member?: string | undefined;
}

/**
 * What a socket has to tell, each in a task of its own, in the order in which it happened, as the WebSockets Standard's
 * "queue a task" asks. A channel may tell of several things at once, such as that it is open and what its first messages
 * are; between two events an application gets to run what waits for the first (`await` a promise that `open` resolves,
 * then add a listener for `message`).
 *
 * A peer that sends faster than that is slowed down: what waits must not fill the memory, not with empty messages either.
 */
export class EventQueue<Data> {
  readonly #flow: FlowGate;
  readonly #deliver: (message: WaitingMessage<Data>) => void;
  readonly #waiting = new Fifo<(() => void) | WaitingMessage<Data>>();
  /** What the messages that wait count for. */
  #undelivered = 0;

  constructor(flow: FlowGate, deliver: (message: WaitingMessage<Data>) => void) {
    this.#flow = flow;
    this.#deliver = deliver;
  }

  push(step: () => void): void {
    this.#waiting.push(step);
    inNextTask(this.#next);
  }

  pushMessage(data: Data, isText: boolean, bytes: number, from?: string, member?: string): void {
    this.#undelivered += bytes + ITEM_OVERHEAD;
    if (this.#undelivered > RECEIVE_WINDOW) this.#flow.hold('events');
    this.#waiting.push({ data, isText, bytes, from, member });
    inNextTask(this.#next);
  }

  readonly #next = (): void => {
    const next = this.#waiting.shift();
    if (typeof next === 'function') {
      next();
    } else if (next !== undefined) {
      this.#undelivered -= next.bytes + ITEM_OVERHEAD;
      if (this.#undelivered <= RECEIVE_WINDOW / 2) this.#flow.release('events');
      this.#deliver(next);
    }
  };
}
