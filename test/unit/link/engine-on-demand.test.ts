// The engine as a page has it: fetched when a socket is made, and asked for again when it could not be had.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClientSecureWebSocket, Identity, SecureWebSocketError } from '../../../src/index.js';
import type { Engine, SpaceEngine } from '../../../src/link/engine-at-hand.js';
import type * as OnDemand from '../../../src/link/on-demand.js';
import { Relay, SecureWebSocketServer } from '../../../src/server.js';
import { SocketLog } from '../../support/socket-log.js';

/** Stands in for `import()`: fails as often as it is told to, and then, as in Firefox, for ever at the same URL. */
const network = vi.hoisted(() => ({ failures: 0, requests: [] as string[], remembered: new Set<string>() }));

const PLACE = 'https://a.example/engine.js?v=1';
const SPACE_PLACE = 'https://a.example/spaces.js';

vi.mock('#engine', async () => {
  const { onDemand } = await vi.importActual<typeof OnDemand>('../../../src/link/on-demand.js');
  const request = (url: string): void => {
    network.requests.push(url);
    if (network.failures > 0 || network.remembered.has(url)) {
      network.failures = Math.max(0, network.failures - 1);
      network.remembered.add(url);
      throw new TypeError(`error loading dynamically imported module: ${url}`);
    }
  };
  const fetchEngine = async (url: string): Promise<Engine> => {
    request(url);
    return vi.importActual<Engine>('../../../src/link/engine.js');
  };
  const fetchSpaceEngine = async (url: string): Promise<SpaceEngine> => {
    request(url);
    return vi.importActual<SpaceEngine>('../../../src/link/space-port.js');
  };
  return {
    loadEngine: onDemand<Engine>({
      purpose: 'that connects',
      exports: 'DialledLink',
      fetch: () => fetchEngine(PLACE),
      fetchFrom: fetchEngine,
    }),
    loadSpaceEngine: onDemand<SpaceEngine>({
      purpose: 'that knows spaces',
      exports: 'SpacePort',
      fetch: () => fetchSpaceEngine(SPACE_PLACE),
      fetchFrom: fetchSpaceEngine,
    }),
  };
});

const identity = await Identity.generate();
let server: SecureWebSocketServer;
let url: string;

beforeEach(async () => {
  network.failures = 0;
  network.requests = [];
  server = new SecureWebSocketServer({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
  await server.ready;
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  for (const socket of server.clients) socket.terminate();
  server.close();
  await once(server, 'close');
});

function dial(reconnect: boolean): ClientSecureWebSocket {
  const options = { identity, trustStore: { check: () => true } };
  return new ClientSecureWebSocket(url, [], { ...options, reconnect: reconnect && { minDelay: 0 } });
}

// In this order: once it is there it is not fetched again.
describe('an engine that cannot be loaded', () => {
  it('fails the socket as a connection does that cannot be made', async () => {
    network.failures = 1;
    const socket = dial(false);
    expect(socket.readyState).toBe(ClientSecureWebSocket.CONNECTING);
    expect(() => {
      socket.send('early');
    }).toThrow(DOMException);
    const log = SocketLog.ofClient(socket);
    expect(await log.closed).toEqual(['error LINK_FAILED', 'close 1006']);
    expect(log.error).toBeInstanceOf(SecureWebSocketError);
    expect((log.error as Error).message).toMatch(/could not be loaded \(error loading dynamically/);
  });

  it('is nothing to a socket that is closed meanwhile', async () => {
    network.failures = 2;
    const socket = dial(false);
    socket.close();
    expect(await SocketLog.ofClient(socket).closed).toEqual(['error ABORTED', 'close 1006']);
  });

  it('is asked for again by the next socket, and by one that reconnects', async () => {
    network.failures = 4;
    expect(await SocketLog.ofClient(dial(false)).closed).toEqual(['error LINK_FAILED', 'close 1006']);
    const socket = dial(true);
    const attempts: number[] = [];
    socket.onreconnecting = ({ attempt, error }) => {
      expect(error).toMatchObject({ code: 'LINK_FAILED' });
      attempts.push(attempt);
    };
    const log = SocketLog.ofClient(socket);
    await log.opened;
    expect(attempts).toEqual([1]);
    expect(network.requests.filter(url => url === PLACE)).toHaveLength(3);
    const others = network.requests.filter(url => url !== PLACE);
    expect(new Set(others).size).toBe(3);
    for (const url of others) expect(url).toMatch(/^https:\/\/a\.example\/engine\.js\?v=1&again=\d$/);
    socket.close();
    expect(await log.closed).toEqual(['open', 'close 1005 clean']);
  });

  it('is shared once it is there', async () => {
    const [one, two] = [dial(false), dial(false)].map(socket => SocketLog.ofClient(socket));
    await Promise.all([one?.opened, two?.opened]);
    expect(network.requests).toEqual([]);
  });
});

describe('what only spaces need', () => {
  let relay: Relay;
  const enter = (): SocketLog => {
    const options = { identity, trustStore: { check: () => true } };
    return SocketLog.ofClient(new ClientSecureWebSocket(`${relay.url}/space/kitchen`, [], options));
  };

  beforeEach(async () => {
    relay = new Relay({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
    await relay.listen();
  });

  afterEach(() => relay.close());

  it('is not loaded for anything else', async () => {
    const socket = dial(false);
    await SocketLog.ofClient(socket).opened;
    expect(network.requests).toEqual([]);
  });

  it('fails a socket that enters one when it cannot be loaded, and is asked for again by the next', async () => {
    network.failures = 1;
    const failed = enter();
    expect(await failed.closed).toEqual(['error LINK_FAILED', 'close 1006']);
    expect((failed.error as Error).message).toMatch(
      /^The part of secure-websocket that knows spaces could not/,
    );
    network.remembered.clear();
    await enter().opened;
    expect(network.requests).toEqual([SPACE_PLACE, SPACE_PLACE]);
    await enter().opened;
    expect(network.requests).toHaveLength(2);
  });
});
