import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/**
 * An IP address in the one way in which it is written here: IPv6 shortened and without a zone, and an IPv4 address in
 * IPv6 clothes (`::ffff:192.0.2.1`) as IPv4. Undefined when `text` is no IP address.
 */
export function plainIp(text: string): string | undefined {
  if (isIPv4(text)) return text;
  // A zone names an interface of another machine: it says nothing here, and may be of any length.
  const zone = text.indexOf('%');
  const bare = zone === -1 ? text : text.slice(0, zone);
  if (!isIPv6(bare)) return undefined;
  const { address } = new SocketAddress({ address: bare, family: 'ipv6' });
  const embedded = address.startsWith('::ffff:') ? address.slice(7) : '';
  return isIPv4(embedded) ? embedded : address;
}
