import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BufferPool } from '../../../src/core/buffer-pool.js';
import { acceptKey, acceptUpgrade } from '../../../src/websocket/accept-web-socket.js';
import { Opcode } from '../../../src/websocket/frame.js';
import { refuseUpgrade } from '../../../src/websocket/refuse-upgrade.js';
import { WebSocketConnection } from '../../../src/websocket/web-socket-connection.js';
import { content, encode, show } from './frames.js';
import { Listener } from './networks.js';

/** Key and answer of RFC 6455 section 1.3. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ANSWER = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

let server: Server;
let listener: Listener;
/** What `acceptUpgrade` gave. */
let accepted: boolean[];
/** What a test does with an upgrade, in place of accepting it. */
let onUpgrade: ((request: IncomingMessage, socket: Duplex) => void) | undefined;

beforeEach(async () => {
  listener = new Listener();
  accepted = [];
  onUpgrade = undefined;
  const kind = { masked: true, borrowed: false, maxPayload: 1_000_000, memory: new BufferPool(0) };
  server = createServer((_, response) => {
    response.writeHead(426).end();
  });
  server.on('upgrade', (request, socket, head) => {
    if (onUpgrade) {
      onUpgrade(request, socket);
      return;
    }
    accepted.push(acceptUpgrade(request, socket));
    if (accepted.at(-1)) new WebSocketConnection(kind, listener).attach(socket, head);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const HEADERS = {
  Host: 'localhost',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': KEY,
};

type Changes = Record<string, string | undefined>;

function requestOf(changes: Changes = {}, method = 'GET'): string {
  const headers = Object.entries<string | undefined>({ ...HEADERS, ...changes })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} / HTTP/1.1\r\n${headers.join('')}\r\n`;
}

function dial() {
  return connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
}

/** What a server answers to a request, until it ends the connection. */
async function answerTo(request: string) {
  const socket = dial();
  socket.write(request);
  const chunks: Buffer[] = [];
  socket.on('data', chunk => chunks.push(chunk));
  await once(socket, 'end');
  socket.destroy();
  const [head, body] = Buffer.concat(chunks).toString().split('\r\n\r\n');
  const [status, ...lines] = head!.split('\r\n');
  const headers = Object.fromEntries(lines.map(line => line.split(': ') as [string, string]));
  return { status, headers, body };
}

describe('acceptKey', () => {
  it('is as in the RFC', () => {
    expect(acceptKey(KEY)).toBe(ANSWER);
  });
});

describe('an upgrade that is refused', () => {
  it.each<[string, Changes]>([
    ['405 Method Not Allowed', {}],
    // Whatever else is wrong.
    ['405 Method Not Allowed', { 'Sec-WebSocket-Version': '8', 'Sec-WebSocket-Key': undefined }],
  ])('is answered with %s when it is no GET, %j', async (status, changes) => {
    const { status: line, headers } = await answerTo(requestOf(changes, 'POST'));
    expect(line).toBe(`HTTP/1.1 ${status}`);
    expect(headers['Allow']).toBe('GET');
    expect(accepted).toEqual([false]);
  });

  it.each(['h2c', 'websocket, h2c', 'websockets'])(
    'is answered with 400 for the protocol %s',
    async Upgrade => {
      const { status, body } = await answerTo(requestOf({ Upgrade }));
      expect(status).toBe('HTTP/1.1 400 Bad Request');
      expect(body).toContain('Upgrade');
      expect(accepted).toEqual([false]);
    },
  );

  it.each([undefined, '8', '14', '013', '13, 13'])(
    'is answered with 426 and the version for the version %s',
    async version => {
      const { status, headers } = await answerTo(requestOf({ 'Sec-WebSocket-Version': version }));
      expect(status).toBe('HTTP/1.1 426 Upgrade Required');
      expect(headers['Sec-WebSocket-Version']).toBe('13');
      expect(accepted).toEqual([false]);
    },
  );

  it.each([
    undefined,
    '',
    'short==',
    'dGhlIHNhbXBsZSBub25jZQ',
    `${KEY}=`,
    `${KEY}, ${KEY}`,
    'dGhlIHNhbXBsZSBub25jZQ!=',
    '_-hlIHNhbXBsZSBub25jZQ==',
    KEY.repeat(100),
  ])('is answered with 400 for the key %s', async key => {
    const { status, body } = await answerTo(requestOf({ 'Sec-WebSocket-Key': key }));
    expect(status).toBe('HTTP/1.1 400 Bad Request');
    expect(body).toContain('Sec-WebSocket-Key');
    expect(accepted).toEqual([false]);
  });

  it('says how long the answer is, and that it is the last', async () => {
    onUpgrade = (_, socket) => {
      refuseUpgrade(socket, 503, 'Später.', { 'Retry-After': '5' });
    };
    const { status, headers, body } = await answerTo(requestOf());
    expect(status).toBe('HTTP/1.1 503 Service Unavailable');
    expect(body).toBe('Später.\n');
    expect(headers).toEqual({
      Connection: 'close',
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': '9',
      'Retry-After': '5',
    });
  });

  it('may be gone already', async () => {
    const upgrade = new Promise<Duplex>(resolve => {
      onUpgrade = (_, socket) => {
        resolve(socket);
      };
    });
    const client = dial();
    client.write(requestOf());
    const socket = await upgrade;
    client.resetAndDestroy();
    await once(socket, 'close').catch(() => undefined);
    refuseUpgrade(socket, 400, 'Nobody hears it.');
    expect(socket.destroyed).toBe(true);
  });
});

describe('an upgrade that is accepted', () => {
  /** Sends bytes and gives the answer, up to where it ends. */
  async function upgraded(...chunks: (string | Uint8Array)[]) {
    const socket = dial();
    for (const chunk of chunks) socket.write(chunk);
    let answer = '';
    while (!answer.includes('\r\n\r\n')) answer += String((await once(socket, 'data'))[0]);
    return { socket, answer };
  }

  it.each<[string, Changes]>([
    ['plainly', {}],
    ['in capitals', { Upgrade: 'WebSocket', Connection: 'keep-alive, Upgrade' }],
    [
      'with extensions and subprotocols, of which it takes none',
      { 'Sec-WebSocket-Extensions': 'permessage-deflate', 'Sec-WebSocket-Protocol': 'chat' },
    ],
  ])('is answered as in the RFC: %s', async (_, changes) => {
    const { socket, answer } = await upgraded(requestOf(changes));
    expect(answer).toBe(
      'HTTP/1.1 101 Switching Protocols\r\n' +
        'Upgrade: websocket\r\n' +
        'Connection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${ANSWER}\r\n\r\n`,
    );
    expect(accepted).toEqual([true]);
    socket.destroy();
    expect((await listener.end()).code).toBe(1006);
  });

  it('is read on where it ends, wherever the packets are cut', async () => {
    const key = Uint8Array.of(1, 2, 3, 4);
    const frames = Buffer.concat([
      encode({ opcode: Opcode.TEXT, payload: Buffer.from('first'), key }),
      encode({ opcode: Opcode.BINARY, payload: content(300), key }),
    ]);
    const request = Buffer.from(requestOf());
    const all = Buffer.concat([request, frames]);
    for (const more of [0, 1, 2, 6, 11, 12, 20, frames.length - 1, frames.length]) {
      listener = new Listener();
      const cut = request.length + more;
      const { socket } = await upgraded(all.subarray(0, cut));
      // The rest only now: else it could come in the same packet.
      if (cut < all.length) socket.write(all.subarray(cut));
      await listener.until(() => listener.told.length === 2);
      expect(listener.texts).toEqual(['first']);
      expect(listener.binaries.map(show)).toEqual([show(content(300))]);
      socket.destroy();
      await listener.end();
    }
  });
});
