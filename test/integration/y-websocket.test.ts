import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { afterEach, describe, expect, it } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { Relay } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { trustStore } from '../support/dialled-peer.js';
import { YjsServer } from '../support/yjs-server.js';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function listenAtPort(): Promise<SecureWebSocketServer> {
  return new SecureWebSocketServer({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
}

async function listenAtRelay(): Promise<SecureWebSocketServer> {
  const relay = new Relay({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
  await relay.listen();
  cleanUp.push(() => relay.close());
  return new SecureWebSocketServer({ relay: relay.url, identity: Identity.generate(), trustStore });
}

async function serve(
  listen: () => Promise<SecureWebSocketServer>,
): Promise<{ server: SecureWebSocketServer; rooms: YjsServer }> {
  const server = await listen();
  const rooms = new YjsServer();
  server.on('connection', (socket, request) => {
    rooms.connect(socket, request.url ?? '');
  });
  cleanUp.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
    rooms.destroy();
  });
  await server.ready;
  return { server, rooms };
}

interface Editor {
  readonly provider: WebsocketProvider;
  readonly doc: Y.Doc;
  readonly text: Y.Text;
}

/** A document that follows that of a room. Each has an identity of its own. */
function edit(server: SecureWebSocketServer, room: string, doc = new Y.Doc()): Editor {
  const provider = new WebsocketProvider(server.url ?? '', room, doc, {
    WebSocketPolyfill: ClientSecureWebSocket.configure({
      identity: Identity.generate(),
      trustStore,
    }),
    // Only what goes through the sockets counts.
    disableBc: true,
  });
  cleanUp.push(() => {
    provider.destroy();
    doc.destroy();
  });
  return { provider, doc, text: doc.getText() };
}

/** Resolves when `holds` does; looks after every event of `emitter`. */
function until(
  emitter: {
    on(event: never, listener: () => void): unknown;
    off(event: never, listener: () => void): unknown;
  },
  event: string,
  holds: () => boolean,
): Promise<void> {
  return new Promise(resolve => {
    const look = (): void => {
      if (!holds()) return;
      emitter.off(event as never, look);
      resolve();
    };
    emitter.on(event as never, look);
    look();
  });
}

const synced = ({ provider }: Editor): Promise<void> => until(provider, 'sync', () => provider.synced);

describe.each([
  ['directly', listenAtPort],
  ['through a relay', listenAtRelay],
])('y-websocket, %s', (_how, listen) => {
  it('keeps two documents the same, whoever writes', async () => {
    const { server, rooms } = await serve(listen);
    const anna = edit(server, 'room');
    const bert = edit(server, 'room');
    await Promise.all([synced(anna), synced(bert)]);
    anna.text.insert(0, 'Hello from Anna. ');
    await until(bert.doc, 'update', () => bert.text.toJSON() === 'Hello from Anna. ');
    bert.text.insert(bert.text.length, 'Hello from Bert.');
    const all = 'Hello from Anna. Hello from Bert.';
    await until(anna.doc, 'update', () => anna.text.toJSON() === all);
    expect(rooms.text('/room')).toBe(all);
    expect(bert.text.toJSON()).toBe(all);
  });

  it('merges what both wrote before they met, large texts too', async () => {
    const { server } = await serve(listen);
    const [anna, bert] = [new Y.Doc(), new Y.Doc()];
    anna.getText().insert(0, 'a'.repeat(600_000));
    bert.getText().insert(0, 'b'.repeat(600_000));
    edit(server, 'room', anna);
    edit(server, 'room', bert);
    const merged = (doc: Y.Doc): boolean => doc.getText().length === 1_200_000;
    await Promise.all([until(anna, 'update', () => merged(anna)), until(bert, 'update', () => merged(bert))]);
    expect(anna.getText().toJSON()).toBe(bert.getText().toJSON());
  });

  it('keeps rooms apart', async () => {
    const { server, rooms } = await serve(listen);
    const [here, there] = [edit(server, 'here'), edit(server, 'there')];
    await Promise.all([synced(here), synced(there)]);
    here.text.insert(0, 'here');
    there.text.insert(0, 'there');
    const witnesses = [edit(server, 'here'), edit(server, 'there')] as const;
    await Promise.all(witnesses.map(({ doc, text }) => until(doc, 'update', () => text.length > 0)));
    expect(witnesses.map(({ text }) => text.toJSON())).toEqual(['here', 'there']);
    expect([here.text.toJSON(), there.text.toJSON()]).toEqual(['here', 'there']);
    expect([rooms.text('/here'), rooms.text('/there')]).toEqual(['here', 'there']);
  });

  it('knows who is there, and who went away', async () => {
    const { server } = await serve(listen);
    const anna = edit(server, 'room');
    const bert = edit(server, 'room');
    await Promise.all([synced(anna), synced(bert)]);
    bert.provider.awareness.setLocalState({ name: 'Bert' });
    const { awareness } = anna.provider;
    const stateOfBert = (): unknown => awareness.getStates().get(bert.doc.clientID);
    await until(awareness, 'change', () => JSON.stringify(stateOfBert()) === '{"name":"Bert"}');
    bert.provider.disconnect();
    await until(awareness, 'change', () => stateOfBert() === undefined);
  });

  it('finds together again after an interruption', async () => {
    const { server } = await serve(listen);
    const anna = edit(server, 'room');
    const bert = edit(server, 'room');
    await Promise.all([synced(anna), synced(bert)]);
    const lost = until(bert.provider, 'status', () => !bert.provider.wsconnected);
    bert.provider.disconnect();
    await lost;
    anna.text.insert(0, 'meanwhile');
    bert.provider.connect();
    await until(bert.doc, 'update', () => bert.text.toJSON() === 'meanwhile');
  });

  it('connects anew by itself when the server drops it', async () => {
    const { server } = await serve(listen);
    const anna = edit(server, 'room');
    await synced(anna);
    const again = new Promise<void>(resolve => {
      server.once('connection', () => {
        resolve();
      });
    });
    for (const client of server.clients) client.terminate();
    await again;
    await synced(anna);
  });
});
