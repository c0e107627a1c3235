// @ts-check
/** How many different messages there are before the first comes again. */
const VARIETY = 4;

/** What is in flight at once is at most this, bytes. */
export const MAX_IN_FLIGHT = 32 * 1024 * 1024;
/** ... and at most so many messages. */
export const WINDOW = 256;

/** Messages of one size, told apart by their first and last byte, so that one that is lost or out of turn is noticed. */
export class Payloads {
  /** @param {number} size bytes */
  constructor(size) {
    this.size = size;
    this.all = Array.from({ length: VARIETY }, (_, index) =>
      new Uint8Array(size).fill(index * 61 + (size % 59)),
    );
  }

  /**
   * The message at a place of the sequence: 0, 1, 2, …
   *
   * @param {number} place
   */
  at(place) {
    return /** @type {Uint8Array} */ (this.all[place % VARIETY]);
  }

  /**
   * Whether `data` is the message at this place, as far as its length, its first and its last byte tell.
   *
   * @param {Uint8Array} data
   * @param {number} place
   */
  isAt(data, place) {
    const { length } = data;
    return (
      length === this.size && data[0] === this.at(place)[0] && data[length - 1] === this.at(place)[length - 1]
    );
  }
}

/**
 * How many messages of a size are sent before the first of them has to have arrived.
 *
 * @param {number} size bytes
 */
export function windowOf(size) {
  return Math.max(1, Math.min(WINDOW, Math.floor(MAX_IN_FLIGHT / size)));
}
