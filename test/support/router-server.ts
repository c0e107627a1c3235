import { once } from 'node:events';
import { randomInt } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { Identity } from '../../src/core/identity.js';
import { registerAccepted } from '../../src/link/accept.js';
import { Router } from '../../src/relay/router.js';

export interface RouterServer {
  /** 'ws://127.0.0.1:<port>' */
  readonly url: string;
  readonly publicKey: string;
  /** Drops every connection without a word. */
  drop(): void;
  close(): Promise<void>;
}

/** The least that routes: a Router behind sockets of `ws`, for tests of what stands on a relay. */
export async function startRouterServer(): Promise<RouterServer> {
  const identity = await Identity.generate();
  const router = new Router({ randomUint32: () => randomInt(2 ** 32) });
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  server.on('connection', (ws, request) => {
    registerAccepted(ws, { identity, connectionId: key => router.allocateConnectionId(key) }, request).then(
      link => {
        const { socket } = link;
        const port = router.add(link.publicKey, link.connectionId, {
          send: bytes => {
            socket.send(bytes);
          },
          get bufferedBytes() {
            return socket.bufferedAmount;
          },
          close: (code, reason) => {
            socket.close(code, reason);
          },
        });
        link.start({
          binary: frame => {
            port.receive(frame);
          },
          drained: () => {
            port.drained();
          },
          closed: () => {
            port.remove();
          },
        });
      },
      () => undefined,
    );
  });
  await once(server, 'listening');
  const drop = (): void => {
    for (const ws of server.clients) ws.terminate();
  };
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    publicKey: identity.publicKey,
    drop,
    close: () =>
      new Promise(resolve => {
        drop();
        server.close(() => {
          resolve();
        });
      }),
  };
}
