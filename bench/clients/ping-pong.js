// @ts-check
import { Payloads } from '../payloads.js';

/** One message goes forth and the same comes back, then the next: never more than one on its way. */
export class PingPong {
  #send;
  #timeLimit;
  /** @type {(data: Uint8Array) => void} */
  #onReturn = () => {};

  /**
   * @param {(payload: Uint8Array) => void} send
   * @param {number} timeLimit milliseconds within which a message has to come back
   */
  constructor(send, timeLimit) {
    this.#send = send;
    this.#timeLimit = timeLimit;
  }

  /**
   * To be called with what comes back.
   *
   * @param {Uint8Array} data
   */
  take(data) {
    this.#onReturn(data);
  }

  /**
   * @param {number} size bytes
   * @param {number} duration milliseconds
   * @returns {Promise<number[]>} microseconds of each round trip
   */
  play(size, duration) {
    const payloads = new Payloads(size);
    /** @type {number[]} */
    const times = [];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`message ${times.length + 1} did not come back within ${this.#timeLimit} ms`));
      }, duration + this.#timeLimit);
      const start = performance.now();
      let sent = start;
      this.#onReturn = data => {
        const now = performance.now();
        if (!payloads.isAt(data, times.length)) {
          clearTimeout(timer);
          reject(new Error(`a message of ${data.length} bytes came back that was not the one sent`));
          return;
        }
        times.push((now - sent) * 1000);
        if (now - start < duration) {
          sent = performance.now();
          this.#send(payloads.at(times.length));
          return;
        }
        clearTimeout(timer);
        resolve(times);
      };
      this.#send(payloads.at(0));
    });
  }
}
