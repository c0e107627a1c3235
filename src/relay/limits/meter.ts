import { SecureWebSocketError } from '../../core/errors.js';
import type { TokenBucket } from './token-bucket.js';

/** An allowance is drawn in so many pieces per second. */
const PIECES = 20;
/** What is not spent is gone after so many milliseconds: the second that it was drawn from is over. */
export const LAPSE = 1_000;
/** A limiter that has not answered after so many milliseconds cannot be asked. */
const PATIENCE = 1_000;
/** For so many milliseconds then nobody asks. */
const SULK = 5_000;
/** A limiter may say when to ask again, but not never. Milliseconds. */
const MAX_WAIT = 60_000;

/**
 * What is needed of a limiter: `RateLimiterAbstract` of rate-limiter-flexible has it. `consume` takes points from the
 * second's worth of a key. It rejects with an object that is no Error and has `msBeforeNext` when there are not
 * enough, and with an Error when it cannot tell.
 */
export interface TrafficLimiter {
  consume(key: string, points: number): Promise<unknown>;
}

/** One of the things that are counted per key, and who counts it. */
export class Meter {
  readonly limit: 'key_frames' | 'key_bytes';
  /** What is drawn at once. */
  readonly piece: number;
  readonly rate: number;
  readonly #limiter: TrafficLimiter;
  readonly #isShared: boolean;
  #askAgainAt = -Infinity;

  private constructor(
    limit: 'key_frames' | 'key_bytes',
    rate: number,
    limiter: TrafficLimiter,
    isShared: boolean,
  ) {
    this.limit = limit;
    this.rate = rate;
    this.piece = Math.max(1, Math.floor(rate / PIECES));
    this.#limiter = limiter;
    this.#isShared = isShared;
  }

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when `rate` is no integer of at least 1 */
  static async create(
    limit: 'key_frames' | 'key_bytes',
    rate: number,
    shared: TrafficLimiter | undefined,
  ): Promise<Meter> {
    if (!Number.isSafeInteger(rate) || rate < 1) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        `A limit per second is an integer of at least 1, not ${String(rate)}.`,
      );
    }
    if (shared !== undefined) return new Meter(limit, rate, shared, true);
    const { RateLimiterMemory } = await import('rate-limiter-flexible');
    const limiter = new RateLimiterMemory({ points: rate, duration: 1, keyPrefix: '' });
    return new Meter(limit, rate, limiter, false);
  }

  /**
   * Draws one piece for a key. Resolves to 0, or to the milliseconds after which to ask again. Never rejects: while the limiter
   * cannot be asked, `own` decides, a bucket of the same rate that the caller keeps.
   */
  async draw(key: string, own: TokenBucket): Promise<number> {
    const now = performance.now();
    if (now >= this.#askAgainAt) {
      try {
        // Named as well: both things may be counted in the same place.
        const answer = this.#limiter.consume(`${this.limit}:${key}`, this.piece);
        await (this.#isShared ? within(PATIENCE, answer) : answer);
        return 0;
      } catch (reason) {
        const wait = waitIn(reason);
        if (wait !== undefined) return wait;
        this.#askAgainAt = performance.now() + SULK;
      }
    }
    if (own.take(this.piece, performance.now())) return 0;
    return Math.ceil((this.piece / this.rate) * 1_000);
  }
}

/** How long a limiter says to wait; undefined when it has failed. */
function waitIn(reason: unknown): number | undefined {
  if (typeof reason !== 'object' || reason === null || reason instanceof Error) return undefined;
  const wait = 'msBeforeNext' in reason ? reason.msBeforeNext : undefined;
  return typeof wait === 'number' ? Math.min(Math.max(wait, 1), MAX_WAIT) : undefined;
}

async function within<T>(time: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('The limiter did not answer in time.')), time);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
