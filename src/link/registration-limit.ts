/** Default of the most connections whose client has not proven its key, in all. */
export const MAX_UNREGISTERED = 1_000;
/** The same, from one IP address. */
export const MAX_UNREGISTERED_PER_ADDRESS = 64;

/**
 * Counts connections whose client has not proven its key, in all and per IP address. They cost memory, and nothing is
 * known of who makes them.
 */
export class RegistrationLimit {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #perAddress = new Map<string, number>();
  #count = 0;

  constructor(max = MAX_UNREGISTERED, maxPerAddress = MAX_UNREGISTERED_PER_ADDRESS) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
  }

  /** Connections that are counted. */
  get count(): number {
    return this.#count;
  }

  /**
   * Counts one more connection from `address` (undefined: not an IP connection, counted in all only).
   * Returns what undoes that, once; or why there may not be one more.
   */
  enter(address: string | undefined): (() => void) | 'too many' | 'too many from this address' {
    const key = address ?? '';
    const fromThere = this.#perAddress.get(key) ?? 0;
    if (this.#count >= this.#max) return 'too many';
    if (address !== undefined && fromThere >= this.#maxPerAddress) return 'too many from this address';
    this.#count++;
    this.#perAddress.set(key, fromThere + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#count--;
      const remaining = (this.#perAddress.get(key) ?? 1) - 1;
      if (remaining === 0) this.#perAddress.delete(key);
      else this.#perAddress.set(key, remaining);
    };
  }
}
