import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import {
  connect as netConnect,
  createServer as createNetServer,
  type AddressInfo,
  type Socket,
} from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { platform } from '#platform';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, WebSocketServer, type ServerOptions } from 'ws';
import { FileKeyStore } from '../../../src/link/file-key-store.js';
import type { ConnectOptions } from '../../../src/link/platform/platform.js';
import { wrapWsSocket } from '../../../src/link/platform/ws-socket.js';
import { RecordingListener } from '../../support/recording-listener.js';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  vi.unstubAllEnvs();
});

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
const aTask = () => new Promise(resolve => setImmediate(resolve));

/** A `ws` server; `accepted` resolves to its side of the first connection. */
async function startServer(options: ServerOptions = {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
  cleanups.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const accepted = once(server, 'connection').then(([ws, request]) => ({
    ws: ws as WebSocket,
    request: request as { headers: Record<string, string>; url: string },
  }));
  await once(server, 'listening');
  return { server, accepted, url: `ws://127.0.0.1:${portOf(server)}` };
}

async function startHttpServer(onRequest?: RequestListener) {
  const server = createServer(onRequest).listen(0, '127.0.0.1');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  return server;
}

/** A server below HTTP; `connected` resolves to its side of the first connection. */
async function startTcpServer() {
  const server = createNetServer().listen(0, '127.0.0.1');
  const connected = once(server, 'connection').then(([socket]) => {
    cleanups.push(() => (socket as Socket).destroy());
    return socket as Socket;
  });
  cleanups.push(() => server.close());
  await once(server, 'listening');
  return { connected, url: `ws://127.0.0.1:${portOf(server)}` };
}

function dial(url: string, options: Partial<ConnectOptions> = {}) {
  const listener = new RecordingListener();
  const socket = platform.connect(url, { maxPayload: 1_000_000, ...options }, listener);
  cleanups.push(() => socket.terminate());
  return { socket, listener };
}

async function dialled(options?: Partial<ConnectOptions>, serverOptions?: ServerOptions) {
  const { accepted, url } = await startServer(serverOptions);
  const { socket, listener } = dial(url, options);
  await listener.opened();
  return { socket, listener, ...(await accepted) };
}

describe('connect in Node', () => {
  it('carries messages both ways and tells the close of the other end', async () => {
    const { socket, listener, ws } = await dialled();
    const received = once(ws, 'message');
    socket.send(Uint8Array.of(1, 2, 3));
    expect(await received).toEqual([Buffer.of(1, 2, 3), true]);
    const text = once(ws, 'message');
    socket.send('grüß dich');
    expect(await text).toEqual([Buffer.from('grüß dich'), false]);

    ws.send('servus ✓');
    ws.send(Buffer.of(4, 5));
    ws.send('');
    ws.close(4321, 'enough');
    expect(await listener.end()).toEqual({ code: 4321, reason: 'enough', detail: undefined });
    expect(listener.events.filter(event => event !== 'drained')).toEqual([
      'open',
      'text',
      'binary',
      'text',
      'closed',
    ]);
    expect(listener.texts).toEqual(['servus ✓', '']);
    expect(listener.binaries).toEqual([Uint8Array.of(4, 5)]);
  });

  it('gives bytes whose slice is a copy, as that of a Buffer is not', async () => {
    const { listener, ws } = await dialled();
    ws.send(Buffer.alloc(10));
    await listener.until(() => listener.binaries.length > 0);
    const data = listener.binaries[0] as Uint8Array;
    expect(Buffer.isBuffer(data)).toBe(false);
    data.slice()[0] = 1;
    expect(data[0]).toBe(0);
  });

  it('asks for no compression, follows the path and sends the headers', async () => {
    const { accepted, url } = await startServer({ perMessageDeflate: true });
    dial(`${url}/a/b?c=d`, { headers: { 'X-Token': 'abc' } });
    const { request } = await accepted;
    expect(request.headers['sec-websocket-extensions']).toBeUndefined();
    expect(request.headers['sec-websocket-protocol']).toBeUndefined();
    expect(request.headers['x-token']).toBe('abc');
    expect(request.url).toBe('/a/b?c=d');
  });

  it('hands its options to TLS and lets none of them change its own', async () => {
    const { listener } = dial('wss://127.0.0.1:1', { tls: { ca: 42 } });
    expect((await listener.end()).detail).toContain('options.ca');
    const { ws } = await dialled(
      { tls: { perMessageDeflate: true, maxPayload: 5 } },
      { perMessageDeflate: true },
    );
    expect(ws.extensions).toBe('');
  });

  it('ends cleanly when it closes itself', async () => {
    const { socket, listener, ws } = await dialled();
    const closed = once(ws, 'close');
    socket.close(4000, 'bye');
    expect(await closed).toEqual([4000, Buffer.from('bye')]);
    expect(await listener.end()).toMatchObject({ code: 4000, reason: 'bye' });
  });

  it('closes without a code rather than throw at one that must not be sent', async () => {
    const { socket, listener, ws } = await dialled();
    const closed = once(ws, 'close');
    socket.close(1006, 'x'.repeat(200));
    expect(await closed).toEqual([1005, Buffer.of()]);
    expect((await listener.end()).code).toBe(1005);
  });

  describe('tells why it failed, once, in a later task, without throwing', () => {
    async function failed(url: string, options?: Partial<ConnectOptions>) {
      const { listener, socket } = dial(url, options);
      await Promise.resolve();
      expect(listener.events).toEqual([]);
      const end = await listener.end();
      expect(end.code).toBe(1006);
      socket.send('into the void');
      socket.pause();
      socket.resume();
      socket.close();
      socket.terminate();
      await aTask();
      expect(listener.events).toEqual(['closed']);
      expect(socket.bufferedAmount).toBe(0);
      return end.detail;
    }

    it('connection refused', async () => {
      const { server, url } = await startServer();
      server.close();
      await once(server, 'close');
      expect(await failed(url)).toContain('ECONNREFUSED');
      // A host with two addresses fails with an error that has no message of its own.
      expect(await failed(url.replace('127.0.0.1', 'localhost'))).toContain('ECONNREFUSED');
    });

    it.each([401, 404, 503])('status %i', async status => {
      const server = await startHttpServer((_request, response) => response.writeHead(status).end('no'));
      expect(await failed(`ws://127.0.0.1:${portOf(server)}`)).toBe(`server answered ${status}`);
    });

    it('a redirect', async () => {
      let requests = 0;
      const server: Server = await startHttpServer((_request, response) => {
        requests++;
        response.writeHead(302, { Location: `ws://127.0.0.1:${portOf(server)}/elsewhere` }).end();
      });
      const detail = await failed(`ws://127.0.0.1:${portOf(server)}`);
      expect(detail).toBe('server answered 302, a redirect, and those are not followed');
      expect(requests).toBe(1);
    });

    it('an answer that never ends', async () => {
      const server = await startHttpServer((_request, response) => response.writeHead(200).write('...'));
      expect(await failed(`ws://127.0.0.1:${portOf(server)}`)).toBe('server answered 200');
    });

    it('a server that speaks something else', async () => {
      const { connected, url } = await startTcpServer();
      void connected.then(socket => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
      expect(await failed(url)).toMatch(/Parse Error/);
    });

    it('a connection that drops in the handshake', async () => {
      const { connected, url } = await startTcpServer();
      void connected.then(socket => socket.resetAndDestroy());
      expect(await failed(url)).toMatch(/ECONNRESET|socket hang up/);
    });

    it('a wrong answer to the challenge of the upgrade', async () => {
      const server = await startHttpServer();
      server.on('upgrade', (_request, socket) => {
        socket.write(
          'HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n',
        );
      });
      expect(await failed(`ws://127.0.0.1:${portOf(server)}`)).toMatch(/Sec-WebSocket-Accept/);
    });

    it.each([['ftp://127.0.0.1'], ['ws://127.0.0.1/#fragment'], ['no url'], ['']])(
      'the URL %o',
      async url => {
        expect(await failed(url)).toEqual(expect.any(String));
      },
    );

    it('a header that HTTP cannot carry', async () => {
      expect(await failed('ws://127.0.0.1:1', { headers: { 'X-A': 'a\r\nb' } })).toMatch(
        /invalid character/i,
      );
    });

    it('a WebSocket class that throws', async () => {
      const Throws = function () {
        throw new Error('mixed content');
      };
      const options = { WebSocket: Throws as unknown as NonNullable<ConnectOptions['WebSocket']> };
      expect(await failed('ws://127.0.0.1:1', options)).toBe('mixed content');
    });
  });

  it('takes no message beyond maxPayload', async () => {
    const { listener, ws } = await dialled({ maxPayload: 1000 });
    const closed = once(ws, 'close');
    ws.send(Buffer.alloc(1000));
    ws.send(Buffer.alloc(1001));
    expect((await closed)[0]).toBe(1009);
    expect(await listener.end()).toMatchObject({ code: 1006, detail: 'a message is larger than 1000 bytes' });
    expect(listener.binaries.map(data => data.length)).toEqual([1000]);
  });

  it('uses the WebSocket class of the options, in the manner of WHATWG', async () => {
    const { socket, listener, ws } = await dialled({ WebSocket: WebSocket });
    expect(socket.tellsDrained).toBe(false);
    const received = once(ws, 'message');
    socket.send(Uint8Array.of(1));
    expect(await received).toEqual([Buffer.of(1), true]);
    ws.send(Buffer.of(2));
    ws.close(4001, 'so');
    expect(await listener.end()).toEqual({ code: 4001, reason: 'so', detail: undefined });
    expect(listener.binaries).toEqual([Uint8Array.of(2)]);
  });

  describe('terminate', () => {
    it('ends an attempt that nobody answers', async () => {
      const { connected, url } = await startTcpServer();
      const { socket, listener } = dial(url);
      const peer = await connected;
      const gone = once(peer.resume(), 'close');
      socket.terminate();
      expect(listener.ends).toEqual([]);
      expect((await listener.end()).code).toBe(1006);
      await gone;
      expect(listener.events).toEqual(['closed']);
    });

    it('ends a connection whose other end does not read', async () => {
      const { socket, listener, ws } = await dialled();
      ws.pause();
      socket.send(new Uint8Array(50_000_000));
      socket.close(4000);
      socket.terminate();
      socket.terminate();
      expect(listener.ends).toEqual([]);
      expect((await listener.end()).code).toBe(1006);
      await aTask();
      expect(listener.events).toEqual(['open', 'closed']);
      expect(socket.bufferedAmount).toBe(0);
    });

    it('delivers nothing any more, not even what came in the same piece', async () => {
      const { socket, listener, ws } = await dialled();
      socket.pause();
      await new Promise<void>(resolve => {
        ws.send('first');
        ws.send('second', () => {
          resolve();
        });
      });
      listener.text = data => {
        listener.texts.push(data);
        socket.terminate();
      };
      socket.resume();
      await listener.end();
      expect(listener.texts).toEqual(['first']);
    });
  });

  it('tells when what it sent has left, once for many messages', async () => {
    const { socket, listener, ws } = await dialled();
    expect(socket.tellsDrained).toBe(true);
    ws.pause();
    socket.send(new Uint8Array(20_000_000));
    for (let i = 0; i < 100; i++) socket.send(new Uint8Array(10));
    expect(socket.bufferedAmount).toBeGreaterThan(10_000_000);
    expect(listener.count('drained')).toBe(0);
    let received = 0;
    ws.on('message', () => received++);
    ws.resume();
    await listener.until(() => listener.count('drained') > 0 && socket.bufferedAmount === 0);
    expect(listener.count('drained')).toBeLessThan(20);
    socket.close();
    await listener.end();
    expect(received).toBe(101);
    expect(listener.events.at(-1)).toBe('closed');
  });

  it('reads nothing while it is paused', async () => {
    const { socket, listener, ws } = await dialled();
    socket.pause();
    ws.send(Buffer.alloc(100_000));
    // The answer to a ping would be behind the message; when the bytes sit in the kernel it cannot come.
    let ponged = false;
    ws.on('pong', () => (ponged = true));
    ws.ping();
    for (let i = 0; i < 20; i++) await aTask();
    expect(listener.binaries).toEqual([]);
    expect(ponged).toBe(false);
    const pong = once(ws, 'pong');
    socket.resume();
    await pong;
    expect(listener.binaries.length).toBe(1);
  });
});

describe('wrapWsSocket', () => {
  async function accepted() {
    const { accepted, url } = await startServer();
    const client = new WebSocket(url);
    client.on('error', () => undefined);
    cleanups.push(() => client.terminate());
    const { ws } = await accepted;
    return { ws, client };
  }

  it('works for an accepted socket, whatever its binaryType was', async () => {
    const { ws, client } = await accepted();
    ws.binaryType = 'fragments';
    const listener = new RecordingListener();
    const socket = wrapWsSocket(ws, listener);
    expect(ws.binaryType).toBe('nodebuffer');
    await (client.readyState === WebSocket.OPEN ? undefined : once(client, 'open'));
    client.send(Buffer.of(1, 2));
    await listener.until(() => listener.binaries.length === 1);
    ws.binaryType = 'arraybuffer';
    client.send(Buffer.of(3));
    ws.binaryType = 'fragments';
    client.send(Buffer.of(4));
    await listener.until(() => listener.binaries.length === 3);
    expect(listener.binaries).toEqual([Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4)]);
    expect(listener.events).not.toContain('open');
    socket.close(1000);
    expect((await listener.end()).code).toBe(1000);
    ws.emit('close', 1006, Buffer.of());
    expect(listener.ends.length).toBe(1);
  });

  it('keeps sending when the send method of the socket is replaced', async () => {
    const { ws, client } = await accepted();
    const socket = wrapWsSocket(ws, new RecordingListener());
    ws.send = () => {
      throw new Error('plaintext');
    };
    const received = once(client, 'message');
    socket.send('sealed');
    expect(await received).toEqual([Buffer.from('sealed'), false]);
  });

  it('survives a client that breaks the protocol', async () => {
    const { accepted, server } = await startServer();
    const raw = netConnect(portOf(server), '127.0.0.1');
    raw.on('error', () => undefined);
    cleanups.push(() => raw.destroy());
    raw.write(
      'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    const { ws } = await accepted;
    const listener = new RecordingListener();
    wrapWsSocket(ws, listener);
    // A frame without the mask that every client must use; then the connection is reset.
    raw.write(Buffer.of(0x82, 0x01, 0x00));
    raw.resume();
    raw.on('data', () => raw.resetAndDestroy());
    const end = await listener.end();
    expect(end).toMatchObject({ code: 1006, detail: expect.stringContaining('MASK') as string });
    expect(listener.ends.length).toBe(1);
  });

  it('tells the end of a socket that was closed before, in a later task', async () => {
    const { ws, client } = await accepted();
    const closed = once(ws, 'close');
    client.terminate();
    await closed;
    const listener = new RecordingListener();
    const socket = wrapWsSocket(ws, listener);
    expect(listener.ends).toEqual([]);
    socket.send('nothing');
    socket.terminate();
    expect((await listener.end()).code).toBe(1006);
    expect(listener.ends.length).toBe(1);
  });

  it('drops what is sent before the socket is open', async () => {
    const { connected, url } = await startTcpServer();
    const ws = new WebSocket(url);
    const listener = new RecordingListener();
    const socket = wrapWsSocket(ws, listener);
    socket.send('too early');
    await connected;
    socket.close();
    expect((await listener.end()).code).toBe(1006);
  });
});

describe('the default key store in Node', () => {
  function store(name = 'client'): FileKeyStore {
    const made = platform.defaultKeyStore(name);
    if (made instanceof FileKeyStore) return made;
    throw new Error('not a FileKeyStore');
  }

  it('is a file below SECURE_WEBSOCKET_HOME, read at each call', () => {
    vi.stubEnv('SECURE_WEBSOCKET_HOME', '/keys');
    vi.stubEnv('XDG_CONFIG_HOME', '/config');
    expect(store().path).toBe(resolve('/keys/client.key'));
    vi.stubEnv('SECURE_WEBSOCKET_HOME', 'relative');
    expect(store('server').path).toBe(resolve('relative/server.key'));
  });

  it.runIf(process.platform !== 'win32')('is else below XDG_CONFIG_HOME, if that is absolute', () => {
    vi.stubEnv('SECURE_WEBSOCKET_HOME', '');
    vi.stubEnv('XDG_CONFIG_HOME', '/config');
    expect(store().path).toBe('/config/secure-websocket/client.key');
    for (const none of ['', 'relative', undefined]) {
      vi.stubEnv('XDG_CONFIG_HOME', none);
      expect(store().path).toBe(join(homedir(), '.config/secure-websocket/client.key'));
    }
  });

  it('is below %APPDATA% in Windows', () => {
    const actual = process.platform;
    Object.defineProperty(process, 'platform', { value: 'win32' });
    cleanups.push(() => Object.defineProperty(process, 'platform', { value: actual }));
    vi.stubEnv('SECURE_WEBSOCKET_HOME', '');
    vi.stubEnv('XDG_CONFIG_HOME', '/config');
    vi.stubEnv('APPDATA', '/roaming');
    expect(store().path).toBe(resolve('/roaming/secure-websocket/client.key'));
    vi.stubEnv('APPDATA', undefined);
    expect(store().path).toBe(join(homedir(), 'AppData', 'Roaming', 'secure-websocket', 'client.key'));
  });

  it.each(['', '.', '..', '../x', 'a/b', 'a\\b', '.hidden', 'a\0', 'c:x', '-rf'])(
    'does not take the name %j',
    name => {
      expect(() => store(name)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );
});

describe('the rest of the platform in Node', () => {
  it('has no page', () => {
    expect(platform.name).toBe('node');
    expect(platform.baseUrl()).toBeUndefined();
    expect(platform.origin()).toBeUndefined();
  });

  it('gives message data as a Buffer over the same bytes', () => {
    const bytes = Uint8Array.of(0, 104, 105, 0).subarray(1, 3);
    const data = platform.toMessageData(bytes);
    expect(Buffer.isBuffer(data)).toBe(true);
    expect(data.toString()).toBe('hi');
    bytes[0] = 72;
    expect(data.toString()).toBe('Hi');
  });

  it('knows UTF-8', () => {
    expect(platform.isUtf8(Buffer.from('grüß ✓ 😀'))).toBe(true);
    expect(platform.isUtf8(new Uint8Array())).toBe(true);
    expect(platform.isUtf8(Uint8Array.of(0xc3))).toBe(false);
    expect(platform.isUtf8(Uint8Array.of(0xed, 0xa0, 0x80))).toBe(false);
  });
});

describe('memory that a dialled socket gives', () => {
  it('carries messages as they were written, between others, while nothing is read and when it is used again', async () => {
    const { url, accepted } = await startServer();
    const { socket, listener } = dial(url);
    const { ws } = await accepted;
    await listener.opened();
    const got: string[] = [];
    const done = new Promise<void>(resolve => {
      ws.on('message', (data: Buffer, isBinary) => {
        const isWhole = isBinary && data.every(byte => byte === data[0]);
        got.push(isBinary ? `${data.length} of ${data[0]}${isWhole ? '' : ', not whole'}` : String(data));
        if (String(data) === 'end') resolve();
      });
    });
    const sent: string[] = [];
    for (let round = 0; round < 3; round++) {
      ws.pause();
      // Until the kernel takes no more: then some of it waits here.
      for (let i = 0; i < 40 || socket.bufferedAmount === 0; i++) {
        const length = [10, 1_000, 70_000, 250_000][i % 4]!;
        const value = (round + i) % 256;
        const message = i % 5 === 4 ? new Uint8Array(length) : socket.allocate!(length);
        expect(message.length).toBe(length);
        socket.send(message.fill(value));
        sent.push(`${length} of ${value}`);
        if (i % 7 !== 0) continue;
        socket.send(`text ${value}`);
        sent.push(`text ${value}`);
      }
      ws.resume();
      await listener.until(() => socket.bufferedAmount === 0);
    }
    socket.send('end');
    await done;
    expect(got).toEqual([...sent, 'end']);
  });

  it('may be sent before and after the connection', async () => {
    const { url } = await startServer();
    const { socket, listener } = dial(url);
    socket.send(socket.allocate!(100));
    await listener.opened();
    socket.terminate();
    socket.send(socket.allocate!(100));
    await listener.end();
  });
});
