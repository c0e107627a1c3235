import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { BufferPool } from '../../src/core/buffer-pool.js';
import { acceptUpgrade } from '../../src/websocket/accept-web-socket.js';
import { dialWebSocket, type DialOptions } from '../../src/websocket/dial-web-socket.js';
import type { RawSocket } from '../../src/websocket/raw-socket.js';
import { WebSocketConnection } from '../../src/websocket/web-socket-connection.js';
import { CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.js';
import { EventQueue } from '../support/event-queue.js';
import { beneath, BROKEN_FRAMES } from '../support/raw-frames.js';
import { content, hash, show, textOf } from '../unit/websocket/frames.js';
import { Listener, turn } from '../unit/websocket/networks.js';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const MAX = 2_000_000;
/** Codes and reasons that may be in a close frame. */
const CLOSES: [number, string][] = [
  [1000, ''],
  [1001, 'going'],
  [3000, 'é'.repeat(61)],
  [4999, ''],
];

/** What an end that is `ws` hears, as our listener notes it. */
interface Heard {
  readonly events: EventQueue<string>;
  readonly closed: Promise<{ code: number; reason: string }>;
}

function hear(ws: WebSocket): Heard {
  const events = new EventQueue<string>();
  ws.on('error', () => undefined);
  ws.on('message', (data: Buffer, isBinary) => events.push(`${isBinary ? 'binary' : 'text'} ${show(data)}`));
  ws.on('ping', data => events.push(`ping ${show(data)}`));
  ws.on('pong', data => events.push(`pong ${show(data)}`));
  const closed = once(ws, 'close').then(([code, reason]) => ({
    code: code as number,
    reason: String(reason as Buffer),
  }));
  return { events, closed };
}

/** Our end, and another one of `ws`. */
interface Ends {
  readonly ours: RawSocket;
  readonly listener: Listener;
  readonly ws: WebSocket;
  readonly heard: Heard;
}

interface WsServer {
  readonly url: string;
  readonly connections: EventQueue<{ ws: WebSocket; heard: Heard; request: IncomingMessage }>;
}

async function wsServer(http: HttpServer = createServer(), host = '127.0.0.1'): Promise<WsServer> {
  const server = new WebSocketServer({ server: http, maxPayload: MAX });
  const connections: WsServer['connections'] = new EventQueue();
  server.on('connection', (ws, request) => connections.push({ ws, heard: hear(ws), request }));
  http.listen(0, host);
  await once(http, 'listening');
  cleanUp.push(() => {
    for (const client of server.clients) client.terminate();
    http.closeAllConnections();
    http.close();
  });
  return { url: `ws://${host}:${(http.address() as AddressInfo).port}`, connections };
}

function dial(url: string, options: Partial<DialOptions> = {}) {
  const listener = new Listener();
  const ours = dialWebSocket(url, { maxPayload: MAX, ...options }, listener);
  cleanUp.push(() => ours.terminate());
  return { ours, listener };
}

async function dialled(server?: WsServer, options?: Partial<DialOptions>): Promise<Ends> {
  server ??= await wsServer();
  const { ours, listener } = dial(server.url, options);
  await listener.opened();
  return { ours, listener, ...(await server.connections.next()) };
}

async function dialledSecurely(): Promise<Ends> {
  const http = createHttpsServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY });
  const { url, connections } = await wsServer(http);
  return dialled({ url: url.replace('ws:', 'wss:'), connections }, { tls: { ca: CERTIFICATE } });
}

/** As a relay has it. */
async function accepted(): Promise<Ends & { connection: WebSocketConnection }> {
  const kind = { masked: true, borrowed: false, maxPayload: MAX, memory: new BufferPool(4_000_000) };
  const listener = new Listener();
  const ours = new WebSocketConnection(kind, listener);
  const http = createServer().on('upgrade', (request, socket, head) => {
    if (acceptUpgrade(request, socket)) ours.attach(socket, head);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const ws = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`, { maxPayload: MAX });
  const heard = hear(ws);
  cleanUp.push(() => {
    ours.terminate();
    ws.terminate();
    http.close();
  });
  await once(ws, 'open');
  return { ours, connection: ours, listener, ws, heard };
}

const LENGTHS = [
  0, 1, 2, 3, 124, 125, 126, 127, 128, 1_000, 4_095, 4_096, 8_192, 32_768, 65_535, 65_536, 65_537, 300_000,
  1_500_000,
];

describe.each([
  ['dialled', () => dialled()],
  ['dialled over TLS', dialledSecurely],
  ['accepted', accepted],
])('a socket that is %s, and `ws` at the other end', (_, connect) => {
  it('carry binary messages of any length both ways, one behind the other', async () => {
    const { ours, listener, ws, heard } = await connect();
    for (const length of LENGTHS) {
      ws.send(content(length));
      ours.send(content(length));
    }
    const expected = LENGTHS.map(length => `binary ${show(content(length))}`);
    expect(await heard.events.take(LENGTHS.length)).toEqual(expected);
    await listener.until(() => listener.binaries.length === LENGTHS.length);
    expect(listener.binaries.map(data => `binary ${show(data)}`)).toEqual(expected);
  });

  it('carry them one by one, which changes neither the bytes sent nor those received before', async () => {
    const { ours, listener, ws, heard } = await connect();
    const copies: string[] = [];
    for (const length of LENGTHS) {
      const data = content(length);
      ours.send(data);
      expect(await heard.events.next()).toBe(`binary ${show(data)}`);
      ws.send(data);
      await listener.until(() => listener.binaries.length > copies.length);
      copies.push(show(data));
      expect(show(data)).toBe(show(content(length)));
    }
    expect(listener.binaries.map(show)).toEqual(copies);
  });

  it('carry text of any length both ways', async () => {
    const { ours, listener, ws, heard } = await connect();
    for (const length of LENGTHS) {
      ws.send(textOf(length));
      ours.send(textOf(length));
    }
    expect(await heard.events.take(LENGTHS.length)).toEqual(
      LENGTHS.map(length => `text ${show(Buffer.from(textOf(length)))}`),
    );
    await listener.until(() => listener.texts.length === LENGTHS.length);
    expect(listener.texts.every((text, i) => text === textOf(LENGTHS[i]!))).toBe(true);
  });

  it('carry messages in fragments, with pings between them', async () => {
    const { listener, ws, heard } = await connect();
    const parts = [content(10), content(0), content(70_000), content(3), content(126)];
    parts.forEach((part, i) => {
      ws.send(part, { fin: i === parts.length - 1 });
      ws.ping(`ping ${i}`);
    });
    const text = Buffer.from('aé€😀');
    for (let i = 0; i < text.length; i++) {
      ws.send(text.subarray(i, i + 1), { fin: i === text.length - 1, binary: false });
    }
    await listener.until(() => listener.texts.length === 1);
    expect(listener.texts).toEqual(['aé€😀']);
    expect(listener.binaries.map(show)).toEqual([show(Buffer.concat(parts))]);
    expect(await heard.events.take(parts.length)).toEqual(
      parts.map((_, i) => `pong ${show(Buffer.from(`ping ${i}`))}`),
    );
  });

  it.each([0, 1, 125])('answer pings of %i bytes', async length => {
    const { ws, heard } = await connect();
    ws.ping(content(length));
    expect(await heard.events.next()).toBe(`pong ${show(content(length))}`);
  });

  it.each(CLOSES)('are closed by `ws` with %i and "%s"', async (code, reason) => {
    const { listener, ws, heard } = await connect();
    ws.close(code, reason);
    expect(await listener.end()).toMatchObject({ code, reason, detail: undefined });
    expect(await heard.closed).toEqual({ code, reason });
    await turn();
    expect(listener.count('closed')).toBe(1);
  });

  it.each(CLOSES)('are closed by us with %i and "%s"', async (code, reason) => {
    const { ours, listener, heard } = await connect();
    ours.send('last words');
    ours.close(code, reason);
    expect(await heard.events.next()).toBe(`text ${show(Buffer.from('last words'))}`);
    expect(await heard.closed).toEqual({ code, reason });
    expect(await listener.end()).toMatchObject({ code, reason, detail: undefined });
    await turn();
    expect(listener.count('closed')).toBe(1);
  });

  it('are closed without a code by either', async () => {
    for (const who of ['ours', 'ws'] as const) {
      const ends = await connect();
      ends[who].close();
      expect(await ends.heard.closed).toEqual({ code: 1005, reason: '' });
      expect(await ends.listener.end()).toMatchObject({ code: 1005, reason: '' });
    }
  });

  it('do not say what may not be said: codes that are none, reasons that are too long', async () => {
    for (const [code, reason, told] of [
      [1005, '', 1005],
      [1006, '', 1005],
      [999, 'why', 1005],
      [4000, 'x'.repeat(124), 4000],
    ] as const) {
      const { ours, heard } = await connect();
      ours.close(code, reason);
      expect(await heard.closed).toEqual({ code: told, reason: '' });
    }
  });

  it('close at the same time', async () => {
    const { ours, listener, ws, heard } = await connect();
    ours.close(4001, 'ours');
    ws.close(4002, 'theirs');
    expect(await listener.end()).toMatchObject({ code: 4002, reason: 'theirs' });
    expect(await heard.closed).toEqual({ code: 4001, reason: 'ours' });
    expect(listener.count('closed')).toBe(1);
  });

  it('are told as 1006 when the other one is gone', async () => {
    const one = await connect();
    one.ws.terminate();
    expect(await one.listener.end()).toMatchObject({ code: 1006, reason: '' });
    const other = await connect();
    other.ours.terminate();
    expect(other.listener.told).not.toContain('closed');
    expect(await other.heard.closed).toEqual({ code: 1006, reason: '' });
    expect(await other.listener.end()).toMatchObject({ code: 1006, reason: '' });
  });

  it('tell nothing any more once terminated', async () => {
    const { ours, listener, ws } = await connect();
    listener.text = () => {
      ours.terminate();
    };
    ws.send('go');
    for (let i = 0; i < 100; i++) ws.send(content(1_000));
    await listener.end();
    expect(listener.binaries).toEqual([]);
  });

  it('refuse a message that is too large, with 1009', async () => {
    const { listener, ws, heard } = await connect();
    ws.send(content(10));
    ws.send(content(MAX + 1));
    ws.send('behind');
    expect((await heard.closed).code).toBe(1009);
    expect(await listener.end()).toMatchObject({ code: 1006, reason: '' });
    expect(listener.told.filter(event => event !== 'open')).toEqual(['binary', 'closed']);
  });

  it('tell what is waiting, and when it has gone', async () => {
    const { ours, listener, ws, heard } = await connect();
    ws.pause();
    const COUNT = 20;
    for (let i = 0; i < COUNT; i++) ours.send(content(1_000_000));
    expect(ours.bufferedAmount).toBeGreaterThan(1_000_000);
    expect(listener.count('drained')).toBe(0);
    ws.resume();
    await heard.events.take(COUNT);
    await listener.until(() => ours.bufferedAmount === 0);
    expect(listener.count('drained')).toBeGreaterThan(0);
  });

  it('stop and go on reading', async () => {
    const { ours, listener, ws, heard } = await connect();
    const COUNT = 40;
    const read = new EventQueue<string>();
    listener.binary = data => {
      ours.pause();
      read.push(hash(data));
    };
    for (let i = 0; i < COUNT; i++) ws.send(content(1_000_000, i));
    const hashes = [await read.next()];
    // Meanwhile another one gets as much over the same wire.
    const other = await connect();
    for (let i = 0; i < COUNT; i++) other.ws.send(content(1_000_000, i));
    await other.listener.until(() => other.listener.binaries.length === COUNT);
    expect(read.pending.length).toBeLessThan(2);
    expect(ws.bufferedAmount).toBeGreaterThan(1_000_000);
    // What is sent is not held up.
    ours.send('still here');
    expect(await heard.events.next()).toBe(`text ${show(Buffer.from('still here'))}`);
    while (hashes.length < COUNT) {
      ours.resume();
      hashes.push(await read.next());
    }
    expect(hashes).toEqual(Array.from({ length: COUNT }, (_, i) => hash(content(1_000_000, i))));
  });

  it('carry 20 MB intact beside each other', async () => {
    const both = [await connect(), await connect()];
    const messages = Array.from({ length: 120 }, (_, i) => ((i * 7_919) % 11) * 33_000 + i);
    const total = messages.reduce((sum, length) => sum + length, 0);
    expect(total).toBeGreaterThan(18_000_000);
    // Turn about, so that their packets come in between each other.
    messages.forEach((length, i) => {
      both.forEach(({ ws }, which) => ws.send(content(length, i + which)));
    });
    for (const [which, { listener }] of both.entries()) {
      await listener.until(() => listener.binaries.length === messages.length);
      // Only now: nothing that came later has changed it.
      expect(listener.binaries.map(hash)).toEqual(
        messages.map((length, i) => hash(content(length, i + which))),
      );
    }
  });
});

describe('a socket that is dialled', () => {
  it('gives its headers and credentials to the server, and its path', async () => {
    const { url, connections } = await wsServer();
    dial(`${url.replace('//', '//user:pass@')}/path?query`, { headers: { 'X-Token': 'abc' } });
    const { request } = await connections.next();
    expect(request.url).toBe('/path?query');
    expect(request.headers).toMatchObject({
      'x-token': 'abc',
      authorization: `Basic ${Buffer.from('user:pass').toString('base64')}`,
    });
    expect(request.headers['sec-websocket-extensions']).toBe(undefined);
    expect(request.headers['sec-websocket-protocol']).toBe(undefined);
  });

  it('reaches a server of TLS by its name, and by its address', async () => {
    const http = createHttpsServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY });
    const { url, connections } = await wsServer(http);
    for (const host of ['localhost', '127.0.0.1']) {
      const { listener, ours } = dial(url.replace('ws://127.0.0.1', `wss://${host}`), {
        tls: { ca: CERTIFICATE },
      });
      await listener.opened();
      const { heard } = await connections.next();
      ours.send('secret');
      expect(await heard.events.next()).toBe(`text ${show(Buffer.from('secret'))}`);
    }
  });

  it('does not reach one whose certificate nobody vouches for', async () => {
    const http = createHttpsServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY });
    const { url } = await wsServer(http);
    const { listener } = dial(url.replace('ws:', 'wss:'));
    const { code, detail } = await listener.end();
    expect(code).toBe(1006);
    expect(detail).toMatch(/certificate/);
    expect(listener.events).toEqual(['closed']);
  });

  it('sends a message of `allocate` where it stands, and copies others', async () => {
    const { ours, heard } = await dialled();
    for (const length of LENGTHS) {
      const message = ours.allocate!(length);
      expect(message).toHaveLength(length);
      message.set(content(length));
      ours.send(message);
      // It was masked there.
      if (length > 3) expect(show(message)).not.toBe(show(content(length)));
      const other = content(length, 1);
      ours.send(other);
      expect(show(other)).toBe(show(content(length, 1)));
      expect(await heard.events.take(2)).toEqual([
        `binary ${show(content(length))}`,
        `binary ${show(content(length, 1))}`,
      ]);
    }
  });

  it('uses memory again only when it was sent', async () => {
    const { ours, heard } = await dialled();
    const lengths = Array.from({ length: 200 }, (_, i) => 40_000 + ((i * 7_919) % 100_000));
    lengths.forEach((length, i) => {
      const message = ours.allocate!(length);
      message.set(content(length, i));
      ours.send(message);
    });
    expect(await heard.events.take(lengths.length)).toEqual(
      lengths.map((length, i) => `binary ${show(content(length, i))}`),
    );
  });

  it('refuses masked frames, with 1002', async () => {
    const { listener, ws, heard } = await dialled();
    beneath(ws).write(Buffer.of(0x81, 0x81, 1, 2, 3, 4, 0x40));
    expect((await heard.closed).code).toBe(1002);
    expect(await listener.end()).toMatchObject({ code: 1006, detail: 'a server sent a masked frame' });
  });
});

describe('a socket that is accepted', () => {
  const CODES: Record<string, number> = {
    'text that is not UTF-8': 1007,
    'a length that no number holds': 1009,
    'a length that no memory holds': 1009,
  };

  it.each(BROKEN_FRAMES)('refuses what no client sends: %s', async (name, bytes) => {
    const { listener, ws, heard } = await accepted();
    ws.send('before');
    beneath(ws).write(bytes);
    expect((await heard.closed).code).toBe(CODES[name] ?? 1002);
    expect(await listener.end()).toMatchObject({ code: 1006, reason: '' });
    expect(listener.texts).toEqual(['before']);
    expect(listener.count('closed')).toBe(1);
  });

  it('sends in place what it has read', async () => {
    const { connection, listener, ws, heard } = await accepted();
    listener.binary = data => {
      connection.sendInPlace(data);
    };
    for (const length of LENGTHS) ws.send(content(length));
    expect(await heard.events.take(LENGTHS.length)).toEqual(
      LENGTHS.map(length => `binary ${show(content(length))}`),
    );
  });
});
