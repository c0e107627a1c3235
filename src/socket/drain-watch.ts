import type { SecureWebSocketError } from '../core/errors.js';
import { createQuietDeferred, type Deferred } from './deferred.js';

/** `drained` of a socket resolves when no more than so many bytes wait to be sent: 64 KiB. */
export const DRAIN_MARK = 65_536;

/** Makes the promise `drained` of a socket: for those who send no faster than the network takes it. */
export class DrainWatch {
  readonly #isDrained: () => boolean;
  #waiting: Deferred | undefined;
  #end: SecureWebSocketError | undefined;

  /** `isDrained` says whether more may be sent. */
  constructor(isDrained: () => boolean) {
    this.#isDrained = isDrained;
  }

  /** Resolves when more may be sent, at once if that is so; rejects when nothing more will be. One for all who wait. */
  get promise(): Promise<void> {
    if (this.#waiting !== undefined) return this.#waiting.promise;
    const waiting = createQuietDeferred();
    if (this.#end !== undefined) waiting.reject(this.#end);
    else if (this.#isDrained()) waiting.resolve();
    else this.#waiting = waiting;
    return waiting.promise;
  }

  /** What `isDrained` depends on has changed. */
  check(): void {
    if (this.#waiting === undefined || !this.#isDrained()) return;
    this.#waiting.resolve();
    this.#waiting = undefined;
  }

  /** Nothing more will be sent, because of `error`. */
  end(error: SecureWebSocketError): void {
    this.#end ??= error;
    this.#waiting?.reject(this.#end);
    this.#waiting = undefined;
  }
}
