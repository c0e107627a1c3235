import { SecureWebSocketError } from '../../core/errors.js';
import type { RelayObserver } from '../relay-observer.js';
import type { ReachOptions } from './admission-options.js';
import { askFunction } from './decide-function.js';
import { HttpHook } from './http-hook.js';
import { ReachRules } from './reach-rules.js';
import { WatchedList } from './watched-list.js';

/** Milliseconds that a decision is kept, unless the options say otherwise. */
const DEFAULT_CACHE_TIME = 60_000;
/** Decisions that are kept, unless the options say otherwise. */
const DEFAULT_CACHE_SIZE = 100_000;
/** When nobody could be asked, somebody is asked again after so long, milliseconds. */
const RETRY = 1_000;
/** Pairs that are asked about at a time, those that wait included. More of them are not asked about. */
const MAX_ASKING = 4_160;

/** What was decided about a pair. */
interface Decision {
  readonly allowed: boolean;
  /** Nobody could be asked. */
  readonly unavailable: boolean;
  /** Milliseconds, of a clock that cannot be set. */
  readonly until: number;
}

/**
 * "May A reach B?" Rules, HTTP hook and function, in this order: all that are given must agree. What cannot be asked
 * does not agree, unless a hook says so.
 *
 * What hook and function say is kept for a while. When that is over, it is used once more while they are asked again,
 * so that traffic that flows goes on; but not after twice as long.
 */
export class ReachPolicy {
  readonly #observer: RelayObserver;
  readonly #changed: () => void;
  readonly #rules: WatchedList<ReachRules> | undefined;
  readonly #hook: HttpHook | undefined;
  readonly #decide: ReachOptions['decide'];
  readonly #cacheTime: number;
  readonly #cacheSize: number;
  /** By sender and receiver; who was used last is last. */
  readonly #decisions = new Map<string, Decision>();
  readonly #asking = new Map<string, Promise<boolean>>();

  /**
   * @param changed what was decided before may not hold any more: whoever remembers it has to ask again. Must not throw.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` for options that cannot be
   */
  constructor(options: ReachOptions, observer: RelayObserver, changed: () => void) {
    const { rules, hook, decide } = options;
    this.#observer = observer;
    this.#changed = changed;
    this.#rules =
      rules === undefined
        ? undefined
        : new WatchedList('reach.rules', rules, (where, lines) => ReachRules.parse(where, lines), {
            changed: () => {
              observer.reloaded?.('reach');
              changed();
            },
            failed: error => observer.reloaded?.('reach', error),
          });
    this.#hook = hook === undefined ? undefined : new HttpHook('reach.hook', hook);
    // Callers in plain JavaScript bring anything.
    if (decide !== undefined && typeof (decide as unknown) !== 'function') {
      throw new SecureWebSocketError('INVALID_ARGUMENT', '"reach.decide" is a function.');
    }
    this.#decide = decide;
    this.#cacheTime = atLeast('cacheTime', options.cacheTime ?? DEFAULT_CACHE_TIME, 0);
    this.#cacheSize = atLeast('cacheSize', options.cacheSize ?? DEFAULT_CACHE_SIZE, 1);
  }

  /**
   * Reads the rules, and begins to watch their file.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when they cannot be read or make no sense
   */
  async start(): Promise<void> {
    await this.#rules?.open();
  }

  /**
   * Whether `from` may reach `to`, public keys of 64 hex digits: at once where that is known, else a promise. Only after
   * `start`. Never throws or rejects.
   */
  may(from: string, to: string): boolean | Promise<boolean> {
    if (this.#rules?.value.allows(from, to) === false) return false;
    if (this.#hook === undefined && this.#decide === undefined) return true;
    const pair = from + to;
    const known = this.#decisions.get(pair);
    if (known !== undefined) {
      const now = performance.now();
      if (now < known.until) {
        this.#keep(pair, known);
        return known.allowed;
      }
      if (!known.unavailable && now < known.until + this.#cacheTime) {
        void this.#ask(pair, from, to);
        return known.allowed;
      }
      this.#decisions.delete(pair);
    }
    return this.#ask(pair, from, to);
  }

  /**
   * Reads the rules again, now, and forgets what hook and function said. Resolves when that is done, or the observer has
   * been told why it cannot be.
   */
  async reload(): Promise<void> {
    await this.#rules?.reload();
    if (this.#hook === undefined && this.#decide === undefined) return;
    this.#decisions.clear();
    // What is being asked goes on for those who wait, but is not kept.
    this.#asking.clear();
    this.#changed();
  }

  /** Ends what is watched. Whoever waits for a hook hears no. */
  close(): void {
    this.#rules?.close();
    this.#hook?.close();
  }

  /** As if it was used just now. What was used longest ago makes room. */
  #keep(pair: string, decision: Decision): void {
    this.#decisions.delete(pair);
    this.#decisions.set(pair, decision);
    if (this.#decisions.size <= this.#cacheSize) return;
    for (const oldest of this.#decisions.keys()) {
      this.#decisions.delete(oldest);
      break;
    }
  }

  /** Many may wait for the same answer. */
  #ask(pair: string, from: string, to: string): boolean | Promise<boolean> {
    const asked = this.#asking.get(pair);
    if (asked !== undefined) return asked;
    if (this.#asking.size >= MAX_ASKING) {
      this.#observer.asked?.('reach', 0, 'unavailable', new Error('Too many pairs are being asked about.'));
      return this.#decide === undefined && this.#hook?.failOpen === true;
    }
    const asking = this.#answer(from, to).then(({ allowed, unavailable }) => {
      if (this.#asking.get(pair) === asking) {
        this.#asking.delete(pair);
        const time = unavailable ? Math.min(this.#cacheTime, RETRY) : this.#cacheTime;
        this.#keep(pair, { allowed, unavailable, until: performance.now() + time });
      }
      // Asking takes time, in which the rules may have changed.
      return allowed && this.#rules?.value.allows(from, to) !== false;
    });
    this.#asking.set(pair, asking);
    return asking;
  }

  async #answer(from: string, to: string): Promise<Omit<Decision, 'until'>> {
    const first = this.#hook === undefined ? undefined : await this.#askHook(this.#hook, from, to);
    if (first?.allowed === false || this.#decide === undefined) {
      return first ?? { allowed: true, unavailable: false };
    }
    const second = await this.#askFunction(this.#decide, from, to);
    return { allowed: second.allowed, unavailable: second.unavailable || first?.unavailable === true };
  }

  async #askHook(hook: HttpHook, from: string, to: string): Promise<Omit<Decision, 'until'>> {
    const since = performance.now();
    const outcome = await hook.ask({ from, to });
    if ('unavailable' in outcome) {
      this.#asked(since, 'unavailable', outcome.unavailable);
      return { allowed: hook.failOpen, unavailable: true };
    }
    this.#asked(since, outcome.allow ? 'yes' : 'no');
    return { allowed: outcome.allow, unavailable: false };
  }

  async #askFunction(
    decide: NonNullable<ReachOptions['decide']>,
    from: string,
    to: string,
  ): Promise<Omit<Decision, 'until'>> {
    const since = performance.now();
    try {
      const allowed: unknown = await askFunction(() => decide({ from, to }));
      if (typeof allowed !== 'boolean') throw new Error('"decide" answered neither true nor false.');
      this.#asked(since, allowed ? 'yes' : 'no');
      return { allowed, unavailable: false };
    } catch (error) {
      this.#asked(since, 'unavailable', error as Error);
      return { allowed: false, unavailable: true };
    }
  }

  #asked(since: number, outcome: 'yes' | 'no' | 'unavailable', error?: Error): void {
    this.#observer.asked?.('reach', (performance.now() - since) / 1_000, outcome, error);
  }
}

function atLeast(name: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new SecureWebSocketError(
    'INVALID_ARGUMENT',
    `"reach.${name}" is an integer of at least ${min}, not ${String(value)}.`,
  );
}
