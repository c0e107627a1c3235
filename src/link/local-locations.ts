import type { IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { networkInterfaces } from 'node:os';

/**
 * The locations that a server may claim for a connection without having been told any: those that the connection itself
 * proves, because they name the local address and port that it arrived at.
 *
 * The `Host` header alone proves nothing: whoever relays the connection from another place writes into it what it likes.
 * So a public name, a port that was forwarded, or a proxy in front have to be told in `addresses`.
 */
export function localLocations(request: IncomingMessage | undefined): string[] {
  if (!request) return [];
  const socket: Socket = request.socket;
  const { localAddress, localPort } = socket;
  if (localAddress === undefined || localPort === undefined) return [];
  const scheme = (socket as Partial<TLSSocket>).encrypted ? 'wss' : 'ws';
  const names = new Set([hostOf(localAddress)]);
  if (isLoopback(localAddress)) for (const name of ['localhost', '127.0.0.1', '[::1]']) names.add(name);
  else for (const address of ownAddresses()) names.add(hostOf(address));
  return [...names]
    .slice(0, MAX_LOCATIONS)
    .map(name => new URL(`${scheme}://${name}:${String(localPort)}`))
    .map(url => `${url.protocol}//${url.host}`);
}

/** What device information has room for. */
const MAX_LOCATIONS = 32;

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap(addresses =>
    (addresses ?? []).map(({ address }) => address),
  );
}

function isLoopback(address: string): boolean {
  const plain = unmapped(address);
  return plain.startsWith('127.') || plain === '::1';
}

/** As it stands in a URL. */
function hostOf(address: string): string {
  const plain = unmapped(address).replace(/%.*$/, '');
  return isIP(plain) === 6 ? `[${plain}]` : plain;
}

/** A server that listens on IPv6 and IPv4 at once sees IPv4 addresses as `::ffff:192.0.2.1`. */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}
