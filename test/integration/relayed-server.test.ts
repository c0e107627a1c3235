import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { Identity } from '../../src/core/identity.js';
import { Relay } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer as NodeSecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { ServerSecureWebSocket as NodeServerSecureWebSocket } from '../../src/socket/node-server-secure-web-socket.js';
import type { RelayedRequest } from '../../src/socket/relayed-request.js';
import {
  SecureWebSocketServer,
  type SecureWebSocketServerOptions,
} from '../../src/socket/secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../../src/socket/server-secure-web-socket.js';
import { DialledPeer, trustStore } from '../support/dialled-peer.js';
import { describeServerFace, type FacePair } from '../support/server-face.js';

let relay: Relay;
let relayIdentity: Identity;
const cleanUp: (() => void)[] = [];

beforeEach(async () => {
  relayIdentity = await Identity.generate();
  relay = new Relay({ port: 0, host: '127.0.0.1', identity: relayIdentity });
  await relay.listen();
});
afterEach(async () => {
  for (const clean of cleanUp.splice(0)) clean();
  await relay.close();
});

async function serve(options: Partial<SecureWebSocketServerOptions> = {}): Promise<SecureWebSocketServer> {
  const server = new SecureWebSocketServer({
    relay: relay.url,
    identity: Identity.generate(),
    trustStore,
    ...options,
  });
  cleanUp.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await server.ready;
  return server;
}

function dial(url: string | undefined, protocols: readonly string[] = []): DialledPeer {
  const peer = new DialledPeer(url ?? '', { identity: Identity.generate() }, protocols);
  cleanUp.push(() => {
    peer.port.terminate();
  });
  return peer;
}

function connection(
  server: SecureWebSocketServer,
): Promise<{ socket: ServerSecureWebSocket; request: RelayedRequest }> {
  return new Promise(resolve => {
    server.once('connection', (socket, request) => {
      resolve({ socket, request });
    });
  });
}

async function errorOf(promise: Promise<unknown>): Promise<SecureWebSocketError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SecureWebSocketError);
  return error as SecureWebSocketError;
}

describe('SecureWebSocketServer behind a relay', () => {
  it('listens at its key', async () => {
    const identity = await Identity.generate();
    const listening = vi.fn();
    const server = new SecureWebSocketServer({ relay: relay.url, identity, trustStore }, listening);
    cleanUp.push(() => {
      server.close();
    });
    expect(server.url).toBeUndefined();
    expect(server.address()).toBeNull();
    await once(server as never, 'listening');
    await server.ready;
    expect(listening).toHaveBeenCalledOnce();
    expect(server.publicKey).toBe(identity.publicKey);
    expect(server.serverPublicKey).toBe(relay.publicKey);
    expect(server.url).toBe(`${relay.url}/${identity.publicKey}`);
    expect(server.address()).toBe(server.url);
  });

  it('emits connection with the socket and what stands for the request', async () => {
    const server = await serve();
    const connected = connection(server);
    const peer = dial(`${server.url ?? ''}/chat?x=1`, ['a', 'b']);
    const information = await peer.opened;
    const { socket, request } = await connected;
    expect(request).toEqual({
      method: 'GET',
      url: '/chat?x=1',
      httpVersion: '1.1',
      headers: {
        host: new URL(relay.url).host,
        upgrade: 'websocket',
        connection: 'Upgrade',
        'sec-websocket-protocol': 'a, b',
      },
      socket: { remoteAddress: undefined, remotePort: undefined, remoteFamily: undefined, encrypted: true },
      publicKey: server.publicKey,
      peerPublicKey: information.publicKey,
    });
    expect(socket).toMatchObject({
      publicKey: server.publicKey,
      peerPublicKey: information.publicKey,
      serverPublicKey: relay.publicKey,
      protocol: 'a',
      url: '/chat?x=1',
    });
    expect(information.peerPublicKey).toBe(server.publicKey);
    expect(socket.handshakeHash).toEqual(information.handshakeHash);
    peer.text('hello');
    expect(String((await once(socket as never, 'message'))[0])).toBe('hello');
  });

  it('serves several ClientSecureWebSockets of one identity over one link', async () => {
    const server = await serve();
    server.on('connection', (socket, request) => {
      socket.send(request.url);
    });
    const identity = await Identity.generate();
    const before = relay.connections;
    const seen = await Promise.all(
      ['/one', '/two'].map(
        path =>
          new Promise<unknown>((resolve, reject) => {
            const client = new ClientSecureWebSocket(`${server.url ?? ''}${path}`, [], {
              identity,
              trustStore,
            });
            client.onmessage = event => {
              resolve(event.data);
            };
            client.onerror = event => {
              reject(new Error(String((event as { message?: unknown }).message)));
            };
            cleanUp.push(() => {
              client.close();
            });
          }),
      ),
    );
    expect(seen).toEqual(['/one', '/two']);
    expect(relay.connections).toBe(before + 1);
    expect(server.clients.size).toBe(2);
  });

  it('asks path, shouldHandle and verifyClient of each client', async () => {
    const server = await serve({ path: '/chat' });
    const at = (path: string): string => `${server.url ?? ''}${path}`;
    expect((await errorOf(dial(at('/other')).opened)).message).toMatch(/400/);
    await dial(at('/chat?x=1')).opened;

    const asked: unknown[] = [];
    server.options.verifyClient = information => {
      asked.push(information);
      return Promise.resolve(false);
    };
    const refused = await errorOf(dial(at('/chat')).opened);
    expect([refused.code, refused.message]).toEqual([
      'CHANNEL_REFUSED',
      expect.stringMatching(/401.*Unauthorized/),
    ]);
    expect(asked).toMatchObject([
      { origin: undefined, secure: true, req: { url: '/chat', publicKey: server.publicKey } },
    ]);

    server.options.verifyClient = (_information, callback) => {
      setImmediate(callback, false, 402, 'Pay');
    };
    expect((await errorOf(dial(at('/chat')).opened)).message).toMatch(/402.*Pay/);
    server.options.verifyClient = (_information, callback) => {
      setImmediate(callback, true);
    };
    await dial(at('/chat')).opened;

    const mistake = new Error('of the application');
    server.options.verifyClient = () => {
      throw mistake;
    };
    const told = vi.fn();
    server.on('error', told);
    expect((await errorOf(dial(at('/chat')).opened)).message).toMatch(/500/);
    expect(told).toHaveBeenCalledExactlyOnceWith(mistake);

    server.options.verifyClient = undefined;
    server.shouldHandle = request => request.peerPublicKey === 'somebody else';
    expect((await errorOf(dial(at('/chat')).opened)).message).toMatch(/400/);
    expect(server.clients.size).toBe(2);
  });

  it('asks handleProtocols', async () => {
    const server = await serve({ handleProtocols: protocols => protocols.has('b') && 'b' });
    expect((await dial(server.url, ['a', 'b']).opened).protocol).toBe('b');
    expect((await dial(server.url, ['a']).opened).protocol).toBe('');
  });

  it('stops listening when it is closed, and is over when the last socket is closed', async () => {
    const server = await serve();
    const connected = connection(server);
    const peer = dial(server.url);
    await peer.opened;
    const { socket } = await connected;
    const { url } = server;
    const order: string[] = [];
    socket.on('close', () => order.push('socket'));
    server.on('close', () => order.push('server'));
    const over = new Promise<void>(resolve => {
      server.close(() => {
        resolve();
      });
    });
    expect(server.url).toBeUndefined();
    peer.text('still');
    expect(String((await once(socket as never, 'message'))[0])).toBe('still');
    // In order over the same link: it is not listening any more when this is answered.
    const late = dial(url);
    expect((await errorOf(late.opened)).code).toMatch(/^(PEER_NOT_HERE|CHANNEL_REFUSED)$/);
    expect(order).toEqual([]);
    peer.close(1000);
    await over;
    expect(order).toEqual(['socket', 'server']);
    const error = await new Promise<Error | undefined>(resolve => {
      server.close(resolve);
    });
    expect(error?.message).toBe('The server is not running');
  });

  it('dials the relay again when it was lost, says so, and goes on with its channels', async () => {
    const server = await serve({ reconnect: { minDelay: 1, maxDelay: 50 } });
    const order: string[] = [];
    server.on('reconnecting', ({ attempt, error }) => {
      if (attempt === 1) order.push(`reconnecting after ${error.code}`);
    });
    const back = once(server as never, 'reconnected');
    const connected = connection(server);
    const client = new ClientSecureWebSocket(server.url ?? '', [], {
      identity: Identity.generate(),
      trustStore,
      reconnect: { minDelay: 1, maxDelay: 50 },
    });
    cleanUp.push(() => {
      client.close();
    });
    const [{ socket }] = await Promise.all([connected, once(client as never, 'open')]);
    socket.on('suspended', error => order.push(`suspended after ${error.code}`));
    const resumed = once(socket as never, 'resumed');
    const heard = once(client as never, 'message') as Promise<{ data: unknown }[]>;
    const { url } = relay;
    await relay.close();
    await expect.poll(() => order).toEqual(['suspended after LINK_LOST', 'reconnecting after LINK_LOST']);
    expect(server.clients).toContain(socket);
    socket.send('while it was away');
    relay = new Relay({ port: Number(new URL(url).port), host: '127.0.0.1', identity: relayIdentity });
    await relay.listen();
    await Promise.all([back, resumed]);
    expect((await heard)[0]?.data).toBe('while it was away');
    const said = once(socket as never, 'message') as Promise<unknown[]>;
    client.send('so it was');
    expect(String((await said)[0])).toBe('so it was');
    expect(server.url).toBe(`${relay.url}/${server.publicKey ?? ''}`);
  });

  it('that does not dial it again tells of the relay when it is gone, then closes', async () => {
    const server = await serve({ reconnect: false });
    const connected = connection(server);
    await dial(server.url).opened;
    const { socket } = await connected;
    const order: string[] = [];
    socket.on('close', code => order.push(`socket ${code}`));
    server.on('error', error => order.push(`error ${'code' in error ? String(error.code) : ''}`));
    const closed = new Promise<void>(resolve => {
      server.on('close', () => {
        resolve();
      });
    });
    await relay.close();
    await closed;
    expect(order).toContain('socket 1006');
    expect(order).toContain('error LINK_LOST');
    expect(server.clients.size).toBe(0);
    expect(server.url).toBeUndefined();
  });

  it('survives the loss of the relay when nobody listens for errors', async () => {
    const server = await serve({ reconnect: false });
    const closed = new Promise<void>(resolve => {
      server.on('close', () => {
        resolve();
      });
    });
    await relay.close();
    await closed;
  });

  it('cannot start without the relay, and says so', async () => {
    const { url } = relay;
    await relay.close();
    const server = new SecureWebSocketServer({ relay: url, identity: Identity.generate() });
    expect((await errorOf(server.ready)).code).toBe('LINK_FAILED');

    const other = new SecureWebSocketServer({ relay: url, identity: Identity.generate() });
    const failed = new Promise<Error>(resolve => {
      other.on('error', resolve);
    });
    expect(await failed).toMatchObject({ code: 'LINK_FAILED' });
  });

  it('does not start at a relay with another key than the pinned one', async () => {
    const serverKey = (await Identity.generate()).publicKey;
    const server = new SecureWebSocketServer({ relay: relay.url, identity: Identity.generate(), serverKey });
    expect((await errorOf(server.ready)).code).toBe('SERVER_KEY_MISMATCH');
  });

  it('is the same in the class for Node, whose sockets are of its own class', async () => {
    const server = new NodeSecureWebSocketServer({
      relay: new URL(relay.url),
      identity: Identity.generate(),
    });
    cleanUp.push(() => {
      for (const client of server.clients) client.terminate();
      server.close();
    });
    await server.ready;
    const connected = once(server, 'connection');
    await dial(`${server.url ?? ''}/path`).opened;
    const [socket, request] = (await connected) as [ServerSecureWebSocket, RelayedRequest];
    expect(socket).toBeInstanceOf(NodeServerSecureWebSocket);
    expect(request.url).toBe('/path');
    expect(server.address()).toBe(server.url);
  });

  describeServerFace('ServerSecureWebSocket through a relay', async onConnection => {
    const server = await serve({ pingInterval: 0 });
    const peer = dial(server.url);
    const pair = new Promise<FacePair>(resolve => {
      server.once('connection', socket => {
        // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- the face is what is tested
        const connected: FacePair = { socket, peer };
        onConnection(connected);
        resolve(connected);
      });
    });
    await peer.opened;
    return pair;
  });
});
