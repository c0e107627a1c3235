import { isIPv6 } from 'node:net';

/**
 * What counts as one client address: an IPv4 address, or the /64 network of an IPv6 address, all of which one customer
 * usually has (RFC 6177). An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) counts as IPv4.
 */
export function addressGroup(address: string): string {
  // An IPv4 address, which is a group of its own: to look at it more closely would take longer.
  if (!address.includes(':')) return address;
  const plain = address.replace(/%.*$/, '').toLowerCase();
  const embedded = /^(?:0*:)*:?ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1];
  if (embedded !== undefined) return embedded;
  if (!isIPv6(plain)) return plain;
  // The last 32 bits may be written as an IPv4 address: two groups' worth, of which the network has none.
  const [head = '', tail = ''] = plain.replace(/\d+\.\d+\.\d+\.\d+$/, '0:0').split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail);
  const between = new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return `${[...before, ...between, ...after].slice(0, 4).join(':')}::/64`;
}

function groupsOf(part: string): string[] {
  return part === '' ? [] : part.split(':').map(group => group.replace(/^0+(?=.)/, ''));
}
