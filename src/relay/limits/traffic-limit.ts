import { TokenBucket } from './token-bucket.js';

/** A connection that has sent too much. */
export interface TrafficExceeded {
  /** It is read again after so many milliseconds. */
  readonly wait: number;
  /** What it has sent too much of. */
  readonly limit: 'frames' | 'bytes';
}

/**
 * What one connection may send per second, and at once. It has no timer and stops nobody: whoever reads the connection
 * pauses it for as long as it is told to.
 */
export class TrafficLimit {
  readonly #frames: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;

  /**
   * Undefined: no limit.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when a limit is not positive and finite
   */
  constructor(framesPerSecond: number | undefined, bytesPerSecond: number | undefined) {
    if (framesPerSecond !== undefined) this.#frames = new TokenBucket(framesPerSecond, framesPerSecond);
    if (bytesPerSecond !== undefined) this.#bytes = new TokenBucket(bytesPerSecond, bytesPerSecond);
  }

  /**
   * Counts what has been received. Undefined: go on reading. `now`: monotonic milliseconds. One frame may be larger
   * than a second's worth: it is paid for by waiting longer.
   */
  spend(frames: number, bytes: number, now: number): TrafficExceeded | undefined {
    const forFrames = this.#frames?.spend(frames, now) ?? 0;
    const forBytes = this.#bytes?.spend(bytes, now) ?? 0;
    if (forFrames === 0 && forBytes === 0) return undefined;
    return forFrames >= forBytes ? { wait: forFrames, limit: 'frames' } : { wait: forBytes, limit: 'bytes' };
  }
}
