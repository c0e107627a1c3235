// The whole stack with one end, or both, in a page.
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  ClientSecureWebSocket,
  type ClientSecureWebSocketOptions,
  Identity,
  IndexedDbKeyStore,
  SecureWebSocketServer,
  type SecureWebSocketServerOptions,
} from '../../src/index.js';

const { direct, directKey, relay, relayKey, relayed } = inject('services');

describe('messages of every size come back as they were sent', () => {
  const sizes = [0, 1, 125, 126, 1_023, 65_535, 65_536, 262_144, 1_048_577, 67_108_864];
  for (const [way, url] of [
    ['directly', direct],
    ['through a relay', relayed],
  ] as const) {
    it.for(sizes)(`${way}: %i bytes`, { timeout: 120_000 }, async size => {
      const socket = await open(url, { identity: Identity.generate() });
      socket.binaryType = 'arraybuffer';
      const sent = pattern(size);
      socket.send(sent);
      const received = new Uint8Array((await next(socket, 'message')).data as ArrayBuffer);
      expect(received.length).toBe(size);
      expect(firstDifference(received, sent)).toBe(-1);
    });
  }

  it('many small ones, in order', async () => {
    const socket = await open(relayed, { identity: Identity.generate() });
    const sent = Array.from({ length: 2_000 }, (_, n) => `message ${n}`);
    const received: unknown[] = [];
    const all = new Promise<void>(resolve => {
      socket.addEventListener('message', ({ data }) => {
        if (received.push(data) === sent.length) resolve();
      });
    });
    for (const message of sent) socket.send(message);
    await all;
    expect(received).toEqual(sent);
  });
});

describe('a server in a tab', () => {
  it('is dialled at its key, and sees path, subprotocols and the key of its client', async () => {
    const identity = await Identity.generate();
    const server = await listen({ handleProtocols: protocols => [...protocols][1] ?? false, identity });
    const clientIdentity = await Identity.generate();
    const connected = new Promise<{ url: string; peer: string; protocol: string }>(resolve => {
      server.on('connection', (socket, request) => {
        resolve({ url: request.url, peer: socket.peerPublicKey, protocol: socket.protocol });
        socket.on('message', (data, isBinary) => {
          if (!isBinary) socket.send(`you said: ${(data as Uint8Array).toString()}`);
        });
      });
    });
    const socket = await open(`${server.url}/chat?room=1`, { identity: clientIdentity }, ['one', 'two']);
    expect(await connected).toEqual({ url: '/chat?room=1', peer: clientIdentity.publicKey, protocol: 'two' });
    expect(socket.peerPublicKey).toBe(identity.publicKey);
    expect(socket.serverPublicKey).toBe(relayKey);
    expect(socket.protocol).toBe('two');
    socket.send('hello');
    expect((await next(socket, 'message')).data).toBe('you said: hello');
  });

  it('closes and is closed cleanly, with code and reason', async () => {
    const server = await listen();
    const ended = new Promise(resolve => {
      server.on('connection', socket => {
        socket.on('close', (code, reason) => {
          resolve([code, reason.toString()]);
        });
      });
    });
    const socket = await open(server.url ?? '');
    socket.close(4000, 'enough');
    expect(await next(socket, 'close')).toMatchObject({ code: 4000, wasClean: true });
    expect(await ended).toEqual([4000, 'enough']);
  });

  it('refuses whom verifyClient refuses', async () => {
    const server = await listen({
      verifyClient: ({ req }) => req.url === '/allowed',
    });
    await open(`${server.url}/allowed`);
    expect(await failure(new ClientSecureWebSocket(`${server.url}/forbidden`))).toBe('CHANNEL_REFUSED');
  });
});

describe('what is refused', () => {
  it('a server that has another key than the one that was given', async () => {
    const serverKey = (await Identity.generate()).publicKey;
    expect(await failure(new ClientSecureWebSocket(direct, [], { serverKey }))).toBe('SERVER_KEY_MISMATCH');
    expect(await failure(new ClientSecureWebSocket(relayed, [], { serverKey }))).toBe('SERVER_KEY_MISMATCH');
    await open(direct, { serverKey: directKey });
    await open(relayed, { serverKey: [serverKey, relayKey] });
  });

  it('a key at which nobody listens', async () => {
    const { publicKey } = await Identity.generate();
    expect(await failure(new ClientSecureWebSocket(`${relay}/${publicKey}`))).toBe('PEER_NOT_HERE');
  });

  it('a port at which nobody is', async () => {
    expect(await failure(new ClientSecureWebSocket('ws://127.0.0.1:1'))).toBe('LINK_FAILED');
  });

  it('an address that is none', () => {
    const upperCase = directKey.toUpperCase();
    const notBelowP = 'f'.repeat(64);
    for (const address of [upperCase, notBelowP, '0'.repeat(64)]) {
      expect(() => new ClientSecureWebSocket(`${relay}/${address}`)).toThrow(
        expect.objectContaining({ name: 'SyntaxError' }) as Error,
      );
    }
  });
});

it('keeps one identity for all sockets of one key store', async () => {
  const keyStore = new IndexedDbKeyStore({ name: crypto.randomUUID() });
  const first = await open(direct, { keyStore });
  const second = await open(relayed, { keyStore: new IndexedDbKeyStore({ name: keyStore.name }) });
  expect(first.publicKey).toMatch(/^[0-9a-f]{64}$/);
  expect(second.publicKey).toBe(first.publicKey);
});

async function open(
  url: string,
  options: ClientSecureWebSocketOptions = {},
  protocols: string[] = [],
): Promise<ClientSecureWebSocket> {
  const socket = new ClientSecureWebSocket(url, protocols, options);
  onTestFinished(() => {
    socket.close();
  });
  await next(socket, 'open');
  return socket;
}

async function listen(options: Partial<SecureWebSocketServerOptions> = {}): Promise<SecureWebSocketServer> {
  const server = new SecureWebSocketServer({ relay, identity: Identity.generate(), ...options });
  onTestFinished(() => {
    server.close();
  });
  await new Promise((resolve, reject) => {
    server.on('listening', () => {
      resolve(undefined);
    });
    server.on('error', reject);
  });
  return server;
}

/** The code of the error with which a socket fails. Checks that it fails as the standard says: `error`, then `close` 1006. */
async function failure(socket: ClientSecureWebSocket): Promise<string> {
  const events: string[] = [];
  let code = '';
  for (const type of ['open', 'message', 'error', 'close'] as const) {
    socket.addEventListener(type, event => {
      events.push(type);
      if ('error' in event) code = (event.error as { code: string }).code;
    });
  }
  const { code: closeCode, wasClean } = await new Promise<{ code: number; wasClean: boolean }>(resolve => {
    socket.addEventListener('close', resolve);
  });
  expect(events).toEqual(['error', 'close']);
  expect([closeCode, wasClean]).toEqual([1006, false]);
  return code;
}

interface Events {
  open: Event;
  message: MessageEvent;
  close: CloseEvent;
}

function next<Type extends keyof Events>(socket: ClientSecureWebSocket, type: Type): Promise<Events[Type]> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('error', event => {
      reject((event as unknown as { error: Error }).error);
    });
    socket.addEventListener(
      type,
      event => {
        resolve(event as unknown as Events[Type]);
      },
      { once: true },
    );
  });
}

function pattern(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

/** As `toEqual`, but quick for many megabytes. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? -1 : Math.min(a.length, b.length);
}
