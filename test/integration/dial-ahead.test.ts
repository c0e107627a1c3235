// A client whose identity is still being loaded: what it does meanwhile, and what comes of that.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import {
  ClientSecureWebSocket,
  type KeyStore,
  MemoryKeyStore,
  SecureWebSocketError,
} from '../../src/index.js';
import { Identity, Relay, SecureWebSocketServer } from '../../src/server.js';
import { EventQueue } from '../support/event-queue.js';
import { SocketLog } from '../support/socket-log.js';

type Options = NonNullable<ConstructorParameters<typeof ClientSecureWebSocket>[2]>;

const serverIdentity = await Identity.generate();
const clientIdentity = await Identity.generate();
const closing: (() => unknown)[] = [];
let http: Server;
let url: string;
/** The connections on which a WebSocket was asked for. */
let upgrades: EventQueue<Duplex>;
let upgraded: number;

beforeEach(async () => {
  http = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
  upgrades = new EventQueue();
  upgraded = 0;
  http.on('upgrade', (_request, socket) => {
    upgraded++;
    upgrades.push(socket);
  });
  closing.push(() => {
    http.closeAllConnections();
    http.close();
  });
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function serve(): SecureWebSocketServer {
  const server = new SecureWebSocketServer({ server: http, identity: serverIdentity, addresses: [url] });
  closing.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return server;
}

/**
 * A relay, and a service behind it. Resolves to where that is dialled. Its own connection is not counted, and is to
 * another address: it would be one to the same relay.
 */
async function relayedService(): Promise<string> {
  const other = url.replace('127.0.0.1', 'localhost');
  const relay = new Relay({ server: http, identity: serverIdentity, addresses: [url, other] });
  closing.push(() => relay.close());
  await relay.listen();
  const service = new SecureWebSocketServer({ relay: other, identity: Identity.generate(), trustStore });
  closing.push(() => {
    service.close();
  });
  await service.ready;
  await upgrades.next();
  upgraded = 0;
  return `${url}/${String(service.publicKey)}`;
}

/** A WebSocket class, and the sockets that were made of it. */
function observed(): { WebSocket: NonNullable<Options['WebSocket']>; made: WebSocket[] } {
  const made: WebSocket[] = [];
  class Observed extends WebSocket {
    constructor(address: string) {
      super(address);
      made.push(this);
    }
  }
  return { WebSocket: Observed, made };
}

/** The end of a connection, of whatever kind. */
function closed(connection: Duplex): Promise<void> {
  return new Promise(resolve => {
    connection
      .on('error', () => undefined)
      .on('close', () => {
        resolve();
      });
  });
}

const trustStore = { check: (): boolean => true };

function dial(location: string, options: Options): { socket: ClientSecureWebSocket; log: SocketLog } {
  const socket = new ClientSecureWebSocket(location, [], { trustStore, ...options });
  closing.push(() => {
    socket.close();
  });
  return { socket, log: SocketLog.ofClient(socket) };
}

/** A key store that answers when it is told to. */
class HeldKeyStore implements KeyStore {
  readonly #seed: Promise<Uint8Array>;
  release!: (identity?: Identity) => void;
  fail!: (error: Error) => void;

  constructor() {
    this.#seed = new Promise((resolve, reject) => {
      this.release = (identity = clientIdentity) => {
        resolve(identity.exportSeed());
      };
      this.fail = reject;
    });
  }

  load(): Promise<Uint8Array> {
    return this.#seed;
  }

  create(): Promise<Uint8Array> {
    return this.#seed;
  }
}

function held(): { identity: Promise<Identity>; release: (identity?: Identity) => void } {
  let release!: (identity?: Identity) => void;
  const identity = new Promise<Identity>(resolve => {
    release = (known = clientIdentity) => {
      resolve(known);
    };
  });
  return { identity, release };
}

describe('while an identity is being loaded', () => {
  it('a server is connected to, and this is the connection that is used', async () => {
    serve();
    const keyStore = new HeldKeyStore();
    const { socket, log } = dial(url, { keyStore });
    await upgrades.next();
    expect(socket.readyState).toBe(ClientSecureWebSocket.CONNECTING);
    keyStore.release();
    await log.opened;
    expect(socket.publicKey).toBe(clientIdentity.publicKey);
    expect(upgraded).toBe(1);
  });

  it('the challenge of the server waits', async () => {
    serve();
    const { identity, release } = held();
    const { WebSocket, made } = observed();
    const { log } = dial(url, { identity, WebSocket });
    await upgrades.next();
    await once(made[0]!, 'message');
    release();
    await log.opened;
    expect(upgraded).toBe(1);
  });

  it('a relay is connected to once, for all sockets of one identity', async () => {
    const location = await relayedService();
    const { identity, release } = held();
    const one = dial(location, { identity });
    const two = dial(location, { identity });
    await upgrades.next();
    release();
    await Promise.all([one.log.opened, two.log.opened]);
    expect(upgraded).toBe(1);
  });

  it('a relay is connected to once ahead, and again for another identity', async () => {
    const location = await relayedService();
    const [mine, other] = [held(), held()];
    const one = dial(location, { identity: mine.identity });
    const two = dial(location, { identity: other.identity });
    await upgrades.next();
    other.release(await Identity.generate());
    await two.log.opened;
    expect(upgraded).toBe(1);
    mine.release();
    await one.log.opened;
    expect(upgraded).toBe(2);
    expect(one.socket.publicKey).not.toBe(two.socket.publicKey);
  });

  it('a relay that is connected to already is not connected to again', async () => {
    const location = await relayedService();
    const first = dial(location, { identity: clientIdentity });
    await first.log.opened;
    const { identity, release } = held();
    const second = dial(location, { identity });
    release();
    await second.log.opened;
    expect(upgraded).toBe(1);
  });

  it('a connection that the server has given up meanwhile is made again', async () => {
    serve();
    const { identity, release } = held();
    const { WebSocket, made } = observed();
    const { log } = dial(url, { identity, WebSocket });
    const connection = await upgrades.next();
    const closed = once(made[0]!, 'close');
    connection.end();
    await closed;
    release();
    await log.opened;
    expect(upgraded).toBe(2);
  });

  it.each([
    [
      'bytes',
      (ws: { send(data: unknown): void }) => {
        ws.send(Uint8Array.of(1));
      },
    ],
    [
      'two texts',
      (ws: { send(data: unknown): void }) => {
        ws.send('{}');
        ws.send('{}');
      },
    ],
  ])('a server that sends %s is not kept', async (_what, misbehave) => {
    const servers = new WebSocketServer({ server: http });
    closing.push(() => {
      servers.close();
    });
    servers.on('connection', misbehave);
    const { identity, release } = held();
    const { log } = dial(url, { identity });
    await closed(await upgrades.next());
    release();
    // The same server, asked again, is told of as ever.
    expect(await log.closed).toEqual(['error REGISTRATION_MALFORMED', 'close 1006']);
  });

  it('close() closes the connection', async () => {
    serve();
    const { identity } = held();
    const { socket, log } = dial(url, { identity });
    const connection = await upgrades.next();
    const isClosed = closed(connection);
    socket.close();
    await isClosed;
    expect(await log.closed).toEqual(['error ABORTED', 'close 1006']);
  });
});

describe('an identity that cannot be loaded', () => {
  it('is told, and the connection is closed', async () => {
    serve();
    const keyStore = new HeldKeyStore();
    const { log } = dial(url, { keyStore });
    const connection = await upgrades.next();
    const isClosed = closed(connection);
    keyStore.fail(new SecureWebSocketError('KEY_STORE_CORRUPT', 'no'));
    await isClosed;
    expect(await log.closed).toEqual(['error KEY_STORE_CORRUPT', 'close 1006']);
  });

  it('leaves the connection to others who wait for theirs', async () => {
    const location = await relayedService();
    const keyStore = new HeldKeyStore();
    const { identity, release } = held();
    const one = dial(location, { keyStore });
    const two = dial(location, { identity });
    await upgrades.next();
    keyStore.fail(new SecureWebSocketError('KEY_STORE_CORRUPT', 'no'));
    await one.log.closed;
    release();
    await two.log.opened;
    expect(upgraded).toBe(1);
  });
});

describe('nothing is dialled', () => {
  it.each(['identity', 'token', 'serverKey'] as const)(
    'before the function "%s" has answered',
    async name => {
      serve();
      let asked!: () => void;
      const wasAsked = new Promise<void>(resolve => {
        asked = resolve;
      });
      const refuse = (): Promise<never> => {
        asked();
        return Promise.reject(new SecureWebSocketError('INVALID_ARGUMENT', 'not today'));
      };
      const identity = Promise.resolve(clientIdentity);
      const { log } = dial(url, { identity, [name]: refuse });
      await wasAsked;
      expect(await log.closed).toEqual(['error INVALID_ARGUMENT', 'close 1006']);
      // A server that had been connected to would have heard of it before it hears of this.
      const second = dial(url, { keyStore: new MemoryKeyStore(clientIdentity.exportSeed()) });
      await second.log.opened;
      expect(upgraded).toBe(1);
    },
  );
});
