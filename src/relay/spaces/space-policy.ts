import { describeError } from '../../core/describe-error.js';
import { askFunction } from '../admission/decide-function.js';
import { HttpHook } from '../admission/http-hook.js';
import type { RelayObserver } from '../relay-observer.js';
import type { CheckedSpaces, SpaceEntry } from './spaces-options.js';

/** Yes, no, or nobody could be asked. */
export type EntryAnswer = boolean | 'unavailable';

/** Questions that wait for an answer, of all clients together. More are not asked. */
const MAX_ASKING = 4_160;

/** "May this client enter this space?" Hook and function: all that are given must agree. */
export class SpacePolicy {
  readonly #hook: HttpHook | undefined;
  readonly #mayEnter: CheckedSpaces['mayEnter'];
  readonly #observer: () => RelayObserver;
  #asking = 0;

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` for a hook that cannot be */
  constructor({ hook, mayEnter }: Pick<CheckedSpaces, 'hook' | 'mayEnter'>, observer: () => RelayObserver) {
    this.#hook = hook === undefined ? undefined : new HttpHook('spaces.hook', hook);
    this.#mayEnter = mayEnter;
    this.#observer = observer;
  }

  /** At once where that is known, else a promise. Never throws or rejects. */
  ask(entry: SpaceEntry): EntryAnswer | Promise<EntryAnswer> {
    if (this.#hook === undefined && this.#mayEnter === undefined) return true;
    if (this.#asking >= MAX_ASKING) {
      this.#asked(performance.now(), 'unavailable', new Error('Too many clients are being asked about.'));
      return 'unavailable';
    }
    if (this.#hook === undefined) return this.#askFunction(entry);
    this.#asking += 1;
    return this.#askAll(this.#hook, entry).finally(() => {
      this.#asking -= 1;
    });
  }

  /** Whoever waits for the hook hears that there is none. */
  close(): void {
    this.#hook?.close();
  }

  async #askAll(hook: HttpHook, entry: SpaceEntry): Promise<EntryAnswer> {
    const since = performance.now();
    const outcome = await hook.ask(entry);
    if ('unavailable' in outcome) {
      this.#asked(since, 'unavailable', outcome.unavailable);
      if (!hook.failOpen) return 'unavailable';
    } else {
      this.#asked(since, outcome.allow ? 'yes' : 'no');
      if (!outcome.allow) return false;
    }
    return this.#askFunction(entry);
  }

  #askFunction(entry: SpaceEntry): EntryAnswer | Promise<EntryAnswer> {
    const mayEnter = this.#mayEnter;
    if (mayEnter === undefined) return true;
    const since = performance.now();
    let answer: unknown;
    try {
      answer = mayEnter(entry);
    } catch (error) {
      return this.#unavailable(since, error);
    }
    // Not only a Promise: whatever can be waited for.
    if (typeof answer !== 'object' || answer === null || !('then' in answer))
      return this.#check(since, answer);
    this.#asking += 1;
    return askFunction(() => answer as Promise<unknown>)
      .then(
        later => this.#check(since, later),
        (error: unknown) => this.#unavailable(since, error),
      )
      .finally(() => {
        this.#asking -= 1;
      });
  }

  #check(since: number, answer: unknown): EntryAnswer {
    if (typeof answer !== 'boolean') {
      return this.#unavailable(since, new Error('"mayEnter" answered neither true nor false.'));
    }
    this.#asked(since, answer ? 'yes' : 'no');
    return answer;
  }

  #unavailable(since: number, error: unknown): 'unavailable' {
    this.#asked(since, 'unavailable', error instanceof Error ? error : new Error(describeError(error)));
    return 'unavailable';
  }

  #asked(since: number, outcome: 'yes' | 'no' | 'unavailable', error?: Error): void {
    this.#observer().asked?.('space', (performance.now() - since) / 1_000, outcome, error);
  }
}
