import { expect, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { BodyType } from '../../src/core/sealed-body.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import { SecureWebSocketServer } from '../../src/socket/secure-web-socket-server.js';
import { anyServer, type LoggedClient, type LoggedServer } from './attacked.js';
import { EventQueue } from './event-queue.js';
import { flipped, type Tampering } from './fuzz.js';
import { type Lie, LyingRelay } from './lying-relay.js';
import { SocketLog } from './socket-log.js';

// Clients and services of a relay that lies, which each test has one of.

export let relay: LyingRelay;
const cleanUp: (() => void)[] = [];

export async function startRelay(): Promise<void> {
  relay = await LyingRelay.start();
}

export async function stopRelay(): Promise<void> {
  vi.useRealTimers();
  for (const step of cleanUp.splice(0)) step();
  await relay.close();
}

export const INITIATION = BodyType.HANDSHAKE_INITIATION;
export const RESPONSE = BodyType.HANDSHAKE_RESPONSE;
export const TRANSPORT = BodyType.TRANSPORT;

export function dial(
  publicKey: string,
  identity = Identity.generate(),
  options: ClientSecureWebSocketOptions = {},
): LoggedClient {
  const socket = new ClientSecureWebSocket(`${relay.url}/${publicKey}/path`, [], {
    identity,
    trustStore: anyServer,
    ...options,
  });
  cleanUp.push(() => {
    socket.close();
  });
  return { socket, log: SocketLog.ofClient(socket) };
}

export interface Service {
  readonly publicKey: string;
  readonly connections: EventQueue<LoggedServer>;
}

export async function service(): Promise<Service> {
  const server = new SecureWebSocketServer({
    relay: relay.url,
    identity: Identity.generate(),
    trustStore: anyServer,
  });
  const connections = new EventQueue<LoggedServer>();
  server.on('connection', socket => {
    connections.push({ socket, log: SocketLog.ofServer(socket) });
  });
  cleanUp.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  await server.ready;
  const publicKey = server.publicKey ?? '';
  await expect.poll(() => relay.clientOf(publicKey).listening).toBe(true);
  return { publicKey, connections };
}

/** A client and a service that have exchanged a message each way. */
export async function pair(
  to: Service,
  identity?: Promise<Identity>,
  options?: ClientSecureWebSocketOptions,
): Promise<{ client: LoggedClient; service: LoggedServer }> {
  const client = dial(to.publicKey, identity, options);
  await client.log.opened;
  const connected = await to.connections.next();
  client.socket.send('before');
  expect(await connected.log.messages.next()).toBe('before');
  connected.socket.send('before');
  expect(await client.log.messages.next()).toBe('before');
  return { client, service: connected };
}

export const BEFORE = ['open', 'message before'];

/** Lies about the first packet of a type. */
export function aboutFirst(type: number, lie: Lie): Lie {
  let lied = false;
  return packet => {
    if (lied || packet.body[0] !== type) return packet;
    lied = true;
    return lie(packet);
  };
}

export const withBody =
  (change: Tampering): Lie =>
  packet => ({ ...packet, body: change(packet.body) });

export const flipEnd: Tampering = body => flipped(body.length - 1)(body);

/** Lets so many milliseconds pass in the timers of everybody here, and on their clocks. */
export function fakeClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
}

/** Lets time pass, and what is on its way arrive meanwhile. */
export async function pass(milliseconds: number, isEnough = () => false): Promise<void> {
  for (let passed = 0; passed < milliseconds && !isEnough(); passed += 500) {
    vi.advanceTimersByTime(500);
    await new Promise(resolve => setImmediate(resolve));
  }
}
