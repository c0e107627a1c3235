import { page } from '#page';
import { SecureWebSocketError } from '../core/errors.js';
import type { UrlLike } from './dom-types.js';
import { toDomString, toWebSocketUrl } from './web-socket-arguments.js';

/** What a client can be told to dial. A function is asked again at each attempt to connect. */
export type ClientUrlSource = string | UrlLike | (() => string | UrlLike | Promise<string | UrlLike>);

/** The URL of a client, or where it comes from. */
export class ClientUrl {
  /** What `dialChannel` is given. */
  readonly dialled: URL | (() => Promise<URL>);
  #latest: URL | undefined;

  /**
   * @param given a string, or a function that gives a string or a URL when it is asked
   * @throws DOMException `SyntaxError` for a string that is no URL of a WebSocket
   */
  constructor(given: string | (() => unknown)) {
    if (typeof given === 'string') this.dialled = this.#latest = toWebSocketUrl(given, page.baseUrl());
    else this.dialled = () => this.#ask(given);
  }

  /** The URL that was dialled last, absolute and normalized. '' until a function has given the first. */
  get href(): string {
    return this.#latest?.href ?? '';
  }

  /** Its origin. */
  get origin(): string {
    return this.#latest?.origin ?? '';
  }

  /** What the function throws is the reason why the attempt fails, and is passed on as it is. */
  async #ask(source: () => unknown): Promise<URL> {
    const given = await source();
    try {
      return (this.#latest = toWebSocketUrl(toDomString(given), page.baseUrl()));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `The function that is asked for the URL gave none that can be dialled: ${why}`;
      throw new SecureWebSocketError('INVALID_ARGUMENT', message, { cause });
    }
  }
}
