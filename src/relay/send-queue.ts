import type { RouterConnection } from './router-connection.js';

/**
 * What a waiting frame costs beside its own bytes. Measured with Node 20 and `ws` 8: 360 bytes of heap for two buffers
 * and two queue entries, and about as much again in the allocator.
 */
export const FRAME_OVERHEAD = 512;

/** A queue may always hold this part of its bound, even when all queues together hold too much. */
const SHARE = 64;
/** Frames are counted in windows of at least this part of the bound. */
const WINDOW = 256;

/** What all the queues of one router may hold together. */
export class QueueBudget {
  readonly maxQueueBytes: number;
  readonly maxTotalBytes: number;
  readonly #share: number;
  /** Queues with a charge. */
  readonly #charged = new Set<SendQueue>();
  #used = 0;
  #refusals = Infinity;

  constructor(maxQueueBytes: number, maxTotalBytes: number) {
    this.maxQueueBytes = maxQueueBytes;
    this.maxTotalBytes = maxTotalBytes;
    this.#share = Math.floor(maxQueueBytes / SHARE);
  }

  /** Bytes, overhead included, that waited when each queue was last looked at. */
  get used(): number {
    return this.#used;
  }

  /** Changes the charge of a queue; false, and nothing changed, when the budget does not allow it. */
  charge(queue: SendQueue, charge: number): boolean {
    if (!this.#allows(queue, charge)) {
      // Some of what was charged may have left since. To look at all the queues costs time, so it is done only
      // once for as many refusals as there are queues.
      if (this.#refusals++ < this.#charged.size) return false;
      this.#refusals = 0;
      for (const each of this.#charged) each.settle();
      if (!this.#allows(queue, charge)) return false;
    }
    this.settle(queue, charge);
    return true;
  }

  /** Changes the charge of a queue to what it is found to hold. */
  settle(queue: SendQueue, charge: number): void {
    this.#used += charge - queue.charged;
    queue.charged = charge;
    if (charge === 0) this.#charged.delete(queue);
    else this.#charged.add(queue);
  }

  #allows(queue: SendQueue, charge: number): boolean {
    return charge <= this.#share || this.#used - queue.charged + charge <= this.maxTotalBytes;
  }
}

/**
 * What waits in one connection to be sent, kept within bounds: of bytes, of frames (a small frame costs far more
 * than its bytes), and of what all connections together may hold.
 */
export class SendQueue {
  readonly #connection: RouterConnection;
  readonly #budget: QueueBudget;
  /** What the budget holds against this queue. Written by the budget only. */
  charged = 0;

  // The waiting bytes are always the latest that were sent, so they lie within the last frames of about as many
  // bytes. Counting in two windows, each closed when it holds more than what waits, gives an upper bound of the
  // number of waiting frames without a word about any single one.
  #olderFrames = 0;
  #frames = 0;
  #bytes = 0;

  constructor(connection: RouterConnection, budget: QueueBudget) {
    this.#connection = connection;
    this.#budget = budget;
  }

  /** Sends one frame, or returns false when there is no room for it. `hasHeadroom`: see `RouterConnection.send`. */
  offer(frame: Uint8Array, hasHeadroom = false): boolean {
    const waiting = this.#connection.bufferedBytes;
    if (waiting !== 0) {
      return this.#offerBehind(waiting, frame, hasHeadroom) || this.#offerAgain(waiting, frame, hasHeadroom);
    }
    if (this.charged !== 0) this.settle();
    if (frame.length > this.#budget.maxQueueBytes) return false;
    this.#connection.send(frame, hasHeadroom);
    return true;
  }

  /**
   * Sends one frame of two parts, of which the tail is shared with other queues (see `RouterConnection.sendShared`), or
   * returns false when there is no room for it. It counts as much as one that is not shared: who will send it last and
   * let go of it, nobody knows.
   */
  offerShared(head: Uint8Array, tail: Uint8Array): boolean {
    const length = head.length + tail.length;
    const waiting = this.#connection.bufferedBytes;
    if (waiting !== 0) {
      if (!this.#makeRoom(waiting, length)) {
        // As in `#offerAgain`.
        this.#connection.flush?.();
        return this.#connection.bufferedBytes < waiting && this.offerShared(head, tail);
      }
    } else {
      if (this.charged !== 0) this.settle();
      if (length > this.#budget.maxQueueBytes) return false;
    }
    this.#connection.sendShared(head, tail);
    return true;
  }

  /** Brings the charge down to what still waits. */
  settle(): void {
    const waiting = this.#connection.bufferedBytes;
    if (waiting === 0) {
      this.#olderFrames = this.#frames = this.#bytes = 0;
      this.#budget.settle(this, 0);
    } else {
      this.#budget.settle(this, Math.min(this.charged, waiting + this.#waitingFrames * FRAME_OVERHEAD));
    }
  }

  /** The connection is gone, and what waited with it. */
  release(): void {
    this.#budget.settle(this, 0);
  }

  /** An upper bound. The last frame before the first that was counted may be waiting too. */
  get #waitingFrames(): number {
    return 1 + this.#olderFrames + this.#frames;
  }

  /** What waits may do so only to be sent together: it is no reason to refuse a frame. */
  #offerAgain(waiting: number, frame: Uint8Array, hasHeadroom: boolean): boolean {
    this.#connection.flush?.();
    return this.#connection.bufferedBytes < waiting && this.offer(frame, hasHeadroom);
  }

  #offerBehind(waiting: number, frame: Uint8Array, hasHeadroom: boolean): boolean {
    if (!this.#makeRoom(waiting, frame.length)) return false;
    if (isSmallView(frame)) this.#connection.send(new Uint8Array(frame));
    else this.#connection.send(frame, hasHeadroom);
    return true;
  }

  /** Counts a frame of so many bytes among those that wait, unless there is no room for it. */
  #makeRoom(waiting: number, length: number): boolean {
    const budget = this.#budget;
    if (waiting + length > budget.maxQueueBytes) return false;

    if (this.#bytes > Math.max(waiting, budget.maxQueueBytes / WINDOW)) {
      this.#olderFrames = this.#frames;
      this.#frames = this.#bytes = 0;
    }
    const overhead = (this.#waitingFrames + 1) * FRAME_OVERHEAD;
    if (overhead > budget.maxQueueBytes) return false;
    if (!budget.charge(this, waiting + length + overhead)) return false;

    this.#frames += 1;
    this.#bytes += length;
    return true;
  }
}

/** A small view keeps the whole buffer beneath it alive: a frame that has to wait must not hold far more than itself. */
function isSmallView(frame: Uint8Array): boolean {
  return frame.buffer.byteLength > 4 * (frame.length + FRAME_OVERHEAD);
}
