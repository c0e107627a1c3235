import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ServerSecureWebSocket } from '../../src/socket/node-server-secure-web-socket.js';
import { EventQueue } from '../support/event-queue.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { freePort } from '../support/free-port.js';
import { proxyScene } from '../support/proxy-scene.js';
import { keyOf } from '../support/public-keys.js';
import { relayScene } from '../support/relay-scene.js';
import { temporaryFolder } from '../support/temporary-folder.js';

// `secure-websocket proxy`: plain WebSockets of `ws` on one side, a relay and what is behind it on the other.

const MEBIBYTE = 1_048_576;
const TOKEN = 'a token that is long enough'.replaceAll(' ', '-');

/** Nobody has this key. */
const STRANGER = keyOf('nobody');

const relays = relayScene();
const scene = proxyScene();

/** A service behind a relay, and a proxy to it. */
async function echoScene(...args: readonly string[]) {
  const relay = await relays.relay();
  const echo = await relays.echo(relay);
  const sockets = new EventQueue<{ socket: ServerSecureWebSocket; url: string }>();
  echo.on('connection', (socket, { url }) => {
    sockets.push({ socket, url: url ?? '' });
  });
  const proxy = await scene.proxy(['--to', echo.url ?? '', ...args]);
  return { relay, echo, sockets, proxy };
}

describe('what passes through', () => {
  it('text, bytes, nothing at all, and much, in order', async () => {
    const { proxy } = await echoScene();
    const client = scene.client(proxy.url);
    expect(await client.outcome).toBe('open');
    const large = randomBytes(20 * MEBIBYTE);
    const sent = ['hello', 'ünïcödé 🦊', Buffer.from([0, 255]), '', Buffer.alloc(0), large, 'the end'];
    for (const message of sent) client.socket.send(message);
    for (const message of sent) {
      const received = await client.next();
      if (typeof message === 'string') expect(received).toBe(message);
      else expect(message.equals(received as Buffer)).toBe(true);
    }
  });

  it('path and query, which the relay does not see', async () => {
    const { proxy, sockets, relay } = await echoScene();
    await scene.client(`${proxy.url}/chat/room?x=1&y=%20`).outcome;
    expect((await sockets.next()).url).toBe('/chat/room?x=1&y=%20');
    await scene.client(proxy.url).outcome;
    expect((await sockets.next()).url).toBe('/');
    // One connection to the relay for all.
    expect(relay.connections).toBe(2);
  });

  it('a path of its own comes first', async () => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay);
    const urls = new EventQueue<string | undefined>();
    echo.on('connection', (_, { url }) => {
      urls.push(url);
    });
    const proxy = await scene.proxy(['--to', `${echo.url ?? ''}/app?key=1`]);
    await scene.client(proxy.url).outcome;
    expect(await urls.next()).toBe('/app?key=1');
    await scene.client(`${proxy.url}/chat?x=2`).outcome;
    expect(await urls.next()).toBe('/app/chat?key=1&x=2');
    const elsewhere = scene.client(`${proxy.url}/x`, [], {
      finishRequest: request => {
        request.path = '/%2e%2e/other';
        request.end();
      },
    });
    expect(await elsewhere.outcome).toBe(404);
  });

  it.each([
    ['the first that is offered', undefined, ['b', 'a'], 'b'],
    ['the one that the far side chooses', () => 'a', ['b', 'a'], 'a'],
    ['none', undefined, [], ''],
  ] as const)('the subprotocol: %s', async (_, handleProtocols, offered, expected) => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay, { ...(handleProtocols && { handleProtocols }) });
    const proxy = await scene.proxy(['--to', echo.url ?? '']);
    const client = scene.client(proxy.url, offered);
    expect(await client.outcome).toBe('open');
    expect(client.socket.protocol).toBe(expected);
  });

  it('where none is chosen, the client decides what to make of that', async () => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay, { handleProtocols: () => false });
    const proxy = await scene.proxy(['--to', echo.url ?? '']);
    expect(await scene.client(proxy.url, ['a']).outcome).toBe('Server sent no subprotocol');
    const offers = scene.client(proxy.url, ['a', 'secure-websocket.proxy']);
    expect(await offers.outcome).toBe('open');
    expect(offers.socket.protocol).toBe('secure-websocket.proxy');
  });

  it('pings and pongs, from end to end', async () => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    const { socket } = await sockets.next();
    const pinged = once(socket, 'ping');
    client.socket.ping('from the client');
    expect(String((await pinged)[0])).toBe('from the client');
    expect(String((await once(client.socket, 'pong'))[0])).toBe('from the client');
    const ponged = once(socket, 'pong');
    socket.ping('from the service');
    expect(String((await once(client.socket, 'ping'))[0])).toBe('from the service');
    expect(String((await ponged)[0])).toBe('from the service');
  });
});

describe('the end', () => {
  it.each([
    [4321, 'enough'],
    [1000, ''],
    [1001, 'leaving'],
    [1013, 'later'],
  ])('of a client with %d', async (code, reason) => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    const { socket } = await sockets.next();
    const closed = once(socket, 'close');
    client.socket.send('the last');
    client.socket.close(code, reason);
    const [heard, words] = (await closed) as [number, Buffer];
    expect([heard, words.toString()]).toEqual([code, reason]);
    expect(await client.closed).toEqual({ code, reason });
  });

  it.each([
    [4321, 'enough'],
    [1000, ''],
    // With those others would dial anew.
    [1001, 'leaving'],
    [1012, 'restart'],
  ])('of the far side with %d', async (code, reason) => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    const { socket } = await sockets.next();
    socket.send('the last');
    socket.close(code, reason);
    expect(await client.next()).toBe('the last');
    expect(await client.closed).toEqual({ code, reason });
    expect(sockets.pending).toEqual([]);
  });

  it('without a code', async () => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    const { socket } = await sockets.next();
    const closed = once(socket, 'close');
    client.socket.close();
    expect(((await closed) as [number])[0]).toBe(1005);
    const other = scene.client(proxy.url);
    await other.outcome;
    (await sockets.next()).socket.close();
    expect(await other.closed).toEqual({ code: 1005, reason: '' });
  });

  it('of a client that is lost is a loss for the far side, behind what it has sent', async () => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    const { socket } = await sockets.next();
    const received: string[] = [];
    socket.on('message', data => received.push((data as Buffer).toString()));
    const closed = once(socket, 'close');
    client.socket.send('the last');
    expect(await client.next()).toBe('the last');
    client.socket.terminate();
    expect(((await closed) as [number])[0]).toBe(1006);
    expect(received).toEqual(['the last']);
  });

  it('of a far side that is lost is told with the reason', async () => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    (await sockets.next()).socket.terminate();
    const { code, reason } = await client.closed;
    expect(code).toBe(1014);
    expect(reason).toMatch(/^CHANNEL_RESET: The peer ended the channel/);
  });

  it('of a far side that sends text which is none', async () => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    (await sockets.next()).socket.send(Buffer.from([0x68, 0xff]), { binary: false });
    const { code, reason } = await client.closed;
    expect(code).toBe(1014);
    expect(reason).toMatch(/^INVALID_UTF8: /);
  });

  it('by a signal: 1001 to both', async () => {
    const { proxy, sockets } = await echoScene('--verbose');
    const client = scene.client(proxy.url);
    await client.outcome;
    const closed = once((await sockets.next()).socket, 'close');
    proxy.signal('SIGTERM');
    expect(await client.closed).toEqual({ code: 1001, reason: 'going down' });
    expect(((await closed) as [number])[0]).toBe(1001);
    expect(await proxy.exit).toBe(0);
    expect(proxy.stderr).toMatch(/^\+ connection 1 with [0-9a-f]{64}$/m);
    expect(proxy.stderr).toMatch(/^Closing 1 connection\.$/m);
    expect(proxy.stderr).toMatch(/^- connection 1 \(1001: going down\)$/m);
    expect(await scene.client(proxy.url).outcome).toContain('ECONNREFUSED');
  });

  it('where its port is taken', async () => {
    const { proxy, echo } = await echoScene();
    const { host } = new URL(proxy.url);
    const command = scene.command(['proxy', '--ephemeral', '--listen', host, '--to', echo.url ?? '']);
    expect(await command.exit).toBe(1);
    expect(command.stderr).toContain(`error: Another program listens at ${host} already.`);
    expect(command.stderr).toContain('--listen');
  });

  it('by a signal, of a client that does not answer', async () => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    const closed = once((await sockets.next()).socket, 'close');
    client.socket.pause();
    proxy.signal();
    expect(await proxy.exit).toBe(0);
    await closed;
  });
});

describe('an upgrade is answered when the far side has', () => {
  it('404 where nobody is', async () => {
    const relay = await relays.relay();
    const proxy = await scene.proxy(['--to', `${relay.url}/${STRANGER}`]);
    const client = scene.client(proxy.url);
    expect(await client.outcome).toBe(404);
    expect(await client.refusal).toMatch(/^PEER_NOT_HERE: /);
    await proxy.tells(/^Refused with 404: PEER_NOT_HERE: /m);
  });

  it('with what the far side refuses with', async () => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay, {
      verifyClient: (_, answer) => {
        answer(false, 418, 'I am a teapot');
      },
    });
    const proxy = await scene.proxy(['--to', echo.url ?? '']);
    const client = scene.client(proxy.url);
    expect(await client.outcome).toBe(418);
    expect(await client.refusal).toBe('I am a teapot\n');
  });

  it('403 where the relay does not let us in', async () => {
    const relay = await relays.relay({ admission: { allow: [STRANGER] } });
    const proxy = await scene.proxy(['--to', `${relay.url}/${STRANGER}`]);
    const client = scene.client(proxy.url);
    expect(await client.outcome).toBe(403);
    expect(await client.refusal).toMatch(/^KEY_NOT_ALLOWED: /);
  });

  it('502 without a relay', async () => {
    const proxy = await scene.proxy(['--to', `ws://127.0.0.1:${await freePort()}/${STRANGER}`]);
    const client = scene.client(proxy.url);
    expect(await client.outcome).toBe(502);
    expect(await client.refusal).toMatch(/^LINK_FAILED: /);
  });

  it('504 where nobody answers in time', async () => {
    const silent = createServer();
    relays.after(() => silent.close());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const to = `ws://127.0.0.1:${port}/${STRANGER}`;
    const proxy = await scene.proxy(['--to', to, '--open-timeout', '50ms']);
    const client = scene.client(proxy.url);
    expect(await client.outcome).toBe(504);
    expect(await client.refusal).toMatch(/--open-timeout/);
  });

  it('of a client that goes away meanwhile, the attempt is given up', async () => {
    const asked = new EventQueue<() => void>();
    const relay = await relays.relay();
    const echo = await relays.echo(relay, {
      verifyClient: (_, answer) => {
        asked.push(() => {
          answer(true);
        });
      },
    });
    const proxy = await scene.proxy(['--to', echo.url ?? '', '--max-pending', '1']);
    const client = scene.client(proxy.url);
    const accept = await asked.next();
    // There is no room for another.
    const turnedAway = scene.client(proxy.url);
    expect(await turnedAway.outcome).toBe(503);
    expect(await turnedAway.refusal).toMatch(/--max-pending/);
    client.socket.terminate();
    await proxy.tells(/The client went away/);
    accept();
    const other = scene.client(proxy.url);
    (await asked.next())();
    expect(await other.outcome).toBe('open');
  });

  it('503 when there are too many', async () => {
    const { proxy } = await echoScene('--max-connections', '2');
    const clients = [scene.client(proxy.url), scene.client(proxy.url)];
    expect(await Promise.all(clients.map(({ outcome }) => outcome))).toEqual(['open', 'open']);
    const third = scene.client(proxy.url);
    expect(await third.outcome).toBe(503);
    expect(await third.refusal).toMatch(/--max-connections/);
    clients[0]?.socket.close();
    await clients[0]?.closed;
    let outcome: unknown;
    do outcome = await scene.client(proxy.url).outcome;
    while (outcome === 503);
    expect(outcome).toBe('open');
  });
});

describe('--relay: the path says where to', () => {
  it('a key, and what is behind it', async () => {
    const relay = await relays.relay();
    const one = await relays.echo(relay);
    const two = await relays.echo(relay);
    const urls = new EventQueue<string>();
    for (const echo of [one, two])
      echo.on('connection', (_, { url }) => {
        urls.push(`${echo.publicKey ?? ''}${url ?? ''}`);
      });
    const proxy = await scene.proxy(['--relay', relay.url]);
    for (const { publicKey = '' } of [one, two]) {
      expect(await scene.client(`${proxy.url}/${publicKey}/chat?x=1`).outcome).toBe('open');
      expect(await urls.next()).toBe(`${publicKey}/chat?x=1`);
      expect(await scene.client(`${proxy.url}/${publicKey}`).outcome).toBe('open');
      expect(await urls.next()).toBe(`${publicKey}/`);
    }
  });

  it.each([
    ['/', 404],
    ['/chat', 404],
    [`/x/${STRANGER}`, 404],
    ['/space/', 404],
    ['/space/a/b', 404],
    [`/${'f'.repeat(64)}`, 400],
    [`/${'0'.repeat(64)}`, 400],
  ])('not %s', async (path, status) => {
    const relay = await relays.relay();
    const proxy = await scene.proxy(['--relay', relay.url]);
    expect(await scene.client(`${proxy.url}${path}`).outcome).toBe(status);
    expect(relay.connections).toBe(0);
  });
});

describe('who may connect', () => {
  it('no web page that is not named', async () => {
    const { proxy } = await echoScene('--allow-origin', 'https://app.example');
    const outcome = (origin: string): Promise<unknown> => scene.client(proxy.url, [], { origin }).outcome;
    for (const origin of [
      'https://evil.example',
      'null',
      'http://app.example',
      'https://app.example:444',
      ' ',
    ])
      expect(await outcome(origin)).toBe(403);
    expect(await outcome('https://app.example')).toBe('open');
    expect(await scene.client(proxy.url).outcome).toBe('open');
    // Whatever a page tries is told once, and then ever less often.
    expect(proxy.stderr.match(/^Refused with 403: Origin not allowed/gm)).toHaveLength(3);
  });

  it('nobody who reaches us by another name (DNS rebinding)', async () => {
    const { proxy } = await echoScene('--allow-host', 'Proxy.example');
    const { port } = new URL(proxy.url);
    const outcome = (host: string): Promise<unknown> =>
      scene.client(proxy.url, [], { headers: { Host: host } }).outcome;
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      '192.168.0.1',
      '@',
      '[::2]',
    ])
      expect(await outcome(host)).toBe(403);
    for (const host of ['localhost', `LOCALHOST:${port}`, '127.0.0.1', '[::1]:80', 'proxy.example'])
      expect(await outcome(host)).toBe('open');
  });

  it('only those with the token, where there is one; it is never told', async () => {
    const file = join(await temporaryFolder(), 'token');
    await writeFile(file, `${TOKEN}\n`);
    const { proxy, sockets } = await echoScene('--client-token-file', file, '--verbose');
    const outcome = (protocols: readonly string[], authorization?: string): Promise<unknown> =>
      scene.client(proxy.url, protocols, {
        headers: authorization === undefined ? {} : { Authorization: authorization },
      }).outcome;
    const bearer = (token: string): string =>
      `secure-websocket.bearer.${Buffer.from(token).toString('base64url')}`;
    expect(await outcome([])).toBe(401);
    expect(await outcome([], 'Bearer')).toBe(401);
    expect(await outcome([], `Bearer ${TOKEN}x`)).toBe(401);
    expect(await outcome([], `Basic ${TOKEN}`)).toBe(401);
    expect(await outcome([bearer(TOKEN.slice(1)), 'secure-websocket.proxy'])).toBe(401);
    expect(await outcome([], `Bearer ${TOKEN}`)).toBe('open');
    expect((await sockets.next()).socket.protocol).toBe('');
    // As a browser does it. The far side hears nothing of it.
    const page = scene.client(proxy.url, [bearer(TOKEN), 'secure-websocket.proxy']);
    expect(await page.outcome).toBe('open');
    expect(page.socket.protocol).toBe('secure-websocket.proxy');
    const chat = scene.client(proxy.url, [bearer(TOKEN), 'chat', 'secure-websocket.proxy']);
    expect(await chat.outcome).toBe('open');
    expect(chat.socket.protocol).toBe('chat');
    expect(proxy.stderr).not.toContain(TOKEN);
    expect(proxy.stderr).not.toContain(bearer(TOKEN));
  });

  it('the token may stand in the environment', async () => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay);
    const proxy = await scene.proxy(['--to', echo.url ?? ''], { SECURE_WEBSOCKET_CLIENT_TOKEN: TOKEN });
    expect(await scene.client(proxy.url).outcome).toBe(401);
    const headers = { Authorization: `Bearer ${TOKEN}` };
    expect(await scene.client(proxy.url, [], { headers }).outcome).toBe('open');
  });

  it('whoever reaches this machine, when told so twice; with the token', async () => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay);
    const args = ['--to', echo.url ?? '', '--listen', '0.0.0.0:0', '--allow-network'];
    const proxy = await scene.proxy(args, { SECURE_WEBSOCKET_CLIENT_TOKEN: TOKEN });
    const { port } = new URL(proxy.url);
    const url = `ws://127.0.0.1:${port}`;
    expect(await scene.client(url).outcome).toBe(401);
    const headers = { Authorization: `Bearer ${TOKEN}` };
    expect(await scene.client(url, [], { headers }).outcome).toBe('open');
    expect(await scene.client(url, [], { headers: { ...headers, Host: 'evil.example' } }).outcome).toBe(403);
    // Or three times, without.
    const open = await scene.proxy([...args, '--no-client-token']);
    expect(await scene.client(`ws://127.0.0.1:${new URL(open.url).port}`).outcome).toBe('open');
  });

  it('a request that is no WebSocket is told so', async () => {
    const { proxy } = await echoScene();
    const url = proxy.url.replace('ws:', 'http:');
    expect((await fetch(url)).status).toBe(426);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.end('GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 403 /);
  });
});

describe('an outage', () => {
  /** As above, through something that can be cut. */
  async function faultyScene(...args: readonly string[]) {
    const faulty = await FaultyProxy.start(1);
    relays.after(() => faulty.close());
    const url = `ws://127.0.0.1:${faulty.port}`;
    const port = await freePort();
    const direct = `ws://127.0.0.1:${port}`;
    await relays.relay({ port, addresses: [url, direct] });
    faulty.retarget(port);
    const echo = await relays.echo(direct);
    const sockets = new EventQueue<ServerSecureWebSocket>();
    echo.on('connection', socket => {
      sockets.push(socket);
    });
    const proxy = await scene.proxy(['--to', `${url}/${echo.publicKey ?? ''}`, ...args]);
    const client = scene.client(proxy.url);
    expect(await client.outcome).toBe('open');
    return { faulty, proxy, client, socket: await sockets.next(), url, echo };
  }

  it('goes unnoticed at the plain side: what was sent meanwhile arrives, once and in order', async () => {
    const { faulty, proxy, client, socket } = await faultyScene();
    client.socket.send('before');
    expect(await client.next()).toBe('before');
    faulty.refusing = true;
    faulty.cut();
    await proxy.tells(/^Out of reach: .* Connections are kept\.$/m);
    for (let index = 0; index < 1_000; index++) client.socket.send(`message ${index}`);
    // As it would go on to believe that it is connected.
    const ponged = once(client.socket, 'pong');
    client.socket.ping('still there?');
    expect(String((await ponged)[0])).toBe('still there?');
    socket.send('from the other side');
    faulty.refusing = false;
    await proxy.tells(/^Nobody is out of reach any more\.$/m);
    const expected = [
      'from the other side',
      ...Array.from({ length: 1_000 }, (_, index) => `message ${index}`),
    ];
    for (const message of expected) expect(await client.next()).toBe(message);
    expect(client.socket.readyState).toBe(client.socket.OPEN);
  });

  it('when too much waits, the client is read no further', async () => {
    const { faulty, proxy, client } = await faultyScene('--max-buffered', '1MiB');
    faulty.refusing = true;
    faulty.cut();
    await proxy.tells(/^Out of reach/m);
    const part = randomBytes(65_536);
    const COUNT = 64 * 16;
    for (let index = 0; index < COUNT; index++) client.socket.send(part);
    // Its system takes some of it; the rest waits there.
    const ping = once(client.socket, 'pong');
    client.socket.ping();
    let answered = false;
    void ping.then(() => (answered = true));
    await quiet(
      () => client.socket.bufferedAmount,
      () => fetch(proxy.url.replace('ws:', 'http:')),
    );
    expect(client.socket.bufferedAmount).toBeGreaterThan(32 * MEBIBYTE);
    expect(answered).toBe(false);
    faulty.refusing = false;
    for (let index = 0; index < COUNT; index++)
      expect(part.equals((await client.next()) as Buffer)).toBe(true);
    await ping;
  });

  it('is told with --no-reconnect', async () => {
    const { faulty, client } = await faultyScene('--no-reconnect');
    faulty.cut();
    const { code, reason } = await client.closed;
    expect(code).toBe(1014);
    expect(reason).toMatch(/^LINK_LOST: /);
  });

  it('of a service that was started anew is told, too', async () => {
    const { faulty, proxy, client, echo } = await faultyScene();
    faulty.refusing = true;
    faulty.cut();
    await proxy.tells(/^Out of reach/m);
    for (const each of echo.clients) each.terminate();
    faulty.refusing = false;
    expect((await client.closed).code).toBe(1014);
  });
});

describe('whoever reads slowly', () => {
  const COUNT = 256;
  const part = randomBytes(262_144);

  it('at the far side slows the client down', async () => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    const { socket } = await sockets.next();
    socket.removeAllListeners('message');
    socket.pause();
    for (let index = 0; index < COUNT; index++) client.socket.send(part);
    // All that is in between is full, at less than a tenth.
    await quiet(() => client.socket.bufferedAmount, await roundTrips(proxy.url));
    expect(client.socket.bufferedAmount).toBeGreaterThan(COUNT * part.length * 0.6);
    let received = 0;
    const done = new Promise<void>(resolve => {
      socket.on('message', data => {
        expect(part.equals(data as Buffer)).toBe(true);
        received++;
        if (received === COUNT) resolve();
      });
    });
    socket.resume();
    await done;
  });

  it('at the plain side slows the far side down', async () => {
    const { proxy, sockets } = await echoScene();
    const client = scene.client(proxy.url);
    await client.outcome;
    const { socket } = await sockets.next();
    client.socket.pause();
    for (let index = 0; index < COUNT; index++) socket.send(part);
    await quiet(() => socket.bufferedAmount, await roundTrips(proxy.url));
    expect(socket.bufferedAmount).toBeGreaterThan(COUNT * part.length * 0.6);
    client.socket.resume();
    for (let index = 0; index < COUNT; index++)
      expect(part.equals((await client.next()) as Buffer)).toBe(true);
  });

  it('delays nobody else', async () => {
    const { proxy, sockets } = await echoScene();
    const slow = scene.client(proxy.url);
    await slow.outcome;
    const { socket } = await sockets.next();
    slow.socket.pause();
    for (let index = 0; index < COUNT; index++) socket.send(part);
    const other = scene.client(proxy.url);
    expect(await other.outcome).toBe('open');
    other.socket.send('hello');
    expect(await other.next()).toBe('hello');
  });
});

describe('many', () => {
  it('connections are one each, over one connection to the relay', async () => {
    const { proxy, relay } = await echoScene('--max-pending', '300');
    const clients = Array.from({ length: 300 }, () => scene.client(proxy.url));
    expect(new Set(await Promise.all(clients.map(({ outcome }) => outcome)))).toEqual(new Set(['open']));
    for (const [index, { socket }] of clients.entries())
      for (let number = 0; number < 10; number++) socket.send(`${index} ${number}`);
    for (const [index, client] of clients.entries())
      for (let number = 0; number < 10; number++) expect(await client.next()).toBe(`${index} ${number}`);
    expect(relay.connections).toBe(2);
  });

  it('a message that is too large ends its connection', async () => {
    const { proxy, sockets } = await echoScene('--max-payload', '1KiB');
    const client = scene.client(proxy.url);
    await client.outcome;
    const closed = once((await sockets.next()).socket, 'close');
    client.socket.send('x'.repeat(1_024));
    expect(await client.next()).toHaveLength(1_024);
    client.socket.send('x'.repeat(1_025));
    expect((await client.closed).code).toBe(1009);
    expect(((await closed) as [number])[0]).toBe(1006);
    const other = scene.client(proxy.url);
    await other.outcome;
    (await sockets.next()).socket.send('x'.repeat(1_025));
    const { code, reason } = await other.closed;
    expect(code).toBe(1014);
    expect(reason).toMatch(/^MESSAGE_TOO_LARGE: /);
  });
});

describe('what it says', () => {
  it('for programs, with --json', async () => {
    const { proxy: text, echo } = await echoScene();
    text.signal();
    const command = scene.command([
      ...['proxy', '--ephemeral', '--listen', '127.0.0.1:0', '--json', '--to', echo.url ?? ''],
    ]);
    const [, line = ''] = await command.says(/^(\{"event":"listening".*\})\n/m);
    const { url, publicKey } = JSON.parse(line) as { url: string; publicKey: string };
    expect(publicKey).toMatch(/^[0-9a-f]{64}$/);
    const client = scene.client(url);
    await client.outcome;
    client.socket.close(4000, 'bye');
    await command.says(/"event":"disconnected"/);
    expect(await scene.client(url, [], { origin: 'https://evil.example' }).outcome).toBe(403);
    command.signal();
    expect(await command.exit).toBe(0);
    expect(command.stderr).toBe('');
    const events = command.stdout
      .trim()
      .split('\n')
      .map(each => JSON.parse(each) as Record<string, unknown>)
      .map(({ time, ...event }) => {
        expect(new Date(String(time)).toISOString()).toBe(time);
        return event;
      });
    expect(events).toEqual([
      { event: 'listening', url, publicKey, to: echo.url },
      { event: 'connected', connection: 1, peerPublicKey: echo.publicKey },
      { event: 'disconnected', connection: 1, code: 4000, reason: 'bye' },
      { event: 'refused', status: 403, message: 'Origin not allowed: see --allow-origin.' },
      { event: 'closing', connections: 0 },
    ]);
  });
});

/** Resolves when a number has stopped changing: while as much happens elsewhere as `roundTrip` takes, twenty times. */
async function quiet(value: () => number, roundTrip: () => Promise<unknown>): Promise<void> {
  for (let same = 0, before = NaN; same < 20;) {
    await roundTrip();
    same = value() === before ? same + 1 : 0;
    before = value();
  }
}

/** What takes as long as a message and its echo, on a connection of its own. */
async function roundTrips(url: string): Promise<() => Promise<unknown>> {
  const client = scene.client(url);
  await client.outcome;
  return () => {
    client.socket.send('and back');
    return client.next();
  };
}
