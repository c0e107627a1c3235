import { afterEach, expect, it } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../../src/socket/node-server-secure-web-socket.js';

// Streams over the whole stack: what the unit tests say of one end, at both.

const MESSAGES = 256;
const SIZE = 65_536;

let server: SecureWebSocketServer;

afterEach(() => {
  for (const client of server.clients) client.terminate();
  server.close();
});

async function serve(serveSocket: (socket: ServerSecureWebSocket) => void): Promise<string> {
  server = new SecureWebSocketServer({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
  server.on('connection', serveSocket);
  await server.ready;
  return server.url ?? '';
}

/** Messages of bytes that tell their number, with text between them. */
function source(): ReadableStream<string | Uint8Array> {
  let count = 0;
  return new ReadableStream<string | Uint8Array>({
    pull(controller) {
      if (count === MESSAGES) {
        controller.close();
        return;
      }
      controller.enqueue(new Uint8Array(SIZE).fill(count));
      controller.enqueue(`number ${count}`);
      count++;
    },
  });
}

const dial = async (url: string): Promise<ClientSecureWebSocket> =>
  new ClientSecureWebSocket(url, [], { identity: await Identity.generate() });

it('an echo is two pipes, and loses nothing', async () => {
  let echoed: Promise<void> | undefined;
  const url = await serve(socket => {
    echoed = socket.readable.pipeTo(socket.writable);
  });
  const socket = await dial(url);
  const reader = socket.readable.getReader();
  const writer = socket.writable.getWriter();
  let largest = 0;
  const writing = (async () => {
    for await (const chunk of source()) {
      await writer.write(chunk);
      largest = Math.max(largest, socket.bufferedAmount);
    }
  })();
  for (let count = 0; count < MESSAGES; count++) {
    const bytes = (await reader.read()).value as Uint8Array;
    expect(bytes).toHaveLength(SIZE);
    expect(bytes.every(byte => byte === count % 256)).toBe(true);
    expect((await reader.read()).value).toBe(`number ${count}`);
  }
  await writing;
  await writer.close();
  expect(await reader.read()).toEqual({ done: true, value: undefined });
  await echoed;
  // Who writes waits for the network.
  expect(largest).toBeLessThanOrEqual(65_536);
});

it('whoever does not read holds back who writes', async () => {
  let accepted!: (socket: ServerSecureWebSocket) => void;
  const connected = new Promise<ServerSecureWebSocket>(resolve => {
    accepted = resolve;
  });
  const url = await serve(socket => {
    // Asked for, and not read.
    expect(socket.readable.locked).toBe(false);
    accepted(socket);
  });
  const client = await dial(url);
  let written = 0;
  const piped = source()
    .pipeThrough(
      new TransformStream<string | Uint8Array, string | Uint8Array>({
        transform(chunk, controller) {
          written++;
          controller.enqueue(chunk);
        },
      }),
    )
    .pipeTo(client.writable);
  const socket = await connected;
  const ticks = client.readable.getReader();
  // As long as exchanges in the other direction see more of it written.
  for (let before = -1; written === 0 || written !== before;) {
    before = written;
    for (let tick = 0; tick < 50; tick++) {
      socket.send('tick');
      await ticks.read();
    }
  }
  expect(written).toBeGreaterThan(0);
  expect(written).toBeLessThan(MESSAGES);
  const reader = socket.readable.getReader();
  let read = 0;
  for (let one = await reader.read(); !one.done; one = await reader.read()) read++;
  await piped;
  expect(read).toBe(2 * MESSAGES);
  expect(written).toBe(2 * MESSAGES);
});
