import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { fromHex } from '../../src/core/bytes.js';
import { Identity } from '../../src/core/identity.js';
import { Relay, type RelayOptions } from '../../src/relay/relay.js';
import {
  SecureWebSocketServer,
  type SecureWebSocketServerOptions,
} from '../../src/socket/node-secure-web-socket-server.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { anyServer, type LoggedServer } from './attacked.js';
import { EventQueue } from './event-queue.js';
import { ModifiedClient } from './modified-client.js';
import { SocketLog } from './socket-log.js';

/** A service, and all that stands in front of it, for hostile clients to be let loose on. */
export interface Victim {
  /** Where clients register: at the service, or at the relay. */
  readonly url: string;
  readonly service: SecureWebSocketServer;
  readonly relay: Relay | undefined;
  /** Codes of the errors with which clients were turned away that had not registered. */
  readonly refusals: EventQueue<string>;
  /** Connections to the service, without those of well-behaved clients. */
  readonly connections: EventQueue<LoggedServer>;
  /** The victim's ends of TCP connections. */
  readonly sockets: ReadonlySet<Socket>;
  /** Bytes that wait in the memory of the victim to be sent. */
  buffered(): number;
  /** Bytes that it has read of a client, given the client's end of the TCP connection. */
  bytesRead(client: Socket): number;
  /** Somebody who has a session with the service, and does in it what it likes. `stolen`: the identity of another. */
  modified(stolen?: Identity): Promise<ModifiedClient>;
  /** Resolves when a client that has been there from the start, and a new one, have exchanged messages with the service. */
  serves(): Promise<void>;
  close(): Promise<void>;
}

/** What the service sends back what it gets at, to clients that behave. */
const ECHO = '/echo';

export type VictimOptions = Pick<
  SecureWebSocketServerOptions,
  'maxPayload' | 'pingInterval' | 'verifyClient'
>;

/** A service that is dialled itself. */
export async function directVictim(options: VictimOptions = {}): Promise<Victim> {
  const { http, url, sockets } = await listening();
  const service = new SecureWebSocketServer({ server: http, identity: Identity.generate(), ...options });
  const refusals = new EventQueue<string>();
  service.on('secureClientError', error => {
    refusals.push((error as { code?: string }).code ?? error.message);
  });
  await service.ready;
  return victim(
    {
      url,
      service,
      relay: undefined,
      refusals,
      sockets,
      modified: stolen => ModifiedClient.direct(url, stolen),
    },
    http,
  );
}

/** A service behind a relay. */
export async function relayedVictim(
  options: VictimOptions = {},
  relayOptions: RelayOptions = {},
): Promise<Victim> {
  const { http, url, sockets } = await listening();
  const relay = new Relay({ server: http, identity: Identity.generate(), ...relayOptions });
  const refusals = new EventQueue<string>();
  relay.on('refused', ({ code }) => {
    refusals.push(code);
  });
  await relay.listen();
  const service = new SecureWebSocketServer({
    relay: url,
    identity: Identity.generate(),
    trustStore: anyServer,
    ...options,
  });
  await service.ready;
  const key = fromHex(service.publicKey ?? '');
  const modified: Victim['modified'] = stolen => ModifiedClient.relayed(url, key, stolen);
  return victim({ url, service, relay, refusals, sockets, modified }, http);
}

async function listening(): Promise<{ http: Server; url: string; sockets: Set<Socket> }> {
  const http = createServer();
  const sockets = new Set<Socket>();
  http.on('connection', socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { http, url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}`, sockets };
}

async function victim(
  known: Pick<Victim, 'url' | 'service' | 'relay' | 'refusals' | 'sockets' | 'modified'>,
  http: Server,
): Promise<Victim> {
  const { service, relay, sockets, url } = known;
  const connections = new EventQueue<LoggedServer>();
  service.on('connection', (socket, request) => {
    const log = SocketLog.ofServer(socket);
    if (request.url === ECHO)
      socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
    else connections.push({ socket, log });
  });
  const location = (relay ? `${url}/${service.publicKey ?? ''}` : url) + ECHO;
  const resident = wellBehaved(location);
  await resident.says('first');
  const modified: ModifiedClient[] = [];
  return {
    ...known,
    connections,
    modified: async stolen => {
      const client = await known.modified(stolen);
      modified.push(client);
      return client;
    },
    buffered: () => [...sockets].reduce((sum, socket) => sum + socket.writableLength, 0),
    bytesRead: client =>
      [...sockets].find(({ remotePort }) => remotePort === client.localPort)?.bytesRead ?? 0,
    async serves() {
      await resident.says('still here');
      const visitor = wellBehaved(location);
      await visitor.says('hello');
      await visitor.leaves();
    },
    async close() {
      for (const { ws } of modified) ws.terminate();
      for (const socket of service.clients) socket.terminate();
      const closed = once(service, 'close');
      service.close();
      await relay?.close();
      for (const socket of sockets) socket.destroy();
      http.close();
      await closed;
    },
  };
}

/** A client that keeps to the rules, and expects others to. */
function wellBehaved(url: string): { says(text: string): Promise<void>; leaves(): Promise<void> } {
  const socket = new ClientSecureWebSocket(url, [], { identity: Identity.generate(), trustStore: anyServer });
  const log = SocketLog.ofClient(socket);
  return {
    async says(text) {
      await log.opened;
      socket.send(text);
      const answer = await Promise.race([log.messages.next(), log.closed]);
      if (answer !== text) throw new Error(`said ${text}, heard ${String(answer)}`, { cause: log.error });
    },
    async leaves() {
      socket.close(1000);
      const end = (await log.closed).at(-1);
      if (end !== 'close 1000 clean') throw new Error(String(end), { cause: log.error });
    },
  };
}
