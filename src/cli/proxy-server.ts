import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { OpenEnd } from './bridge/bridge-end.js';
import type { BridgeReport } from './bridge/bridge-report.js';
import type { Bridges } from './bridge/bridges.js';
import { PlainEnd } from './bridge/plain-end.js';
import { Refusal, refusalOf } from './bridge/refusal.js';
import { BEARER_PROTOCOL } from './client-token.js';
import { type ListenAddress, urlHost } from './listen-address.js';
import type { ProxyGuard } from './proxy-guard.js';
import type { Route, Router } from './proxy-routes.js';

/** A subprotocol that the proxy chooses where nobody else chooses one: a browser that offers some must be given one. */
export const PROXY_PROTOCOL = 'secure-websocket.proxy';

/** Connections that have not said what they want, beside those that may be. */
const STRANGERS = 64;
/** Milliseconds that a request may take to arrive. */
const REQUEST_TIMEOUT = 10_000;

export interface ProxyServerOptions {
  readonly address: ListenAddress;
  readonly guard: ProxyGuard;
  readonly router: Router;
  /** Connects to the far side. Rejects with why that cannot be. */
  readonly dial: (route: Route, protocols: readonly string[], abort: AbortSignal) => Promise<OpenEnd>;
  readonly bridges: Bridges;
  readonly report: BridgeReport;
  /** TCP connections at a time are bounded by this, beside a few strangers. */
  readonly maxConnections: number;
  readonly maxPayload: number;
  /** Milliseconds that a client waits for the far side. */
  readonly openTimeout: number;
}

/**
 * Takes plain WebSockets of programs on this machine. Each upgrade is answered when the far side has: with its subprotocol,
 * or with the status that it refuses with.
 */
export class ProxyServer {
  readonly #options: ProxyServerOptions;
  readonly #http: Server;
  readonly #webSockets: WebSocketServer;
  /** What was opened for requests that are about to be answered. */
  readonly #opened = new WeakMap<IncomingMessage, OpenEnd>();

  constructor(options: ProxyServerOptions) {
    this.#options = options;
    const keepAlive = { keepAlive: true, keepAliveInitialDelay: 60_000 };
    const timeouts = { headersTimeout: REQUEST_TIMEOUT, requestTimeout: REQUEST_TIMEOUT };
    this.#http = createServer({ ...keepAlive, ...timeouts }, (request, response) => {
      this.#answer(request, response);
    });
    this.#http.maxConnections = options.maxConnections + STRANGERS;
    this.#webSockets = new WebSocketServer({
      server: this.#http,
      maxPayload: options.maxPayload,
      perMessageDeflate: false,
      autoPong: false,
      clientTracking: false,
      verifyClient: ({ req }, answer) => {
        void this.#admit(req, answer);
      },
      handleProtocols: (offered, request) => {
        const protocol = this.#opened.get(request)?.protocol ?? '';
        if (protocol !== '') return protocol;
        return offered.has(PROXY_PROTOCOL) && PROXY_PROTOCOL;
      },
    });
    this.#webSockets.on('connection', (socket, request) => {
      this.#connected(socket, request);
    });
    // Each failure ends one connection, or keeps it from listening: see `listen`.
    this.#webSockets.on('error', () => undefined);
  }

  /** Where it is reached, once it listens. */
  get url(): string {
    const { port } = this.#http.address() as AddressInfo;
    return `ws://${urlHost(this.#options.address.host)}:${port}`;
  }

  /** @throws what Node says (as a rejection) */
  async listen(): Promise<void> {
    const { host, port } = this.#options.address;
    const listening = once(this.#http, 'listening');
    this.#http.listen(port, host);
    await listening;
  }

  /** Takes nobody any more. Connections that are open stay. */
  close(): void {
    this.#webSockets.close();
    this.#http.close();
    this.#http.closeIdleConnections();
  }

  async #admit(
    request: IncomingMessage,
    answer: (isAdmitted: boolean, code?: number, message?: string, headers?: Record<string, string>) => void,
  ): Promise<void> {
    const { guard, router, dial, bridges, report } = this.#options;
    try {
      const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map(name => name.trim());
      const protocols = offered.filter(name => name !== '' && !isOurs(name));
      guard.check(request.headers, offered);
      const route = router(request.url ?? '');
      await bridges.attempt(async attempt => {
        const isOver = this.#limit(request.socket, attempt);
        let opened: OpenEnd;
        try {
          opened = await dial(route, protocols, attempt.signal);
        } catch (error) {
          throw attempt.signal.aborted ? (attempt.signal.reason as Error) : error;
        } finally {
          isOver();
        }
        this.#opened.set(request, opened);
        answer(true);
        // Gone meanwhile: there was no `connection`.
        if (this.#opened.delete(request)) opened.end.terminate();
      });
    } catch (error) {
      const refusal = refusalOf(error);
      report.refused(refusal);
      answer(false, refusal.status, `${refusal.message}\n`, {
        'Content-Type': 'text/plain; charset=utf-8',
        ...refusal.headers,
      });
    }
  }

  /** Aborts an attempt when it takes too long, and when its client goes away. Returns what ends that. */
  #limit(socket: Duplex, attempt: AbortController): () => void {
    const gone = (): void => {
      attempt.abort(new Refusal(499, 'The client went away.'));
    };
    const timer = setTimeout(() => {
      attempt.abort(new Refusal(504, 'The far side did not answer in time: see --open-timeout.'));
    }, this.#options.openTimeout);
    socket.on('end', gone);
    socket.on('close', gone);
    return () => {
      clearTimeout(timer);
      socket.off('end', gone);
      socket.off('close', gone);
    };
  }

  #connected(socket: WebSocket, request: IncomingMessage): void {
    const opened = this.#opened.get(request);
    this.#opened.delete(request);
    if (opened === undefined) {
      socket.terminate();
      return;
    }
    this.#options.bridges.join(new PlainEnd(socket, true), opened.end, opened.peerPublicKey);
  }

  /** A request that is no upgrade. */
  #answer(request: IncomingMessage, response: ServerResponse): void {
    const headers = { Connection: 'close', 'Content-Type': 'text/plain; charset=utf-8' };
    try {
      this.#options.guard.checkHost(request.headers);
      response
        .writeHead(426, { ...headers, Upgrade: 'websocket' })
        .end('Here is a WebSocket, and nothing else.\n');
    } catch (error) {
      const { status, message } = refusalOf(error);
      response.writeHead(status, headers).end(`${message}\n`);
    }
  }
}

/** Whether a subprotocol is for the proxy, and is not offered to the far side. */
function isOurs(protocol: string): boolean {
  return protocol === PROXY_PROTOCOL || protocol.startsWith(BEARER_PROTOCOL);
}
