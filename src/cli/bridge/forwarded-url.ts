/**
 * `base`, with the path and the query of a request behind its own: base `ws://h/app`, request `/chat?x=1`: `ws://h/app/chat?x=1`.
 * Undefined for what is no path, and for one that leaves the path of the base.
 */
export function forwardedUrl(base: URL, request: string): URL | undefined {
  if (!request.startsWith('/')) return undefined;
  const end = request.search(/[?#]/);
  const path = end < 0 ? request : request.slice(0, end);
  const query = /^\?([^#]*)/.exec(end < 0 ? '' : request.slice(end))?.[1] ?? '';
  const prefix = base.pathname.replace(/\/$/, '');
  const url = new URL(base.href);
  // "." and ".." are resolved here, in whatever way they are written.
  if (path !== '/') url.pathname = `${prefix}${path}`;
  if (url.pathname !== base.pathname && !url.pathname.startsWith(`${prefix}/`)) return undefined;
  url.search = [base.search.slice(1), query].filter(part => part !== '').join('&');
  return url;
}
