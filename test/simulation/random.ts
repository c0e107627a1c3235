/** A seeded generator (xoshiro128**, seeded with splitmix32): the same seed gives the same numbers, on every machine. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number, stream = 0) {
    let state =
      (seed ^ Math.imul(Math.floor(seed / 0x1_0000_0000) + 1, 0x9e3779b1) ^ Math.imul(stream, 0x85ebca6b)) |
      0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = state ^ (state >>> 16);
      z = Math.imul(z, 0x21f0aaad);
      z ^= z >>> 15;
      z = Math.imul(z, 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1;
  }

  /** An integer from 0 to 2^32 - 1. */
  uint32(): number {
    const x = Math.imul(this.#b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** A number from 0 to 1, 1 excluded. */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  between(low: number, high: number): number {
    return low + this.fraction() * (high - low);
  }

  /** A number from `low` to `high`, all orders of magnitude being as likely. */
  magnitude(low: number, high: number): number {
    return low * (high / low) ** this.fraction();
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<Value>(values: readonly Value[]): Value {
    if (values.length === 0) throw new RangeError('There is nothing to pick from.');
    return values[Math.floor(this.fraction() * values.length)] as Value;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.uint32();
      for (let j = i; j < Math.min(i + 4, length); j++) bytes[j] = word >>> (8 * (j - i));
    }
    return bytes;
  }
}
