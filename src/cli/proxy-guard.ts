import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { Refusal } from './bridge/refusal.js';
import type { ClientToken } from './client-token.js';
import { UsageError } from './exit-code.js';
import { type ListenAddress, urlHost } from './listen-address.js';

/** Whom a proxy serves. */
export interface GuardOptions {
  readonly address: ListenAddress;
  /** Further names under which it is reached. */
  readonly hosts: readonly string[];
  /** Web pages that may connect, by their origin. */
  readonly origins: readonly string[];
  readonly token: ClientToken | undefined;
}

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Decides who may use a proxy. Whatever listens at localhost can be reached by every web page that a user of the machine
 * looks at: browsers say in `Origin` which page it is, and in `Host` what name it used for us. One that leads to us
 * only since its page was loaded (DNS rebinding) is none of ours.
 */
export class ProxyGuard {
  readonly #hosts: ReadonlySet<string>;
  readonly #allowsAddresses: boolean;
  readonly #origins: ReadonlySet<string>;
  readonly #token: ClientToken | undefined;

  constructor({ address, hosts, origins, token }: GuardOptions) {
    // An address in place of a name cannot be rebound, and at all addresses of a machine any of them may be meant.
    this.#allowsAddresses = address.host === '0.0.0.0' || /^[:0]+$/.test(address.host);
    // Nor can `localhost`: to a browser that is its own machine, whatever a name server says.
    const own = address.isLoopback || this.#allowsAddresses ? LOOPBACK_HOSTS : [];
    this.#hosts = new Set([...own, urlHost(address.host), ...hosts]);
    this.#origins = new Set(origins);
    this.#token = token;
  }

  /** @throws Refusal when the name by which the client reaches us is none of ours */
  checkHost({ host }: Pick<IncomingHttpHeaders, 'host'>): void {
    const [, name = ''] = /^(\[[0-9a-f:.]+\]|[^\s:@/[\]]+)(?::\d{1,5})?$/i.exec(host ?? '') ?? [];
    const isAddress = isIP(name.replace(/^\[(.*)\]$/, '$1')) > 0;
    if (this.#hosts.has(name.toLowerCase()) || (isAddress && this.#allowsAddresses)) return;
    throw new Refusal(403, 'Host not allowed: see --allow-host.');
  }

  /** @throws Refusal unless a client that sends these headers, and offers these subprotocols, may connect */
  check(headers: IncomingHttpHeaders, protocols: readonly string[]): void {
    this.checkHost(headers);
    const { origin, authorization } = headers;
    // Without one it is a program: every browser tells.
    if (origin !== undefined && !this.#origins.has(origin.toLowerCase()))
      throw new Refusal(403, 'Origin not allowed: see --allow-origin.');
    if (this.#token?.isShown(authorization, protocols) === false) {
      throw new Refusal(401, 'The token of clients is missing or wrong.', { 'WWW-Authenticate': 'Bearer' });
    }
  }
}

/**
 * An origin as browsers send it: `https://app.example`, or `null`.
 * @throws UsageError
 */
export function toOrigin(text: string): string {
  // That of a file or of a sandboxed frame, and that of an extension, which is no origin to URL.
  if (text === 'null' || /^[a-z]+-extension:\/\/[\w.-]+$/i.test(text)) return text.toLowerCase();
  try {
    const { origin, href } = new URL(text);
    if (origin !== 'null' && (href === origin || href === `${origin}/`)) return origin;
  } catch {
    // Told below.
  }
  throw new UsageError(
    `--allow-origin must be the origin of a page, such as https://app.example or http://localhost:8000, not "${text}".`,
  );
}

/**
 * A name in `Host`, without a port.
 * @throws UsageError
 */
export function toHost(text: string): string {
  const host = text.toLowerCase();
  if (/^(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])$/.test(host)) return host;
  throw new UsageError(
    `--allow-host must be a host name without a port, such as proxy.example, not "${text}".`,
  );
}
