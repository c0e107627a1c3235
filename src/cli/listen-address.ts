import { isIP } from 'node:net';
import { UsageError } from './exit-code.js';

/** An address and a port to listen at. */
export interface ListenAddress {
  /** An IP address, or `localhost`; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Only programs on this machine reach it. */
  readonly isLoopback: boolean;
}

/**
 * `127.0.0.1:9000`, `[::1]:9000`, `localhost:9000`, or a port alone, which is one of 127.0.0.1.
 * @throws UsageError
 */
export function parseListenAddress(text: string, name: string): ListenAddress {
  const [, bracketed, plain, digits = ''] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const host = (bracketed ?? plain ?? '127.0.0.1').toLowerCase();
  const port = digits === '' ? NaN : Number(digits);
  const family = isIP(host);
  const isAddress = bracketed === undefined ? family === 4 || host === 'localhost' : family === 6;
  if (!isAddress || !(port <= 65_535)) {
    throw new UsageError(
      `${name} must be an IP address and a port, such as 127.0.0.1:9000 or [::1]:9000, not "${text.slice(0, 64)}".`,
    );
  }
  return { host, port, isLoopback: isLoopback(host) };
}

/** As it stands in a URL. */
export function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(host)) return true;
  // Every way of writing ::1.
  return isIP(host) === 6 && !host.includes('%') && new URL(`http://[${host}]`).hostname === '[::1]';
}
