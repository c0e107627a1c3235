import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Identity } from '../../src/core/identity.js';
import { Relay } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import {
  SecureWebSocketServer,
  type SecureWebSocketServerOptions,
} from '../../src/socket/node-secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../../src/socket/server-secure-web-socket.js';
import { EventQueue } from './event-queue.js';
import { ManInTheMiddle } from './man-in-the-middle.js';
import { SocketLog } from './socket-log.js';

/** Ports are used again and again by servers with other keys; where the key matters a test says so. */
export const anyServer = { check: (): boolean => true };

/** A client's socket and what became of it. */
export interface LoggedClient {
  readonly socket: ClientSecureWebSocket;
  readonly log: SocketLog;
}

/** The service's end of a connection, and what became of it. */
export interface LoggedServer {
  readonly socket: ServerSecureWebSocket;
  readonly log: SocketLog;
}

/** A service that is reached through a man in the middle. */
export interface Attacked {
  readonly mitm: ManInTheMiddle;
  /** Public key of the server that is dialled: the service itself, or the relay. */
  readonly serverKey: string;
  /** Public key of the service. */
  readonly peerKey: string;
  /** What clients dial. */
  readonly url: string;
  /** Codes of the errors with which the server that is dialled turned clients away, or lost them. */
  readonly refusals: EventQueue<string>;
  /** Connections of which the service was told. */
  readonly connections: EventQueue<LoggedServer>;
  dial(options?: ClientSecureWebSocketOptions, url?: string): LoggedClient;
  close(): Promise<void>;
}

/** The `addresses` that the attacked server is configured with, given where the man in the middle is. */
export type AddressesFor = (mitm: string) => readonly string[] | undefined;
const onThePath: AddressesFor = mitm => [mitm];

/** A service that is dialled itself. Unless `addresses` says otherwise the man in the middle is where it is dialled. */
export async function attackDirect(
  addresses = onThePath,
  options: SecureWebSocketServerOptions = {},
): Promise<Attacked> {
  const mitm = await ManInTheMiddle.start();
  const identity = await Identity.generate();
  const where = { port: 0, host: '127.0.0.1', addresses: addresses(mitm.url) };
  const server = new SecureWebSocketServer({ identity, ...where, ...options });
  const refusals = new EventQueue<string>();
  server.on('secureClientError', error => {
    refusals.push((error as { code?: string }).code ?? error.message);
  });
  await server.ready;
  mitm.target = server.url ?? '';
  return attacked(mitm, server, { refusals, serverKey: identity.publicKey, url: mitm.url });
}

/** A service behind a relay. The service, too, dials the relay through the man in the middle. */
export async function attackRelayed(
  addresses = onThePath,
  options: SecureWebSocketServerOptions = {},
): Promise<Attacked> {
  const mitm = await ManInTheMiddle.start();
  const identity = await Identity.generate();
  const http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  mitm.target = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const claimed = addresses(mitm.url);
  // The service has to reach the relay, too.
  const relay = new Relay({ identity, server: http, addresses: claimed && [...claimed, mitm.target] });
  const refusals = new EventQueue<string>();
  relay.on('refused', ({ code }) => {
    refusals.push(code);
  });
  relay.on('disconnection', () => {
    refusals.push('LINK_LOST');
  });
  await relay.listen();
  const server = new SecureWebSocketServer({
    relay: claimed?.includes(mitm.url) ? mitm.url : mitm.target,
    identity: Identity.generate(),
    trustStore: anyServer,
    ...options,
  });
  await server.ready;
  const url = `${mitm.url}/${server.publicKey ?? ''}`;
  return attacked(mitm, server, { refusals, serverKey: identity.publicKey, url }, async () => {
    await relay.close();
    http.close();
  });
}

function attacked(
  mitm: ManInTheMiddle,
  server: SecureWebSocketServer,
  known: Pick<Attacked, 'refusals' | 'serverKey' | 'url'>,
  closeRelay: () => Promise<void> = async () => undefined,
): Attacked {
  const connections = new EventQueue<LoggedServer>();
  server.on('connection', socket => {
    connections.push({ socket, log: SocketLog.ofServer(socket) });
  });
  const sockets: ClientSecureWebSocket[] = [];
  return {
    ...known,
    mitm,
    peerKey: server.publicKey ?? '',
    connections,
    dial: (options, url = known.url) => {
      const trust = options?.serverKey === undefined ? { trustStore: anyServer } : {};
      const socket = new ClientSecureWebSocket(url, [], {
        identity: Identity.generate(),
        ...trust,
        ...options,
      });
      sockets.push(socket);
      return { socket, log: SocketLog.ofClient(socket) };
    },
    async close() {
      for (const socket of sockets) socket.close();
      for (const socket of server.clients) socket.terminate();
      const closed = once(server as never, 'close');
      server.close();
      await mitm.close();
      await closeRelay();
      await closed;
    },
  };
}
