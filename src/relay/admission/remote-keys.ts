import type { CryptoKey, JWSHeaderParameters, RemoteJWKSet } from 'jose';
import { describeError } from '../../core/describe-error.js';

/** Milliseconds that the server has to answer. */
const TIMEOUT = 5_000;
/** Keys are asked for again after so long, milliseconds: then a key that was withdrawn is gone. */
const MAX_AGE = 600_000;
/** A token with an unknown key is a reason to ask again, but not more often than this, milliseconds. */
const COOLDOWN = 30_000;
/** After a failure nobody is asked for so long, milliseconds. */
const RETRY = 1_000;
/** Bytes of the largest answer. */
const MAX_ANSWER = 1_048_576;
/** Keys that one token may be tried with, where it does not say which it means. */
const MAX_CANDIDATES = 16;

/** The keys cannot be had. */
export class KeysUnavailable extends Error {}

/** Who is told of {@link RemoteKeys}. Must not throw. */
export interface RemoteKeysListener {
  /** The keys cannot be had. Told once, until they can be had again; by `reload` each time. */
  failed(error: Error): void;
  /** They can be had again. */
  changed(): void;
}

/** A JWK Set (RFC 7517) at a URL, asked for when it is needed and kept for ten minutes. */
export class RemoteKeys {
  readonly #url: URL;
  readonly #listener: RemoteKeysListener;
  #remote: RemoteJWKSet | undefined;
  #jose: typeof import('jose') | undefined;
  /** The last attempt failed. `until`: before then there is no other. `told`: and that is known. */
  #failure: { readonly error: Error; readonly until: number; readonly told: boolean } | undefined;
  readonly #stop = new AbortController();

  constructor(url: URL, listener: RemoteKeysListener) {
    this.#url = url;
    this.#listener = listener;
  }

  /** Why the last attempt has failed, if it has. */
  get failure(): Error | undefined {
    return this.#failure?.error;
  }

  /** Asks nobody yet: a relay must be able to start before whoever issues the tokens. */
  async start(): Promise<void> {
    const jose = await import('jose');
    this.#jose = jose;
    this.#remote = jose.createRemoteJWKSet(this.#url, {
      timeoutDuration: TIMEOUT,
      cooldownDuration: COOLDOWN,
      cacheMaxAge: MAX_AGE,
      [jose.customFetch]: (url, options) => this.#fetch(url, options),
    });
  }

  /**
   * The keys that may have signed a token with this header: 16 at most.
   * @throws KeysUnavailable
   */
  async candidates(header: JWSHeaderParameters): Promise<readonly CryptoKey[]> {
    if (this.#remote === undefined || this.#jose === undefined) throw new KeysUnavailable('Not started.');
    const { JWKSMultipleMatchingKeys, JWKSNoMatchingKey } = this.#jose.errors;
    try {
      return [await this.#remote(header)];
    } catch (error) {
      if (error instanceof JWKSNoMatchingKey) return [];
      if (!(error instanceof JWKSMultipleMatchingKeys)) {
        throw new KeysUnavailable(describeError(error), { cause: error });
      }
      const keys: CryptoKey[] = [];
      for await (const key of error) {
        keys.push(key);
        if (keys.length === MAX_CANDIDATES) break;
      }
      return keys;
    }
  }

  /** Asks for the keys now. @throws Error saying why they cannot be had */
  async reload(): Promise<void> {
    if (this.#failure !== undefined) this.#failure = { ...this.#failure, until: 0, told: false };
    await this.#remote?.reload();
  }

  close(): void {
    this.#stop.abort(new Error('The relay is closed.'));
  }

  async #fetch(url: string, options: RequestInit & { signal: AbortSignal }): Promise<Response> {
    if (this.#failure !== undefined && performance.now() < this.#failure.until) throw this.#failure.error;
    try {
      const text = await fetchText(url, options, this.#stop.signal);
      const failed = this.#failure !== undefined;
      this.#failure = undefined;
      if (failed) this.#listener.changed();
      return new Response(text);
    } catch (reason) {
      // What `fetch` throws says nothing: the cause does.
      const cause = reason instanceof TypeError ? (reason.cause ?? reason) : reason;
      const error = new Error(
        `The keys for tokens at ${withoutQuery(this.#url)} cannot be had: ${describeError(cause)}`,
        {
          cause: reason,
        },
      );
      const told = this.#failure?.told === true;
      this.#failure = { error, until: performance.now() + RETRY, told: true };
      if (!told && !this.#stop.signal.aborted) this.#listener.failed(error);
      throw error;
    }
  }
}

/** The body, which is a JWK Set. */
async function fetchText(
  url: string,
  options: RequestInit & { signal: AbortSignal },
  stop: AbortSignal,
): Promise<string> {
  const controller = new AbortController();
  const abort = ({ target }: Event) => controller.abort((target as AbortSignal).reason);
  const sources = [options.signal, stop];
  for (const signal of sources) {
    if (signal.aborted) throw signal.reason;
    signal.addEventListener('abort', abort);
  }
  try {
    const response = await fetch(url, { ...options, signal: controller.signal });
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel();
      throw new Error(`the answer has the status ${response.status}.`);
    }
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > MAX_ANSWER) throw new Error(`the answer is larger than ${MAX_ANSWER} bytes.`);
      parts.push(part);
    }
    const text = Buffer.concat(parts, length).toString('utf8');
    if (!isKeySet(text)) throw new Error('the answer is not a JWK Set.');
    return text;
  } finally {
    for (const signal of sources) signal.removeEventListener('abort', abort);
  }
}

function isKeySet(text: string): boolean {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown };
    return Array.isArray(keys) && keys.every(key => typeof key === 'object' && key !== null);
  } catch {
    return false;
  }
}

/** As it may be told: a query may hold a secret. */
function withoutQuery({ origin, pathname }: URL): string {
  return origin + pathname;
}
