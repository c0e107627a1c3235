import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { Identity } from '../../src/core/identity.js';
import { MemoryKeyStore } from '../../src/link/memory-key-store.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import {
  SecureWebSocketServer,
  type SecureWebSocketServerOptions,
  type ServerRequest,
} from '../../src/socket/node-secure-web-socket-server.js';
import { ServerSecureWebSocket } from '../../src/socket/node-server-secure-web-socket.js';
import { SecureWebSocketServer as NeutralSecureWebSocketServer } from '../../src/socket/secure-web-socket-server.js';
import { ServerSecureWebSocket as NeutralServerSecureWebSocket } from '../../src/socket/server-secure-web-socket.js';
import { DialledPeer, trustStore } from '../support/dialled-peer.js';

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanUp.splice(0)) clean();
  vi.restoreAllMocks();
});

/** A server that is ready, and gone after the test. */
async function serve(
  options: SecureWebSocketServerOptions = { port: 0, host: '127.0.0.1' },
): Promise<SecureWebSocketServer> {
  const server = new SecureWebSocketServer({ identity: Identity.generate(), ...options });
  cleanUp.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await server.ready;
  return server;
}

/** An HTTP server that is listening, and gone after the test. */
async function serveHttp(http: Server = createServer()): Promise<{ http: Server; port: number }> {
  http.listen(0, '127.0.0.1');
  cleanUp.push(() => {
    http.closeAllConnections();
    http.close();
  });
  await once(http, 'listening');
  return { http, port: (http.address() as AddressInfo).port };
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
): Promise<{ socket: ServerSecureWebSocket; request: ServerRequest }> {
  return new Promise(resolve => {
    server.once('connection', (socket, request) => {
      resolve({ socket, request });
    });
  });
}

/** The code of the error with which `promise` rejects. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SecureWebSocketError);
  return (error as SecureWebSocketError).code;
}

/** The status that an HTTP upgrade is answered with. */
function upgrade(port: number, path = '/', headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      port,
      path,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...headers,
      },
    });
    request.on('response', response => {
      response.resume();
      resolve(response);
    });
    request.on('upgrade', (response, socket: Socket) => {
      cleanUp.push(() => socket.destroy());
      resolve(response);
    });
    request.on('error', reject);
    request.end();
  });
}

const portOf = (server: SecureWebSocketServer): number => (server.address() as AddressInfo).port;

describe('SecureWebSocketServer', () => {
  it('takes exactly one of port, server, noServer and relay', () => {
    const wrong: object[] = [
      {},
      { port: null },
      { server: undefined, noServer: false },
      { port: 0, noServer: true },
      { port: 0, server: createServer() },
      { server: createServer(), noServer: true },
      { port: 0, relay: 'wss://relay.example' },
      { noServer: true, relay: 'wss://relay.example' },
    ];
    for (const options of wrong) {
      expect(() => new SecureWebSocketServer(options), JSON.stringify(Object.keys(options))).toThrow(
        /^One and only one of/,
      );
    }
    expect(() => new SecureWebSocketServer(undefined as never)).toThrow(TypeError);
    expect(() => new SecureWebSocketServer({ noServer: true, perMessageDeflate: true as never })).toThrow(
      /perMessageDeflate must be false/,
    );
    expect(() => new SecureWebSocketServer({ relay: 'ftp://relay.example' })).toThrow(/ws: or wss:/);
    expect(() => new NeutralSecureWebSocketServer({ port: 0 } as never)).toThrow(/secure-websocket\/server/);
  });

  it('listens at a port, and says where', async () => {
    const identity = await Identity.generate();
    const listening = vi.fn();
    const server = new SecureWebSocketServer(
      { port: 0, host: '127.0.0.1', path: '/chat', identity },
      listening,
    );
    cleanUp.push(() => {
      server.close();
    });
    expect(listening).not.toHaveBeenCalled();
    await once(server, 'listening');
    expect(listening).toHaveBeenCalledOnce();
    await server.ready;
    expect(server.publicKey).toBe(identity.publicKey);
    expect(server.address()).toMatchObject({ address: '127.0.0.1', family: 'IPv4' });
    expect(server.url).toBe(`ws://127.0.0.1:${portOf(server)}/chat`);
    expect(server).toBeInstanceOf(NeutralSecureWebSocketServer);
  });

  it('emits connection with the socket and the HTTP request', async () => {
    const server = await serve();
    const connected = connection(server);
    const client = await Identity.generate();
    const peer = new DialledPeer(`${server.url ?? ''}/chat?x=1`, {
      identity: client,
      headers: { 'x-test': 'yes' },
    });
    const information = await peer.opened;
    const { socket, request } = await connected;
    expect(request.url).toBe('/chat?x=1');
    expect(request.headers['x-test']).toBe('yes');
    expect(request.socket.remoteAddress).toBe('127.0.0.1');
    expect(socket).toBeInstanceOf(ServerSecureWebSocket);
    expect(socket).toBeInstanceOf(NeutralServerSecureWebSocket);
    expect(socket).toMatchObject({
      publicKey: server.publicKey,
      peerPublicKey: client.publicKey,
      serverPublicKey: server.publicKey,
      url: '/chat?x=1',
    });
    expect(information.peerPublicKey).toBe(server.publicKey);
    expect(socket.handshakeHash).toHaveLength(64);
    expect(socket.handshakeHash).toEqual(information.handshakeHash);
    peer.port.terminate();
  });

  it('serves a ClientSecureWebSocket', async () => {
    const server = await serve();
    server.on('connection', socket => {
      socket.on('message', (data, isBinary) => {
        socket.send(data, { binary: isBinary });
      });
    });
    const client = new ClientSecureWebSocket(server.url ?? '', [], {
      identity: Identity.generate(),
      trustStore,
    });
    client.binaryType = 'arraybuffer';
    const seen: unknown[] = [];
    const big = new Uint8Array(3_000_000).fill(5);
    await new Promise<void>((resolve, reject) => {
      client.onopen = () => {
        client.send('hello');
        client.send(big);
      };
      client.onmessage = event => {
        seen.push(event.data);
        if (seen.length === 2) resolve();
      };
      client.onclose = () => {
        reject(new Error('closed'));
      };
    });
    client.onclose = null;
    client.close();
    expect(seen[0]).toBe('hello');
    expect(Buffer.from(seen[1] as ArrayBuffer).equals(big)).toBe(true);
  });

  it('is answered by a ClientSecureWebSocket when it pings', async () => {
    const server = await serve();
    const connected = connection(server);
    const client = new ClientSecureWebSocket(server.url ?? '', [], {
      identity: Identity.generate(),
      trustStore,
    });
    const { socket } = await connected;
    const pong = once(socket, 'pong');
    socket.ping('are you there?');
    expect(String((await pong)[0])).toBe('are you there?');
    client.close();
  });

  it('takes the upgrades of an HTTP server, whose other requests go on', async () => {
    const { http, port } = await serveHttp(createServer((_request, response) => response.end('page')));
    const server = await serve({ server: http });
    expect(server.url).toBe(`ws://127.0.0.1:${port}`);
    const page = await fetch(`http://127.0.0.1:${port}/`);
    expect(await page.text()).toBe('page');
    const connected = connection(server);
    await dial(server.url).opened;
    await connected;
    // Closing it leaves the HTTP server alone.
    const closed = once(server, 'close');
    server.close();
    for (const client of server.clients) client.terminate();
    await closed;
    expect(http.listening).toBe(true);
    expect(http.listenerCount('upgrade')).toBe(0);
  });

  it('is ready when the HTTP server listens, if it does not yet', async () => {
    const http = createServer();
    const server = new SecureWebSocketServer({ server: http, identity: Identity.generate() });
    const listening = vi.fn();
    server.on('listening', listening);
    await serveHttp(http);
    await server.ready;
    expect(listening).toHaveBeenCalledOnce();
    server.close();
  });

  it('takes only what is handed to it with noServer', async () => {
    const { http, port } = await serveHttp();
    const server = await serve({ noServer: true });
    expect(() => server.address()).toThrow('noServer');
    expect(server.url).toBeUndefined();
    const emitted = vi.fn();
    server.on('connection', emitted);
    const handed = new Promise<unknown[]>(resolve => {
      http.on('upgrade', (request, socket, head) => {
        server.handleUpgrade(request, socket, head, (...args) => {
          resolve([request, ...args]);
        });
      });
    });
    const peer = dial(`ws://127.0.0.1:${port}/by-hand`);
    await peer.opened;
    const [request, socket, again] = (await handed) as [
      IncomingMessage,
      ServerSecureWebSocket,
      IncomingMessage,
    ];
    expect(again).toBe(request);
    expect(server.clients).toEqual(new Set([socket]));
    expect(emitted).not.toHaveBeenCalled();
    const message = once(socket, 'message');
    peer.text('works');
    expect(String((await message)[0])).toBe('works');
  });

  it('refuses to take upgrades while it listens at a relay', () => {
    const server = new SecureWebSocketServer({ relay: 'ws://127.0.0.1:1', identity: Identity.generate() });
    server.on('error', () => undefined);
    expect(() => {
      server.handleUpgrade({} as never, {} as never, Buffer.alloc(0), () => undefined);
    }).toThrow(/relay/);
    server.close();
  });

  describe('who may connect', () => {
    it('is asked by path', async () => {
      const server = await serve({ port: 0, host: '127.0.0.1', path: '/chat' });
      const port = portOf(server);
      expect((await upgrade(port, '/chat?x=1')).statusCode).toBe(101);
      expect((await upgrade(port, '/chat/')).statusCode).toBe(400);
      expect(await codeOf(dial(`ws://127.0.0.1:${port}/other`).opened)).toBe('LINK_FAILED');
      await dial(`ws://127.0.0.1:${port}/chat?y=2`).opened;
    });

    it('is asked by a shouldHandle of the application', async () => {
      const server = await serve();
      server.shouldHandle = request => request.url === '/mine';
      expect((await upgrade(portOf(server), '/other')).statusCode).toBe(400);
      expect((await upgrade(portOf(server), '/mine')).statusCode).toBe(101);
    });

    it('is asked by verifyClient', async () => {
      const verify = vi.fn(({ origin }: { origin: string | undefined }) => origin === 'https://good.example');
      const server = await serve({
        port: 0,
        host: '127.0.0.1',
        verifyClient: information => verify(information),
      });
      const port = portOf(server);
      expect((await upgrade(port)).statusCode).toBe(401);
      expect((await upgrade(port, '/', { origin: 'https://good.example' })).statusCode).toBe(101);
      expect(verify.mock.calls.map(([information]) => information)).toMatchObject([
        { origin: undefined, secure: false, req: { url: '/' } },
        { origin: 'https://good.example', secure: false },
      ]);
    });

    it('is asked by a verifyClient that calls back, or resolves, also one that is set later', async () => {
      const server = await serve();
      const port = portOf(server);
      server.options.verifyClient = (_information, callback) => {
        setImmediate(callback, false, 418, 'short and stout', { 'x-pot': 'tea' });
      };
      const response = await upgrade(port);
      expect(response.statusCode).toBe(418);
      expect(response.headers['x-pot']).toBe('tea');
      server.options.verifyClient = () => Promise.resolve(false);
      expect((await upgrade(port)).statusCode).toBe(401);
      server.options.verifyClient = () => Promise.resolve(true);
      expect((await upgrade(port)).statusCode).toBe(101);
    });

    it('is nobody when verifyClient throws, and the mistake is told', async () => {
      const server = await serve();
      const mistake = new Error('of the application');
      server.options.verifyClient = () => {
        throw mistake;
      };
      const told = once(server, 'close').catch((error: unknown) => error);
      expect((await upgrade(portOf(server))).statusCode).toBe(500);
      expect(await told).toBe(mistake);
    });
  });

  describe('subprotocols', () => {
    it('agrees on the first by default, on none without an offer', async () => {
      const server = await serve();
      expect((await dial(server.url, ['b', 'a']).opened).protocol).toBe('b');
      expect((await dial(server.url).opened).protocol).toBe('');
    });

    it('asks handleProtocols, also one that is set later', async () => {
      const server = await serve();
      const handle = vi.fn(
        (protocols: Set<string>, request: ServerRequest) => protocols.has('x') && request.url === '/' && 'x',
      );
      server.options.handleProtocols = (protocols, request) => (handle(protocols, request) ? 'x' : false);
      const connected = connection(server);
      expect((await dial(server.url, ['a', 'x']).opened).protocol).toBe('x');
      expect((await connected).socket.protocol).toBe('x');
      expect(handle.mock.calls[0]?.[0]).toEqual(new Set(['a', 'x']));
      expect((await dial(server.url, ['a']).opened).protocol).toBe('');
    });

    it('refuses the client when handleProtocols throws, or chooses what was not offered', async () => {
      const server = await serve();
      for (const handle of [
        () => 'other',
        () => {
          throw new TypeError('of the application');
        },
      ]) {
        server.options.handleProtocols = handle;
        const told = once(server, 'close').catch((error: unknown) => error);
        expect(await codeOf(dial(server.url, ['a']).opened)).toBe('CHANNEL_REFUSED');
        expect(await told).toBeInstanceOf(TypeError);
        expect(server.clients.size).toBe(0);
      }
    });
  });

  it('lets the headers of the upgrade be changed', async () => {
    const server = await serve();
    server.on('headers', (headers, request) => {
      headers.push(`x-seen: ${request.url ?? ''}`);
    });
    expect((await upgrade(portOf(server), '/p')).headers['x-seen']).toBe('/p');
  });

  it('answers broken upgrades itself, unless somebody listens for them', async () => {
    const server = await serve();
    const port = portOf(server);
    expect((await upgrade(port, '/', { 'sec-websocket-key': 'short' })).statusCode).toBe(400);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(426);
    server.once('wsClientError', (error, socket, request) => {
      socket.end(
        `HTTP/1.1 499 ${request.url ?? ''}\r\nx-error: ${error.message}\r\nConnection: close\r\n\r\n`,
      );
    });
    const response = await upgrade(port, '/broken', { 'sec-websocket-version': '7' });
    expect([response.statusCode, response.statusMessage]).toEqual([499, '/broken']);
    expect(response.headers['x-error']).toMatch(/Sec-WebSocket-Version/);
  });

  describe('clients', () => {
    it('are tracked until they are closed', async () => {
      const server = await serve();
      const connected = connection(server);
      const peer = dial(server.url);
      await peer.opened;
      const { socket } = await connected;
      expect([...server.clients]).toEqual([socket]);
      const sizes: number[] = [];
      socket.on('close', () => sizes.push(server.clients.size));
      socket.removeAllListeners();
      const closed = once(socket, 'close');
      peer.close(1000);
      await closed;
      expect(server.clients.size).toBe(0);
    });

    it('are not tracked with clientTracking: false', async () => {
      const server = new SecureWebSocketServer({
        port: 0,
        host: '127.0.0.1',
        identity: Identity.generate(),
        clientTracking: false,
      });
      await server.ready;
      expect(server.clients).toBeUndefined();
      const connected = connection(server);
      await dial(server.url).opened;
      const { socket } = await connected;
      const closed = once(server, 'close');
      server.close();
      socket.terminate();
      await closed;
    });
  });

  describe('close', () => {
    it('takes no more clients, and is over when the last is gone', async () => {
      const { http, port } = await serveHttp();
      const server = await serve({ server: http });
      const connected = connection(server);
      const peer = dial(server.url);
      await peer.opened;
      const { socket } = await connected;
      const order: string[] = [];
      socket.on('close', () => order.push('socket'));
      server.on('close', () => order.push('server'));
      const over = new Promise<unknown[]>(resolve => {
        server.close((...args) => {
          resolve(args);
        });
      });
      // It works on as long as it is open.
      const message = once(socket, 'message');
      peer.text('still');
      expect(String((await message)[0])).toBe('still');
      expect(order).toEqual([]);
      http.on('upgrade', (_request, raw) => raw.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n'));
      expect((await upgrade(port)).statusCode).toBe(404);
      socket.close();
      expect(await over).toEqual([]);
      expect(order).toEqual(['socket', 'server']);
    });

    it('tells the callback of a second time that it is not running', async () => {
      const server = await serve();
      await new Promise<void>(resolve => {
        server.close(() => {
          resolve();
        });
      });
      const error = await new Promise<Error | undefined>(resolve => {
        server.close(resolve);
      });
      expect(error?.message).toBe('The server is not running');
    });

    it('gives a port free', async () => {
      const server = await serve();
      const port = portOf(server);
      await new Promise<void>(resolve => {
        server.close(() => {
          resolve();
        });
      });
      await expect(upgrade(port)).rejects.toThrow(/ECONNREFUSED/);
    });

    it('refuses a client that registers meanwhile', async () => {
      const server = await serve({ noServer: true });
      const { http, port } = await serveHttp();
      http.on('upgrade', (request, socket, head) => {
        server.handleUpgrade(request, socket, head, () => undefined);
        server.close();
      });
      expect(await codeOf(dial(`ws://127.0.0.1:${port}`).opened)).toBe('CHANNEL_REFUSED');
    });
  });

  describe('a server that cannot start', () => {
    it('emits error', async () => {
      const { port } = await serveHttp();
      const server = new SecureWebSocketServer({ port, host: '127.0.0.1', identity: Identity.generate() });
      const [error] = (await once(server, 'error')) as [NodeJS.ErrnoException];
      expect(error.code).toBe('EADDRINUSE');
      server.close();
    });

    it('rejects ready', async () => {
      const { port } = await serveHttp();
      const server = new SecureWebSocketServer({ port, host: '127.0.0.1', identity: Identity.generate() });
      await expect(server.ready).rejects.toMatchObject({ code: 'EADDRINUSE' });
      server.close();
    });

    it('leaves an unhandled rejection when nobody looks', async () => {
      const { port } = await serveHttp();
      const unhandled = new Promise<unknown>(resolve => {
        // The test runner listens as well, and must not hear this one.
        const others = process.listeners('unhandledRejection');
        process.removeAllListeners('unhandledRejection');
        process.once('unhandledRejection', reason => {
          for (const other of others) process.on('unhandledRejection', other);
          resolve(reason);
        });
      });
      const server = new SecureWebSocketServer({ port, host: '127.0.0.1', identity: Identity.generate() });
      expect(await unhandled).toMatchObject({ code: 'EADDRINUSE' });
      server.close();
    });

    it('says so when its identity cannot be loaded, and closes', async () => {
      const failure = new SecureWebSocketError('KEY_STORE_UNSAFE', 'Others can read it.');
      const keyStore = { load: () => Promise.reject(failure), create: () => Promise.reject(failure) };
      const server = new SecureWebSocketServer({ port: 0, host: '127.0.0.1', keyStore });
      const closed = new Promise<void>(resolve => {
        server.on('close', () => {
          resolve();
        });
      });
      await expect(server.ready).rejects.toBe(failure);
      await closed;
    });

    it('rejects ready when it is closed first', async () => {
      const server = new SecureWebSocketServer({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
      server.close();
      expect(await codeOf(server.ready)).toBe('ABORTED');
    });
  });

  it('has the identity of its key store', async () => {
    const seed = new Uint8Array(32).fill(9);
    const server = await serve({
      port: 0,
      host: '127.0.0.1',
      identity: undefined,
      keyStore: new MemoryKeyStore(seed),
    });
    expect(server.publicKey).toBe((await Identity.fromSeed(seed)).publicKey);
  });

  it('loses no client that comes before the identity is loaded', async () => {
    let give!: (identity: Identity) => void;
    const identity = new Promise<Identity>(resolve => {
      give = resolve;
    });
    const server = new SecureWebSocketServer({ port: 0, host: '127.0.0.1', identity });
    cleanUp.push(() => {
      for (const client of server.clients) client.terminate();
      server.close();
    });
    const listening = vi.fn();
    server.on('listening', listening);
    while (server.address() === null) await new Promise(setImmediate);
    expect(server.publicKey).toBeUndefined();
    const peer = dial(`ws://127.0.0.1:${portOf(server)}`);
    const connected = connection(server);
    // A round trip over the same server: the upgrade of the peer has been answered by then.
    await upgrade(portOf(server));
    expect(listening).not.toHaveBeenCalled();
    give(await Identity.generate());
    await peer.opened;
    await connected;
    expect(listening).toHaveBeenCalledOnce();
  });

  describe('clients that do not register', () => {
    it('are told of, closed, and harm nobody', async () => {
      const server = await serve();
      const failed = once(server, 'secureClientError');
      const client = new WebSocket(server.url ?? '');
      client.on('open', () => {
        client.send('{"type":"nonsense"}');
      });
      const [error, request] = (await failed) as [SecureWebSocketError, IncomingMessage];
      expect(error.code).toBe('REGISTRATION_MALFORMED');
      expect(request.url).toBe('/');
      if (client.readyState !== WebSocket.CLOSED) await once(client, 'close');
      await dial(server.url).opened;
    });

    it('are closed after registrationTimeout', async () => {
      const server = await serve({ port: 0, host: '127.0.0.1', registrationTimeout: 20 });
      const failed = once(server, 'secureClientError');
      const client = new WebSocket(server.url ?? '');
      const closed = once(client, 'close');
      expect(((await failed) as [SecureWebSocketError])[0].code).toBe('REGISTRATION_TIMEOUT');
      await closed;
    });

    it('go away without a trace', async () => {
      const server = await serve();
      const failed = once(server, 'secureClientError');
      const client = new WebSocket(server.url ?? '');
      await once(client, 'open');
      client.terminate();
      expect(((await failed) as [SecureWebSocketError])[0].code).toBe('LINK_LOST');
    });

    it('are not too many from one address', async () => {
      const server = await serve({ port: 0, host: '127.0.0.1', maxUnregisteredPerIp: 2 });
      const port = portOf(server);
      const waiting = new WebSocket(`ws://127.0.0.1:${port}`);
      await once(waiting, 'open');
      expect((await upgrade(port)).statusCode).toBe(101);
      expect((await upgrade(port)).statusCode).toBe(429);
      const failed = once(server, 'secureClientError');
      waiting.terminate();
      await failed;
      // Who registers makes room.
      await dial(server.url).opened;
      await dial(server.url).opened;
      await dial(server.url).opened;
    });

    it('are not too many in all, those that verifyClient keeps waiting included', async () => {
      const server = await serve({ port: 0, host: '127.0.0.1', maxUnregistered: 1 });
      const port = portOf(server);
      const asked = new Promise<(verified: boolean) => void>(resolve => {
        server.options.verifyClient = (_information, callback) => {
          resolve(callback);
        };
      });
      const first = upgrade(port);
      const answer = await asked;
      expect((await upgrade(port)).statusCode).toBe(503);
      answer(false);
      expect((await first).statusCode).toBe(401);
      server.options.verifyClient = () => true;
      let status: number | undefined = 503;
      while (status === 503) status = (await upgrade(port)).statusCode;
      expect(status).toBe(101);
    });
  });

  it('finds out clients that are gone without a word', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    cleanUp.push(() => vi.useRealTimers());
    const server = await serve({ port: 0, host: '127.0.0.1', pingInterval: 10_000 });
    const raw: WebSocket[] = [];
    class Held extends WebSocket {
      constructor(url: string) {
        super(url);
        raw.push(this);
      }
    }
    const connect = async (
      options: object,
    ): Promise<{ peer: DialledPeer; socket: ServerSecureWebSocket }> => {
      const connected = connection(server);
      const peer = new DialledPeer(server.url ?? '', { identity: Identity.generate(), ...options });
      await peer.opened;
      return { peer, socket: (await connected).socket };
    };
    const lost = await connect({ WebSocket: Held });
    const alive = await connect({});
    cleanUp.push(() => {
      alive.peer.port.terminate();
      raw[0]?.terminate();
    });
    const pong = vi.fn();
    for (const { socket } of [lost, alive]) socket.on('pong', pong);
    /** One beat; and time for the answer, which comes before whatever the peer says behind it. */
    const beat = async (answering: readonly (typeof alive)[]): Promise<void> => {
      vi.advanceTimersByTime(10_000);
      for (const { peer, socket } of answering) {
        expect((await peer.events.next())[0]).toBe('ping');
        const message = once(socket, 'message');
        peer.text('behind the pong');
        await message;
      }
    };
    await beat([lost, alive]);
    await beat([lost, alive]);
    raw[0]?.pause();
    await beat([alive]);
    expect(lost.socket.readyState).toBe(lost.socket.OPEN);
    const closed = once(lost.socket, 'close');
    await beat([alive]);
    expect((await closed)[0]).toBe(1006);
    expect([...server.clients]).toEqual([alive.socket]);
    expect(pong).not.toHaveBeenCalled();
  });

  it('fails a client that sends more than maxPayload', async () => {
    const server = await serve({ port: 0, host: '127.0.0.1', maxPayload: 1_000 });
    const connected = connection(server);
    const peer = dial(server.url);
    await peer.opened;
    const { socket } = await connected;
    const message = once(socket, 'message');
    peer.text('x'.repeat(1_000));
    expect((await message)[0]).toHaveLength(1_000);
    const failed = new Promise<Error>(resolve => {
      socket.on('error', resolve);
    });
    const closed = new Promise<number>(resolve => {
      socket.on('close', resolve);
    });
    peer.text('x'.repeat(1_001));
    expect(await failed).toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    expect(await closed).toBe(1006);
    expect((await peer.events.next())[0]).toBe('close');
  });

  it('makes what a connection listener throws an uncaught exception, and serves on', async () => {
    const server = await serve();
    const mistake = new Error('of the application');
    server.once('connection', () => {
      throw mistake;
    });
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const uncaught = new Promise<unknown>(resolve => {
      process.once('uncaughtException', error => {
        for (const other of others) process.on('uncaughtException', other);
        resolve(error);
      });
    });
    await dial(server.url).opened;
    expect(await uncaught).toBe(mistake);
    await dial(server.url).opened;
  });
});
