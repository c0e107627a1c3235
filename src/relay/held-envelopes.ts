/** What all connections of a router hold together, bytes. */
export interface HeldTotal {
  bytes: number;
}

/** Most that one connection may have held for each key that it writes to: such envelopes begin a conversation, and are few. */
const MAX_FRAMES = 16;
/** Most bytes that one connection may have held. */
const MAX_BYTES = 131_072;
/** Keys that one connection may wait for. */
const MAX_KEYS = 256;
/** Most bytes that all connections may have held together. */
const MAX_TOTAL_BYTES = 33_554_432;
/** What a held envelope costs beside its bytes. */
const OVERHEAD = 256;

/** Envelopes of one connection that wait until it is known whether their destinations may be reached. In their order. */
export class HeldEnvelopes {
  readonly #total: HeldTotal;
  readonly #byKey = new Map<string, Uint8Array[]>();
  #bytes = 0;

  constructor(total: HeldTotal) {
    this.#total = total;
  }

  /** Whether something waits for that key: what follows has to wait, too. */
  holds(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Whether as many keys are waited for as may be: about no other one is to be asked. */
  get isFull(): boolean {
    return this.#byKey.size >= MAX_KEYS;
  }

  /** Keeps a copy of an envelope, or returns false when there is no room for it. That it waits is noted all the same. */
  hold(key: string, frame: Uint8Array): boolean {
    let frames = this.#byKey.get(key);
    if (frames === undefined) this.#byKey.set(key, (frames = []));
    const cost = frame.length + OVERHEAD;
    if (
      frames.length >= MAX_FRAMES ||
      this.#bytes + cost > MAX_BYTES ||
      this.#total.bytes + cost > MAX_TOTAL_BYTES
    ) {
      return false;
    }
    frames.push(new Uint8Array(frame));
    this.#bytes += cost;
    this.#total.bytes += cost;
    return true;
  }

  /** The question is answered: gives what waited for it. */
  take(key: string): readonly Uint8Array[] {
    const frames = this.#byKey.get(key) ?? [];
    this.#byKey.delete(key);
    for (const frame of frames) this.#forget(frame);
    return frames;
  }

  /** The connection is gone, and what waited with it. */
  release(): void {
    for (const key of [...this.#byKey.keys()]) this.take(key);
  }

  #forget(frame: Uint8Array): void {
    const cost = frame.length + OVERHEAD;
    this.#bytes -= cost;
    this.#total.bytes -= cost;
  }
}
