import { afterEach, describe, expect, it, vi } from 'vitest';
import { uint32 } from '../../../../src/core/space/byte-fields.js';
import { concat } from '../../../../src/core/bytes.js';
import { encodeEnvelope, encodeNotice, NoticeReason, peerAddress } from '../../../../src/core/frame.js';
import { PRESENCE_TARGET } from '../../../../src/core/presence.js';
import { BodyType } from '../../../../src/core/sealed-body.js';
import type { ChannelEnd, ChannelListener } from '../../../../src/link/channel-port.js';
import type { RelayClient } from '../../../../src/relay/relay-connection.js';
import type { RouterConnection } from '../../../../src/relay/router-connection.js';
import { Router, type RouterPort } from '../../../../src/relay/router.js';
import { RelayService } from '../../../../src/relay/service/relay-service.js';
import { FakeConnection } from '../../../support/fake-connection.js';
import { identityOf } from '../../../support/spaces-bench.js';

const RELAY = identityOf(20);
const TARGET = '/.secure-websocket/test';

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/** A router, and what its ports are. */
function scene() {
  let random = 100;
  const router = new Router({ randomUint32: () => random++, ownKey: RELAY.publicKeyBytes });
  const ports: RouterPort[] = [];
  const connections: RouterConnection[] = [];
  const add = router.add.bind(router);
  router.add = (key, id, connection, options) => {
    const port = add(key, id, connection, options);
    ports.push(port);
    connections.push(connection);
    return port;
  };
  const heard: number[] = [];
  /** A peer of the router's own: what a relay's service is, clients can be, too. */
  const peer = (identity = RELAY, maxConnections = 10): RelayService =>
    new RelayService({
      identity,
      router,
      maxFrame: 262_144,
      maxConnections,
      heard: connectionId => heard.push(connectionId),
    });
  return { router, ports, connections, heard, peer };
}

/** Notes what becomes of a channel. */
function listener() {
  const told: string[] = [];
  let change: () => void = () => undefined;
  const note = (what: string): void => {
    told.push(what);
    change();
  };
  const each: ChannelListener = {
    opened: () => {
      note('opened');
    },
    message: data => {
      note(`message ${String(data[0])}`);
    },
    closed: ({ code, error }: ChannelEnd) => {
      note(`closed ${String(code)} ${error?.code ?? ''}`.trim());
    },
  };
  const until = async (count: number): Promise<string[]> => {
    while (told.length < count) {
      await new Promise<void>(resolve => {
        change = resolve;
      });
    }
    return told;
  };
  return { each, told, until };
}

const atRelay: RelayClient = { publicKey: RELAY.publicKey, connectionId: 0, remoteAddress: undefined };

afterEach(() => {
  vi.useRealTimers();
});

describe('the relay as a peer', () => {
  it('is none before there is something to say, or to offer', () => {
    const { ports, peer } = scene();
    const service = peer();
    service.gone({ ...atRelay, connectionId: 1 });
    expect(ports).toEqual([]);
    service.close();
    expect(ports).toEqual([]);
  });

  it('takes channels with what it offers, from anybody, and with nothing else', async () => {
    const { router, heard, peer } = scene();
    const service = peer();
    const taken: string[] = [];
    const answers = listener();
    service.offer(TARGET, request => {
      taken.push(request.peerPublicKey);
      request.accept('', answers.each).send(Uint8Array.of(7), false);
    });
    await turn();
    expect(router.statistics).toMatchObject({ connections: 0, listeningKeys: 1 });
    const client = identityOf(21);
    const own = listener();
    const one = peer(client).open(atRelay, TARGET, own.each);
    expect(await own.until(2)).toEqual(['opened', 'message 7']);
    expect([taken, one.isResumable]).toEqual([[client.publicKey], false]);
    expect(heard.length).toBeGreaterThan(0);
    const other = listener();
    peer(identityOf(22)).open(atRelay, PRESENCE_TARGET, other.each);
    expect(await other.until(1)).toEqual(['closed 1006 CHANNEL_REFUSED']);
  });

  it('is not there for those who would open something where it offers nothing', async () => {
    const { peer, router } = scene();
    const service = peer();
    // It talks to somebody, and is a peer by that.
    service.open(
      { ...atRelay, publicKey: identityOf(23).publicKey, connectionId: 5 },
      TARGET,
      listener().each,
    );
    const own = listener();
    peer(identityOf(21)).open(atRelay, TARGET, own.each);
    expect((await own.until(1))[0]).toMatch(/^closed 1006 /);
    expect(router.statistics.listeningKeys).toBe(0);
  });

  it('offers again what it offered when its connection is ended, and opens channels over another one', async () => {
    const { ports, router, peer } = scene();
    const service = peer();
    const taken: string[] = [];
    for (const target of [TARGET, `${TARGET}/2`]) {
      service.offer(target, request => {
        taken.push(target);
        request.accept('', listener().each);
      });
    }
    await turn();
    expect([ports.length, router.statistics.listeningKeys]).toEqual([1, 1]);
    ports[0]?.end(4002, 'too slow');
    expect(router.statistics.listeningKeys).toBe(0);
    await turn();
    expect([ports.length, router.statistics.listeningKeys]).toEqual([2, 1]);
    const client = peer(identityOf(21));
    for (const target of [TARGET, `${TARGET}/2`]) {
      const own = listener();
      client.open(atRelay, target, own.each);
      expect(await own.until(1)).toEqual(['opened']);
    }
    expect(taken).toEqual([TARGET, `${TARGET}/2`]);
    service.close();
    await turn();
    expect([ports.length, router.statistics.listeningKeys]).toEqual([3, 0]);
  });

  it('has no connection again before it needs one, where it offers nothing', async () => {
    const { ports, router, peer } = scene();
    const service = peer();
    const silent = new FakeConnection();
    router.add(identityOf(23).publicKeyBytes, 5, silent);
    const to: RelayClient = { ...atRelay, publicKey: identityOf(23).publicKey, connectionId: 5 };
    const first = listener();
    service.open(to, TARGET, first.each);
    expect(ports).toHaveLength(2);
    ports[1]?.end(4002, 'too slow');
    expect((await first.until(1))[0]).toMatch(/^closed 1006 /);
    await turn();
    expect(ports).toHaveLength(2);
    service.open(to, TARGET, listener().each);
    expect(ports).toHaveLength(3);
  });

  it('ends its channel with a client that is gone, be it that this has never said anything', async () => {
    const { router, peer } = scene();
    const service = peer();
    const silent = new FakeConnection();
    router.add(identityOf(23).publicKeyBytes, 5, silent);
    router.add(identityOf(24).publicKeyBytes, 6, new FakeConnection());
    const to = (n: number, connectionId: number): RelayClient => ({
      publicKey: identityOf(n).publicKey,
      connectionId,
      remoteAddress: undefined,
    });
    const [own, other] = [listener(), listener()];
    service.open(to(23, 5), TARGET, own.each);
    service.open(to(24, 6), TARGET, other.each);
    await turn();
    expect(silent.take().length).toBeGreaterThan(0);
    service.gone(to(23, 5));
    expect(await own.until(1)).toEqual(['closed 1006 PEER_GONE']);
    expect(other.told).toEqual([]);
  });

  it('talks to as many as there may be connections', async () => {
    const { peer } = scene();
    const service = peer(RELAY, 3);
    service.offer(TARGET, request => {
      request.accept('', listener().each);
    });
    for (let n = 21; n < 24; n++) {
      const own = listener();
      peer(identityOf(n)).open(atRelay, TARGET, own.each);
      expect(await own.until(1)).toEqual(['opened']);
    }
  });

  it('does nothing any more once it is closed', async () => {
    const { ports, router, peer } = scene();
    const service = peer();
    service.offer(TARGET, () => undefined);
    await turn();
    service.close();
    await turn();
    expect([ports.length, router.statistics.listeningKeys]).toEqual([1, 0]);
    expect(() => service.open(atRelay, TARGET, listener().each)).toThrow(
      expect.objectContaining({ code: 'ABORTED' }),
    );
    expect(() => {
      service.offer(TARGET, () => undefined);
    }).toThrow(expect.objectContaining({ code: 'ABORTED' }));
    service.gone({ ...atRelay, connectionId: 1 });
    expect(ports).toHaveLength(1);
  });
});

describe('handshakes of strangers', () => {
  it('are answered up to a number, and what else they send is heard', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { connections, heard, peer } = scene();
    peer().offer(TARGET, () => undefined);
    const [service] = connections;
    const from = (id: number, type: number): Uint8Array =>
      encodeEnvelope(
        peerAddress(identityOf(21).publicKeyBytes, id),
        concat(Uint8Array.of(type), uint32(1), new Uint8Array(96)),
      );
    const bring = async (first: number, count: number, type: number): Promise<number> => {
      heard.length = 0;
      for (let id = first; id < first + count; id++) service?.send(from(id, type));
      await turn();
      return heard.length;
    };
    expect(await bring(1, 990, BodyType.HANDSHAKE_INITIATION)).toBe(990);
    expect(await bring(2_001, 20, BodyType.HANDSHAKE_INITIATION)).toBe(10);
    expect(await bring(3_001, 20, BodyType.TRANSPORT)).toBe(20);
    // Each is told of once, however much came from it at a time.
    heard.length = 0;
    for (let n = 0; n < 3; n++) service?.send(from(4_001, BodyType.TRANSPORT));
    // Nobody has sealed that.
    const gone = peerAddress(identityOf(21).publicKeyBytes, 1);
    service?.send(encodeNotice(NoticeReason.PEER_GONE, gone));
    await turn();
    expect(heard).toEqual([4_001]);
    vi.advanceTimersByTime(100);
    expect(await bring(5_001, 60, BodyType.HANDSHAKE_INITIATION)).toBe(50);
  });
});
