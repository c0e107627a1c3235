import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { ConformanceServer, type ServerSocket } from './conformance-server.js';

/** The conformance server over `ws`, without this library: for the native classes of browsers. */
export async function startPlainConformance(): Promise<{ url: string; close(): Promise<void> }> {
  const conformance = new ConformanceServer();
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (protocols, request) => conformance.handleProtocols(protocols, request.url ?? '/'),
    verifyClient: ({ req }: { req: IncomingMessage }) => conformance.accepts(req.url ?? '/'),
  });
  server.on('connection', (socket, request) => {
    conformance.serve(socket as ServerSocket, request.url ?? '/');
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
