import type { Crypto } from '../crypto.js';
import { nextLogHash, viewHash } from './space-log.js';

/** So far back it is known what the order was: a relay takes no message of a sender who is further behind. */
const REMEMBERED = 1_024;

interface Point {
  readonly offset: number;
  readonly version: number;
  readonly rosterHash: Uint8Array;
  readonly logHash: Uint8Array;
}

/** What the roster is behind an item. */
export interface RosterState {
  readonly version: number;
  readonly rosterHash: Uint8Array;
}

/** Where a member stands in the order of its space: the offset of the latest item, and the hash over all of them. */
export class SpaceOrder {
  readonly #crypto: Crypto;
  readonly #points: (Point | undefined)[] = new Array<Point | undefined>(REMEMBERED);
  epoch: Uint8Array = new Uint8Array(8);
  offset = 0;
  logHash: Uint8Array = new Uint8Array(32);

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  /** Begins anew: the items after `offset` are those to come. */
  start(epoch: Uint8Array, offset: number, roster: RosterState, logHash: Uint8Array): void {
    this.epoch = epoch.slice();
    this.#points.fill(undefined);
    this.#remember(offset, roster, logHash.slice());
  }

  /** The next item was taken. `roster`: as it is behind it. */
  advance(itemDigest: Uint8Array, roster: RosterState): void {
    const offset = this.offset + 1;
    this.#remember(offset, roster, nextLogHash(this.#crypto, this.logHash, offset, itemDigest));
  }

  /** What our messages say of what we have seen: the order, and who is in the space. */
  get viewHash(): Uint8Array {
    return this.#viewHash(this.#points[this.offset % REMEMBERED] as Point);
  }

  /**
   * Whether somebody who says this of what it has seen has seen what we have. To be asked before the item that says so is
   * taken: nobody has seen what comes behind its own words. Undefined: it cannot be told, for it was before our time or is
   * too long ago.
   */
  agrees(offset: number, version: number, hash: Uint8Array): boolean | undefined {
    if (offset > this.offset) return false;
    const point = this.#points[offset % REMEMBERED];
    if (point?.offset !== offset) return undefined;
    return point.version === version && this.#crypto.equal(this.#viewHash(point), hash);
  }

  /** Whether the log was another one at this point. */
  differs(offset: number, logHash: Uint8Array): boolean {
    const point = this.#points[offset % REMEMBERED];
    return point?.offset === offset && !this.#crypto.equal(point.logHash, logHash);
  }

  #viewHash({ logHash, rosterHash }: Point): Uint8Array {
    return viewHash(this.#crypto, logHash, rosterHash);
  }

  #remember(offset: number, { version, rosterHash }: RosterState, logHash: Uint8Array): void {
    this.offset = offset;
    this.logHash = logHash;
    this.#points[offset % REMEMBERED] = { offset, version, rosterHash, logHash };
  }
}
