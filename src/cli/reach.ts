import type { ReconnectAttempt } from '../link/channel-port.js';
import type { Terminal } from './terminal.js';

/**
 * Says that something is out of reach, why, and when it is tried again; and when it is back. Attempts that fail all for
 * one reason are told ever less often: it may take days.
 */
export class ReachReport {
  readonly #terminal: Pick<Terminal, 'status'>;
  /** Attempts since it was lost. */
  #attempts = 0;
  #reason = '';

  constructor(terminal: Pick<Terminal, 'status'>) {
    this.#terminal = terminal;
  }

  /** Another attempt will be made. `lost` says what is out of reach, the first time. */
  reconnecting(lost: string, { delay, error }: ReconnectAttempt): void {
    const isFirst = this.#attempts++ === 0;
    const isPowerOfTwo = (this.#attempts & (this.#attempts - 1)) === 0;
    const isNew = error.message !== this.#reason;
    this.#reason = error.message;
    if (!isPowerOfTwo && !isNew) return;
    this.#terminal.status(`${isFirst ? `${lost}: ` : ''}${error.message} Trying again in ${seconds(delay)}.`);
  }

  /** It is in reach. `text` says so, unless something else does. */
  back(text?: string): void {
    this.#attempts = 0;
    this.#reason = '';
    if (text !== undefined) this.#terminal.status(text);
  }
}

function seconds(milliseconds: number): string {
  const value = milliseconds / 1_000;
  return `${value.toFixed(value < 10 ? 1 : 0)} s`;
}
