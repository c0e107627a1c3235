/** Chooses one of the subprotocols that a client offers, or false for none. */
export type HandleProtocols<Request> = (protocols: Set<string>, request: Request) => string | false;

/**
 * The subprotocol to accept a channel with: as in `ws` the first that is offered, unless `handleProtocols` chooses.
 * @throws TypeError when it chooses one that is not offered, and whatever it throws.
 */
export function selectProtocol<Request>(
  offered: readonly string[],
  handleProtocols: HandleProtocols<Request> | undefined,
  request: Request,
): string {
  const [first] = offered;
  if (first === undefined) return '';
  const selected = handleProtocols ? handleProtocols(new Set(offered), request) : first;
  if (!selected) return '';
  if (!offered.includes(selected)) {
    throw new TypeError(`handleProtocols chose "${selected}", which the client does not offer`);
  }
  return selected;
}

/**
 * Refuses compression.
 * @throws TypeError
 */
export function checkCompression(perMessageDeflate: unknown): void {
  if (perMessageDeflate === undefined || perMessageDeflate === null || perMessageDeflate === false) return;
  throw new TypeError(
    'perMessageDeflate must be false: the length of data that is compressed before it is encrypted tells about its content',
  );
}

/**
 * The URL of a relay; http and https stand for ws and wss.
 * @throws TypeError when it is none.
 */
export function relayUrl(relay: string | { readonly href: string }): URL {
  const url = new URL(typeof relay === 'string' ? relay : relay.href);
  if (url.protocol === 'http:') url.protocol = 'ws:';
  if (url.protocol === 'https:') url.protocol = 'wss:';
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw new TypeError(`The relay must be a ws: or wss: URL, not ${url.protocol}`);
  }
  return url;
}
