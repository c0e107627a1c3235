// @ts-check
/** @typedef {import('./payloads.js').Payloads} Payloads */

/** Counts and checks what arrives at one receiver, or at several, each of which gets the same messages in the same order. */
export class Arrivals {
  #timeLimit;
  #count = 0;
  /** How many messages each receiver has had. @type {number[]} */
  #places = [];
  /** @type {{ payloads: Payloads, count: number, end: number, done: (error: Error | undefined) => void } | undefined} */
  #awaited;

  /** @param {number} timeLimit milliseconds; when so long nothing more arrives, what is missing is lost */
  constructor(timeLimit) {
    this.#timeLimit = timeLimit;
  }

  /**
   * Resolves when every receiver has had so many messages, counted from now. Rejects when one arrives that is not the
   * next, or when what is missing is lost.
   *
   * @param {Payloads} payloads
   * @param {number} count for each receiver
   * @param {{ receivers?: number, from?: number }} [options] `from`: the place of the first message in the sequence
   * @returns {Promise<void>}
   */
  wait(payloads, count, { receivers = 1, from = 0 } = {}) {
    this.#count = 0;
    this.#places = new Array(receivers).fill(from);
    return new Promise((resolve, reject) => {
      // Looked at now and then: a timer for each message would be measured, too. The first time tells nothing: it may come
      // late, after a sender that has kept this process busy.
      let before = -1;
      const timer = setInterval(() => {
        if (this.#count !== before) {
          before = this.#count;
          return;
        }
        const all = count * receivers;
        done(
          new Error(`${all - this.#count} of ${all} messages did not arrive within ${this.#timeLimit} ms`),
        );
      }, this.#timeLimit);
      const done = (/** @type {Error | undefined} */ error) => {
        this.#awaited = undefined;
        clearInterval(timer);
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#awaited = { payloads, count: count * receivers, end: from + count, done };
    });
  }

  /**
   * To be called with each message.
   *
   * @param {Uint8Array} data
   * @param {number} [receiver]
   */
  take(data, receiver = 0) {
    // What arrives after a failure has no one to tell.
    if (this.#awaited === undefined) return;
    const { payloads, count, end, done } = this.#awaited;
    const place = this.#places[receiver];
    if (place === undefined || place === end || !payloads.isAt(data, place)) {
      done(new Error(`a message of ${data.length} bytes arrived that was not the next one sent`));
      return;
    }
    this.#places[receiver] = place + 1;
    this.#count += 1;
    if (this.#count === count) done(undefined);
  }
}
