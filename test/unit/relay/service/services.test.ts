import { describe, expect, it } from 'vitest';
import {
  decodePresenceReport,
  encodePresenceRequest,
  PRESENCE_TARGET,
  type PresenceReport,
} from '../../../../src/core/presence.js';
import type { RelayClient } from '../../../../src/relay/relay-connection.js';
import { Router } from '../../../../src/relay/router.js';
import type { PresencePolicy } from '../../../../src/relay/service/presence.js';
import { RelayService } from '../../../../src/relay/service/relay-service.js';
import { Services } from '../../../../src/relay/service/services.js';
import { EventQueue } from '../../../support/event-queue.js';
import { FakeConnection } from '../../../support/fake-connection.js';
import { identityOf } from '../../../support/spaces-bench.js';

const RELAY = identityOf(20);
const CLIENT = identityOf(21);
const SILENT = identityOf(22);

/** What a relay does as a peer of its clients, without the relay. */
function scene(presence: PresencePolicy = true) {
  let random = 100;
  const router = new Router({ randomUint32: () => random++, ownKey: RELAY.publicKeyBytes });
  const clients = new Map<string, RelayClient>();
  const services = new Services({
    identity: RELAY,
    router,
    maxFrame: 262_144,
    maxConnections: 10,
    presence,
    client: publicKey => clients.get(publicKey),
    isPresent: publicKey => clients.has(publicKey),
    failed: () => undefined,
  });
  const come = (publicKey: string, connectionId: number): RelayClient => {
    const client = { publicKey, connectionId, remoteAddress: undefined };
    clients.set(publicKey, client);
    services.connected(client);
    return client;
  };
  const go = (client: RelayClient): void => {
    clients.delete(client.publicKey);
    services.disconnected(client);
  };

  /** A client that asks who is present. */
  const asker = async () => {
    const port = { connectionId: 0 };
    const add = router.add.bind(router);
    router.add = (key, id, connection, options) => {
      port.connectionId = id;
      router.add = add;
      return add(key, id, connection, options);
    };
    const own = new RelayService({
      identity: CLIENT,
      router,
      maxFrame: 262_144,
      maxConnections: 10,
      heard: () => undefined,
    });
    const told = new EventQueue<PresenceReport | string>();
    const to = { publicKey: RELAY.publicKey, connectionId: 0, remoteAddress: undefined };
    const channel = own.open(to, PRESENCE_TARGET, {
      opened: () => {
        told.push('opened');
      },
      message: data => {
        told.push(decodePresenceReport(data));
      },
      closed: ({ error }) => {
        told.push(`closed ${error?.code ?? ''}`);
      },
    });
    const client = come(CLIENT.publicKey, port.connectionId);
    const first = await told.next();
    const ask = (...keys: string[]): void => {
      channel.send(encodePresenceRequest({ type: 'ask', request: 1, keys }), false);
    };
    const watch = (...keys: string[]): void => {
      channel.send(encodePresenceRequest({ type: 'watch', keys }), false);
    };
    return { client, told, ask, watch, first };
  };
  return { router, services, come, go, asker };
}

describe('the services of a relay', () => {
  it('tell of who comes and goes', async () => {
    const { services, come, go, asker } = scene();
    const { told, watch } = await asker();
    watch(SILENT.publicKey);
    const changed = (state: string) => ({ type: 'changed', states: new Map([[SILENT.publicKey, state]]) });
    expect(await told.next()).toEqual(changed('absent'));
    const silent = come(SILENT.publicKey, 5);
    expect(await told.next()).toEqual(changed('present'));
    go(silent);
    expect(await told.next()).toEqual(changed('absent'));
    expect(services.statistics.watchedKeys).toBe(1);
    services.close();
    expect(await told.next()).toMatch(/^closed /);
  });

  it('tell nothing where nobody may ask', async () => {
    const { router, asker } = scene(false);
    const { first } = await asker();
    expect(first).toMatch(/^closed /);
    expect(router.statistics.listeningKeys).toBe(0);
  });

  it('go on with a client that has come back under its connection id before its end is told', async () => {
    const { services, come, asker } = scene();
    const { client, told, ask } = await asker();
    ask(CLIENT.publicKey);
    const answer = { type: 'answer', request: 1, states: ['present'] };
    expect(await told.next()).toEqual(answer);
    come(client.publicKey, client.connectionId);
    services.disconnected(client);
    ask(CLIENT.publicKey);
    expect(await told.next()).toEqual(answer);
    expect(services.statistics.watchedKeys).toBe(0);
  });

  it('forget a client that is gone, though the router knows nothing of that yet', async () => {
    const { services, go, asker } = scene();
    const { client, told, watch } = await asker();
    watch(CLIENT.publicKey);
    expect(await told.next()).toMatchObject({ type: 'changed' });
    expect(services.statistics.watchedKeys).toBe(1);
    go(client);
    await new Promise(resolve => setImmediate(resolve));
    expect(services.statistics.watchedKeys).toBe(0);
  });

  it('keep events for whoever is there, and for nobody else', async () => {
    const { router, services, come, go } = scene();
    const connection = new FakeConnection();
    router.add(SILENT.publicKeyBytes, 5, connection);
    const silent = come(SILENT.publicKey, 5);
    expect(services.emit([silent], '', 'hello')).toBe(1);
    expect(services.statistics).toMatchObject({ events: 0, eventDrops: 0 });
    expect(services.statistics.eventBytes).toBeGreaterThan(0);
    await new Promise(resolve => setImmediate(resolve));
    expect(connection.take().length).toBeGreaterThan(0);
    go(silent);
    expect(services.statistics).toMatchObject({ events: 0, eventDrops: 1, eventBytes: 0 });
  });

  it('are silent once the relay goes down', async () => {
    const { router, services, come } = scene();
    const connection = new FakeConnection();
    router.add(SILENT.publicKeyBytes, 5, connection);
    const silent = come(SILENT.publicKey, 5);
    services.emit([silent], '', 'hello');
    services.close();
    expect(services.statistics).toMatchObject({ eventDrops: 1, eventBytes: 0 });
    services.emit([silent], '', 'hello');
    await new Promise(resolve => setImmediate(resolve));
    expect(connection.take().filter(({ type }) => type === 'envelope')).toEqual([]);
    expect(services.statistics).toMatchObject({ eventDrops: 2, eventBytes: 0 });
    expect(router.statistics.listeningKeys).toBe(0);
  });
});
