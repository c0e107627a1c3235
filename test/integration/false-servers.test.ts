import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { MAX_REGISTRATION_MESSAGE, REGISTRATION_TIMEOUT } from '../../src/core/constants.js';
import { Identity } from '../../src/core/identity.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { anyServer } from '../support/attacked.js';
import { ManInTheMiddle } from '../support/man-in-the-middle.js';
import { failedWith, SocketLog } from '../support/socket-log.js';

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const PEER = (await Identity.generate()).publicKey;

function dial(url: string): { socket: ClientSecureWebSocket; log: SocketLog } {
  const socket = new ClientSecureWebSocket(url, [], { identity: Identity.generate(), trustStore: anyServer });
  return { socket, log: SocketLog.ofClient(socket) };
}

async function listening(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A plain server of `ws`. */
async function plain(
  serve: (ws: WebSocket) => void,
): Promise<{ url: string; connected: Promise<WebSocket> }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  const connected = once(server, 'connection') as Promise<[WebSocket]>;
  server.on('connection', ws => {
    ws.on('error', () => undefined);
    serve(ws);
  });
  await once(server, 'listening');
  cleanUp.push(() => {
    for (const ws of server.clients) ws.terminate();
    server.close();
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connected: connected.then(([ws]) => ws),
  };
}

/** Only timers: what happens on the network happens. */
function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
}

/** Dialled as a server, and as the relay of a peer. */
const PATHS = ['', `/${PEER}`];

describe.each([
  ['dialled itself', ''],
  ['dialled as a relay', `/${PEER}`],
])('%s, a server', (_, path) => {
  it('that sends everything back, and so nothing, is given up after 10 s', async () => {
    fakeTimers();
    const { url, connected } = await plain(ws => {
      ws.on('message', (data, isBinary) => {
        ws.send(data, { binary: isBinary });
      });
    });
    const { socket, log } = dial(url + path);
    const gone = once(await connected, 'close');
    vi.advanceTimersByTime(REGISTRATION_TIMEOUT - 1);
    expect(socket.readyState).toBe(socket.CONNECTING);
    vi.advanceTimersByTime(1);
    expect(await log.closed).toEqual(failedWith('REGISTRATION_TIMEOUT'));
    await gone;
  });

  it('that accepts TCP connections and never says a word is given up after 10 s', async () => {
    fakeTimers();
    const server = createServer();
    const url = await listening(server);
    const connected = once(server, 'connection') as Promise<[Socket]>;
    const { log } = dial(url + path);
    const [connection] = await connected;
    // All that was sent is the request.
    await once(connection, 'data');
    const gone = once(connection, 'close');
    vi.advanceTimersByTime(REGISTRATION_TIMEOUT);
    expect(await log.closed).toEqual(failedWith('REGISTRATION_TIMEOUT'));
    await gone;
  });

  it('that stops half way through the registration is given up after 10 s', async () => {
    const mitm = await ManInTheMiddle.start();
    cleanUp.push(() => mitm.close());
    const identity = Identity.generate();
    const genuine = new SecureWebSocketServer({
      port: 0,
      host: '127.0.0.1',
      identity,
      addresses: [mitm.url],
    });
    cleanUp.push(() => {
      genuine.close();
    });
    await genuine.ready;
    mitm.target = genuine.url ?? '';
    // It never gets an answer to its challenge.
    const answered = new Promise<void>(resolve => {
      mitm.tampering = ({ direction, message }) => {
        if (direction === 'to client') return message;
        resolve();
        return [];
      };
    });
    fakeTimers();
    const { log } = dial(mitm.url + path);
    await answered;
    vi.advanceTimersByTime(REGISTRATION_TIMEOUT);
    expect(await log.closed).toEqual(failedWith('REGISTRATION_TIMEOUT'));
  });

  it.each<[string, string | Uint8Array, string]>([
    ['no JSON', 'hello', 'REGISTRATION_MALFORMED'],
    ['nothing', '', 'REGISTRATION_MALFORMED'],
    ['other JSON', '{"type":"welcome"}', 'REGISTRATION_MALFORMED'],
    ['deep JSON', '['.repeat(4_000), 'REGISTRATION_MALFORMED'],
    ['much text', 'x'.repeat(MAX_REGISTRATION_MESSAGE + 1), 'REGISTRATION_MALFORMED'],
    ['very much text', 'x'.repeat(1_000_000), 'REGISTRATION_MALFORMED'],
    ['bytes', Uint8Array.of(1, 2, 3), 'REGISTRATION_MALFORMED'],
    ['no bytes', new Uint8Array(0), 'REGISTRATION_MALFORMED'],
    ['more bytes than any frame has', new Uint8Array(17_000_000), 'LINK_FAILED'],
  ])('that says %s is left at once', async (_name, message, code) => {
    const { url, connected } = await plain(ws => {
      ws.send(message);
    });
    const { log } = dial(url + path);
    const ws = await connected;
    const heard = vi.fn();
    ws.on('message', heard);
    const gone = once(ws, 'close');
    expect(await log.closed).toEqual(failedWith(code));
    await gone;
    expect(heard).not.toHaveBeenCalled();
  });

  it.each<[string, Buffer]>([
    ['a frame with reserved bits', Buffer.of(0xf1, 0x01, 0x41)],
    ['a frame of an unknown kind', Buffer.of(0x83, 0x00)],
    ['a masked frame', Buffer.of(0x81, 0x81, 0, 0, 0, 0, 0x41)],
    ['text that is not UTF-8', Buffer.of(0x81, 0x01, 0xff)],
    ['a continuation of nothing', Buffer.of(0x80, 0x01, 0x41)],
    ['the length of a message that no memory holds', Buffer.of(0x82, 0x7f, 0x7f, ...Buffer.alloc(7, 0xff))],
    ['a ping that is too long', Buffer.of(0x89, 0x7e, 0x00, 0x7e, ...Buffer.alloc(126))],
    ['a close that is none', Buffer.of(0x88, 0x01, 0x03)],
  ])('that says what no WebSocket says, %s, is left at once', async (_name, bytes) => {
    const { url } = await plain(ws => {
      // Beneath the framing.
      (ws as unknown as { _socket: Socket })._socket.write(bytes);
    });
    expect(await dial(url + path).log.closed).toEqual(failedWith('LINK_FAILED'));
  });

  it.each([1000, 1001, 1008, 3000, undefined])('that closes at once with %s has failed', async code => {
    const { url } = await plain(ws => {
      if (code === undefined) ws.terminate();
      else ws.close(code);
    });
    expect(await dial(url + path).log.closed).toEqual(failedWith('LINK_FAILED'));
  });

  it('that is no WebSocket server, or none at this place, has failed', async () => {
    const { url: elsewhere } = await plain(() => undefined);
    for (const status of [200, 301, 403, 404, 500]) {
      const server = createHttpServer((_request, response) => {
        response.writeHead(status, { Location: elsewhere });
        response.end('no');
      });
      const url = await listening(server);
      const { log } = dial(url + path);
      expect(await log.closed).toEqual(failedWith('LINK_FAILED'));
      expect(log.error).toMatchObject({ message: expect.stringContaining(String(status)) as unknown });
    }
    const closed = createServer();
    const nowhere = await listening(closed);
    closed.close();
    await once(closed, 'close');
    expect(await dial(nowhere + path).log.closed).toEqual(failedWith('LINK_FAILED'));
  });

  it('that sends pings without end and never registers is given up after 10 s', async () => {
    fakeTimers();
    let pongs = 0;
    const { url, connected } = await plain(ws => {
      ws.on('pong', () => {
        pongs += 1;
        ws.ping();
      });
      ws.ping();
    });
    const { log } = dial(url + path);
    const gone = once(await connected, 'close');
    await expect.poll(() => pongs).toBeGreaterThan(20);
    vi.advanceTimersByTime(REGISTRATION_TIMEOUT);
    expect(await log.closed).toEqual(failedWith('REGISTRATION_TIMEOUT'));
    await gone;
  });
});

it('a client that is closed while a server keeps it waiting is gone at once', async () => {
  for (const path of PATHS) {
    const { url, connected } = await plain(() => undefined);
    const { socket, log } = dial(url + path);
    const gone = once(await connected, 'close');
    socket.close();
    expect(await log.closed).toEqual(failedWith('ABORTED'));
    await gone;
  }
});
