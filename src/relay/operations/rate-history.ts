import type { RelaySnapshot } from '../relay-observer.js';

/** What is kept of a moment. Rates are those since the moment before, per second. */
export interface RateSample {
  readonly connections: number;
  readonly messages: number;
  readonly bytes: number;
  readonly queuedBytes: number;
}

/** Samples from `first` on, numbered one after the other. */
export interface RateSamples {
  readonly first: number;
  readonly samples: readonly RateSample[];
}

/** The last samples of a relay, oldest first, and never more than `capacity`. */
export class RateHistory {
  readonly #capacity: number;
  readonly #ring: RateSample[] = [];
  /** How many samples there ever were. */
  #count = 0;
  #last: { readonly now: number; readonly envelopes: number; readonly bytes: number } | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** @param now milliseconds on a clock that never goes back */
  add(now: number, { connections, envelopes, bytes, queuedBytes }: RelaySnapshot): void {
    const last = this.#last;
    this.#last = { now, envelopes, bytes };
    // Of the first moment no rate is known; and a clock that stood still has seen no time to divide by.
    if (last === undefined || now <= last.now) return;
    const seconds = (now - last.now) / 1_000;
    this.#ring[this.#count % this.#capacity] = {
      connections,
      messages: perSecond(envelopes - last.envelopes, seconds),
      bytes: perSecond(bytes - last.bytes, seconds),
      queuedBytes,
    };
    this.#count += 1;
  }

  /** The samples whose number is `first` or more, of those that are kept. */
  since(first: number): RateSamples {
    const oldest = Math.max(0, this.#count - this.#capacity);
    // A number that has not been given yet was given by another process: whoever asks for it knows nothing.
    const start = first > this.#count ? oldest : Math.max(oldest, first);
    const samples: RateSample[] = [];
    for (let i = start; i < this.#count; i++) samples.push(this.#ring[i % this.#capacity] as RateSample);
    return { first: start, samples };
  }
}

/** With one digit behind the point: it is for people. */
function perSecond(count: number, seconds: number): number {
  return Math.max(0, Math.round((10 * count) / seconds) / 10);
}
