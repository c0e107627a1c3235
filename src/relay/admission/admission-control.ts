import { SecureWebSocketError } from '../../core/errors.js';
import { allOf } from '../problems.js';
import type { RelayObserver } from '../relay-observer.js';
import type {
  AdmissionDecision,
  AdmissionOptions,
  AdmissionRefusal,
  AdmissionRefusalCode,
  AdmissionRequest,
  Admitted,
  KeyList,
} from './admission-options.js';
import { askFunction } from './decide-function.js';
import { checkAdmitted, presentable, type HookAnswer } from './hook-answer.js';
import { HttpHook } from './http-hook.js';
import { KeySet } from './key-set.js';
import { TokenVerifier } from './token-verifier.js';
import { WatchedList } from './watched-list.js';

/**
 * Decides who is let in: deny list, allow list, token, HTTP hook and function, in this order. All that are given must
 * agree; the first refusal is what the client is told. What cannot be asked does not agree, unless a hook says so.
 */
export class AdmissionControl {
  readonly #observer: RelayObserver;
  readonly #deny: WatchedList<KeySet> | undefined;
  readonly #allow: WatchedList<KeySet> | undefined;
  readonly #tokens: TokenVerifier | undefined;
  readonly #hook: HttpHook | undefined;
  readonly #decide: AdmissionOptions['decide'];

  /**
   * @param changed the lists, or the keys that sign tokens, are others: whoever is connected is to be judged anew.
   *   Must not throw.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` for options that cannot be
   */
  constructor(options: AdmissionOptions, observer: RelayObserver, changed: () => void) {
    const { deny, allow, jwt, hook, decide } = options;
    this.#observer = observer;
    const listener = (what: 'allow' | 'deny' | 'jwt') => ({
      changed: () => {
        observer.reloaded?.(what);
        changed();
      },
      failed: (error: Error) => observer.reloaded?.(what, error),
    });
    const list = (name: 'allow' | 'deny', keys: KeyList | undefined) =>
      keys === undefined
        ? undefined
        : new WatchedList(
            `admission.${name}`,
            keys,
            (where, lines) => KeySet.parse(where, lines),
            listener(name),
          );
    this.#deny = list('deny', deny);
    this.#allow = list('allow', allow);
    this.#tokens = jwt === undefined ? undefined : new TokenVerifier(jwt, listener('jwt'));
    this.#hook = hook === undefined ? undefined : new HttpHook('admission.hook', hook);
    // Callers in plain JavaScript bring anything.
    if (decide !== undefined && typeof (decide as unknown) !== 'function') {
      throw new SecureWebSocketError('INVALID_ARGUMENT', '"admission.decide" is a function.');
    }
    this.#decide = decide;
  }

  /**
   * Reads the files, and begins to watch them. Asks nobody by HTTP.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when one cannot be read or makes no sense
   */
  async start(): Promise<void> {
    try {
      await allOf([this.#deny?.open(), this.#allow?.open(), this.#tokens?.start()]);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Whether a client that has proven its key is let in, and what for. Only after `start`. Never rejects. */
  async decide(request: AdmissionRequest): Promise<AdmissionDecision> {
    const { publicKey } = request;
    const listed = this.standing(publicKey);
    if (listed !== undefined) return listed;

    let admitted: Admitted = {};
    let token: Admitted | undefined;
    if (this.#tokens !== undefined) {
      const since = performance.now();
      const decision = await this.#tokens.verify(request.token, publicKey);
      if ('refused' in decision) {
        if (decision.refused === 'ADMISSION_UNAVAILABLE') {
          this.#asked(since, 'unavailable', this.#tokens.failure ?? new Error(decision.message));
        }
        return decision;
      }
      admitted = token = decision;
    }
    for (const ask of [
      this.#hook && (() => this.#askHook(request, token)),
      this.#decide && (() => this.#askFunction(request)),
    ]) {
      if (ask === undefined) continue;
      const decision = await ask();
      if ('refused' in decision) return decision;
      admitted = combine(admitted, decision);
    }
    if (admitted.expiresAt !== undefined && admitted.expiresAt <= Date.now()) {
      return refuse('ADMISSION_REFUSED', 'What this client is admitted for is over.');
    }
    // Asking takes time: who was put on a list meanwhile is connected nowhere yet, where `changed` could find it.
    return this.standing(publicKey) ?? admitted;
  }

  /** What the lists alone say of somebody who is connected. Only after `start`. */
  standing(publicKey: string): AdmissionRefusal | undefined {
    if (this.#deny?.value.has(publicKey) === true) {
      return refuse('KEY_DENIED', 'This key is on the list of those that this relay does not let in.');
    }
    if (this.#allow?.value.has(publicKey) === false) {
      return refuse('KEY_NOT_ALLOWED', 'This key is not on the list of those that this relay lets in.');
    }
    return undefined;
  }

  /** Reads all files again, now. Resolves when they are in use, or the observer has been told why not. */
  async reload(): Promise<void> {
    await Promise.all([this.#deny?.reload(), this.#allow?.reload(), this.#tokens?.reload()]);
  }

  /** Ends what is watched. Whoever waits for a hook is told that it is unavailable. */
  close(): void {
    this.#deny?.close();
    this.#allow?.close();
    this.#tokens?.close();
    this.#hook?.close();
  }

  async #askHook(request: AdmissionRequest, token: Admitted | undefined): Promise<AdmissionDecision> {
    const hook = this.#hook;
    if (hook === undefined) return {};
    const { publicKey, ip, address, userId, deviceId } = request;
    const since = performance.now();
    // The token is not among it: it is for the relay alone.
    const outcome = await hook.ask({
      publicKey,
      ip: ip ?? null,
      address,
      userId,
      deviceId,
      tokenVerified: token !== undefined,
      tokenUserId: token?.userId ?? null,
    });
    if (!('unavailable' in outcome)) return this.#answered(since, outcome);
    this.#asked(since, 'unavailable', outcome.unavailable);
    return hook.failOpen ? {} : unavailable();
  }

  async #askFunction(request: AdmissionRequest): Promise<AdmissionDecision> {
    const decide = this.#decide;
    if (decide === undefined) return {};
    const since = performance.now();
    let answer: HookAnswer;
    try {
      answer = normalize(await askFunction<unknown>(() => decide(request)));
    } catch (error) {
      this.#asked(since, 'unavailable', error as Error);
      return unavailable();
    }
    return this.#answered(since, answer);
  }

  #answered(since: number, answer: HookAnswer): AdmissionDecision {
    this.#asked(since, answer.allow ? 'yes' : 'no');
    if (answer.allow) return answer.admitted;
    return refuse('ADMISSION_REFUSED', answer.reason ?? 'This relay does not let this client in.');
  }

  #asked(since: number, outcome: 'yes' | 'no' | 'unavailable', error?: Error): void {
    this.#observer.asked?.('admission', (performance.now() - since) / 1_000, outcome, error);
  }
}

/** What holds when both do: the earlier end, the later name, and the peers that both know. */
function combine(first: Admitted, second: Admitted): Admitted {
  const expiresAt = Math.min(first.expiresAt ?? Infinity, second.expiresAt ?? Infinity);
  const userId = second.userId ?? first.userId;
  const peers = intersection(first.peers, second.peers);
  return {
    ...(expiresAt !== Infinity && { expiresAt }),
    ...(userId !== undefined && { userId }),
    ...(peers !== undefined && { peers }),
  };
}

function intersection(a?: readonly string[], b?: readonly string[]): readonly string[] | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const other = new Set(b);
  return a.filter(peer => other.has(peer));
}

/** @throws Error for anything that is no `AdmissionAnswer` */
function normalize(answer: unknown): HookAnswer {
  if (answer === true) return { allow: true, admitted: {} };
  if (answer === false) return { allow: false, reason: undefined };
  if (typeof answer !== 'object' || answer === null) {
    throw new Error('"decide" answered neither true, nor false, nor an object.');
  }
  if ('refuse' in answer) return { allow: false, reason: presentable(answer.refuse) };
  return { allow: true, admitted: checkAdmitted(answer) };
}

function unavailable(): AdmissionRefusal {
  return refuse('ADMISSION_UNAVAILABLE', 'Whoever decides about admission cannot be asked: try later.');
}

function refuse(refused: AdmissionRefusalCode, message: string): AdmissionRefusal {
  return { refused, message };
}
