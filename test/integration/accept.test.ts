import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { Identity } from '../../src/core/identity.js';
import { MemoryKeyStore } from '../../src/link/memory-key-store.js';
import { ServerSecureWebSocket, type AcceptOptions } from '../../src/socket/node-server-secure-web-socket.js';
import { DialledPeer } from '../support/dialled-peer.js';

let server: WebSocketServer;
let url: string;
const peers: DialledPeer[] = [];

beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  for (const peer of peers.splice(0)) peer.port.terminate();
  for (const ws of server.clients) ws.terminate();
  server.close();
});

function dial(path = '/', protocols: readonly string[] = []): DialledPeer {
  const peer = new DialledPeer(url + path, { identity: Identity.generate() }, protocols);
  peers.push(peer);
  return peer;
}

/** What `accept` makes of the next connection; called in its handler. */
function acceptNext(
  options: AcceptOptions | undefined,
): Promise<{ ws: WebSocket; request: IncomingMessage; accepted: Promise<ServerSecureWebSocket> }> {
  return new Promise(resolve => {
    server.once('connection', (ws, request) => {
      const accepted = ServerSecureWebSocket.accept(ws, options, request);
      accepted.catch(() => undefined);
      resolve({ ws, request, accepted });
    });
  });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SecureWebSocketError);
  return (error as SecureWebSocketError).code;
}

describe('ServerSecureWebSocket.accept', () => {
  it('puts the encryption around one WebSocket of ws', async () => {
    const identity = await Identity.generate();
    const next = acceptNext({ identity });
    const peer = dial('/chat?x=1', ['b', 'a']);
    const { accepted } = await next;
    const information = await peer.opened;
    const socket = await accepted;
    expect(socket).toBeInstanceOf(ServerSecureWebSocket);
    expect(socket).toMatchObject({ publicKey: identity.publicKey, protocol: 'b', url: '/chat?x=1' });
    expect(information).toMatchObject({ peerPublicKey: identity.publicKey, protocol: 'b' });
    expect(socket.handshakeHash).toEqual(information.handshakeHash);
    socket.send('hello');
    expect(await peer.events.next()).toEqual(['text', 'hello']);
  });

  it('loses nothing to listeners that are added right after await', async () => {
    const next = acceptNext({ identity: Identity.generate() });
    const peer = dial();
    peer.text('at once');
    peer.close(4000, 'and gone');
    const seen: unknown[] = [];
    const { accepted } = await next;
    // Behind a few more promises, as in an application.
    const socket = await (async () => await accepted)();
    socket.on('message', data => seen.push(String(data as Buffer)));
    const closed = once(socket, 'close');
    expect((await closed)[0]).toBe(4000);
    expect(seen).toEqual(['at once']);
  });

  it('makes a raw ws.send throw from the first tick on: it would send plaintext', async () => {
    for (const identity of [await Identity.generate(), Identity.generate()]) {
      const next = acceptNext({ identity });
      const peer = dial();
      const { ws, accepted } = await next;
      const refused = expect.objectContaining({ code: 'PLAINTEXT_REFUSED' }) as unknown;
      const attempt = (): unknown => {
        try {
          ws.send('plaintext');
        } catch (error) {
          return error;
        }
        return undefined;
      };
      expect(attempt()).toEqual(refused);
      const socket = await accepted;
      expect(attempt()).toEqual(refused);
      // The channel itself still sends.
      await peer.opened;
      socket.send('ciphertext');
      expect(await peer.events.next()).toEqual(['text', 'ciphertext']);
      const closed = once(socket, 'close');
      peer.close();
      await closed;
      expect(attempt()).toEqual(refused);
    }
  });

  it('keeps a send method that was replaced before', async () => {
    const sent: unknown[] = [];
    server.once('connection', ws => {
      const original = ws.send.bind(ws) as (...args: unknown[]) => void;
      ws.send = (...args: unknown[]) => {
        sent.push(args[0]);
        original(...args);
      };
    });
    const next = acceptNext({ identity: Identity.generate() });
    const peer = dial();
    await (
      await next
    ).accepted;
    await peer.opened;
    expect(sent.length).toBeGreaterThan(2);
  });

  it('accepts a WebSocket once', async () => {
    const next = acceptNext({ identity: await Identity.generate() });
    const peer = dial();
    const { ws, accepted } = await next;
    expect(await codeOf(ServerSecureWebSocket.accept(ws, { identity: Identity.generate() }))).toBe(
      'INVALID_ARGUMENT',
    );
    await accepted;
    await peer.opened;
  });

  it('waits for an identity, and takes it from a key store', async () => {
    const seed = new Uint8Array(32).fill(3);
    const next = acceptNext({ keyStore: new MemoryKeyStore(seed) });
    const peer = dial();
    const { accepted } = await next;
    expect((await accepted).publicKey).toBe((await Identity.fromSeed(seed)).publicKey);
    expect((await peer.opened).peerPublicKey).toBe((await Identity.fromSeed(seed)).publicKey);
  });

  it('rejects, and ends the connection, when there is no identity', async () => {
    const failure = new SecureWebSocketError('KEY_STORE_CORRUPT', 'It is broken.');
    const identity = Promise.reject(failure);
    identity.catch(() => undefined);
    const next = acceptNext({ identity });
    const peer = dial();
    const { ws, accepted } = await next;
    await expect(accepted).rejects.toBe(failure);
    expect(await codeOf(peer.opened)).toBe('LINK_FAILED');
    if (ws.readyState !== WebSocket.CLOSED) await once(ws, 'close');
  });

  it('rejects when the client goes away while the identity is loaded', async () => {
    let give!: (identity: Identity) => void;
    const identity = new Promise<Identity>(resolve => {
      give = resolve;
    });
    const next = acceptNext({ identity });
    const client = new WebSocket(url);
    const { ws, accepted } = await next;
    await once(client, 'open');
    // Whatever the socket does meanwhile, nobody else listens to it.
    ws.emit('error', new Error('of the network'));
    client.terminate();
    await once(client, 'close');
    give(await Identity.generate());
    expect(await codeOf(accepted)).toBe('LINK_LOST');
  });

  it('rejects when the client does not register', async () => {
    const next = acceptNext({ identity: await Identity.generate() });
    const client = new WebSocket(url);
    client.on('open', () => {
      client.send(Uint8Array.of(1, 2, 3));
    });
    const { accepted } = await next;
    expect(await codeOf(accepted)).toBe('REGISTRATION_MALFORMED');
    if (client.readyState !== WebSocket.CLOSED) await once(client, 'close');
  });

  it('asks handleProtocols, with the request', async () => {
    const requests: unknown[] = [];
    const next = acceptNext({
      identity: Identity.generate(),
      handleProtocols: (protocols, request) => {
        requests.push(request);
        return protocols.has('b') && 'b';
      },
    });
    const peer = dial('/', ['a', 'b']);
    const { request, accepted } = await next;
    expect((await accepted).protocol).toBe('b');
    expect(requests).toEqual([request]);
    expect((await peer.opened).protocol).toBe('b');
  });

  it('refuses the client, and rejects, when handleProtocols throws', async () => {
    const mistake = new Error('of the application');
    const next = acceptNext({
      identity: Identity.generate(),
      handleProtocols: () => {
        throw mistake;
      },
    });
    const peer = dial('/', ['a']);
    await expect((await next).accepted).rejects.toBe(mistake);
    expect(await codeOf(peer.opened)).toBe('CHANNEL_REFUSED');
  });
});
