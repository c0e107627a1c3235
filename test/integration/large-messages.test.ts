import { afterEach, describe, expect, it } from 'vitest';
import { RECEIVE_WINDOW } from '../../src/core/constants.js';
import { Identity } from '../../src/core/identity.js';
import { Relay } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../../src/socket/server-secure-web-socket.js';
import { anyServer, type LoggedClient } from '../support/attacked.js';
import { EventQueue } from '../support/event-queue.js';
import { SocketLog } from '../support/socket-log.js';

const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const MIB = 1_048_576;
const SLOW = { timeout: 60_000 };

interface Service {
  readonly url: string;
  readonly relay: Relay | undefined;
  readonly connections: EventQueue<End>;
}

/** One end of a connection, whichever it is. */
interface End {
  readonly socket: ClientSecureWebSocket | ServerSecureWebSocket;
  readonly messages: EventQueue<Buffer | string>;
  readonly closed: Promise<string>;
}

async function directService(maxPayload?: number): Promise<Service> {
  const server = new SecureWebSocketServer({
    port: 0,
    host: '127.0.0.1',
    identity: Identity.generate(),
    maxPayload,
  });
  return serve(server, undefined);
}

async function relayedService(maxPayload?: number): Promise<Service> {
  const relay = new Relay({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
  await relay.listen();
  cleanUp.push(() => relay.close());
  const server = new SecureWebSocketServer({
    relay: relay.url,
    identity: Identity.generate(),
    trustStore: anyServer,
    maxPayload,
  });
  return serve(server, relay);
}

async function serve(server: SecureWebSocketServer, relay: Relay | undefined): Promise<Service> {
  const connections = new EventQueue<End>();
  server.on('connection', socket => {
    connections.push(serverEnd(socket));
  });
  await server.ready;
  cleanUp.push(async () => {
    for (const socket of server.clients) socket.terminate();
    await new Promise<void>(resolve => {
      server.close(() => {
        resolve();
      });
    });
  });
  return { url: server.url ?? '', relay, connections };
}

const SERVICES: [string, (maxPayload?: number) => Promise<Service>][] = [
  ['dialled itself', directService],
  ['behind a relay', relayedService],
];

function serverEnd(socket: ServerSecureWebSocket): End {
  const messages = new EventQueue<Buffer | string>();
  socket.on('message', (data, isBinary) => {
    messages.push(isBinary ? (data as Buffer) : (data as Buffer).toString());
  });
  const closed = new Promise<string>(resolve => {
    let error = '';
    socket.on('error', failure => {
      error = `${(failure as { code?: string }).code ?? failure.message} `;
    });
    socket.on('close', code => {
      resolve(`${error}${code}`);
    });
  });
  return { socket, messages, closed };
}

function dial(
  url: string,
  identity: Identity | Promise<Identity> = Identity.generate(),
  maxPayload?: number,
): End {
  const socket = new ClientSecureWebSocket(url, [], { identity, trustStore: anyServer, maxPayload });
  cleanUp.push(async () => {
    socket.close();
  });
  socket.binaryType = 'arraybuffer';
  const messages = new EventQueue<Buffer | string>();
  socket.onmessage = ({ data }) => {
    messages.push(typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer));
  };
  const closed = new Promise<string>(resolve => {
    let error = '';
    socket.onerror = event => {
      error = `${event.error.code} `;
    };
    socket.onclose = ({ code }) => {
      resolve(`${error}${code}`);
    };
  });
  return { socket, messages, closed };
}

async function pair(service: Service, identity?: Promise<Identity>): Promise<[client: End, server: End]> {
  const client = dial(service.url, identity);
  const server = await service.connections.next();
  await opened(client);
  return [client, server];
}

async function opened({ socket, closed }: End): Promise<void> {
  if (socket.readyState === 1) return;
  const open = new Promise(resolve => {
    socket.addEventListener('open', resolve);
  });
  await Promise.race([
    open,
    closed.then(end => {
      throw new Error(`closed with ${end}`);
    }),
  ]);
}

/** Bytes that are nowhere the same over a distance that fragments could be confused by. */
function bytes(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0, state = seed; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

/** Text of so many bytes of UTF-8, with characters of one to four of them, so that fragments end inside characters. */
function text(length: number): string {
  const pattern = 'aé€😀';
  const size = Buffer.byteLength(pattern);
  return pattern.repeat(Math.floor(length / size)) + 'x'.repeat(length % size);
}

function send({ socket }: End, data: Buffer | string): void {
  socket.send(data);
}

/** Without a description of millions of bytes when they differ. */
function same(received: Buffer | string, sent: Buffer | string): void {
  expect(typeof received).toBe(typeof sent);
  expect(received.length).toBe(sent.length);
  expect(typeof sent === 'string' ? received === sent : sent.equals(received as Buffer)).toBe(true);
}

/** Both ends send at the same time. */
async function exchange(one: End, other: End, there: Buffer | string, back: Buffer | string): Promise<void> {
  send(one, there);
  send(other, back);
  const [arrived, returned] = await Promise.all([other.messages.next(), one.messages.next()]);
  same(arrived, there);
  same(returned, back);
}

describe.each(SERVICES)('a service %s', (_, start) => {
  it('exchanges messages of every size, both ways at once', SLOW, async () => {
    const [client, server] = await pair(await start());
    const sizes = [0, 1, 2, 125, 126, 1_023, 1_024, 1_025, 16_383, 16_384, 65_535, 65_536];
    // Around a frame, a window, and several of them.
    sizes.push(
      ...[262_000, 262_144, 262_145, RECEIVE_WINDOW - 64, RECEIVE_WINDOW, RECEIVE_WINDOW + 1, 10_000_001],
    );
    for (const size of sizes) {
      await exchange(client, server, bytes(size), text(size));
      await exchange(client, server, text(size), bytes(size));
    }
    client.socket.close(1000);
    expect(await client.closed).toBe('1000');
    expect(await server.closed).toBe('1000');
  });

  it('exchanges 64 MiB of text and of bytes, both ways at once', SLOW, async () => {
    const [client, server] = await pair(await start());
    const [one, two] = start === directService ? [client, server] : [server, client];
    await exchange(one, two, text(64 * MIB), bytes(64 * MIB));
  });

  it('keeps the order of large and small messages', SLOW, async () => {
    const [client, server] = await pair(await start());
    const sent: (Buffer | string)[] = [];
    for (let i = 0; i < 60; i++) sent.push(i % 10 === 3 ? bytes(700_000, i) : i % 2 ? `${i}` : bytes(i, i));
    for (const message of sent) send(client, message);
    client.socket.close(4000);
    for (const message of sent) same(await server.messages.next(), message);
    expect(await server.closed).toBe('4000');
  });

  it('that does not read holds back who sends to it, and nobody else', SLOW, async () => {
    const service = await start();
    const identity = Identity.generate();
    const [slow, paused] = await pair(service, identity);
    const [quick, reading] = await pair(service, identity);
    (paused.socket as ServerSecureWebSocket).pause();
    const message = bytes(MIB);
    for (let i = 0; i < 16; i++) send(slow, message);
    // Over the same link, where there is a relay.
    for (let i = 0; i < 20; i++) await exchange(quick, reading, bytes(100_000, i), text(100_000));
    // No more than a window is on its way, or waits at the other end.
    expect(slow.socket.bufferedAmount).toBeGreaterThan(16 * MIB - RECEIVE_WINDOW - MIB);
    expect(paused.messages.pending).toEqual([]);
    expect(service.relay?.statistics.queuedBytes ?? 0).toBeLessThan(RECEIVE_WINDOW);
    // The other direction of the same connection is open, too.
    send(paused, 'hello');
    same(await slow.messages.next(), 'hello');
    (paused.socket as ServerSecureWebSocket).resume();
    for (let i = 0; i < 16; i++) same(await paused.messages.next(), message);
    await expect.poll(() => slow.socket.bufferedAmount).toBe(0);
  });

  it('ends with 1009 who sends more than maxPayload, and takes exactly that', SLOW, async () => {
    const service = await start(MIB);
    for (const size of [MIB + 1, 5 * MIB]) {
      for (const data of [bytes(size), text(size)]) {
        const [client, server] = await pair(service);
        await exchange(client, server, data.slice(0, typeof data === 'string' ? 1_000 : MIB), 'small');
        send(client, data);
        expect(await server.closed).toBe('MESSAGE_TOO_LARGE 1006');
        expect(await client.closed).toBe('1009');
        expect(server.messages.pending).toEqual([]);
      }
    }
  });

  it('is left with 1009 when it sends more than the client takes', SLOW, async () => {
    const service = await start();
    const client = dial(service.url, Identity.generate(), MIB);
    const server = await service.connections.next();
    await opened(client);
    await exchange(client, server, 'small', bytes(MIB));
    send(server, bytes(MIB + 1));
    expect(await client.closed).toBe('MESSAGE_TOO_LARGE 1006');
    expect(await server.closed).toBe('1009');
    expect(client.messages.pending).toEqual([]);
  });
});

describe('sockets at one relay', () => {
  it('share a link when they are of one identity, and only then', SLOW, async () => {
    const service = await relayedService();
    const links = (): number => service.relay?.connections ?? 0;
    expect(links()).toBe(1);
    const identity = Identity.generate();
    const pairs = [
      await pair(service, identity),
      await pair(service, identity),
      await pair(service, identity),
    ];
    expect(links()).toBe(2);
    const [other] = await pair(service);
    expect(links()).toBe(3);

    // All at once over the one link, in both directions.
    await Promise.all(pairs.map(([one, two], i) => exchange(one, two, bytes(3 * MIB, i + 1), text(3 * MIB))));

    // It lives as long as the last of them.
    const [[first], [second], [third]] = pairs as [[End, End], [End, End], [End, End]];
    first.socket.close(1000);
    expect(await first.closed).toBe('1000');
    second.socket.close(1000);
    expect(await second.closed).toBe('1000');
    expect(links()).toBe(3);
    const [again] = await pair(service, identity);
    expect(links()).toBe(3);
    for (const { socket, closed } of [third, again]) {
      socket.close(1000);
      expect(await closed).toBe('1000');
    }
    await expect.poll(links).toBe(2);
    other.socket.close(1000);
    await expect.poll(links).toBe(1);
  });

  it('have links of their own in two processes with the same identity, and both work', SLOW, async () => {
    const service = await relayedService();
    const identity = Identity.generate();
    const [one, oneServer] = await pair(service, identity);
    // Another deviceId is another link, as another tab is.
    const socket = new ClientSecureWebSocket(service.url, [], {
      identity,
      trustStore: anyServer,
      deviceId: 'the other',
    });
    cleanUp.push(async () => {
      socket.close();
    });
    const twoServer = await service.connections.next();
    const messages = new EventQueue<string>();
    socket.onmessage = ({ data }) => {
      messages.push(data as string);
    };
    expect(service.relay?.connections).toBe(3);
    expect((oneServer.socket as ServerSecureWebSocket).peerPublicKey).toBe(
      (twoServer.socket as ServerSecureWebSocket).peerPublicKey,
    );
    await exchange(one, oneServer, 'from one', 'to one');
    send(twoServer, 'to two');
    expect(await messages.next()).toBe('to two');
    socket.send('from two');
    expect(await twoServer.messages.next()).toBe('from two');
    // The end of one is not that of the other.
    socket.close(1000);
    expect(await twoServer.closed).toBe('1000');
    await exchange(one, oneServer, 'still', 'here');
  });

  it('do not share the fate of one that has the wrong pin', async () => {
    const service = await relayedService();
    const identity = Identity.generate();
    const wrong = (await Identity.generate()).publicKey;
    const [first, second] = [wrong, service.relay?.publicKey ?? ''].map(serverKey => {
      const socket = new ClientSecureWebSocket(service.url, [], { identity, serverKey });
      return { socket, log: SocketLog.ofClient(socket) };
    }) as [LoggedClient, LoggedClient];
    expect(await first.log.closed).toEqual(['error SERVER_KEY_MISMATCH', 'close 1006']);
    await second.log.opened;
    second.socket.close();
    await second.log.closed;
  });
});
