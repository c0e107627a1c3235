import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { Identity } from '../../src/core/identity.js';
import { dialChannel } from '../../src/link/dial.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { trustStore } from '../support/dialled-peer.js';
import { EventQueue } from '../support/event-queue.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { freePort } from '../support/free-port.js';
import { proxyScene } from '../support/proxy-scene.js';
import { ending, exchange, failure, outcome, relayScene } from '../support/relay-scene.js';
import { temporaryFolder } from '../support/temporary-folder.js';

// `secure-websocket expose`: an unchanged server of `ws` behind a relay, and clients of all kinds.

const relays = relayScene();
const scene = proxyScene();

/** A plain server, exposed. It sends back what it is sent. */
async function exposed(...args: readonly string[]) {
  const relay = await relays.relay();
  const target = await scene.target();
  const sockets = new EventQueue<{ socket: WebSocket; request: IncomingMessage }>();
  target.on('connection', (socket, request) => {
    sockets.push({ socket, request });
    socket.on('message', (data: Buffer, isBinary) => {
      socket.send(data, { binary: isBinary });
    });
    socket.on('error', () => undefined);
  });
  const expose = await scene.expose(relay, target.url, ...args);
  return { relay, target, sockets, expose };
}

describe('an unchanged server', () => {
  it('is reached at a public key, and learns who connects', async () => {
    const { expose, sockets, target } = await exposed();
    const socket = await relays.client(`${expose.url}/chat/room?x=1&y=%20`);
    expect(await outcome(socket)).toBe('open');
    expect(socket.peerPublicKey).toBe(expose.publicKey);
    expect(await exchange(socket, 'hello')).toBe('hello');
    const { request } = await sockets.next();
    expect(request.url).toBe('/chat/room?x=1&y=%20');
    expect(request.headers['x-secure-websocket-public-key']).toBe(socket.publicKey);
    expect(request.headers.host).toBe(new URL(target.url).host);
    expect(request.headers.origin).toBeUndefined();
    expect(request.headers['sec-websocket-extensions']).toBeUndefined();
  });

  it('is reached through a proxy by a client that is unchanged, too', async () => {
    const { expose, sockets } = await exposed();
    const proxy = await scene.proxy(['--to', expose.url]);
    const client = scene.client(`${proxy.url}/chat?x=1`);
    expect(await client.outcome).toBe('open');
    const { socket, request } = await sockets.next();
    expect(request.url).toBe('/chat?x=1');
    const large = randomBytes(20 * 1_048_576);
    client.socket.send('hello');
    client.socket.send(large);
    expect(await client.next()).toBe('hello');
    expect(large.equals((await client.next()) as Buffer)).toBe(true);
    // From one end of four connections to the other.
    const [pinged, ponged] = [once(socket, 'ping'), once(client.socket, 'pong')];
    client.socket.ping('anybody there?');
    expect(String((await pinged)[0])).toBe('anybody there?');
    expect(String((await ponged)[0])).toBe('anybody there?');
    const closed = once(socket, 'close');
    client.socket.close(4321, 'enough');
    const [code, reason] = (await closed) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([4321, 'enough']);
    expect(await client.closed).toEqual({ code: 4321, reason: 'enough' });
  });

  it('chooses the subprotocol', async () => {
    const relay = await relays.relay();
    const target = await scene.target({ handleProtocols: offered => offered.has('b') && 'b' });
    const expose = await scene.expose(relay, target.url);
    const proxy = await scene.proxy(['--to', expose.url]);
    const client = scene.client(proxy.url, ['a', 'b']);
    expect(await client.outcome).toBe('open');
    expect(client.socket.protocol).toBe('b');
    // None: what to make of that is for the client to decide.
    expect(await scene.client(proxy.url, ['a']).outcome).toBe('Server sent no subprotocol');
    const identity = await Identity.generate();
    const socket = new ClientSecureWebSocket(expose.url, ['b'], { identity, trustStore });
    expect(await outcome(socket)).toBe('open');
    expect(socket.protocol).toBe('b');
    socket.close();
  });

  it.each([401, 404, 429, 503])('refuses with %d', async status => {
    const relay = await relays.relay();
    const target = await scene.target({
      verifyClient: (_, answer) => {
        answer(false, status, 'for reasons of its own');
      },
    });
    const expose = await scene.expose(relay, target.url);
    const proxy = await scene.proxy(['--to', expose.url]);
    expect(await scene.client(proxy.url).outcome).toBe(status);
    const refused = await failure(await relays.client(expose.url));
    expect(refused).toMatchObject({ code: 'CHANNEL_REFUSED', status });
  });

  it.each([
    [4321, 'enough'],
    [1001, 'leaving'],
  ])('closes with %d', async (code, reason) => {
    const { expose, sockets } = await exposed();
    const socket = await relays.client(expose.url);
    await outcome(socket);
    const heard = new Promise<unknown>(resolve => {
      socket.addEventListener('close', event => {
        resolve([event.code, event.reason, event.wasClean]);
      });
    });
    (await sockets.next()).socket.close(code, reason);
    expect(await heard).toEqual([code, reason, true]);
  });

  it('that dies is a loss for the client', async () => {
    const { expose, sockets } = await exposed();
    const socket = await relays.client(expose.url);
    await outcome(socket);
    const ended = ending(socket);
    (await sockets.next()).socket.terminate();
    expect(await ended).toMatchObject({ code: 1006, error: { code: 'CHANNEL_RESET' } });
  });
});

describe('what is not reached', () => {
  it('502 where no server is', async () => {
    const relay = await relays.relay();
    const expose = await scene.expose(relay, `ws://127.0.0.1:${await freePort()}`);
    const error = await failure(await relays.client(expose.url));
    expect(error).toMatchObject({ code: 'CHANNEL_REFUSED', status: 502 });
    // Where it should be is nobody's business.
    expect(String(error)).toContain('ECONNREFUSED');
    expect(String(error)).not.toContain('127.0.0.1');
  });

  it('504 where it says nothing', async () => {
    const silent = createServer();
    relays.after(() => silent.close());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const relay = await relays.relay();
    const expose = await scene.expose(relay, `ws://127.0.0.1:${port}`, '--open-timeout', '50ms');
    expect(await failure(await relays.client(expose.url))).toMatchObject({ status: 504 });
  });

  it('502 where something else answers', async () => {
    const other = createServer(socket => {
      socket.end('HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/admin\r\nContent-Length: 0\r\n\r\n');
    });
    relays.after(() => other.close());
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const relay = await relays.relay();
    const expose = await scene.expose(relay, `ws://127.0.0.1:${port}`);
    expect(await failure(await relays.client(expose.url))).toMatchObject({ status: 502 });
  });

  it('403 for a key that --allow does not name', async () => {
    const identity = await Identity.generate();
    const { expose, sockets } = await exposed('--allow', identity.publicKey);
    expect(await failure(await relays.client(expose.url))).toMatchObject({ status: 403 });
    expect(sockets.pending).toEqual([]);
    expect(await outcome(await relays.client(expose.url, { identity }))).toBe('open');
  });

  it('what is not below the path that is exposed', async () => {
    const relay = await relays.relay();
    const target = await scene.target();
    const urls = new EventQueue<string | undefined>();
    target.on('connection', (_, { url }) => {
      urls.push(url);
    });
    const expose = await scene.expose(relay, `${target.url}/app`);
    const origin = expose.url;
    await outcome(await relays.client(`${origin}/chat`));
    expect(await urls.next()).toBe('/app/chat');
    await outcome(await relays.client(origin));
    expect(await urls.next()).toBe('/app');
    await outcome(await relays.client(`${origin}/x/%2e%2e/chat`));
    expect(await urls.next()).toBe('/app/chat');
    // A peer that writes its target by hand.
    for (const path of ['/../admin', '/%2e%2e/admin', '/..\\admin', '/x/../../admin', '/..', '/../apple'])
      expect(await refusal(expose.url, path)).toMatchObject({ status: 404 });
    expect(urls.pending).toEqual([]);
  });

  it('503 when there are too many', async () => {
    const { expose } = await exposed('--max-connections', '1');
    expect(await outcome(await relays.client(expose.url))).toBe('open');
    expect(await failure(await relays.client(expose.url))).toMatchObject({ status: 503 });
  });
});

describe('an outage', () => {
  it('goes unnoticed at the server: both directions go on, once and in order', async () => {
    const faulty = await FaultyProxy.start(1);
    relays.after(() => faulty.close());
    const url = `ws://127.0.0.1:${faulty.port}`;
    const port = await freePort();
    const direct = `ws://127.0.0.1:${port}`;
    await relays.relay({ port, addresses: [url, direct] });
    faulty.retarget(port);
    const target = await scene.target();
    const connected = once(target, 'connection') as Promise<[WebSocket]>;
    const expose = await scene.expose(url, target.url);
    const proxy = await scene.proxy(['--to', `${direct}/${expose.publicKey}`]);
    const client = scene.client(proxy.url);
    const [socket] = await connected;
    expect(await client.outcome).toBe('open');
    const received = new EventQueue<string>();
    socket.on('message', (data: Buffer) => {
      received.push(data.toString());
    });
    faulty.refusing = true;
    faulty.cut();
    await expose.tells(/^Lost the relay: /m);
    await expose.tells(/^Out of reach: /m);
    const messages = Array.from({ length: 1_000 }, (_, index) => `message ${index}`);
    for (const message of messages) {
      socket.send(message);
      client.socket.send(message);
    }
    const ponged = once(socket, 'pong');
    socket.ping('still there?');
    expect(String((await ponged)[0])).toBe('still there?');
    faulty.refusing = false;
    await expose.tells(/^Listening again\.$/m);
    expect(await received.take(1_000)).toEqual(messages);
    for (const message of messages) expect(await client.next()).toBe(message);
  });

  it('of the relay at the start is told', async () => {
    const command = scene.command([
      ...[
        'expose',
        '--ephemeral',
        '--relay',
        `ws://127.0.0.1:${await freePort()}`,
        '--to',
        'ws://127.0.0.1:1',
      ],
    ]);
    expect(await command.exit).toBe(1);
    expect(command.stderr).toMatch(/^error: Could not connect to ws:/m);
  });
});

describe('the identity', () => {
  it('is made at the first start, and kept; the first line is the address all the same', async () => {
    const relay = await relays.relay();
    const file = join(await temporaryFolder(), 'server.key');
    const args = ['expose', '--identity', file, '--relay', relay.url, '--to', 'ws://127.0.0.1:1'];
    const first = scene.command(args);
    await first.tells(/^A new identity was made: /m);
    const [address] = first.stderr.split('\n');
    expect(address).toMatch(/^ws:\S+\/[0-9a-f]{64}$/);
    first.signal();
    await first.exit;
    const second = scene.command(args);
    await second.tells(/^Press Ctrl-C/m);
    expect(second.stderr.split('\n')[0]).toBe(address);
    expect(second.stderr).not.toContain('A new identity');
    // So is that of a proxy.
    const own = join(await temporaryFolder(), 'client.key');
    const proxy = scene.command([
      ...['proxy', '--identity', own, '--relay', relay.url, '--listen', '127.0.0.1:0'],
    ]);
    await proxy.tells(/^A new identity was made: /m);
    expect(proxy.stderr.split('\n')[0]).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
  });
});

describe('the end', () => {
  it('by a signal: 1001 to both sides', async () => {
    const { expose, sockets } = await exposed('--verbose');
    const socket = await relays.client(expose.url);
    await outcome(socket);
    const [ended, closed] = [ending(socket), once((await sockets.next()).socket, 'close')];
    expose.signal('SIGTERM');
    expect((await ended).code).toBe(1001);
    expect(((await closed) as [number])[0]).toBe(1001);
    expect(await expose.exit).toBe(0);
    expect(expose.stderr).toMatch(/^Leads to ws:\/\/127\.0\.0\.1:\d+\/$/m);
    expect(expose.stderr).toMatch(new RegExp(`^\\+ connection 1 with ${socket.publicKey}$`, 'm'));
    expect(expose.stderr).toMatch(/^- connection 1 \(1001/m);
  });

  it('by a signal before it listens', async () => {
    const silent = createServer();
    relays.after(() => silent.close());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const command = scene.command([
      ...['expose', '--ephemeral', '--relay', `ws://127.0.0.1:${port}`, '--to', 'ws://127.0.0.1:1'],
    ]);
    await once(silent, 'connection');
    command.signal();
    expect(await command.exit).toBe(0);
  });
});

/** What becomes of a channel that a peer opens at a target which no URL would lead to. */
async function refusal(url: string, target: string): Promise<unknown> {
  const { href, protocol, host, pathname } = new URL(url);
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- what no parser would make
  const unparsed = { href, protocol, host, pathname: pathname + target, search: '' } as URL;
  const options = { identity: await Identity.generate(), trustStore };
  return new Promise(resolve => {
    const port = dialChannel(unparsed, [], options, {
      opened: () => {
        port.terminate();
      },
      message: () => undefined,
      closed: ({ error }) => {
        resolve(error);
      },
    });
  });
}
