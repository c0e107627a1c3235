import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { encodeEnvelope, encodeListen, NoticeReason } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { acceptDirect, registerAccepted } from '../../src/link/accept.js';
import { wrapWsSocket } from '../../src/link/platform/ws-socket.js';
import type { RegisterOptions } from '../../src/link/register-dialled.js';
import { Relay, type RelayRefusal } from '../../src/relay/relay.js';
import { Router } from '../../src/relay/router.js';
import { EventQueue } from '../support/event-queue.js';
import { dialRelay, framesOf } from '../support/dialled-relay-link.js';

vi.setConfig({ testTimeout: 30_000 });

const BODY = Uint8Array.of(1, 2, 3, 4);
const [identity, alice, bob] = await Promise.all([1, 2, 3].map(() => Identity.generate()));
if (!identity || !alice || !bob) throw new Error('no identities');
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function start(port = 0): Promise<Relay> {
  const relay = new Relay({ identity, port, host: '127.0.0.1' });
  cleanUp.push(() => relay.close());
  await relay.listen();
  return relay;
}

/** A registered link, as the library dials it. */
async function dial(url: string, as: Identity, options: Partial<RegisterOptions> = {}) {
  const dialled = await dialRelay(url, as, options);
  cleanUp.push(() => {
    dialled.socket.terminate();
  });
  return dialled;
}

async function join(relay: Relay, as: Identity, connectionId?: number) {
  return framesOf(await dial(relay.url, as, { connectionId }), as);
}

const envelope = (address: Uint8Array) => ({ type: 'envelope', address, body: BODY });

it('a client that comes back has its address again, and its old link is closed as replaced', async () => {
  const relay = await start();
  const gone = new EventQueue<[object, number]>();
  relay.on('disconnection', (client, code) => {
    gone.push([client, code]);
  });
  const other = await join(relay, alice);
  const first = await join(relay, bob, 0x89abcdef);
  expect(first.connectionId).toBe(0x89abcdef);
  first.socket.send(encodeListen(true));
  first.socket.send(encodeEnvelope(other.address, BODY));
  expect(await other.frames.next()).toEqual(envelope(first.address));

  const second = await join(relay, bob, 0x89abcdef);
  expect(second.address).toEqual(first.address);
  expect(await first.closed).toEqual({ code: 4001, reason: 'replaced' });
  expect(await other.frames.next()).toEqual({
    type: 'notice',
    reason: NoticeReason.PEER_GONE,
    address: first.address,
  });
  // The relay has seen the old socket close, and the new connection is still where it was.
  expect(await gone.next()).toMatchObject([{ connectionId: 0x89abcdef, publicKey: bob.publicKey }, 4001]);
  expect(relay.statistics).toMatchObject({ connections: 2, listeningKeys: 0, contacts: 0 });
  other.socket.send(encodeEnvelope(second.address, BODY));
  expect(await second.frames.next()).toEqual(envelope(other.address));
  second.socket.send(encodeEnvelope(second.address, BODY));
  expect(await second.frames.next()).toEqual(envelope(second.address));
});

it('a client has its address again at a relay that was restarted', async () => {
  const before = await start();
  const { port } = before.address() as AddressInfo;
  const first = await join(before, bob);
  await before.close();
  expect((await first.closed).code).toBe(1001);
  const after = await start(port);
  const second = await join(after, bob, first.connectionId);
  expect(second.address).toEqual(first.address);
});

it('a client does not get the connection id of another key', async () => {
  const relay = await start();
  const theirs = await join(relay, bob, 77);
  const mine = await join(relay, alice, 77);
  expect(mine.connectionId).not.toBe(77);
  mine.socket.send(encodeEnvelope(theirs.address, BODY));
  expect(await theirs.frames.next()).toEqual(envelope(mine.address));
  expect(relay.connections).toBe(2);
});

it('a client whose id went to another key after it was promised is sent away, and the relay lives on', async () => {
  const relay = await start();
  const refused: RelayRefusal[] = [];
  relay.on('refused', refusal => refused.push(refusal));
  const theirs = await join(relay, bob, 77);
  const spy = vi.spyOn(Router.prototype, 'allocateConnectionId').mockReturnValue(77);
  const mine = await join(relay, alice, 77);
  mine.socket.send(encodeEnvelope(theirs.address, BODY));
  expect(await mine.closed).toMatchObject({ code: 1013 });
  expect(refused).toMatchObject([{ code: 'LINK_FAILED', remoteAddress: '127.0.0.1' }]);
  spy.mockRestore();

  const again = await join(relay, alice, 77);
  again.socket.send(encodeEnvelope(theirs.address, BODY));
  expect(await theirs.frames.next()).toEqual(envelope(again.address));
  expect(relay.connections).toBe(2);
});

/** A `ws` server and where it is. */
async function serve() {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  cleanUp.push(() => {
    for (const ws of server.clients) ws.terminate();
    server.close();
  });
  await once(server, 'listening');
  return { server, url: `ws://127.0.0.1:${String((server.address() as AddressInfo).port)}` };
}

it.each([undefined, '', 'a token'])('whoever accepts a link has the token %j that was shown', async token => {
  const { server, url } = await serve();
  const accepted = new Promise<{ token: string | undefined; wanted: number | undefined }>(
    (resolve, reject) => {
      server.on('connection', (ws, request) => {
        let wanted: number | undefined;
        const connectionId = (_: Uint8Array, wish: number | undefined): number => ((wanted = wish), 5);
        registerAccepted(wrapWsSocket(ws), { identity, connectionId }, request).then(link => {
          resolve({ token: link.token, wanted });
        }, reject);
      });
    },
  );
  const dialled = await dial(url, alice, { token, connectionId: 9 });
  expect(await accepted).toEqual({ token, wanted: 9 });
  expect(dialled.connectionId).toBe(5);
});

it('a service that is dialled itself gives its one client the one id, whatever that wants', async () => {
  const { server, url } = await serve();
  server.on('connection', (ws, request) => {
    acceptDirect(ws, { identity }, request).catch(() => undefined);
  });
  expect((await dial(url, alice, { connectionId: 9 })).connectionId).toBe(1);
});

it('what cannot be said is not even dialled', async () => {
  const { server, url } = await serve();
  let upgrades = 0;
  server.on('connection', (ws, request) => {
    upgrades++;
    registerAccepted(wrapWsSocket(ws), { identity, connectionId: () => 1 }, request).catch(() => undefined);
  });
  for (const options of [{ token: 'x'.repeat(4_097) }, { connectionId: 0 }]) {
    await expect(dial(url, alice, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  await dial(url, alice);
  expect(upgrades).toBe(1);
});

it('what is too much for a server to read is not sent to it', async () => {
  const { server, url } = await serve();
  const end = new Promise<unknown>(resolve => {
    server.on('connection', (ws, request) => {
      registerAccepted(wrapWsSocket(ws), { identity, connectionId: () => 1 }, request).catch(resolve);
    });
  });
  const dialled = dial(url, alice, { token: '語'.repeat(4_096) });
  await expect(dialled).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  // Had it sent too much, the server would have said so.
  expect(await end).toMatchObject({ code: 'LINK_LOST' });
});
