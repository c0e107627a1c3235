import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { MAX_MAX_FRAME, MIN_MAX_FRAME } from '../../src/core/constants.js';
import {
  encodeEnvelope,
  encodeListen,
  ENVELOPE_HEADER_LENGTH,
  type Frame,
  NoticeReason,
  peerAddress,
} from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import type { ChannelInformation } from '../../src/link/channel-port.js';
import { dialChannel } from '../../src/link/dial.js';
import { listenAtRelay } from '../../src/link/listen.js';
import { MemoryKeyStore } from '../../src/link/memory-key-store.js';
import { Relay, type RelayOptions, type RelayRefusal } from '../../src/relay/relay.js';
import type { ObservedEnvelope } from '../../src/relay/router.js';
import { closing, RelayClient, silentClient } from '../support/relay-client.js';

// Half a second is a long time for these, but not on a machine that is busy with others.
vi.setConfig({ testTimeout: 30_000 });

const BODY = Uint8Array.of(1, 2, 3, 4);
const identity = await Identity.generate();
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function start(options: Partial<RelayOptions> = {}): Promise<Relay> {
  const own: RelayOptions = options.server ? {} : { port: 0, host: '127.0.0.1' };
  const relay = new Relay({ identity, ...own, ...options });
  cleanUp.push(() => relay.close());
  await relay.listen();
  return relay;
}

async function join(
  relay: Relay,
  options: { identity?: Identity; listening?: boolean; autoPong?: boolean } = {},
): Promise<RelayClient> {
  const client = await RelayClient.connect(relay.url, options);
  cleanUp.push(() => {
    client.ws.terminate();
  });
  if (options.listening) {
    client.send(encodeListen(true));
    // Whatever the relay answers next, it has seen LISTEN by then.
    client.send(encodeEnvelope(peerAddress(identity.publicKeyBytes, 0), BODY));
    expect(await client.frames.next()).toMatchObject({ type: 'notice', reason: NoticeReason.REFUSED });
  }
  return client;
}

/** A client that does not register. */
async function stranger(
  url: string,
  options?: ConstructorParameters<typeof WebSocket>[2],
): Promise<WebSocket | number> {
  const ws = await silentClient(url, options);
  if (typeof ws !== 'number') {
    cleanUp.push(() => {
      ws.terminate();
    });
  }
  return ws;
}

async function opened(url: string): Promise<WebSocket> {
  const ws = await stranger(url);
  if (typeof ws === 'number') throw new Error(`refused with ${String(ws)}`);
  return ws;
}

async function tcp(relay: Relay, allowHalfOpen = false): Promise<Socket> {
  const { port } = relay.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen });
  socket.on('error', () => undefined);
  cleanUp.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

async function fetchText(url: string): Promise<{ response: IncomingMessage; text: string }> {
  const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { response, text };
}

const envelope = (address: Uint8Array, body = BODY) => ({ type: 'envelope', address, body });
const notice = (reason: NoticeReason, address: Uint8Array) => ({ type: 'notice', reason, address });

describe('registered clients', () => {
  it('reach each other by key and by connection', async () => {
    const relay = await start();
    expect(relay.publicKey).toBe(identity.publicKey);
    expect(relay.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
    const alice = await join(relay);
    const bob = await join(relay, { listening: true });
    expect(relay.connections).toBe(2);

    alice.send(encodeEnvelope(peerAddress(bob.identity.publicKeyBytes, 0), BODY));
    expect(await bob.frames.next()).toEqual(envelope(alice.address));
    bob.send(encodeEnvelope(alice.address, BODY));
    expect(await alice.frames.next()).toEqual(envelope(bob.address));
    expect(relay.statistics).toMatchObject({ connections: 2, unregistered: 0, envelopes: 2 });
  });

  it('are told what could not be delivered, and when a peer goes', async () => {
    const relay = await start();
    const alice = await join(relay);
    const bob = await join(relay, { listening: true });
    const absent = peerAddress(new Uint8Array(32).fill(5), 0);
    alice.send(encodeEnvelope(absent, BODY));
    expect(await alice.frames.next()).toEqual(notice(NoticeReason.NOT_HERE, absent));
    bob.send(encodeEnvelope(alice.address, BODY));
    expect(await alice.frames.next()).toEqual(envelope(bob.address));
    bob.ws.close();
    expect(await alice.frames.next()).toEqual(notice(NoticeReason.PEER_GONE, bob.address));
  });

  it('are told of an envelope that is too large, and cut off at twice the limit', async () => {
    const relay = await start({ maxFrame: MIN_MAX_FRAME });
    const alice = await join(relay);
    const bob = await join(relay);
    const largest = new Uint8Array(MIN_MAX_FRAME - ENVELOPE_HEADER_LENGTH).fill(7);
    alice.send(encodeEnvelope(bob.address, largest));
    expect(await bob.frames.next()).toEqual(envelope(alice.address, largest));
    alice.send(encodeEnvelope(bob.address, Uint8Array.of(...largest, 0)));
    expect(await alice.frames.next()).toEqual(notice(NoticeReason.TOO_LARGE, bob.address));
    alice.send(encodeEnvelope(bob.address, new Uint8Array(2 * MIN_MAX_FRAME)));
    expect((await alice.closed).code).toBe(1009);
  });

  it('are cut off for what is no frame', async () => {
    const relay = await start();
    const [alice, bob] = [await join(relay), await join(relay)];
    alice.send(Uint8Array.of(0x44));
    expect(await alice.closed).toEqual({ code: 1002, reason: 'Received a frame of the unknown type 68.' });
    bob.ws.send('text');
    expect((await bob.closed).code).toBe(1002);
  });

  it('may share a key: the newest listener gets what is for the key', async () => {
    const relay = await start();
    const bob = await Identity.generate();
    const older = await join(relay, { identity: bob, listening: true });
    const newer = await join(relay, { identity: bob, listening: true });
    expect(older.connectionId).not.toBe(newer.connectionId);
    const alice = await join(relay);
    alice.send(encodeEnvelope(peerAddress(bob.publicKeyBytes, 0), BODY));
    expect(await newer.frames.next()).toEqual(envelope(alice.address));
    newer.ws.close();
    await once(relay, 'disconnection');
    alice.send(encodeEnvelope(peerAddress(bob.publicKeyBytes, 0), BODY));
    expect(await older.frames.next()).toEqual(envelope(alice.address));
  });

  it('come and go as events, and leave nothing behind', async () => {
    const relay = await start();
    const connected = once(relay, 'connection');
    const client = await join(relay);
    const about = {
      publicKey: client.identity.publicKey,
      connectionId: client.connectionId,
      remoteAddress: '127.0.0.1',
    };
    expect(await connected).toEqual([about]);
    const gone = once(relay, 'disconnection');
    client.ws.close(4_001);
    expect(await gone).toEqual([about, 4_001]);
    expect(relay.statistics).toMatchObject({
      connections: 0,
      unregistered: 0,
      listeningKeys: 0,
      contacts: 0,
    });
  });

  it('are shown to an observer, but not what they say', async () => {
    const seen: ObservedEnvelope[] = [];
    const relay = await start({ onEnvelope: observed => seen.push(observed) });
    const [alice, bob] = [await join(relay), await join(relay)];
    alice.send(encodeEnvelope(bob.address, BODY));
    await bob.frames.next();
    expect(seen).toMatchObject([
      { from: alice.address, to: bob.address, size: ENVELOPE_HEADER_LENGTH + BODY.length },
    ]);
    expect([...(seen[0]?.body ?? [])]).toEqual([...BODY]);
  });

  it('get no compression', async () => {
    const relay = await start();
    const ws = await opened(relay.url);
    expect(ws.extensions).toBe('');
  });

  it('carry whole channels', async () => {
    const relay = await start();
    const bob = await Identity.generate();
    const peers: ChannelInformation[] = [];
    await new Promise<void>((resolve, reject) => {
      const listener = listenAtRelay(
        new URL(relay.url),
        { identity: bob },
        {
          listening: () => {
            resolve();
          },
          channel: incoming => {
            const port = incoming.accept('', {
              message: (data, isText) => {
                port.send(data, isText);
              },
              closed: () => undefined,
            });
          },
          closed: reject,
        },
      );
      cleanUp.push(() => {
        listener.close();
      });
    });
    const answer = await new Promise<string>((resolve, reject) => {
      const url = new URL(`${relay.url}/${bob.publicKey}/path?x=1`);
      const port = dialChannel(
        url,
        [],
        { identity: Identity.generate(), serverKey: relay.publicKey },
        {
          opened: information => {
            peers.push(information);
            port.send(new TextEncoder().encode('hello'), true);
          },
          message: data => {
            resolve(new TextDecoder().decode(data));
            port.close(1000);
          },
          closed: end => {
            reject(new Error(`closed ${String(end.code)}`, { cause: end.error }));
          },
        },
      );
    });
    expect(answer).toBe('hello');
    expect(peers[0]).toMatchObject({ peerPublicKey: bob.publicKey, serverPublicKey: relay.publicKey });
  });
});

describe('slow and half-open clients', () => {
  it('a destination that does not read gets what fits, in order, and the sender hears of the rest', async () => {
    const relay = await start({ maxFrame: 65_536, maxQueueBytes: 262_144 });
    const [alice, bob] = [await join(relay), await join(relay)];
    bob.ws.pause();
    const sent: number[] = [];
    const refused: Frame[] = [];
    const body = new Uint8Array(60_000);
    // The kernel takes some megabytes before the relay has to queue anything.
    while (refused.length === 0) {
      for (let i = 0; i < 20; i++) {
        new DataView(body.buffer).setUint32(0, sent.length);
        sent.push(sent.length);
        alice.send(encodeEnvelope(bob.address, body));
      }
      // An echo from the relay: it has seen all of the above.
      alice.send(encodeEnvelope(peerAddress(identity.publicKeyBytes, 0), BODY));
      for (;;) {
        const frame = await alice.frames.next();
        expect(frame.type).toBe('notice');
        if (frame.type === 'notice' && frame.reason === NoticeReason.REFUSED) break;
        refused.push(frame);
      }
      expect(relay.statistics.queuedBytes).toBeLessThanOrEqual(262_144);
    }
    for (const frame of refused) expect(frame).toEqual(notice(NoticeReason.QUEUE_FULL, bob.address));
    bob.ws.resume();
    const received = await bob.frames.take(sent.length - refused.length);
    const numbers = received.map(frame => {
      if (frame.type !== 'envelope') throw new Error(frame.type);
      return new DataView(frame.body.buffer, frame.body.byteOffset).getUint32(0);
    });
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(numbers).size).toBe(numbers.length);
    // It has caught up: nothing waits, and there is room again.
    await expect.poll(() => relay.statistics.queuedBytes).toBe(0);
    alice.send(encodeEnvelope(bob.address, BODY));
    expect(await bob.frames.next()).toEqual(envelope(alice.address));
  });

  it('are ended when they do not answer pings', async () => {
    const relay = await start({ keepaliveInterval: 300 });
    const disconnection = once(relay, 'disconnection');
    const client = await join(relay);
    // It neither reads nor says anything any more, like a machine that lost its power.
    client.ws.pause();
    expect(await disconnection).toMatchObject([{ connectionId: client.connectionId }, 1006]);
    expect(relay.connections).toBe(0);
  });

  it('are pinged, and kept when they answer or say anything else', async () => {
    const relay = await start({ keepaliveInterval: 500 });
    const [answering, talking] = [await join(relay), await join(relay, { autoPong: false })];
    talking.ws.on('ping', () => {
      talking.send(encodeListen(true));
    });
    await Promise.all(
      [answering, talking].map(async ({ ws }) => {
        for (let i = 0; i < 3; i++) await once(ws, 'ping');
      }),
    );
    expect(relay.connections).toBe(2);
  });

  it('are refused when they do not register in time', async () => {
    const relay = await start({ registrationTimeout: 50 });
    const refused = once(relay, 'refused');
    const ws = await opened(relay.url);
    expect((await closing(ws)).code).toBe(1008);
    expect(await refused).toMatchObject([{ code: 'REGISTRATION_TIMEOUT', remoteAddress: '127.0.0.1' }]);
    await expect.poll(() => relay.statistics.unregistered).toBe(0);
  });

  it('are refused when they send much before they have registered, even as one message that never ends', async () => {
    const relay = await start();
    const refused = once(relay, 'refused');
    const ws = await opened(relay.url);
    ws.send(new Uint8Array(5_000), { fin: false });
    ws.send(new Uint8Array(5_000), { fin: false });
    expect(await refused).toMatchObject([{ code: 'REGISTRATION_MALFORMED' }]);
    await closing(ws);
  });

  it('are refused when they answer the challenge with anything else', async () => {
    const relay = await start();
    for (const data of ['', '{}', 'x'.repeat(100), Buffer.from([1, 2, 3])]) {
      const refused = once(relay, 'refused');
      const ws = await opened(relay.url);
      ws.send(data);
      expect((await closing(ws)).code).toBe(1008);
      expect(await refused).toMatchObject([{ code: 'REGISTRATION_MALFORMED' }]);
    }
    expect(relay.connections).toBe(0);
  });

  it('are cut off when they send their HTTP request byte by byte, or none', async () => {
    const relay = await start({ registrationTimeout: 100 });
    const [slow, silent] = [await tcp(relay), await tcp(relay)];
    slow.write('GET / HTTP/1.1\r\nHost: relay\r\nX-Slow: ');
    for (const socket of [slow, silent]) socket.resume();
    await Promise.all([once(slow, 'close'), once(silent, 'close')]);
  });
});

describe('limits', () => {
  it('429 for too many unregistered clients from one address; registered ones do not count', async () => {
    const relay = await start({ maxUnregisteredPerIp: 2 });
    const refusals: RelayRefusal[] = [];
    relay.on('refused', refusal => refusals.push(refusal));
    for (let i = 0; i < 4; i++) await join(relay);
    const [first] = [await opened(relay.url), await opened(relay.url)];
    expect(await stranger(relay.url)).toBe(429);
    expect(refusals).toMatchObject([{ code: 'TOO_MANY_CONNECTIONS', remoteAddress: '127.0.0.1' }]);
    expect(relay.statistics).toMatchObject({ connections: 4, unregistered: 2 });
    first.terminate();
    await once(relay, 'refused'); // LINK_LOST: its place is free
    await opened(relay.url);
  });

  it('503 for too many unregistered clients in all, wherever they come from', async () => {
    let client = 0;
    const relay = await start({ maxUnregistered: 3, clientAddress: () => `192.0.2.${String(++client)}` });
    for (let i = 0; i < 3; i++) await opened(relay.url);
    expect(await stranger(relay.url)).toBe(503);
  });

  it('503 for too many connections in all', async () => {
    const relay = await start({ maxConnections: 2 });
    const client = await join(relay);
    await join(relay);
    expect(await stranger(relay.url)).toBe(503);
    client.ws.close();
    await once(relay, 'disconnection');
    await join(relay);
  });

  it('count by the address that a proxy tells, when there is one', async () => {
    const relay = await start({
      maxUnregisteredPerIp: 1,
      clientAddress: request => String(request.headers['x-real-ip']),
    });
    const from = (address: string): Promise<WebSocket | number> =>
      stranger(relay.url, { headers: { 'x-real-ip': address } });
    expect(await from('2001:db8::1')).toBeInstanceOf(WebSocket);
    expect(await from('2001:db8::2')).toBe(429); // the same /64
    expect(await from('2001:db8:0:1::1')).toBeInstanceOf(WebSocket);
    expect(await from('192.0.2.1')).toBeInstanceOf(WebSocket);
  });

  it('include TCP connections that never ask for an upgrade', async () => {
    const relay = await start({ maxUnregisteredPerIp: 2, registrationTimeout: 600_000 });
    const sockets = [await tcp(relay), await tcp(relay), await tcp(relay), await tcp(relay)];
    const tooMany = await tcp(relay);
    tooMany.resume();
    await once(tooMany, 'close');
    expect(sockets.map(socket => socket.destroyed)).toEqual([false, false, false, false]);
    for (const socket of sockets) socket.destroy();
    // Their places come back, and those of clients that have registered.
    for (let i = 0; i < 6; i++) await retry(() => join(relay));
    expect(relay.connections).toBe(6);
  });

  it('give back the place of an upgrade that fails', async () => {
    const relay = await start({ maxUnregistered: 1 });
    for (let i = 0; i < 3; i++) {
      const socket = await tcp(relay);
      socket.write(
        'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n',
      );
      const [data] = (await once(socket, 'data')) as [Buffer];
      expect(data.toString()).toMatch(/^HTTP\/1\.1 400 /);
      await once(socket, 'close');
    }
    await retry(() => join(relay));
  });
});

/** Again, until the relay has noticed what this process has done on other sockets. */
async function retry<T>(action: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await action();
    } catch {
      await new Promise(resolve => setImmediate(resolve));
    }
  }
}

describe('HTTP', () => {
  it('tells a browser that came by accident where it is', async () => {
    const relay = await start();
    const { response, text } = await fetchText(relay.url.replace('ws:', 'http:'));
    expect(response.statusCode).toBe(426);
    expect(response.headers.upgrade).toBe('websocket');
    expect(text).toContain('secure-websocket relay');
  });

  it('answers upgrades at its path only, with or without a final slash', async () => {
    const relay = await start({ path: '/relay/' });
    expect(relay.url).toMatch(/:\d+\/relay$/);
    await opened(relay.url);
    await opened(`${relay.url}/`);
    await opened(`${relay.url}?x=1`);
    for (const path of ['/', '/relays', '/relay/more']) {
      expect(await stranger(new URL(path, relay.url).href)).toBe(404);
    }
  });

  it('waits for nobody whom it has refused', async () => {
    const relay = await start({ path: '/relay', maxUnregisteredPerIp: 1, registrationTimeout: 600_000 });
    for (let i = 0; i < 4; i++) {
      const socket = await retry(async () => {
        // It does not close its end when the relay has closed the other.
        const connected = await tcp(relay, true);
        connected.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
        const closed = once(connected, 'close').then(() => Promise.reject(new Error('closed unanswered')));
        closed.catch(() => undefined);
        const [data] = (await Promise.race([once(connected, 'data'), closed])) as [Buffer];
        expect(data.toString()).toMatch(/^HTTP\/1\.1 404 /);
        return connected;
      });
      socket.resume();
      await once(socket, 'end');
    }
  });

  it('registers clients at a path', async () => {
    const relay = await start({ path: '/relay' });
    const [alice, bob] = [await join(relay), await join(relay)];
    alice.send(encodeEnvelope(bob.address, BODY));
    expect(await bob.frames.next()).toEqual(envelope(alice.address));
  });
});

describe('a server that was given', () => {
  it('shares its upgrades by path and stays open', async () => {
    const server = createServer((_request, response) => {
      response.end('the application');
    });
    const host = await listening(server);
    const relay = await start({ server, path: '/relay' });
    expect(relay.url).toBe(`ws://${host}/relay`);

    // Alone on the server, the relay answers for every path.
    expect(await stranger(`ws://${host}/echo`)).toBe(404);
    const echo = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      if (request.url !== '/echo') return;
      echo.handleUpgrade(request, socket, head, ws => {
        ws.send('echo');
      });
    });
    const other = new WebSocket(`ws://${host}/echo`);
    cleanUp.push(() => {
      other.terminate();
    });
    const [message] = (await once(other, 'message')) as [Buffer];
    expect(message.toString()).toBe('echo');

    const client = await join(relay);
    await relay.close();
    expect((await client.closed).code).toBe(1001);
    expect(other.readyState).toBe(WebSocket.OPEN);
    expect(server.listening).toBe(true);
    expect(server.listenerCount('upgrade')).toBe(1);
    expect((await fetchText(`http://${host}/`)).text).toBe('the application');
  });

  it('need not listen yet; then only its own addresses are missing', async () => {
    const server = createServer();
    const relay = await start({ server });
    expect(() => relay.url).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(relay.address()).toBe(null);
    const host = await listening(server);
    expect(relay.url).toBe(`ws://${host}`);
    await join(relay);
  });

  it('makes it wss when it speaks TLS', async () => {
    const server = createHttpsServer();
    const host = await listening(server);
    expect((await start({ server })).url).toBe(`wss://${host}`);
  });
});

describe('addresses', () => {
  it('are what clients must have dialled', async () => {
    const relay = await start({ addresses: ['https://Relay.Example:443/'] });
    expect(relay.url).toBe('wss://relay.example');
    const { port } = relay.address() as AddressInfo;
    const local = `ws://127.0.0.1:${String(port)}`;
    const client = await RelayClient.connect(local, { address: 'wss://relay.example' });
    client.ws.terminate();
    await expect(RelayClient.connect(local)).rejects.toThrow(/does not answer to/);
  });
});

describe('listen and close', () => {
  it('loads the identity that a key store keeps', async () => {
    const keyStore = new MemoryKeyStore();
    const [first, second] = [
      await start({ identity: undefined, keyStore }),
      await start({ identity: undefined, keyStore }),
    ];
    expect(first.publicKey).toMatch(/^[0-9a-f]{64}$/);
    expect(second.publicKey).toBe(first.publicKey);
  });

  it('closes every connection with 1001 and ends, whatever clients do', async () => {
    const relay = await start();
    const [polite, deaf] = [await join(relay), await join(relay)];
    const unregistered = await opened(relay.url);
    const plain = await tcp(relay);
    plain.resume();
    deaf.ws.pause();
    const refusals: RelayRefusal[] = [];
    relay.on('refused', refusal => refusals.push(refusal));
    const end = [polite.closed, closing(unregistered), once(plain, 'close')] as const;
    const closed = relay.close();
    expect(relay.close()).toBe(closed);
    await closed;
    const [first, second] = await Promise.all(end);
    expect([first.code, second.code]).toEqual([1001, 1001]);
    // It is the relay that went, not the client that was turned away.
    expect(refusals).toEqual([]);
    expect(relay.connections).toBe(0);
    expect(relay.address()).toBe(null);
    deaf.ws.resume();
    await deaf.closed;
  });

  it('cuts off on a server that was given, too, who does not answer', async () => {
    const server = createServer();
    await listening(server);
    const relay = await start({ server });
    const deaf = await join(relay);
    deaf.ws.pause();
    await relay.close();
    expect(relay.connections).toBe(0);
  });

  it('rejects when the port is taken, and leaves nothing open', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    cleanUp.push(() => vi.useRealTimers());
    const first = await start();
    expect(vi.getTimerCount()).toBe(1);
    const { port } = first.address() as AddressInfo;
    const second = new Relay({ identity, port, host: '127.0.0.1' });
    await expect(second.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(second.address()).toBe(null);
    expect(vi.getTimerCount()).toBe(1);
    await second.close();
    await first.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('can be closed before and while it begins to listen', async () => {
    const never = new Relay({ identity, port: 0 });
    await never.close();
    await expect(never.listen()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });

    // In every state between.
    for (const host of ['127.0.0.1', 'localhost', undefined]) {
      for (let turns = 0; turns < 20; turns++) {
        const relay = new Relay({ identity, port: 0, host });
        let listens: unknown;
        const listened = relay.listen().then(
          () => (listens = true),
          (error: unknown) => (listens = error),
        );
        for (let i = 0; i < turns; i++) await Promise.resolve();
        await relay.close();
        await listened;
        if (listens !== true) expect(listens).toMatchObject({ code: 'ABORTED' });
        await expect.poll(() => relay.address()).toBe(null);
      }
    }
  });

  it('does not wait for an identity that never comes', async () => {
    const relay = new Relay({ identity: new Promise<Identity>(() => undefined), port: 0 });
    void relay.listen();
    await relay.close();
  });

  it('tells nothing before it listens', () => {
    const relay = new Relay({ identity, port: 0 });
    expect(() => relay.publicKey).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => relay.url).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(relay.connections).toBe(0);
    expect(relay.statistics).toMatchObject({ connections: 0, unregistered: 0 });
  });
});

describe('options', () => {
  const server = createServer();
  it.each<[string, RelayOptions]>([
    ['neither port nor server', { identity }],
    ['port and server', { identity, port: 0, server }],
    ['host and server', { identity, host: 'localhost', server }],
    ['a relative path', { identity, port: 0, path: 'relay' }],
    ['an address that is none', { identity, port: 0, addresses: ['relay'] }],
    ['frames too small', { identity, port: 0, maxFrame: MIN_MAX_FRAME - 1 }],
    ['frames too large', { identity, port: 0, maxFrame: MAX_MAX_FRAME + 1 }],
    ['a queue smaller than a frame', { identity, port: 0, maxQueueBytes: 100_000 }],
    ['a number that is none', { identity, port: 0, maxConnections: NaN }],
    ['no time at all', { identity, port: 0, keepaliveInterval: 0 }],
    ['longer than a timer can wait', { identity, port: 0, registrationTimeout: 2 ** 31 }],
  ])('refuses %s', (_, options) => {
    expect(() => new Relay(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});
