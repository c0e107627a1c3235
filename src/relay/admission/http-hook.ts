import type { IncomingMessage } from 'node:http';
import type { Agent, RequestOptions } from 'node:http';
import * as http from 'node:http';
import * as https from 'node:https';
import { describeError } from '../../core/describe-error.js';
import { SecureWebSocketError } from '../../core/errors.js';
import { MAX_DELAY } from '../../link/clock.js';
import type { HookOptions } from './admission-options.js';
import { parseHookAnswer, type HookAnswer } from './hook-answer.js';

/** Milliseconds until a question counts as unanswered, unless the options say otherwise. */
const DEFAULT_TIMEOUT = 3_000;
/** Questions asked at a time. Others wait. */
const MAX_ASKING = 64;
/** Questions that may wait. More are not asked. */
const MAX_WAITING = 4_096;
/** Bytes of the largest answer. */
const MAX_ANSWER = 65_536;

const CLOSED = 'The relay is closed.';

/**
 * A server may end a connection that was kept at the very moment when it is used again. That says nothing about the
 * server: it is asked once more.
 */
class StaleConnection extends Error {}

/** What came of asking: an answer, or why there is none. The reason is for operators, not for clients. */
export type HookOutcome = HookAnswer | { readonly unavailable: Error };

/**
 * Somebody who is asked by HTTP and answers yes or no. 200 with JSON is an answer, and 403 is no; all else (another
 * status, a redirect, an answer that is too large, malformed or late) is no answer.
 */
export class HttpHook {
  /** Whether no answer means yes. */
  readonly failOpen: boolean;
  readonly #url: URL;
  readonly #timeout: number;
  readonly #secret: string | undefined;
  readonly #agent: Agent;
  #closed = false;
  #asking = 0;
  /** In the order of their coming. */
  readonly #waiting = new Set<() => void>();
  readonly #asked = new Set<AbortController>();

  /**
   * @param name the option, for messages
   * @throws SecureWebSocketError `INVALID_ARGUMENT`
   */
  constructor(name: string, options: HookOptions) {
    const { url, timeout = DEFAULT_TIMEOUT, failOpen = false, secret } = options;
    this.#url = checkUrl(name, url);
    if (!Number.isSafeInteger(timeout) || timeout < 1 || timeout > MAX_DELAY) {
      throw invalid(`"${name}.timeout" is an integer from 1 to ${MAX_DELAY}, milliseconds.`);
    }
    // Told without its value: it is a secret.
    if (secret !== undefined && (typeof (secret as unknown) !== 'string' || !/^[\x21-\x7e]+$/.test(secret))) {
      throw invalid(`"${name}.secret" is a string of ASCII characters without spaces.`);
    }
    this.failOpen = failOpen;
    this.#timeout = timeout;
    this.#secret = secret;
    const agent = { keepAlive: true, maxFreeSockets: MAX_ASKING };
    this.#agent = this.#url.protocol === 'https:' ? new https.Agent(agent) : new http.Agent(agent);
  }

  /** Asks about `question`, which is sent as JSON. Never rejects. */
  async ask(question: object): Promise<HookOutcome> {
    if (this.#closed) return { unavailable: new Error(CLOSED) };
    const controller = new AbortController();
    const { signal } = controller;
    this.#asked.add(controller);
    const timer = setTimeout(
      () => controller.abort(new Error(`There was no answer within ${this.#timeout} ms.`)),
      this.#timeout,
    );
    timer.unref();
    try {
      await this.#turn(signal);
      try {
        return await this.#post(Buffer.from(JSON.stringify(question)), signal);
      } finally {
        // Those who came at the same time are late at the same time: their turn is not to be asked just before that.
        if (signal.aborted) setImmediate(() => this.#next());
        else this.#next();
      }
    } catch (error) {
      return { unavailable: error instanceof Error ? error : new Error(describeError(error)) };
    } finally {
      clearTimeout(timer);
      this.#asked.delete(controller);
    }
  }

  /** Whoever is being asked or waits gets no answer. */
  close(): void {
    this.#closed = true;
    for (const controller of this.#asked) controller.abort(new Error(CLOSED));
    this.#agent.destroy();
  }

  /** Resolves when one more may be asked, which has been counted then. */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#asking < MAX_ASKING) {
      this.#asking += 1;
      return;
    }
    if (this.#waiting.size >= MAX_WAITING) throw new Error('Too many questions wait.');
    await this.#wait(signal);
  }

  /** Somebody has been asked. Whoever waits longest takes the place, so that nobody else gets in between. */
  #next(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#asking -= 1;
    else next();
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#waiting.delete(turn);
        signal.removeEventListener('abort', abort);
      };
      const turn = () => {
        end();
        resolve();
      };
      const abort = () => {
        end();
        reject(signal.reason as Error);
      };
      this.#waiting.add(turn);
      signal.addEventListener('abort', abort);
    });
  }

  async #post(body: Buffer, signal: AbortSignal): Promise<HookAnswer> {
    try {
      return await this.#exchange(body, signal, this.#agent);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      return await this.#exchange(body, signal, false);
    }
  }

  async #exchange(body: Buffer, signal: AbortSignal, agent: Agent | false): Promise<HookAnswer> {
    const response = await this.#request(body, signal, agent);
    try {
      if (response.statusCode === 403) {
        // Read all the same: the connection is good for the next question.
        await read(response).catch(() => undefined);
        return { allow: false, reason: undefined };
      }
      if (response.statusCode !== 200)
        throw new Error(`The answer has the status ${response.statusCode ?? 0}.`);
      return parseHookAnswer(await read(response));
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      // Whatever has not been read is not worth it.
      if (!response.complete) response.destroy();
    }
  }

  /** @param agent whose connections are used; false: a new one, for once */
  #request(body: Buffer, signal: AbortSignal, agent: Agent | false): Promise<IncomingMessage> {
    const options: RequestOptions = {
      method: 'POST',
      agent,
      signal,
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        accept: 'application/json',
        'user-agent': 'secure-websocket',
        ...(this.#secret !== undefined && { authorization: `Bearer ${this.#secret}` }),
      },
    };
    return new Promise((resolve, reject) => {
      const { request } = this.#url.protocol === 'https:' ? https : http;
      const sent = request(this.#url, options, resolve);
      sent.on('error', (error: NodeJS.ErrnoException) => {
        if (signal.aborted) reject(signal.reason as Error);
        else if (sent.reusedSocket && error.code === 'ECONNRESET') reject(new StaleConnection(error.message));
        else reject(error);
      });
      sent.end(body);
    });
  }
}

async function read(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_ANSWER) throw new Error(`The answer is larger than ${MAX_ANSWER} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts, length).toString('utf8');
}

function checkUrl(name: string, url: string): URL {
  // Callers in plain JavaScript, and files of options, bring anything.
  const parsed = typeof (url as unknown) === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')) {
    throw invalid(`"${name}.url" is a URL that begins with "https:" or "http:".`);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw invalid(`"${name}.url" holds a password, which ends up in logs: use "secret".`);
  }
  return parsed;
}

function invalid(message: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', message);
}
