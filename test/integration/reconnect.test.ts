// What a client with `reconnect` promises, over real sockets. Faults in the middle of an exchange: faults.test.ts.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { ClientSecureWebSocket } from '../../src/index.js';
import { registerAccepted } from '../../src/link/accept.js';
import { wrapWsSocket } from '../../src/link/platform/ws-socket.js';
import {
  Identity,
  Relay,
  Resumption,
  SecureWebSocketServer,
  ServerSecureWebSocket,
  type SecureWebSocketServerOptions,
} from '../../src/server.js';
import { EventQueue } from '../support/event-queue.js';
import { FaultyProxy } from '../support/faulty-proxy.js';

const RECONNECT = { minDelay: 5, maxDelay: 50 };
const closing: (() => unknown)[] = [];
let proxy: FaultyProxy;
let identity: Identity;
let url: string;

beforeEach(async () => {
  proxy = await FaultyProxy.start(1);
  closing.push(() => proxy.close());
  identity = await Identity.generate();
  url = `ws://127.0.0.1:${proxy.port}`;
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A server behind the proxy; what it gets, and its sockets. */
async function serve(options: SecureWebSocketServerOptions = {}): Promise<{
  server: SecureWebSocketServer;
  got: EventQueue<string>;
  sockets: EventQueue<ServerSecureWebSocket>;
}> {
  const server = new SecureWebSocketServer({
    port: 0,
    host: '127.0.0.1',
    identity,
    addresses: [url],
    ...options,
  });
  await server.ready;
  closing.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  proxy.retarget((server.address() as AddressInfo).port);
  const got = new EventQueue<string>();
  const sockets = new EventQueue<ServerSecureWebSocket>();
  server.on('connection', socket => {
    sockets.push(socket);
    socket.on('message', (data: Buffer) => {
      got.push(data.toString());
    });
  });
  return { server, got, sockets };
}

async function dial(
  target: ConstructorParameters<typeof ClientSecureWebSocket>[0] = url,
  options: ConstructorParameters<typeof ClientSecureWebSocket>[2] = {},
): Promise<ClientSecureWebSocket> {
  const socket = new ClientSecureWebSocket(target, [], {
    identity: await Identity.generate(),
    trustStore: { check: () => true },
    reconnect: RECONNECT,
    ...options,
  });
  closing.push(() => {
    socket.close();
  });
  return socket;
}

const event = async <Name extends 'open' | 'reconnecting' | 'reconnected' | 'error' | 'close'>(
  socket: ClientSecureWebSocket,
  name: Name,
): Promise<Parameters<Extract<ClientSecureWebSocket[`on${Name}`], (event: never) => unknown>>[0]> => {
  const [happened] = (await once(socket, name)) as [never];
  return happened;
};

describe('a connection whose link is lost', () => {
  it('is open all the while, at both ends, and nothing is lost', async () => {
    const { got, sockets } = await serve();
    const client = await dial();
    await event(client, 'open');
    const socket = await sockets.next();
    const suspended = once(socket, 'suspended');
    const reconnecting = event(client, 'reconnecting');
    proxy.refusing = true;
    proxy.cut();
    expect(await reconnecting).toMatchObject({ attempt: 1, error: { code: 'LINK_LOST' } });
    await suspended;
    expect([client.readyState, socket.readyState]).toEqual([1, 1]);
    client.send('written while away');
    socket.send('this too');
    expect([client.bufferedAmount, socket.bufferedAmount]).toEqual([18, 8]);
    const [message, reconnected, resumed] = [
      once(client, 'message'),
      event(client, 'reconnected'),
      once(socket, 'resumed'),
    ];
    proxy.refusing = false;
    expect(await reconnected).toMatchObject({ resumed: true, unacknowledged: [] });
    await resumed;
    expect(await got.next()).toBe('written while away');
    expect(((await message) as [{ data: string }])[0].data).toBe('this too');
    await client.drained;
    expect(sockets.pending).toEqual([]);
  });

  it('takes no more than maxBuffered, and says so', async () => {
    const { got, sockets } = await serve();
    const client = await dial(url, { maxBuffered: 10 });
    await event(client, 'open');
    await sockets.next();
    const reconnecting = event(client, 'reconnecting');
    proxy.refusing = true;
    proxy.cut();
    await reconnecting;
    client.send('12345');
    expect(() => {
      client.send('678901');
    }).toThrow(expect.objectContaining({ code: 'BUFFER_FULL' }) as Error);
    client.send('67890');
    proxy.refusing = false;
    expect(await got.take(2)).toEqual(['12345', '67890']);
  });

  it('is lost for good with the process at its other end: what may not have arrived is handed back', async () => {
    const first = await serve();
    const client = await dial();
    await event(client, 'open');
    await first.sockets.next();
    client.send('heard');
    expect(await first.got.next()).toBe('heard');
    proxy.refusing = true;
    const reconnecting = event(client, 'reconnecting');
    proxy.cut();
    await reconnecting;
    client.send('not heard');
    client.send(Uint8Array.of(1, 2));
    // The same key at the same place, and another process.
    const second = await serve();
    const [error, close] = [event(client, 'error'), event(client, 'close')];
    proxy.refusing = false;
    expect(await error).toMatchObject({ error: { code: 'CHANNEL_LOST' } });
    const end = await close;
    expect(end).toMatchObject({ code: 1006, wasClean: false });
    expect(end.reason).toContain('does not know the connection any more');
    const { unacknowledged } = end as unknown as { unacknowledged: (string | ArrayBuffer)[] };
    // The acknowledgement of the first may have been on its way.
    expect(unacknowledged.filter(message => message !== 'heard')).toEqual([
      'not heard',
      Uint8Array.of(1, 2).buffer,
    ]);
    expect([second.sockets.pending, second.got.pending]).toEqual([[], []]);
  });

  it('is not kept where the server keeps none', async () => {
    const { sockets } = await serve({ resumeWindow: 0 });
    const client = await dial();
    await event(client, 'open');
    const closed = once(await sockets.next(), 'close');
    const close = event(client, 'close');
    proxy.cut();
    expect((await closed)[0]).toBe(1006);
    expect(await close).toMatchObject({ code: 1006, wasClean: false });
  });

  it('is noticed without a word from the network', { timeout: 90_000 }, async () => {
    const { got, sockets } = await serve();
    const client = await dial();
    await event(client, 'open');
    await sockets.next();
    const reconnecting = event(client, 'reconnecting');
    proxy.stall();
    client.send('into the void');
    expect(await reconnecting).toMatchObject({ error: { code: 'LINK_LOST' } });
    expect(await got.next()).toBe('into the void');
  });

  it('goes on with the same socket around a socket of ws', async () => {
    const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    closing.push(() => {
      for (const ws of wss.clients) ws.terminate();
      wss.close();
    });
    await once(wss, 'listening');
    proxy.retarget((wss.address() as AddressInfo).port);
    const accepted = new EventQueue<ServerSecureWebSocket>();
    const got: string[] = [];
    const resumption = new Resumption();
    wss.on('connection', (ws, request) => {
      void ServerSecureWebSocket.accept(ws, { identity, addresses: [url], resumption }, request).then(
        socket => {
          accepted.push(socket);
        },
      );
    });
    const client = await dial();
    await event(client, 'open');
    const socket = await accepted.next();
    socket.on('message', (data: Buffer) => {
      got.push(data.toString());
      socket.send('heard');
    });
    client.send('one');
    await once(client, 'message');
    const reconnected = event(client, 'reconnected');
    proxy.cut();
    await reconnected;
    expect(await accepted.next()).toBe(socket);
    const heard = once(client, 'message');
    client.send('two');
    await heard;
    expect(got).toEqual(['one', 'two']);
  });
});

describe('a client', () => {
  it('asks for its URL, token and keys at each attempt, and any of them may fail', async () => {
    const { got, sockets } = await serve();
    const asked = { url: 0, token: 0, identity: 0, serverKey: 0 };
    const own = await Identity.generate();
    const failing = (count: number, every: number): void => {
      if (count % every === 1) throw new Error('not now');
    };
    const client = await dial(
      async () => {
        failing(++asked.url, 3);
        return Promise.resolve(url);
      },
      {
        token: () => {
          failing(++asked.token, 4);
          return `token ${asked.token}`;
        },
        identity: () => {
          asked.identity++;
          return own;
        },
        serverKey: () => {
          asked.serverKey++;
          return identity.publicKey;
        },
      },
    );
    await event(client, 'open');
    const socket = await sockets.next();
    expect(socket.token).toMatch(/^token \d$/);
    expect(client.url).toBe(`${url}/`);
    const before = { ...asked };
    const reconnected = event(client, 'reconnected');
    proxy.cut();
    expect(await reconnected).toMatchObject({ resumed: true });
    for (const name of ['url', 'token', 'identity', 'serverKey'] as const) {
      expect(asked[name]).toBeGreaterThan(before[name]);
    }
    client.send('still here');
    expect(await got.next()).toBe('still here');
  });

  it('tries until somebody is there, and opens then', async () => {
    proxy.refusing = true;
    const client = await dial();
    expect(await event(client, 'reconnecting')).toMatchObject({ attempt: 1, error: { code: 'LINK_FAILED' } });
    expect(client.readyState).toBe(0);
    const { sockets } = await serve();
    proxy.refusing = false;
    await event(client, 'open');
    await sockets.next();
  });

  it('gives up after maxAttempts', async () => {
    proxy.refusing = true;
    const client = await dial(url, { reconnect: { ...RECONNECT, maxAttempts: 3 } });
    const attempts: number[] = [];
    client.onreconnecting = ({ attempt }) => {
      attempts.push(attempt);
    };
    expect(await event(client, 'close')).toMatchObject({ code: 1006 });
    expect(attempts).toEqual([1, 2, 3]);
  });

  it.each([1001, 1012, 1013])('is given a new connection when the peer closes with %i', async code => {
    const { got, sockets } = await serve();
    const client = await dial();
    await event(client, 'open');
    const first = await sockets.next();
    const reconnected = event(client, 'reconnected');
    const closed = once(first, 'close');
    first.close(code, 'back soon');
    await closed;
    client.send('to whoever comes');
    expect(await reconnected).toMatchObject({ resumed: false, unacknowledged: [] });
    expect(client.readyState).toBe(1);
    expect(await got.next()).toBe('to whoever comes');
    expect(await sockets.next()).not.toBe(first);
  });

  it('is told what a peer that closed for the time being, and did not wait, has not got', async () => {
    const { sockets } = await serve();
    const client = await dial();
    await event(client, 'open');
    const first = await sockets.next();
    first.pause();
    const large = 'x'.repeat(1_000_000);
    for (let i = 0; i < 8; i++) client.send(large);
    const reconnected = event(client, 'reconnected');
    first.close(1001);
    // CLOSE leaves at the end of this turn; what is read of ours after it, nobody waits for.
    await new Promise(resolve => setImmediate(resolve));
    first.terminate();
    const { resumed, unacknowledged } = await reconnected;
    expect(resumed).toBe(false);
    expect(unacknowledged.length).toBeGreaterThan(0);
    expect(unacknowledged.every(message => message === large)).toBe(true);
    await sockets.next();
  });

  it.each([1000, 1008, 1011, 4001, 4999])(
    'takes the close code %i of the peer as its last word',
    async code => {
      const { sockets } = await serve();
      const client = await dial();
      await event(client, 'open');
      const close = event(client, 'close');
      (await sockets.next()).close(code, 'that was it');
      expect(await close).toMatchObject({ code, reason: 'that was it', wasClean: true });
      expect(proxy.connections).toBe(1);
    },
  );

  it('does not come back when it was replaced', async () => {
    const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    closing.push(() => {
      wss.close();
    });
    await once(wss, 'listening');
    proxy.retarget((wss.address() as AddressInfo).port);
    let registered = 0;
    wss.on('connection', (ws, request) => {
      void registerAccepted(
        wrapWsSocket(ws),
        { identity, addresses: [url], connectionId: () => 7 },
        request,
      ).then(() => {
        registered++;
        ws.close(4001, 'replaced');
      });
    });
    const client = await dial(`${url}/${(await Identity.generate()).publicKey}`);
    expect(await event(client, 'error')).toMatchObject({ error: { code: 'REPLACED' } });
    expect(registered).toBe(1);
  });
});

describe('connections that share a link', () => {
  it('do not replace each other when one of them comes back with another token', async () => {
    const relay = new Relay({ port: 0, host: '127.0.0.1', identity: await Identity.generate() });
    await relay.listen();
    closing.push(() => relay.close());
    const listen = async (): Promise<SecureWebSocketServer> => {
      const server = new SecureWebSocketServer({
        relay: relay.url,
        identity: await Identity.generate(),
        serverKey: relay.publicKey,
      });
      closing.push(() => {
        for (const socket of server.clients) socket.terminate();
        server.close();
      });
      await server.ready;
      return server;
    };
    const [going, staying] = [await listen(), await listen()];
    const own = await Identity.generate();
    let token = 'first';
    const options = { identity: own, serverKey: relay.publicKey, trustStore: undefined, token: () => token };
    const [one, other] = [await dial(going.url, options), await dial(staying.url, options)];
    await Promise.all([event(one, 'open'), event(other, 'open')]);
    expect(relay.connections).toBe(3);
    const disturbed: unknown[] = [];
    for (const name of ['reconnecting', 'error', 'close'] as const) {
      other.addEventListener(name, happened => disturbed.push(happened.type));
    }
    token = 'second';
    const attempts = new EventQueue<number>();
    one.onreconnecting = ({ attempt }) => {
      attempts.push(attempt);
    };
    for (const socket of going.clients) socket.on('suspended', () => undefined);
    // Its service goes away; nothing is wrong with the relay, and with whoever else is on the link.
    going.close();
    for (const socket of going.clients) socket.close(1012);
    await attempts.take(3);
    other.send('still here');
    const [socket] = staying.clients;
    expect(String((await once(socket as ServerSecureWebSocket, 'message'))[0])).toBe('still here');
    expect(disturbed).toEqual([]);
  });
});

describe('a relay that is started anew', () => {
  it('at another port, is found by whoever is told: nothing is lost', async () => {
    const relayIdentity = await Identity.generate();
    const start = async (): Promise<Relay> => {
      const relay = new Relay({ port: 0, host: '127.0.0.1', identity: relayIdentity });
      await relay.listen();
      closing.push(() => relay.close());
      return relay;
    };
    let relay = await start();
    // The server is told by name; the name leads to the new port.
    const name = await FaultyProxy.start((relay.address() as AddressInfo).port);
    closing.push(() => name.close());
    const announced = `ws://127.0.0.1:${name.port}`;
    await relay.close();
    const restart = async (): Promise<void> => {
      relay = new Relay({
        port: 0,
        host: '127.0.0.1',
        identity: relayIdentity,
        addresses: [announced, url, `ws://127.0.0.1:${proxy.port}`],
      });
      await relay.listen();
      const started = relay;
      closing.push(() => started.close());
      name.retarget((relay.address() as AddressInfo).port);
      proxy.retarget((relay.address() as AddressInfo).port);
    };
    await restart();
    const server = new SecureWebSocketServer({
      relay: announced,
      identity,
      serverKey: relayIdentity.publicKey,
      reconnect: RECONNECT,
    });
    closing.push(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    await server.ready;
    const got = new EventQueue<string>();
    let connections = 0;
    server.on('connection', socket => {
      connections++;
      socket.on('message', (data: Buffer) => {
        got.push(data.toString());
      });
    });
    // First by one way, then by the other: another port each time.
    let where = announced;
    const client = await dial(() => `${where}/${identity.publicKey}`, { serverKey: relayIdentity.publicKey });
    await event(client, 'open');
    for (let round = 0; round < 3; round++) {
      client.send(`before ${round}`);
      expect(await got.next()).toBe(`before ${round}`);
      const reconnecting = event(client, 'reconnecting');
      const reconnected = event(client, 'reconnected');
      await relay.close();
      await reconnecting;
      client.send(`between ${round}`);
      where = where === announced ? url : announced;
      await restart();
      expect(await reconnected).toMatchObject({ resumed: true });
      expect(await got.next()).toBe(`between ${round}`);
      expect(client.url).toBe(`${where}/${identity.publicKey}`);
    }
    expect(connections).toBe(1);
  });
});
