import { compareBytes } from '../../core/bytes.js';
import { DIGEST_LENGTH } from '../../core/space/space-place.js';

/** The digests of the entries of a roster, kept in order, so that the hash of it is one over what stands there. */
export class RosterDigests {
  #bytes = new Uint8Array(8 * DIGEST_LENGTH);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** All of them, sorted, one after the other: a view, until the next change. */
  get sorted(): Uint8Array {
    return this.#bytes.subarray(0, this.#count * DIGEST_LENGTH);
  }

  add(digest: Uint8Array): void {
    const end = this.#count * DIGEST_LENGTH;
    if (end === this.#bytes.length) {
      const larger = new Uint8Array(2 * end);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    const at = this.#find(digest) * DIGEST_LENGTH;
    this.#bytes.copyWithin(at + DIGEST_LENGTH, at, end);
    this.#bytes.set(digest, at);
    this.#count += 1;
  }

  /** Does nothing when it is not there. */
  remove(digest: Uint8Array): void {
    const index = this.#find(digest);
    const at = index * DIGEST_LENGTH;
    if (index === this.#count || compareBytes(this.#bytes.subarray(at, at + DIGEST_LENGTH), digest) !== 0)
      return;
    this.#bytes.copyWithin(at, at + DIGEST_LENGTH, this.#count * DIGEST_LENGTH);
    this.#count -= 1;
  }

  /** How many are less. */
  #find(digest: Uint8Array): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = middle * DIGEST_LENGTH;
      if (compareBytes(this.#bytes.subarray(at, at + DIGEST_LENGTH), digest) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
