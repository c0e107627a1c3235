import { SecureWebSocketError } from '../core/errors.js';
import { describeError } from '../core/describe-error.js';

/** A part of the library that a page loads when it is needed. */
export interface Part<Module> {
  /** What it does: "that connects". */
  readonly purpose: string;
  /** One of the names that it exports. */
  readonly exports: keyof Module & string;
  /** Stands for `import()`, of it and of what is at a URL. */
  readonly fetch: () => Promise<Module>;
  readonly fetchFrom: (url: string) => Promise<Module>;
}

/**
 * Gives the function that loads a part: it is fetched at the first call, and later calls share the result.
 * Rejects with `LINK_FAILED` when the file cannot be had; a later call then tries again.
 */
export function onDemand<Module extends object>(part: Part<Module>): () => Promise<Module> {
  let loading: Promise<Module> | undefined;
  let failures = 0;

  /**
   * Firefox remembers for as long as the page lives that it could not fetch a module, and does not ask for it again,
   * but tells where it would be, and fetches what is there by another URL; none of it has been evaluated before. That is
   * not the part where a bundler gives exports other names.
   */
  const fetch = async (): Promise<Module> => {
    try {
      return await part.fetch();
    } catch (error) {
      const [url] = /\bhttps?:\/\/[^\s)]+$/.exec(describeError(error)) ?? [];
      failures++;
      if (failures === 1 || url === undefined) throw error;
      const module = await part.fetchFrom(`${url}${url.includes('?') ? '&' : '?'}again=${String(failures)}`);
      if (part.exports in module) return module;
      throw error;
    }
  };

  return () => {
    loading ??= fetch().catch((cause: unknown) => {
      loading = undefined;
      const message =
        `The part of secure-websocket ${part.purpose} could not be loaded (${describeError(cause)}): ` +
        'the network is away, or the file is no longer where the page was loaded from.';
      throw new SecureWebSocketError('LINK_FAILED', message, { cause });
    });
    return loading;
  };
}
