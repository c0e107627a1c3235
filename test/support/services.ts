// What runs in Node while browser tests run: everything that a page of theirs connects to.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { startPlainConformance } from './conformance/plain-conformance-server.js';

/** Where the services are. Tests read it with `inject('services')`, in Node and in browsers: plain JSON values. */
export interface Services {
  /** A plain WebSocket server, without this library, that sends every message back. */
  readonly plainEcho: string;
  /** The server of the conformance cases, without this library. */
  readonly plainConformance: string;
}

export interface RunningServices {
  readonly services: Services;
  close(): Promise<void>;
}

/** Starts everything on loopback, on free ports. */
export async function startServices(): Promise<RunningServices> {
  const plainEcho = await startPlainEcho();
  const plainConformance = await startPlainConformance();

  // ---------------------------------------------------------------------------------------------------------------
  // The relay and the services that the browser suite talks to are started here, in the manner of startPlainEcho:
  // each gives back what tests must know (a URL, a public key) and how to stop it.
  // ---------------------------------------------------------------------------------------------------------------

  return {
    services: { plainEcho: plainEcho.url, plainConformance: plainConformance.url },
    async close() {
      await Promise.all([plainEcho.close(), plainConformance.close()]);
    },
  };
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
