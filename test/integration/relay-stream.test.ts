import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { encodeEnvelope, encodeListen, NoticeReason, peerAddress } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { Relay, type RelayOptions } from '../../src/relay/relay.js';
import { RelayClient } from '../support/relay-client.js';

vi.setConfig({ testTimeout: 30_000 });

const identity = await Identity.generate();
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function start(options: Partial<RelayOptions> = { port: 0, host: '127.0.0.1' }): Promise<Relay> {
  const relay = new Relay({ identity, ...options });
  cleanUp.push(() => relay.close());
  await relay.listen();
  return relay;
}

async function join(relay: Relay): Promise<RelayClient> {
  const client = await RelayClient.connect(relay.url);
  cleanUp.push(() => {
    client.ws.terminate();
  });
  return client;
}

async function tcp(relay: Relay): Promise<Socket> {
  const socket = connect({ port: (relay.address() as AddressInfo).port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  cleanUp.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** A server that counts what reaches the network, underneath the WebSockets: how many parts each write has. */
async function countingServer(): Promise<{ server: Server; writes: number[] }> {
  const server = createServer();
  const writes: number[] = [];
  server.on('upgrade', (request: IncomingMessage) => {
    const network = request.socket as Socket & Required<Pick<Socket, '_writev'>>;
    const write = network._write.bind(network);
    const writev = network._writev.bind(network);
    network._write = (...args) => {
      writes.push(1);
      write(...args);
    };
    network._writev = (chunks, done) => {
      writes.push(chunks.length);
      writev(chunks, done);
    };
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => server.close());
  return { server, writes };
}

/** A masked text message (RFC 6455 section 5.2), at most 125 bytes. */
function maskedText(text: string): Buffer {
  const key = Buffer.of(0x11, 0xa2, 0x33, 0xc4);
  const payload = Buffer.from(text);
  return Buffer.concat([
    Buffer.of(0x81, 0x80 | payload.length),
    key,
    payload.map((byte, i) => byte ^ (key[i % 4] ?? 0)),
  ]);
}

const UPGRADE = [
  'GET / HTTP/1.1',
  'Host: relay.example',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`,
  '\r\n',
].join('\r\n');

/** All that comes until the relay closes the connection. */
async function answerTo(relay: Relay, ...chunks: Buffer[]): Promise<string> {
  const socket = await tcp(relay);
  socket.setNoDelay(true);
  const received: Buffer[] = [];
  socket.on('data', chunk => received.push(chunk));
  for (const chunk of chunks) {
    await new Promise(resolve => socket.write(chunk, resolve));
    await new Promise(resolve => setImmediate(resolve));
  }
  await once(socket, 'close');
  return Buffer.concat(received).toString('latin1');
}

describe('bytes of a client', () => {
  it.each([
    ['with the request', (request: Buffer, frame: Buffer) => [Buffer.concat([request, frame])]],
    [
      'one by one',
      (request: Buffer, frame: Buffer) => [request, ...Array.from(frame, byte => Buffer.of(byte))],
    ],
    [
      'cut in the key',
      (request: Buffer, frame: Buffer) => [request, frame.subarray(0, 4), frame.subarray(4)],
    ],
  ])('are understood when they come %s', async (_name, cut) => {
    const relay = await start({ port: 0, host: '127.0.0.1', registrationTimeout: 10_000 });
    const refused = once(relay, 'refused') as Promise<[{ code: string; message: string }]>;
    const answer = await answerTo(
      relay,
      ...cut(Buffer.from(UPGRADE), maskedText(JSON.stringify({ type: 'CHALLENGE_RESPONSE', noise: 'AAAA' }))),
    );
    const [{ code }] = await refused;
    // Any other text would be REGISTRATION_MALFORMED: this one is a CHALLENGE_RESPONSE, with Noise that is too short.
    expect(code).toBe('NOISE_MESSAGE_MALFORMED');
    expect(answer).toContain('"type":"CHALLENGE"');
    expect(answer).toContain('REGISTER_FAILURE');
  });

  it('come through whole, whatever their number and length', async () => {
    const relay = await start();
    const [alice, bob] = [await join(relay), await join(relay)];
    const lengths = [1, 2, 3, 88, 89, 125, 126, 127, 191, 1_000, 65_498, 65_499, 65_536, 200_000, 261_000];
    for (let i = 0; i < 3; i++) {
      for (const length of lengths) {
        alice.send(
          encodeEnvelope(
            bob.address,
            Uint8Array.from({ length }, (_, at) => at * 31 + length),
          ),
        );
      }
    }
    for (let i = 0; i < 3; i++) {
      for (const length of lengths) {
        const frame = await bob.frames.next();
        if (frame.type !== 'envelope') throw new Error(frame.type);
        expect(frame.address).toEqual(alice.address);
        expect(frame.body).toHaveLength(length);
        expect(frame.body.every((byte, at) => byte === ((at * 31 + length) & 255))).toBe(true);
      }
    }
  });
});

describe('writes', () => {
  it('answer a request and challenge its client in one', async () => {
    const { server, writes } = await countingServer();
    const socket = await tcp(await start({ server }));
    socket.write(UPGRADE);
    let received = '';
    while (!received.includes('"type":"CHALLENGE"')) received += String(await once(socket, 'data'));
    expect(received).toMatch(/^HTTP\/1\.1 101 /);
    // The answer and the message.
    expect(writes).toEqual([2]);
  });

  it('to one client are fewer than the messages that came for it together', async () => {
    const { server, writes } = await countingServer();
    const relay = await start({ server });
    const [alice, bob] = [await join(relay), await join(relay)];
    writes.length = 0;
    const COUNT = 200;
    // One packet, or a few.
    const socket = (alice.ws as unknown as { _socket: Socket })._socket;
    socket.cork();
    for (let i = 0; i < COUNT; i++) alice.send(encodeEnvelope(bob.address, Uint8Array.of(i)));
    socket.uncork();
    for (let i = 0; i < COUNT; i++) expect(await bob.frames.next()).toMatchObject({ body: Uint8Array.of(i) });
    expect(writes.length).toBeLessThan(COUNT / 4);
  });

  it('are not refused because they wait for each other, and notices keep their place', async () => {
    const relay = await start({ port: 0, host: '127.0.0.1', maxFrame: 32_768, maxQueueBytes: 32_768 });
    const [alice, bob] = [await join(relay), await join(relay)];
    const absent = peerAddress(new Uint8Array(32).fill(9), 0);
    bob.send(encodeListen(true));
    for (let i = 0; i < 400; i++) {
      alice.send(encodeEnvelope(bob.address, Uint8Array.of(i & 255)));
      if (i % 100 === 99) alice.send(encodeEnvelope(absent, Uint8Array.of(0)));
    }
    for (let i = 0; i < 400; i++)
      expect(await bob.frames.next()).toMatchObject({ body: Uint8Array.of(i & 255) });
    for (let i = 0; i < 4; i++) {
      expect(await alice.frames.next()).toMatchObject({ type: 'notice', reason: NoticeReason.NOT_HERE });
    }
  });
});

it('nothing of the request and of the registration is kept for a client that is connected', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const server = createServer();
  const requests: WeakRef<IncomingMessage>[] = [];
  server.on('upgrade', request => requests.push(new WeakRef(request)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => server.close());
  const relay = await start({ server });
  for (let i = 0; i < 10; i++) await join(relay);
  for (let attempt = 0; attempt < 10 && requests.some(each => each.deref() !== undefined); attempt++) {
    await new Promise(resolve => setImmediate(resolve));
    collect();
  }
  expect(relay.connections).toBe(10);
  expect(requests.filter(each => each.deref() !== undefined)).toHaveLength(0);
});
