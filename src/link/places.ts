import { addressGroup } from './address-group.js';
import { Occupancy } from './occupancy.js';

/** Why there is no room for one more. */
export type Refusal = 'TOO_MANY' | 'TOO_MANY_FROM_ADDRESS';

/** Default of the most connections whose client has not proven its key, in all. */
export const MAX_UNREGISTERED = 1_000;
/** The same, from one IP address. */
export const MAX_UNREGISTERED_PER_IP = 64;

/** What a client that finds no place is told. */
export const TOO_MANY_UNREGISTERED: Readonly<Record<Refusal, string>> = {
  TOO_MANY: 'Too many clients are being registered. Try again later.',
  TOO_MANY_FROM_ADDRESS: 'Too many clients from this address are being registered. Try again later.',
};

/** Counts clients of whom nothing is known yet, in all and per IP address, and says when there are too many. */
export class Places {
  readonly #max: number;
  readonly #byAddress: Occupancy;
  #count = 0;

  constructor(max: number, maxPerAddress: number) {
    this.#max = max;
    this.#byAddress = new Occupancy(maxPerAddress);
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Takes a place for a client at `address`, or says why there is none. Without an address (a Unix domain socket)
   * only the places in all count. Gives the function that returns the place; calling it again does nothing.
   */
  enter(address: string | undefined): Refusal | (() => void) {
    if (this.#count >= this.#max) return 'TOO_MANY';
    const leaveAddress = address === undefined ? undefined : this.#byAddress.enter(addressGroup(address));
    if (address !== undefined && leaveAddress === undefined) return 'TOO_MANY_FROM_ADDRESS';
    this.#count += 1;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#count -= 1;
      leaveAddress?.();
    };
  }
}
