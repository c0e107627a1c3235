/** A relay, services and sockets of the library, and clients made from docs/protocol.md that talk to them. */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { Relay } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import type { SecureWebSocketCloseEvent } from '../../src/socket/events.js';
import {
  SecureWebSocketServer,
  type SecureWebSocketServerOptions,
} from '../../src/socket/node-secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../../src/socket/server-secure-web-socket.js';
import { trustStore } from './dialled-peer.js';
import { EventQueue } from './event-queue.js';
import type { IndependentChannel, Message, Offer } from './independent/channel.js';
import { IndependentClient, type IndependentClientOptions } from './independent-client.js';

/** What has to be undone when a test ends, the latest first. */
export const cleanUp: (() => unknown)[] = [];
/** The relay of the test that runs. */
export let relay: Relay;

/** Every test of the file gets a relay of its own. */
export function useRelay(): void {
  beforeEach(async () => {
    relay = new Relay({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
    await relay.listen();
  });
  afterEach(async () => {
    for (const clean of cleanUp.splice(0).reverse()) await clean();
    await relay.close();
    vi.restoreAllMocks();
  });
}

/** A client that the protocol document made; at the end of the test it must have had nothing to complain about. */
export async function connect(
  url: string,
  options: IndependentClientOptions = {},
): Promise<IndependentClient> {
  const client = await IndependentClient.connect(url, options);
  cleanUp.push(async () => {
    expect(await client.close()).toBeUndefined();
  });
  return client;
}

/** Sends every message back, in the same form. */
function echo(socket: ServerSecureWebSocket): void {
  socket.on('message', (data, isBinary) => {
    socket.send(data, { binary: isBinary });
  });
}

export interface Connected {
  readonly socket: ServerSecureWebSocket;
  readonly url: string | undefined;
  readonly closed: Promise<[code: number, reason: string]>;
}

export interface Service {
  readonly url: string;
  readonly key: string;
  readonly connections: EventQueue<Connected>;
  readonly server: SecureWebSocketServer;
}

/** An echo service of the library, with a port of its own or behind the relay. */
export async function serve(where: 'direct' | 'relayed'): Promise<Service> {
  const options: SecureWebSocketServerOptions =
    where === 'direct' ? { port: 0, host: '127.0.0.1' } : { relay: relay.url };
  const server = new SecureWebSocketServer({
    ...options,
    identity: Identity.generate(),
    trustStore,
    handleProtocols: protocols => [...protocols].at(-1) ?? false,
  });
  const connections = new EventQueue<Connected>();
  server.on('connection', (socket, request) => {
    echo(socket);
    const closed = new Promise<[number, string]>(resolve => {
      socket.on('close', (code, reason) => {
        resolve([code, String(reason)]);
      });
    });
    connections.push({ socket, url: request.url, closed });
  });
  cleanUp.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await server.ready;
  return { url: server.url ?? '', key: server.publicKey ?? '', connections, server };
}

export const OFFER: Offer = { target: '/chat?x=1', protocols: ['a', 'b'], origin: 'https://app.example' };

export async function dial(
  service: Service,
  options: IndependentClientOptions = {},
  offer = OFFER,
): Promise<{ client: IndependentClient; channel: IndependentChannel }> {
  const client = await connect(service.url, options);
  const isDirect = client.registered.serverKey.toString('hex') === service.key;
  const channel = isDirect ? client.openDirect(offer) : await client.dial(service.key, offer);
  return { client, channel };
}

/** A socket of the library that the test looks at, dialled to a client of the protocol document. */
export function dialledBy(
  url: string,
  protocols: string[] = [],
  identity = Identity.generate(),
  options: ClientSecureWebSocketOptions = {},
): { socket: ClientSecureWebSocket; closed: Promise<SecureWebSocketCloseEvent> } {
  const socket = new ClientSecureWebSocket(url, protocols, { identity, trustStore, ...options });
  socket.binaryType = 'arraybuffer';
  const closed = new Promise<SecureWebSocketCloseEvent>(resolve => {
    socket.addEventListener('close', resolve);
  });
  cleanUp.push(() => {
    socket.close();
  });
  return { socket, closed };
}

export function opened(socket: ClientSecureWebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => {
      resolve();
    });
    socket.addEventListener('error', event => {
      reject(new Error('the socket failed', { cause: event }));
    });
  });
}

/** The next message, and whether it is text. */
export function nextMessage(socket: ClientSecureWebSocket): Promise<Message> {
  return new Promise(resolve => {
    socket.addEventListener(
      'message',
      ({ data }) => {
        const isText = typeof data === 'string';
        resolve({ data: Buffer.from(data as ArrayBuffer), isText });
      },
      { once: true },
    );
  });
}
