import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { acceptKey } from '../../../src/websocket/accept-web-socket.js';
import { dialWebSocket, type DialOptions } from '../../../src/websocket/dial-web-socket.js';
import { Opcode } from '../../../src/websocket/frame.js';
import type { RawSocket } from '../../../src/websocket/raw-socket.js';
import { EventQueue } from '../../support/event-queue.js';
import { content, encode, show } from './frames.js';
import { Listener, turn } from './networks.js';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** A request as it came, and the connection on which it did. */
interface Request {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly socket: Socket;
  /** The answer that belongs to it, with these headers. */
  accept(changes?: Record<string, string | undefined>): string;
}

function parse(text: string, socket: Socket): Request {
  const lines = text.split('\r\n').slice(1, -2);
  const headers = Object.fromEntries(
    lines.map(line => {
      const [name, ...value] = line.split(': ');
      return [name!.toLowerCase(), value.join(': ')];
    }),
  );
  return {
    text,
    headers,
    socket,
    accept: changes => {
      const answer = {
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Accept': acceptKey(headers['sec-websocket-key']!),
        ...changes,
      };
      const given = Object.entries<string | undefined>(answer).filter(([, value]) => value !== undefined);
      return `HTTP/1.1 101 Switching Protocols\r\n${given.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    },
  };
}

/** A server that does what it is told when it has got a request. */
async function server(serve: (request: Request) => void, host = '127.0.0.1'): Promise<string> {
  const server = createServer(socket => {
    cleanUp.push(() => socket.destroy());
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', function read(chunk) {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      socket.off('data', read);
      serve(parse(text, socket));
    });
  });
  server.listen(0, host);
  await once(server, 'listening');
  cleanUp.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  return `ws://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function dial(url: string, options: Partial<DialOptions> = {}): { socket: RawSocket; listener: Listener } {
  const listener = new Listener();
  const socket = dialWebSocket(url, { maxPayload: 1_000_000, ...options }, listener);
  cleanUp.push(() => socket.terminate());
  return { socket, listener };
}

interface Target {
  readonly path?: string;
  readonly credentials?: string;
  readonly host?: string;
  readonly headers?: Record<string, string>;
}

/** The request that a server gets. */
async function requested({ path = '', credentials = '', host, headers }: Target = {}): Promise<Request> {
  const requests = new EventQueue<Request>();
  const url = await server(request => {
    request.socket.write(request.accept());
    requests.push(request);
  }, host);
  dial(url.replace('//', `//${credentials}`) + path, { headers });
  return requests.next();
}

describe('the opening handshake', () => {
  it('is a request as in the RFC, without extensions and subprotocols', async () => {
    const { text, headers } = await requested({ path: '/a/b?c=d' });
    expect(text).toMatch(/^GET \/a\/b\?c=d HTTP\/1\.1\r\n/);
    expect(headers).toMatchObject({ connection: 'Upgrade', upgrade: 'websocket' });
    expect(headers['sec-websocket-version']).toBe('13');
    expect(Buffer.from(headers['sec-websocket-key']!, 'base64')).toHaveLength(16);
    expect(headers['host']).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(Object.keys(headers).sort()).toEqual(
      ['connection', 'host', 'sec-websocket-key', 'sec-websocket-version', 'upgrade'].sort(),
    );
  });

  it('has another key each time', async () => {
    const keys = [await requested(), await requested()].map(({ headers }) => headers['sec-websocket-key']);
    expect(keys[0]).not.toBe(keys[1]);
  });

  it('has the headers that are asked for, but those of the upgrade are its own', async () => {
    const { headers } = await requested({
      headers: {
        'X-Token': 'a b',
        Cookie: 'c=d',
        connection: 'close',
        upgrade: 'h2c',
        Origin: 'https://e.f',
      },
    });
    expect(headers).toMatchObject({
      'x-token': 'a b',
      cookie: 'c=d',
      origin: 'https://e.f',
      connection: 'Upgrade',
      upgrade: 'websocket',
    });
  });

  it('has the credentials of the URL', async () => {
    const { headers, text } = await requested({ credentials: 'us%40er:p%3Ass%20w@', path: '/path' });
    expect(headers['authorization']).toBe(`Basic ${Buffer.from('us@er:p:ss w').toString('base64')}`);
    expect(text).toMatch(/^GET \/path /);
    expect(headers['host']).not.toContain('@');
  });

  it('of an Authorization of its own is not changed by credentials', async () => {
    const { headers } = await requested({ credentials: 'a:b@', headers: { authorization: 'Bearer c' } });
    expect(headers['authorization']).toBe('Bearer c');
  });

  const hasIpv6 = Object.values(networkInterfaces()).some(list =>
    list?.some(({ address }) => address === '::1'),
  );
  it.skipIf(!hasIpv6)('reaches an IPv6 address', async () => {
    const { headers } = await requested({ host: '::1' });
    expect(headers['host']).toMatch(/^\[::1\]:\d+$/);
  });

  it.each(['not a url', 'ws://', 'ws://host:99999', 'ws://a:%@host/'])('throws for the URL %s', url => {
    expect(() => dial(url)).toThrow();
  });

  it('throws for a header that cannot be one', () => {
    expect(() => dial('ws://127.0.0.1:9', { headers: { 'X-Bad': 'a\r\nb' } })).toThrow();
  });
});

/** A socket whose handshake fails tells its end once, in a later task, and nothing else. */
async function failure(url: string, options?: Partial<DialOptions>): Promise<string | undefined> {
  const { listener, socket } = dial(url, options);
  const { code, reason, detail } = await listener.end();
  expect([code, reason]).toEqual([1006, '']);
  socket.close(1000);
  socket.terminate();
  socket.send('late');
  await turn();
  expect(listener.events).toEqual(['closed']);
  return detail;
}

describe('a handshake that fails', () => {
  it('because nobody listens', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    expect(await failure(`ws://127.0.0.1:${port}`)).toMatch(/ECONNREFUSED/);
  });

  it.each([
    [200, 'server answered 200'],
    [302, 'server answered 302, a redirect, and those are not followed'],
    [401, 'server answered 401'],
    [404, 'server answered 404'],
    [426, 'server answered 426'],
    [503, 'server answered 503'],
  ])('because of the status %i', async (status, detail) => {
    const http = createHttpServer();
    const answer = (_: unknown, socket: { end: (text: string) => void }): void => {
      socket.end(`HTTP/1.1 ${status} Whatever\r\nLocation: /elsewhere\r\nContent-Length: 5\r\n\r\nhello`);
    };
    http.on('upgrade', answer).listen(0, '127.0.0.1');
    await once(http, 'listening');
    cleanUp.push(() => http.close());
    expect(await failure(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`)).toBe(detail);
  });

  it('because of an answer without end', async () => {
    const ends = new EventQueue<string>();
    const url = await server(({ socket }) => {
      const more = (): void => {
        while (socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', more).on('close', () => ends.push('closed'));
      socket.write('HTTP/1.1 500 Endless\r\n\r\n');
      more();
    });
    expect(await failure(url)).toBe('server answered 500');
    await ends.next();
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['Sec-WebSocket-Accept is wrong', { 'Sec-WebSocket-Accept': acceptKey('dGhlIHNhbXBsZSBub25jZQ==') }],
    ['Sec-WebSocket-Accept is wrong', { 'Sec-WebSocket-Accept': undefined }],
    ['Sec-WebSocket-Accept is wrong', { 'Sec-WebSocket-Accept': '' }],
    ['it does not upgrade to websocket', { Upgrade: 'h2c' }],
    ['it names a subprotocol, and none was offered', { 'Sec-WebSocket-Protocol': 'chat' }],
    ['it names a subprotocol, and none was offered', { 'Sec-WebSocket-Protocol': '' }],
    [
      'it names an extension, and none was offered',
      { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_no_context_takeover' },
    ],
  ])('because of an answer that is not valid: %s %j', async (detail, changes) => {
    const ends = new EventQueue<string>();
    const url = await server(request => {
      request.socket.on('close', () => ends.push('closed'));
      request.socket.write(request.accept(changes));
      // What follows is not heard.
      request.socket.write(encode({ opcode: Opcode.TEXT, payload: Buffer.from('hello') }));
    });
    expect(await failure(url)).toBe(`the answer to the opening handshake is not valid: ${detail}`);
    await ends.next();
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['Upgrade', { Upgrade: undefined }],
    ['Connection', { Connection: undefined }],
    ['an Upgrade in Connection', { Connection: 'keep-alive' }],
  ])('because the answer lacks %s', async (_, changes) => {
    const url = await server(request => request.socket.write(request.accept(changes)));
    expect(await failure(url)).toMatch(/server answered 101|does not upgrade/);
  });

  it('because the answer is not HTTP', async () => {
    const url = await server(({ socket }) => socket.write('SSH-2.0-OpenSSH\r\n\r\n'));
    expect(await failure(url)).toMatch(/Parse Error/);
  });

  it.each(['end', 'resetAndDestroy'] as const)('because the server goes away (%s)', async how => {
    const url = await server(({ socket }) => socket[how]());
    expect(await failure(url)).toMatch(/./);
  });

  it('because the server goes away in the middle of its answer', async () => {
    const url = await server(request => request.socket.end(request.accept().slice(0, -10)));
    expect(await failure(url)).toMatch(/./);
  });

  it('because the server does not answer within 20 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const requests = new EventQueue<Request>();
    const url = await server(request => {
      request.socket.write('HTTP/1.1 101 Switching');
      requests.push(request);
    });
    const { listener } = dial(url);
    await requests.next();
    vi.advanceTimersByTime(19_999);
    await turn();
    expect(listener.events).toEqual([]);
    vi.advanceTimersByTime(1);
    // In a later task.
    expect(listener.events).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(await listener.end()).toMatchObject({
      code: 1006,
      detail: 'the server did not answer the opening handshake in time',
    });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('before it is open', () => {
  it.each(['close', 'terminate'] as const)('%s tells the end once, in a later task, as 1006', async how => {
    const { socket, listener } = dial(await server(request => request.socket.write(request.accept())));
    expect(socket.bufferedAmount).toBe(0);
    socket.send('early');
    socket.pause();
    socket.resume();
    socket[how]();
    socket[how]();
    expect(listener.events).toEqual([]);
    expect(await listener.end()).toMatchObject({ code: 1006, detail: 'closed before it was open' });
    await turn();
    expect(listener.events).toEqual(['closed']);
  });

  it.each(['close', 'terminate'] as const)('%s ends the connection to the server', async how => {
    const requests = new EventQueue<Request>();
    const { socket, listener } = dial(await server(request => requests.push(request)));
    const request = await requests.next();
    const gone = once(request.socket, 'close');
    socket[how](4000, 'never mind');
    // Too late.
    request.socket.write(request.accept());
    request.socket.resume();
    await gone;
    expect(await listener.end()).toMatchObject({ code: 1006 });
    expect(listener.events).toEqual(['closed']);
  });
});

describe('frames that come with the answer', () => {
  const frames = Buffer.concat([
    encode({ opcode: Opcode.TEXT, payload: Buffer.from('first') }),
    encode({ opcode: Opcode.BINARY, payload: content(300) }),
    encode({ opcode: Opcode.BINARY, payload: content(100_000) }),
  ]);

  it('are read behind `open`, wherever the packets are cut', async () => {
    let more = 0;
    const url = await server(request => {
      const all = Buffer.concat([Buffer.from(request.accept()), frames]);
      const cut = all.length - frames.length + more;
      request.socket.write(all.subarray(0, cut));
      // Our first words say that it has read so far.
      request.socket.on('data', () => request.socket.write(all.subarray(cut)));
    });
    for (more of [0, 1, 2, 6, 7, 8, 20, 310, 311, 330, 50_000, frames.length]) {
      const { socket, listener } = dial(url);
      await listener.opened();
      socket.send('go on');
      await listener.until(() => listener.told.length === 4);
      expect(listener.told).toEqual(['open', 'text', 'binary', 'binary']);
      expect(listener.texts).toEqual(['first']);
      expect(listener.binaries.map(show)).toEqual([show(content(300)), show(content(100_000))]);
      socket.terminate();
      await listener.end();
    }
  });

  it('are not read when the listener terminates in `open`', async () => {
    const url = await server(request => {
      request.socket.write(Buffer.concat([Buffer.from(request.accept()), frames]));
    });
    const { socket, listener } = dial(url);
    const open = listener.open.bind(listener);
    listener.open = () => {
      open();
      socket.terminate();
    };
    expect(await listener.end()).toMatchObject({ code: 1006 });
    expect(listener.events).toEqual(['open', 'closed']);
  });

  it('may be a close, and the end', async () => {
    const url = await server(request => {
      const close = encode({ opcode: Opcode.CLOSE, payload: Buffer.from('\x0f\xa0bye', 'latin1') });
      request.socket.end(Buffer.concat([Buffer.from(request.accept()), close]));
    });
    const { listener } = dial(url);
    expect(await listener.end()).toMatchObject({ code: 4000, reason: 'bye' });
    expect(listener.told).toEqual(['open', 'closed']);
  });
});
