import { concat } from '../../src/core/bytes.js';
import { type Frame, decodeFrame } from '../../src/core/frame.js';
import type { RouterConnection } from '../../src/relay/router-connection.js';

/** A connection that keeps what it is given until it is told to let go of it. */
export class FakeConnection implements RouterConnection {
  /** Every frame that was ever sent. */
  readonly sent: Uint8Array[] = [];
  readonly closes: { code: number; reason: string }[] = [];
  /** While true, what is sent stays in the queue. */
  stuck = false;
  #waiting: number[] = [];

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
    if (this.stuck) this.#waiting.push(bytes.length);
  }

  sendShared(head: Uint8Array, tail: Uint8Array): void {
    this.send(concat(head, tail));
  }

  get bufferedBytes(): number {
    return this.#waiting.reduce((sum, length) => sum + length, 0);
  }

  get waitingFrames(): number {
    return this.#waiting.length;
  }

  close(code: number, reason: string): void {
    this.closes.push({ code, reason });
  }

  /** Lets the oldest `frames` go. */
  drain(frames = Infinity): void {
    this.#waiting = this.#waiting.slice(Math.min(frames, this.#waiting.length));
  }

  /** What was sent since the last call, decoded. */
  take(): Frame[] {
    return this.sent.splice(0).map(bytes => decodeFrame(bytes));
  }
}
