// Real sockets behind a proxy that cuts, stalls and refuses: nothing is lost, repeated or reordered.
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { ClientSecureWebSocket } from '../../src/index.js';
import { Identity, Relay, SecureWebSocketServer, type ServerSecureWebSocket } from '../../src/server.js';
import { FaultPlan } from '../support/fault-plan.js';
import { FaultyProxy } from '../support/faulty-proxy.js';

const MESSAGES = 20_000;
const FAULTS = 30;
/** What is sent between two faults. */
const BLOCK = Math.ceil(MESSAGES / (FAULTS + 1));
const EVERY = 100;
const PIECE = 100;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** What one end has got, checked as it comes. */
class Received {
  count = 0;
  readonly wrong: string[] = [];
  readonly #expected: (index: number) => string;
  readonly #waiting: { readonly count: number; readonly go: () => void }[] = [];

  constructor(expected: (index: number) => string) {
    this.#expected = expected;
  }

  add(text: string): void {
    const expected = this.#expected(this.count);
    if (text !== expected && this.wrong.length < 10) {
      this.wrong.push(`expected ${expected.slice(0, 40)}, got ${text.slice(0, 40)}`);
    }
    this.count++;
    for (const { count, go } of this.#waiting) if (count <= this.count) go();
  }

  async reached(count: number): Promise<void> {
    if (this.count >= count) return;
    await new Promise<void>(go => {
      this.#waiting.push({ count, go });
    });
  }
}

const up = (index: number): string => `up ${index} ${'x'.repeat(500 + (index % 97))}`;
const down = (index: number): string => `down ${index} ${'y'.repeat(500 + (index % 89))}`;

interface Sender {
  send(data: string): void;
  readonly drained: Promise<void>;
}

/** Sends everything, block by block, each when `mayGo` allows it. */
async function sendAll(
  socket: Sender,
  text: (index: number) => string,
  mayGo: (block: number) => Promise<void>,
): Promise<void> {
  for (let index = 0; index < MESSAGES; index++) {
    if (index % BLOCK === 0) await mayGo(index / BLOCK);
    socket.send(text(index));
    if (index % PIECE === PIECE - 1) await socket.drained;
  }
}

/** Both ends send, while `fault` is called again and again as messages arrive. */
async function exchange(
  client: ClientSecureWebSocket,
  server: SecureWebSocketServer,
  plan: FaultPlan,
): Promise<{ atServer: Received; atClient: Received; connections: number; resumed: number; faults: number }> {
  const atServer = new Received(up);
  const atClient = new Received(down);
  const sockets: ServerSecureWebSocket[] = [];
  let resumed = 0;
  let serverSends: Promise<void> | undefined;
  server.on('connection', socket => {
    sockets.push(socket);
    socket.on('message', (data: Buffer) => {
      atServer.add(data.toString());
      plan.arrived();
    });
    socket.on('resumed', () => {
      plan.resumed();
    });
    serverSends = sendAll(socket, down, block => plan.reached(block));
  });
  client.addEventListener('message', event => {
    atClient.add(String(event.data));
  });
  client.addEventListener('reconnected', event => {
    if (event.resumed) resumed++;
  });
  await once(client, 'open');
  await sendAll(client, up, block => atClient.reached(block * BLOCK));
  await serverSends;
  // As in any WebSocket, nothing is heard after close().
  await atClient.reached(MESSAGES);
  const [socket] = sockets;
  if (!socket) throw new Error('there was no connection');
  // What was sent before `close` arrives before it.
  const closed = once(client, 'close') as Promise<
    [{ wasClean: boolean; code: number; unacknowledged: unknown[] }]
  >;
  const closedAtServer = once(socket, 'close');
  client.close(1000, 'done');
  const [[end]] = await Promise.all([closed, closedAtServer]);
  expect(end).toMatchObject({ wasClean: true, code: 1000, unacknowledged: [] });
  return { atServer, atClient, connections: sockets.length, resumed, faults: plan.count };
}

const RECONNECT = { minDelay: 10, maxDelay: 200 };

describe('20,000 messages each way and 30 faults', () => {
  it('dialled directly', { timeout: 120_000 }, async () => {
    const proxy = await FaultyProxy.start(1);
    closing.push(() => proxy.close());
    const url = `ws://127.0.0.1:${proxy.port}`;
    const server = new SecureWebSocketServer({
      port: 0,
      host: '127.0.0.1',
      identity: await Identity.generate(),
      addresses: [url],
    });
    closing.push(() => {
      server.close();
    });
    await server.ready;
    proxy.retarget((server.address() as { port: number }).port);
    const client = new ClientSecureWebSocket(url, [], {
      identity: await Identity.generate(),
      ...(server.publicKey !== undefined && { serverKey: server.publicKey }),
      reconnect: RECONNECT,
    });
    const result = await exchange(client, server, new FaultPlan([proxy], FAULTS, EVERY));
    expect(result).toMatchObject({
      atServer: { count: MESSAGES, wrong: [] },
      atClient: { count: MESSAGES, wrong: [] },
      connections: 1,
      faults: FAULTS,
    });
    expect(result.resumed).toBeGreaterThanOrEqual(FAULTS);
  });

  it('through a relay, with faults on both sides of it', { timeout: 120_000 }, async () => {
    const clientSide = await FaultyProxy.start(1);
    const serverSide = await FaultyProxy.start(1);
    closing.push(
      () => clientSide.close(),
      () => serverSide.close(),
    );
    const relay = new Relay({
      port: 0,
      host: '127.0.0.1',
      identity: await Identity.generate(),
      addresses: [clientSide, serverSide].map(({ port }) => `ws://127.0.0.1:${port}`),
    });
    await relay.listen();
    closing.push(() => relay.close());
    const { port: target } = relay.address() as { port: number };
    clientSide.retarget(target);
    serverSide.retarget(target);
    const identity = await Identity.generate();
    const server = new SecureWebSocketServer({
      relay: `ws://127.0.0.1:${serverSide.port}`,
      identity,
      serverKey: relay.publicKey,
      reconnect: RECONNECT,
    });
    closing.push(() => {
      server.close();
    });
    await server.ready;
    const client = new ClientSecureWebSocket(`ws://127.0.0.1:${clientSide.port}/${identity.publicKey}`, [], {
      identity: await Identity.generate(),
      serverKey: relay.publicKey,
      reconnect: RECONNECT,
    });
    const result = await exchange(client, server, new FaultPlan([clientSide, serverSide], FAULTS, EVERY));
    expect(result).toMatchObject({
      atServer: { count: MESSAGES, wrong: [] },
      atClient: { count: MESSAGES, wrong: [] },
      connections: 1,
      faults: FAULTS,
    });
    expect(result.resumed).toBeGreaterThanOrEqual(FAULTS);
  });
});
