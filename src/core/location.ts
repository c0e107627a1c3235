import { parseAddress } from './address.js';
import { SecureWebSocketError } from './errors.js';
import { checkSpaceName } from './space/space-name.js';

/** Where something can be dialled, and at which key. */
export interface Location {
  /** `wss://host[:port]`, lowercase, without the default port: what a server claims, and a client checks. */
  readonly origin: string;
  /** The public key of the peer behind the relay; undefined when the server itself is meant. */
  readonly peerKey: Uint8Array | undefined;
  /** What is dialled: for a relayed peer the URL up to its key, for a space up to `/space/`, else the whole URL. */
  readonly dialled: string;
  /** Path and query for the peer; `/` for a space. */
  readonly target: string;
  /** The name of the space at the relay, when one is meant. */
  readonly space?: string;
  /** The relay itself is meant, over the link that all share who have to do with it: what it offers at its own key. */
  readonly isService?: boolean;
}

/**
 * Takes a WebSocket URL apart. It is relayed when a segment of its path is 64 hex characters: the first such segment
 * is the peer's address; what follows is for the peer alone and is never shown to the relay. Else it means a space when
 * the last two segments are `space` and its name.
 * @throws SecureWebSocketError `INVALID_ADDRESS_CHARACTER`, `NON_CANONICAL_ADDRESS` or `LOW_ORDER_ADDRESS` when that
 *   segment is no canonical address, `INVALID_ARGUMENT` when a space cannot have this name, or has a query; never when
 *   `direct` is true
 */
export function parseLocation(url: URL, direct = false): Location {
  const origin = `${url.protocol}//${url.host}`;
  const segments = url.pathname.split('/');
  const at = direct ? -1 : segments.findIndex(segment => /^[0-9a-fA-F]{64}$/.test(segment));
  if (at >= 0) {
    return {
      origin,
      peerKey: parseAddress(segments[at] ?? ''),
      dialled: upTo(url, segments, at),
      target: `/${segments.slice(at + 1).join('/')}${url.search}`,
    };
  }
  const name = segments.at(-1);
  if (direct || !name || segments.at(-2) !== 'space') {
    return { origin, peerKey: undefined, dialled: url.href, target: url.pathname + url.search };
  }
  const space = decodeName(name);
  checkSpaceName(space);
  if (url.search !== '') {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      'The URL of a space has no query. If this is no space but the path of a server, say that the connection is direct.',
    );
  }
  const dialled = upTo(url, segments, segments.length - 2);
  return { origin, peerKey: undefined, dialled, target: '/', space };
}

/** The URL with the segments of its path before this one, and without the query. */
function upTo(url: URL, segments: readonly string[], at: number): string {
  const dialled = new URL(url.href);
  dialled.pathname = segments.slice(0, at).join('/') || '/';
  dialled.search = '';
  return dialled.href;
}

function decodeName(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      'The name of a space in a URL is percent-encoded UTF-8: encodeURIComponent(name).',
      { cause: error },
    );
  }
}

/**
 * The normal form of a location that a server is configured with: `wss://relay.example`.
 * @throws SecureWebSocketError `INVALID_ARGUMENT`
 */
export function normalizeLocation(text: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Told below.
  }
  const protocol = url?.protocol.replace(/^http/, 'ws');
  if (!url || (protocol !== 'ws:' && protocol !== 'wss:')) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      `"${text}" is no address of a server: give it as wss://host[:port].`,
    );
  }
  // A URL parsed as http drops http's default port, which is also that of ws.
  return `${protocol}//${url.host}`;
}
