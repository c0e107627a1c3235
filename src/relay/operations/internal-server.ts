import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { SecureWebSocketError } from '../../core/errors.js';
import type { RelaySnapshot } from '../relay-observer.js';
import type { InternalOptions } from '../relay-options.js';
import type { Metrics } from './metrics.js';
import { RateHistory } from './rate-history.js';
import { STATUS_PAGE, STATUS_PAGE_POLICY } from './status-page.js';

/** What the internal server needs to know of the relay. */
export interface InspectedRelay {
  snapshot(): RelaySnapshot;
  /** Whether a load balancer should send clients here. */
  isReady(): boolean;
  /** Of this package. */
  readonly version: string;
}

/** What is given to Prometheus. */
type RenderedMetrics = Pick<Metrics, 'contentType' | 'render'>;

/** Operators and their tools are few; each may have several connections. */
const MAX_CONNECTIONS = 64;
/** A request must have come whole within so many milliseconds, and an answer must be read as quickly. */
const TIMEOUT = 10_000;
const MAX_HEADER_SIZE = 8_192;

/** The status page shows the last 5 minutes. */
const SAMPLES = 300;
const SAMPLE_INTERVAL = 1_000;

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';

/** Numbers that tests make small. */
export interface InternalTuning {
  readonly maxConnections?: number;
  readonly timeout?: number;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly policy?: string;
}

/**
 * An HTTP server for operators, beside the one that clients reach: `/metrics` for Prometheus, `/livez` and `/readyz` for
 * whoever starts and balances relays, and a status page at `/`, which is fed by `/status.json`. It only answers, and
 * changes nothing; it knows no passwords. Keep it where only operators come: that is why it listens at 127.0.0.1 by default.
 *
 * A web page that an operator has open elsewhere must not be able to read it under a name of its own that it lets point
 * here (DNS rebinding). So what is asked for under a name with a dot in it is refused, unless it listens at that name:
 * what is left are IP addresses, `localhost`, and the short names of a local network, which no stranger can register.
 */
export class InternalServer {
  readonly #options: InternalOptions;
  readonly #relay: InspectedRelay;
  readonly #metrics: RenderedMetrics;
  readonly #server: Server;
  readonly #history = new RateHistory(SAMPLES);
  #timer: NodeJS.Timeout | undefined;
  /** One at a time: it may be long, and whoever asks meanwhile is told the same. */
  #rendering: Promise<string> | undefined;

  constructor(
    options: InternalOptions,
    relay: InspectedRelay,
    metrics: RenderedMetrics,
    tuning: InternalTuning = {},
  ) {
    const { maxConnections = MAX_CONNECTIONS, timeout = TIMEOUT } = tuning;
    this.#options = options;
    this.#relay = relay;
    this.#metrics = metrics;
    this.#server = createServer(
      {
        headersTimeout: timeout,
        requestTimeout: timeout,
        keepAliveTimeout: timeout,
        connectionsCheckingInterval: timeout / 4,
        maxHeaderSize: MAX_HEADER_SIZE,
      },
      (request, response) => {
        void this.#handle(request, response);
      },
    );
    this.#server.maxConnections = maxConnections;
    // Nobody who does not read may hold a connection, either.
    this.#server.timeout = timeout;
  }

  /** Rejects with what the operating system says. */
  async listen(): Promise<void> {
    const { port, host = '127.0.0.1' } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    // A failure to accept one connection (no file descriptor is left) is no reason to stop.
    this.#server.on('error', () => undefined);
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), SAMPLE_INTERVAL).unref();
  }

  /**
   * Where it is, `http://127.0.0.1:9090`.
   *
   * @throws SecureWebSocketError `INVALID_ARGUMENT` while it does not listen
   */
  get url(): string {
    const address = this.#server.address() as AddressInfo | null;
    if (address === null)
      throw new SecureWebSocketError('INVALID_ARGUMENT', 'The internal server does not listen.');
    const { host = '127.0.0.1' } = this.#options;
    const name = isEverywhere(host) ? 'localhost' : host;
    return `http://${isIP(name) === 6 ? `[${name}]` : name}:${String(address.port)}`;
  }

  /** Stops to listen, and cuts off whoever is still there. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await new Promise<void>(resolve => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #sample(): void {
    this.#history.add(performance.now(), this.#relay.snapshot());
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.#answer(request, response);
    } catch {
      answer = text(500, 'The relay could not answer.');
    }
    const { status, type, body, policy = "default-src 'none'; frame-ancestors 'none'" } = answer;
    // A body is of no use here: it is not read, so nothing can come behind it.
    if (hasBody(request)) response.shouldKeepAlive = false;
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Content-Security-Policy': policy,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Cache-Control': 'no-store',
    });
    response.end(body);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    if (!this.#isForUs(request.headers.host)) {
      return text(
        421,
        'Ask for this server by its IP address, as localhost, or by the name that it listens at.',
      );
    }
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
    const find = this.#route(path, query);
    if (find === undefined) return text(404, 'There are /metrics, /livez, /readyz, and a status page at /.');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return text(405, 'This can only be read.');
    }
    return find();
  }

  #route(path: string, query: string): (() => Answer | Promise<Answer>) | undefined {
    switch (path) {
      case '/':
        return () => ({
          status: 200,
          type: 'text/html; charset=utf-8',
          body: STATUS_PAGE,
          policy: STATUS_PAGE_POLICY,
        });
      case '/status.json':
        return () => ({ status: 200, type: JSON_TYPE, body: JSON.stringify(this.#status(query)) });
      case '/metrics':
        return async () => ({ status: 200, type: this.#metrics.contentType, body: await this.#render() });
      case '/livez':
        return () => text(200, 'ok');
      case '/readyz':
        return () => (this.#relay.isReady() ? text(200, 'ready') : text(503, this.#relay.snapshot().state));
      default:
        return undefined;
    }
  }

  #render(): Promise<string> {
    return (this.#rendering ??= this.#metrics.render().finally(() => {
      this.#rendering = undefined;
    }));
  }

  /** What the status page shows. Neither the keys nor the addresses of clients are in it. */
  #status(query: string): object {
    const snapshot = this.#relay.snapshot();
    const after = /^after=(\d{1,15})$/.exec(query)?.[1];
    return {
      version: this.#relay.version,
      publicKey: snapshot.publicKey,
      state: snapshot.state,
      isReady: this.#relay.isReady(),
      startedAt: snapshot.startedAt,
      now: Date.now() / 1_000,
      connections: snapshot.connections,
      unregistered: snapshot.unregistered,
      maxConnections: snapshot.maxConnections,
      listeningKeys: snapshot.listeningKeys,
      throttled: snapshot.throttled,
      envelopes: snapshot.envelopes,
      bytes: snapshot.bytes,
      queuedBytes: snapshot.queuedBytes,
      maxTotalQueueBytes: snapshot.maxTotalQueueBytes,
      drops: snapshot.drops,
      spaces: snapshot.spaces,
      spaceMembers: snapshot.spaceMembers,
      spaceMembersAway: snapshot.spaceMembersAway,
      spaceMessages: snapshot.spaceMessages,
      spaceDeliveries: snapshot.spaceDeliveries,
      spaceHistoryBytes: snapshot.spaceHistoryBytes,
      maxTotalHistoryBytes: snapshot.maxTotalHistoryBytes,
      serverEvents: snapshot.serverEvents,
      serverEventBytes: snapshot.serverEventBytes,
      serverEventDrops: snapshot.serverEventDrops,
      watchedKeys: snapshot.watchedKeys,
      certificateExpiresAt: snapshot.certificateExpiresAt,
      history: this.#history.since(after === undefined ? 0 : Number(after)),
    };
  }

  /** HTTP/1.0 knows no `Host`: health checks of load balancers speak it, browsers do not. */
  #isForUs(host: string | undefined): boolean {
    if (host === undefined) return true;
    const name = host
      .replace(/:\d*$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase();
    return isIP(name) !== 0 || !name.includes('.') || name === this.#options.host?.toLowerCase();
  }
}

function text(status: number, body: string): Answer {
  return { status, type: TEXT, body: `${body}\n` };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** Addresses at which a server listens at all of the machine's. */
function isEverywhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
