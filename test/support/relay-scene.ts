import { once } from 'node:events';
import { afterEach } from 'vitest';
import type { ErrorCode, SecureWebSocketError } from '../../src/core/errors.js';
import { Identity } from '../../src/core/identity.js';
import { Relay, type RelayOptions } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import {
  SecureWebSocketServer,
  type SecureWebSocketServerOptions,
} from '../../src/socket/node-secure-web-socket-server.js';
import { trustStore } from './dialled-peer.js';

/** Relays, services and clients of one test file. All of them end after each test. */
export function relayScene() {
  const cleanUp: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanUp.splice(0).reverse()) await step();
  });

  return {
    /** Something else that has to be undone. */
    after(step: () => unknown): void {
      cleanUp.push(step);
    },

    async relay(options: Partial<RelayOptions> = {}): Promise<Relay> {
      const relay = new Relay({ identity: Identity.generate(), port: 0, host: '127.0.0.1', ...options });
      cleanUp.push(() => relay.close());
      await relay.listen();
      return relay;
    },

    /** A service that sends back what it is sent. */
    async echo(
      relay: Relay | string,
      options: Partial<SecureWebSocketServerOptions> = {},
    ): Promise<SecureWebSocketServer> {
      const server = new SecureWebSocketServer({
        relay: typeof relay === 'string' ? relay : relay.url,
        identity: await Identity.generate(),
        trustStore,
        ...options,
      });
      cleanUp.push(() => {
        for (const client of server.clients) client.terminate();
        server.close();
      });
      server.on('connection', socket => {
        socket.on('message', (data, isBinary) => {
          socket.send(isBinary ? data : (data as Buffer).toString());
        });
      });
      await server.ready;
      return server;
    },

    /** A client, whatever becomes of it. */
    async client(
      url: string | undefined,
      options: ClientSecureWebSocketOptions = {},
    ): Promise<ClientSecureWebSocket> {
      const socket = new ClientSecureWebSocket(url ?? '', [], {
        identity: await Identity.generate(),
        trustStore,
        ...options,
      });
      cleanUp.push(() => {
        socket.close();
      });
      return socket;
    },
  };
}

/** 'open', or the code of the error with which a socket failed before it was. */
export function outcome(socket: ClientSecureWebSocket): Promise<'open' | ErrorCode> {
  return failure(socket).then(result => (result === 'open' ? 'open' : result.code));
}

/** 'open', or the error with which a socket failed before it was. */
export function failure(socket: ClientSecureWebSocket): Promise<'open' | SecureWebSocketError> {
  return new Promise(resolve => {
    socket.addEventListener('open', () => {
      resolve('open');
    });
    socket.addEventListener('error', ({ error }) => {
      resolve(error);
    });
  });
}

/** How a socket ends. */
export function ending(
  socket: ClientSecureWebSocket,
): Promise<{ code: number; error: SecureWebSocketError | undefined }> {
  let error: SecureWebSocketError | undefined;
  socket.addEventListener('error', event => {
    ({ error } = event);
  });
  return new Promise(resolve => {
    socket.addEventListener('close', ({ code }) => {
      resolve({ code, error });
    });
  });
}

/** The next message that comes back after `text` was sent. */
export async function exchange(socket: ClientSecureWebSocket, text: string): Promise<unknown> {
  const answer = new Promise<unknown>(resolve => {
    socket.addEventListener('message', ({ data }) => {
      resolve(data);
    });
  });
  socket.send(text);
  return answer;
}

/** The arguments of the next event of a relay. */
export async function event(relay: Relay, name: string): Promise<unknown[]> {
  return (await once(relay, name)) as unknown[];
}
