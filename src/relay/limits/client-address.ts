import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { SecureWebSocketError } from '../../core/errors.js';
import { plainIp } from './plain-ip.js';

/** Entries of X-Forwarded-For that are looked at, from the right. No chain of proxies is so long. */
const MAX_FORWARDED = 64;
/** The longest that one of them may be: an IPv6 address with a zone, in brackets and with a port, and some air. */
const MAX_ENTRY_LENGTH = 128;

const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  // RFC 1918 and RFC 4193.
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** Proxies whose word on the address of a client counts. */
export class TrustedProxies {
  // Two: in one, a network of IPv6 may take IPv4 in as well.
  readonly #ipv4 = new BlockList();
  readonly #ipv6 = new BlockList();

  /**
   * `entries`: IP addresses, CIDRs (`10.0.0.0/8`), `loopback` (127.0.0.0/8 and ::1), `private` (RFC 1918 and RFC 4193).
   * @throws SecureWebSocketError `INVALID_ARGUMENT`, naming the entry
   */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const named = Object.hasOwn(NAMED, entry) ? NAMED[entry] : undefined;
      for (const each of named ?? [entry]) this.#add(each);
    }
  }

  /** Whether `ip` is one of them. What is no IP address, or none at all, as with a Unix domain socket, never is. */
  trusts(ip: string | undefined): boolean {
    const plain = ip === undefined ? undefined : plainIp(ip);
    if (plain === undefined) return false;
    return isIPv4(plain) ? this.#ipv4.check(plain, 'ipv4') : this.#ipv6.check(plain, 'ipv6');
  }

  /**
   * The IP address that a request comes from. `peer`: the other end of its connection. `forwardedFor`: the header
   * X-Forwarded-For, to whose right end each proxy adds the address that it was called from. So it is read from there:
   * the first address that is no trusted proxy is the client's; whatever stands to the left of it is that client's
   * own claim. Where nothing can be read any more, the last address that could be counts.
   */
  clientOf(peer: string | undefined, forwardedFor: string | string[] | undefined): string | undefined {
    if (peer === undefined) return undefined;
    let client = plainIp(peer) ?? peer;
    if (forwardedFor === undefined || !this.trusts(client)) return client;

    const header = typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join(',');
    let end = header.length;
    for (let looked = 0; looked < MAX_FORWARDED && end >= 0; looked++) {
      const comma = end === 0 ? -1 : header.lastIndexOf(',', end - 1);
      const ip = forwardedIp(header.slice(comma + 1, end));
      if (ip === undefined) break;
      client = ip;
      if (!this.trusts(ip)) break;
      end = comma;
    }
    return client;
  }

  #add(entry: string): void {
    const [address = '', prefix, ...more] = entry.split('/');
    // A zone is meant for one interface, which the address of a connection does not tell.
    const ip = address.includes('%') ? undefined : plainIp(address);
    if (ip === undefined || more.length > 0) throw refused(entry);
    const version = isIPv4(ip) ? 'ipv4' : 'ipv6';
    const list = version === 'ipv4' ? this.#ipv4 : this.#ipv6;
    if (prefix === undefined) {
      list.addAddress(ip, version);
      return;
    }
    // An IPv4 network in IPv6 clothes: the first 96 bits are the clothes.
    const dressed = version === 'ipv4' && isIPv6(address) ? 96 : 0;
    const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) - dressed : -1;
    if (bits < 0 || bits > (version === 'ipv4' ? 32 : 128)) throw refused(entry);
    list.addSubnet(ip, bits, version);
  }
}

/** The IP address in one entry: as it is, in brackets, or with a port (`192.0.2.1:5`, `[2001:db8::1]:5`). */
function forwardedIp(entry: string): string | undefined {
  if (entry.length > MAX_ENTRY_LENGTH) return undefined;
  const text = entry.trim();
  const bracketed = /^\[([^[\]]*)\](?::\d{1,5})?$/.exec(text)?.[1];
  if (bracketed !== undefined) return isIPv6(bracketed) ? plainIp(bracketed) : undefined;
  return plainIp(/^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text);
}

function refused(entry: string): SecureWebSocketError {
  return new SecureWebSocketError(
    'INVALID_ARGUMENT',
    `A trusted proxy is an IP address, a CIDR like 10.0.0.0/8, "loopback" or "private", not ${JSON.stringify(entry)}.`,
  );
}
