// What runs in Node while browser tests run: everything that a page of theirs connects to.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { Identity } from '../../src/core/identity.js';
import { Relay } from '../../src/relay/relay.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { ConformanceServer } from './conformance/conformance-server.js';
import { startPlainConformance } from './conformance/plain-conformance-server.js';

/** Where the services are. Tests read it with `inject('services')`, in Node and in browsers: plain JSON values. */
export interface Services {
  /** A plain WebSocket server, without this library, that sends every message back. */
  readonly plainEcho: string;
  /** The server of the conformance cases, without this library. */
  readonly plainConformance: string;
  /** A relay that tells who is there, and greets whoever enters a space whose name begins with {@link GREETED}. */
  readonly relay: string;
  readonly relayKey: string;
  /** The server of the conformance cases over this library, dialled directly. It sends messages back. */
  readonly direct: string;
  readonly directKey: string;
  /** The same server behind the relay: `<relay>/<key>`. */
  readonly relayed: string;
}

export const GREETED = 'greeted ';

export interface RunningServices {
  readonly services: Services;
  close(): Promise<void>;
}

/** Starts everything on loopback, on free ports. */
export async function startServices(): Promise<RunningServices> {
  const plainEcho = await startPlainEcho();
  const plainConformance = await startPlainConformance();
  const stack = await startStack();
  const { relay, direct, relayed } = stack;
  return {
    services: {
      plainEcho: plainEcho.url,
      plainConformance: plainConformance.url,
      relay: relay.url,
      relayKey: relay.publicKey,
      direct: direct.url ?? '',
      directKey: direct.publicKey ?? '',
      relayed: relayed.url ?? '',
    },
    async close() {
      await Promise.all([plainEcho.close(), plainConformance.close(), stack.close()]);
    },
  };
}

/** A relay, a direct server and a server behind the relay, all with the conformance server's behaviour. */
export async function startStack(): Promise<{
  relay: Relay;
  direct: SecureWebSocketServer;
  relayed: SecureWebSocketServer;
  close(): Promise<void>;
}> {
  const relay = new Relay({ port: 0, host: '127.0.0.1', identity: Identity.generate(), presence: true });
  relay.on('spaceEntered', ({ space, publicKey }) => {
    if (!space.startsWith(GREETED)) return;
    relay.emitToSpace(space, `${publicKey} has come`);
    relay.emitToSpace(space, Uint8Array.of(1, 2, 3));
  });
  await relay.listen();
  const direct = await startConformance({ port: 0, host: '127.0.0.1' });
  const relayed = await startConformance({ relay: relay.url });
  return {
    relay,
    direct,
    relayed,
    async close() {
      await Promise.all([closeServer(direct), closeServer(relayed)]);
      await relay.close();
    },
  };
}

async function startConformance(
  where: { port: number; host: string } | { relay: string },
): Promise<SecureWebSocketServer> {
  const conformance = new ConformanceServer();
  const server = new SecureWebSocketServer({
    ...where,
    identity: Identity.generate(),
    handleProtocols: (protocols, request) => conformance.handleProtocols(protocols, request.url ?? '/'),
    verifyClient: ({ req }) => conformance.accepts(req.url ?? '/'),
  });
  server.on('connection', (socket, request) => {
    conformance.serve(socket, request.url ?? '/');
  });
  await once(server, 'listening');
  return server;
}

async function closeServer(server: SecureWebSocketServer): Promise<void> {
  for (const socket of server.clients) socket.terminate();
  await new Promise<void>(resolve => {
    server.close(() => {
      resolve();
    });
  });
}

async function startPlainEcho(): Promise<{ url: string; close(): Promise<void> }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', socket => {
    socket.on('message', (data, isBinary) => {
      socket.send(data, { binary: isBinary });
    });
    socket.on('error', () => socket.terminate());
  });
  await once(server, 'listening');
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of server.clients) socket.terminate();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
