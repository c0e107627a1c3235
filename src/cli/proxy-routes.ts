import { parseLocation } from '../core/location.js';
import { forwardedUrl } from './bridge/forwarded-url.js';
import { Refusal, refusalOf } from './bridge/refusal.js';

/** Where one client of the proxy is led. */
export interface Route {
  readonly url: URL;
  /** A space, in which there is not one peer but many. */
  readonly isSpace: boolean;
  /** The URL is that of a server, whatever its path looks like. */
  readonly isDirect: boolean;
}

/** Says where a request is led. @throws Refusal */
export type Router = (request: string) => Route;

/** All clients are led to `url`: a peer behind a relay, a space or a server. @throws SecureWebSocketError for what is none of them */
export function routeTo(url: URL, direct: boolean): Router {
  const { peerKey, space } = parseLocation(url, direct);
  if (space === undefined) {
    return request => ({ url: below(url, request), isSpace: false, isDirect: peerKey === undefined });
  }
  return request => {
    // A query says nothing to a space.
    if (!/^\/(?:\?|$)/.test(request)) throw notFound('a space has no paths');
    return { url, isSpace: true, isDirect: false };
  };
}

/** Clients say in their path where they are led, behind the relay at `relay`: `/<key>` with whatever follows, or `/space/<name>`. */
export function routeByPath(relay: URL): Router {
  const prefix = relay.pathname.replace(/\/$/, '');
  return request => {
    const url = below(relay, request);
    const path = url.pathname.slice(prefix.length);
    const isSpace = /^\/space\/[^/]+$/.test(path);
    if (isSpace) url.search = '';
    else if (!/^\/[0-9a-f]{64}(?:\/|$)/i.test(path))
      throw notFound('the path must be /<public key> or /space/<name>');
    try {
      parseLocation(url);
    } catch (error) {
      throw refusalOf(error);
    }
    return { url, isSpace, isDirect: false };
  };
}

function below(base: URL, request: string): URL {
  const url = forwardedUrl(base, request);
  if (url === undefined) throw notFound('this path leads elsewhere');
  return url;
}

function notFound(why: string): Refusal {
  return new Refusal(404, `Not found: ${why}.`);
}
