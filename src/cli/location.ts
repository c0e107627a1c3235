import { parseAddress } from '../core/address.js';
import { SecureWebSocketError } from '../core/errors.js';
import { type Location, parseLocation } from '../core/location.js';
import { checkProtocols, toWebSocketUrl } from '../socket/web-socket-arguments.js';
import { UsageError } from './exit-code.js';

/**
 * The URL that was typed, and what it names.
 * @throws UsageError that says what is wrong with it
 */
export function parseUrl(text: string, direct: boolean): { readonly url: URL; readonly location: Location } {
  const url = webSocketUrl(text);
  try {
    if (!direct) checkNearAddresses(url);
    return { url, location: parseLocation(url, direct) };
  } catch (error) {
    if (!(error instanceof SecureWebSocketError)) throw error;
    throw new UsageError(`In ${withoutCredentials(url)}: ${error.message}`);
  }
}

/**
 * A `ws:` or `wss:` URL.
 * @throws UsageError
 */
export function webSocketUrl(text: string): URL {
  // "localhost:8080" parses as a URL with the scheme "localhost:".
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw new UsageError(`"${text}" is not a URL: it must begin with wss:// or ws://.`);
  }
  try {
    return toWebSocketUrl(text, undefined);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @throws UsageError when subprotocols are no tokens, or come twice */
export function checkSubprotocols(protocols: readonly string[]): void {
  try {
    checkProtocols(protocols);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A URL that can be shown: without user name and password. */
export function withoutCredentials(url: string | URL): string {
  const shown = new URL(url);
  shown.username = shown.password = '';
  return shown.href;
}

/**
 * A segment that is nearly an address is one that was not copied whole. Taken for a path, it would lead to the relay
 * itself, and to an error that says nothing of it.
 */
function checkNearAddresses(url: URL): void {
  for (const segment of url.pathname.split('/')) {
    const others = segment.replace(/[0-9a-f]/gi, '').length;
    if (segment.length >= 56 && segment.length <= 72 && others <= 4) {
      try {
        parseAddress(segment);
      } catch (error) {
        if (!(error instanceof SecureWebSocketError)) throw error;
        throw new UsageError(
          `In ${withoutCredentials(url)}: ${error.message} (If this is no address but the path of a server, give --direct.)`,
        );
      }
    }
  }
}
