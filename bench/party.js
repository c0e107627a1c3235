// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';

/**
 * What a process does as a whole may take so many times as long as it waits for a message: when one is lost, it should be
 * the one to say so.
 */
const PATIENCE = 10;

/** A process of the benchmark, of one adapter. Answers one question after the other; see answer.js. */
export class Party {
  #child;
  #title;
  #timeLimit;
  /** What went wrong while it was not asked anything. */
  #said = '';

  /**
   * @param {string} title what errors call it
   * @param {string} file beside this one
   * @param {{ environment?: Record<string, string | undefined>, execArgv?: string[], timeLimit: number }} options
   *   `timeLimit`: milliseconds that it waits for a message
   */
  constructor(title, file, { environment = {}, execArgv = [], timeLimit }) {
    this.#title = title;
    this.#timeLimit = timeLimit;
    this.#child = fork(new URL(file, import.meta.url), {
      env: { ...process.env, ...environment },
      execArgv,
    });
    this.#child.on('message', (/** @type {any} */ { error }) => {
      if (error !== undefined) this.#said = `: ${error}`;
    });
  }

  /**
   * @param {string} question the name of what the process answers with
   * @param {object} [details]
   * @param {number} [expected] milliseconds that this takes anyway
   * @returns {Promise<any>} the answer
   */
  ask(question, details = {}, expected = 0) {
    const timeLimit = expected + this.#timeLimit * PATIENCE;
    return new Promise((resolve, reject) => {
      const fail = (/** @type {string} */ why) => {
        over();
        reject(new Error(`${this.#title}: ${why}`));
      };
      const onMessage = (/** @type {any} */ { answer, error }) => {
        if (error !== undefined) {
          fail(error);
          return;
        }
        over();
        resolve(answer);
      };
      const onExit = (/** @type {unknown} */ code) => fail(`its process ended with ${code}${this.#said}`);
      const timer = setTimeout(
        () => fail(`"${question}" was not answered within ${timeLimit} ms`),
        timeLimit,
      );
      const over = () => {
        clearTimeout(timer);
        this.#child.off('message', onMessage);
        this.#child.off('exit', onExit);
      };
      this.#child.once('message', onMessage);
      this.#child.once('exit', onExit);
      if (this.#child.connected) this.#child.send({ question, details });
      else fail(`its process has ended${this.#said}`);
    });
  }

  /** It does nothing until `resume`, not even read. */
  pause() {
    this.#child.kill('SIGSTOP');
  }

  resume() {
    this.#child.kill('SIGCONT');
  }

  /** Ends the process. */
  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
