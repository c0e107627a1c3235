// @ts-check
/** One line on the standard error that says what is being measured. Where that is no terminal, a line for each round. */
export class Progress {
  #stream;
  #last = '';

  /** @param {{ write(text: string): unknown, isTTY?: boolean }} stream */
  constructor(stream) {
    this.#stream = stream;
  }

  /**
   * @param {string} step that everybody is told: `throughput, round 1 of 5`
   * @param {string} detail that only a terminal shows
   */
  show(step, detail) {
    if (this.#stream.isTTY) this.#stream.write(`\r\u001B[K${step}: ${detail}`);
    else if (step !== this.#last) this.#stream.write(`${step}\n`);
    this.#last = step;
  }

  end() {
    if (this.#stream.isTTY) this.#stream.write('\r\u001B[K');
  }
}
