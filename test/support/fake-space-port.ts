import { concat } from '../../src/core/bytes.js';
import type { SpacePort } from '../../src/relay/spaces/space-port.js';

/** A connection of spaces that takes what it is given as long as it has room. */
export class FakeSpacePort implements SpacePort {
  readonly frames: Uint8Array[] = [];
  /** The tails that were shared: the very objects. */
  readonly tails: Uint8Array[] = [];
  readonly closes: { code: number; reason: string }[] = [];
  /** While true, what is sent counts as waiting, though it arrives. */
  stuck = false;
  /** While true, what is sent waits, and is lost with the connection. */
  delayed = false;
  readonly #waiting: Uint8Array[] = [];
  /** While true, nothing is taken. */
  full = false;
  queuedBytes = 0;
  /** The most that may wait, bytes. */
  max = Infinity;

  offer(frame: Uint8Array): boolean {
    if (this.full || this.queuedBytes + frame.length > this.max) return false;
    if (this.delayed || this.#waiting.length > 0) this.#waiting.push(frame.slice());
    else this.frames.push(frame.slice());
    if (this.stuck || this.#waiting.length > 0) this.queuedBytes += frame.length;
    return true;
  }

  offerShared(head: Uint8Array, tail: Uint8Array): boolean {
    if (!this.offer(concat(head, tail))) return false;
    this.tails.push(tail);
    return true;
  }

  end(code: number, reason: string): void {
    this.closes.push({ code, reason });
  }

  /** So many frames that wait arrive. */
  arrive(count: number): void {
    for (const frame of this.#waiting.splice(0, count)) {
      this.frames.push(frame);
      this.queuedBytes -= frame.length;
    }
  }

  take(): Uint8Array[] {
    return this.frames.splice(0);
  }
}
