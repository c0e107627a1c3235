import { describe, expect, it } from 'vitest';
import {
  DEAD_AFTER,
  ECHO_INTERVAL,
  HEARTBEAT_INTERVAL,
  MAX_RETRY,
  RESUME_WINDOW,
} from '../../../src/core/constants.js';
import { CipherState } from '../../../src/core/noise/cipher-state.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import { TransportKeys } from '../../../src/core/transport-keys.js';
import { channels, EndpointNode } from '../../support/endpoint-node.js';
import { SLOW } from '../../support/fuzz.js';
import { Resumption } from '../../support/resumption.js';
import { crypto } from '../../support/sessions-scene.js';
import { typeOf, VirtualNetwork } from '../../support/virtual-network.js';

/** From the last word of a peer until it must have been noticed that it is gone. */
const NOTICED = HEARTBEAT_INTERVAL + DEAD_AFTER + 2 * MAX_RETRY;
const deaths = (node: EndpointNode) => node.events.filter(({ type }) => type === 'dead').length;
const suspensions = (scene: Resumption) =>
  scene.types(scene.ours).filter(type => type === 'suspended').length;

describe('a channel that can be resumed', SLOW, () => {
  it('is kept alive by a few small frames while nobody speaks', () => {
    const scene = new Resumption();
    scene.network.advance(60_000);
    const before = scene.network.passed.length;
    scene.network.advance(600_000);
    const frames = scene.network.passed.slice(before);
    // A question and its answer in each interval, the echoes of who listens, and new keys now and then.
    expect(frames.length).toBeGreaterThanOrEqual(600_000 / HEARTBEAT_INTERVAL);
    expect(frames.length).toBeLessThanOrEqual(4 * (600_000 / HEARTBEAT_INTERVAL) + 50);
    expect([scene.types(scene.ours), scene.types(scene.theirs)]).toEqual([['opened'], ['incoming']]);
  });

  it('is not asked after while something is heard of the peer, on whichever channel', () => {
    const scene = new Resumption();
    const { network } = scene;
    const second = scene.client.open(scene.service.address);
    network.run();
    const theirs = scene.service.incoming[1]!;
    network.advance(1_000);
    for (let i = 0; i < 20; i++) {
      const before = network.passed.length;
      scene.client.send(second, 'x');
      scene.service.send(theirs, 'x');
      network.run();
      network.advance(HEARTBEAT_INTERVAL - 500);
      // The two, what acknowledges them, and what confirms new keys now and then.
      const said = network.passed.slice(before).filter(packet => typeOf(packet) === BodyType.TRANSPORT);
      expect(said.length).toBeLessThanOrEqual(5);
    }
  });

  it('is suspended at both ends when neither hears the other any more; the links are good', () => {
    const scene = new Resumption();
    const { network } = scene;
    network.advance(200);
    network.fault = packet => (packet.from === packet.to ? [packet] : []);
    network.advance(HEARTBEAT_INTERVAL + DEAD_AFTER - 1);
    expect([scene.types(scene.ours), scene.types(scene.theirs)]).toEqual([['opened'], ['incoming']]);
    network.advance(NOTICED - (HEARTBEAT_INTERVAL + DEAD_AFTER));
    for (const channel of [scene.ours, scene.theirs]) {
      const last = scene
        .events(channel)
        .filter(({ type }) => type !== 'sent')
        .at(-1);
      expect(last).toMatchObject({ type: 'suspended', error: { code: 'SESSION_TIMEOUT' } });
    }
    expect([deaths(scene.client), deaths(scene.service)]).toEqual([0, 0]);
    network.fault = packet => [packet];
    scene.goOn();
    scene.expectWorking();
  });

  it('shows that a link is dead when not even what is sent to oneself comes back', () => {
    const scene = new Resumption();
    const { network, client } = scene;
    network.fault = packet => (packet.from === client || packet.to === client ? [] : [packet]);
    network.advance(NOTICED);
    expect(client.events.filter(({ type }) => type === 'dead')).toMatchObject([
      { error: { code: 'LINK_LOST' } },
    ]);
    // It is told once; the owner has to act.
    network.advance(NOTICED);
    expect([deaths(client), deaths(scene.service)]).toEqual([1, 0]);
    scene.cutClient();
    network.fault = packet => [packet];
    scene.newClient();
    scene.goOn();
    scene.expectWorking();
  });

  it('costs a peer nothing of which much is lost, as long as anything is heard of it', () => {
    const scene = new Resumption();
    const { network, service } = scene;
    // Three in ten frames of the service are lost, in no order.
    let count = 0;
    network.fault = packet =>
      packet.from === service && Math.imul(count++, 0x9e3779b1) >>> 0 < 0.3 * 2 ** 32 ? [] : [packet];
    for (let i = 0; i < 60; i++) {
      service.send(scene.theirs, `${i}`);
      network.advance(3_000);
    }
    network.fault = packet => [packet];
    network.advance(MAX_RETRY);
    expect([suspensions(scene), deaths(scene.client)]).toEqual([0, 0]);
    expect(scene.messages(scene.ours)).toEqual(Array.from({ length: 60 }, (_, i) => `${i}`));
  });

  it('is resumed by the one who has opened it, when the acceptor has given up its session', () => {
    const scene = new Resumption();
    const { network, service } = scene;
    scene.client.send(scene.ours, 'x');
    network.collect();
    const [packet] = network.flight;
    packet!.frame[70]! ^= 1;
    network.run();
    expect(scene.types(scene.theirs).at(-1)).toBe('suspended');
    // It was told.
    expect(scene.types(scene.ours).at(-1)).toBe('suspended');
    scene.goOn();
    expect(scene.messages(scene.theirs)).toEqual(['x']);
    // And when that is lost it is noticed.
    scene.client.send(scene.ours, 'y');
    network.collect();
    network.flight.at(-1)!.frame[70]! ^= 1;
    network.fault = ({ from }) => (from === service ? [] : network.flight.slice(0, 0));
    while (network.deliver()) network.collect();
    network.fault = each => [each];
    expect([scene.types(scene.theirs).at(-1), scene.types(scene.ours).at(-1)]).toEqual([
      'suspended',
      'resumed',
    ]);
    network.advance(NOTICED);
    expect(scene.types(scene.ours).at(-1)).toBe('suspended');
    scene.goOn();
    expect(scene.messages(scene.theirs)).toEqual(['x', 'y']);
    scene.expectWorking();
  });
});

describe('a channel that ends with its link', SLOW, () => {
  it('is not asked after, and ends by no silence: it waits as a WebSocket does', () => {
    const { network, a, b, ours, theirs } = channels();
    network.advance(1_000);
    network.fault = packet => (packet.from === packet.to ? [packet] : []);
    const before = network.passed.length;
    network.advance(3_600_000);
    expect(network.passed.slice(before).filter(({ from, to }) => from !== to)).toEqual([]);
    expect([ours.state, theirs.state, deaths(a), deaths(b)]).toEqual(['open', 'open', 0, 0]);
  });
});

describe('a link', SLOW, () => {
  it('on which somebody listens is looked after, though nobody comes', () => {
    const network: VirtualNetwork<EndpointNode> = new VirtualNetwork();
    const node = new EndpointNode(network, { identity: 1 });
    network.collect();
    network.advance(10 * ECHO_INTERVAL);
    expect(deaths(node)).toBe(0);
    expect(network.passed.length).toBeGreaterThanOrEqual(9);
    expect(network.passed.length).toBeLessThanOrEqual(10);
    network.fault = () => [];
    network.advance(ECHO_INTERVAL + DEAD_AFTER);
    expect(deaths(node)).toBe(1);
  });

  it('on which nobody listens is left alone', () => {
    const network: VirtualNetwork<EndpointNode> = new VirtualNetwork();
    const node = new EndpointNode(network, { identity: 1, listening: false });
    network.fault = () => [];
    network.advance(3_600_000);
    expect([deaths(node), network.passed.length, node.wakeAt]).toEqual([0, 0, Infinity]);
  });

  it('is not kept alive by echoes that others make up', () => {
    const network: VirtualNetwork<EndpointNode> = new VirtualNetwork();
    const node = new EndpointNode(network, { identity: 1 });
    network.collect();
    network.fault = packet => {
      packet.frame[packet.frame.length - 1]! ^= 1;
      return [packet];
    };
    network.advance(ECHO_INTERVAL + DEAD_AFTER);
    expect(deaths(node)).toBe(1);
  });

  it('that is direct is dead when the peer is, without an echo', () => {
    const network: VirtualNetwork<EndpointNode> = new VirtualNetwork();
    const scene = new Resumption();
    const a = new EndpointNode(network, { identity: 1, connectionId: 1, listening: false });
    const b = new EndpointNode(network, {
      identity: 2,
      connectionId: 0,
      listening: false,
      resumables: scene.registry,
    });
    for (const [node, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const ciphers = [1, 2].map(n => new CipherState(crypto, new Uint8Array(32).fill(n)));
      const [send, receive] = (node === a ? ciphers : ciphers.reverse()) as [CipherState, CipherState];
      const secrets = { handshakeHash: new Uint8Array(64).fill(1), exporter: new Uint8Array(32).fill(2) };
      const keys = { localIndex: 0, remoteIndex: 0, send, receive, initiator: node === a, ...secrets };
      node.endpoint.adopt(peer.address, new TransportKeys({ ...keys, createdAt: network.now }));
    }
    b.endpoint.acceptDirect();
    const toNobody: unknown[] = [];
    const run = (isCut = false) => {
      for (let moved = true; moved;) {
        const [up, down] = [a.takeFrames(network.now), b.takeFrames(network.now)];
        if (isCut) toNobody.push(...up, ...down);
        for (const frame of isCut ? [] : up) network.inject(a, b, frame);
        for (const frame of isCut ? [] : down) network.inject(b, a, frame);
        moved = up.length + down.length > 0;
      }
    };
    const channel = a.open(b.address, { resume: true });
    run();
    expect([channel.state, channel.isResumable]).toEqual(['open', true]);
    const until = network.now + NOTICED;
    run(true);
    while (network.now < until) {
      network.now = Math.max(network.now + 1, Math.min(until, a.wakeAt, b.wakeAt));
      for (const node of [a, b]) node.timeout(network.now);
      run(true);
    }
    expect([deaths(a), deaths(b), toNobody.length > 0]).toEqual([1, 1, true]);
    expect(channel.session).toBeDefined();
  });
});

describe('a page that is hidden', SLOW, () => {
  it('takes nobody for gone, and does not ask either, however long', () => {
    const scene = new Resumption();
    const { network, client } = scene;
    client.endpoint.setHidden(true, network.now);
    network.fault = packet => (packet.from === client || packet.to === client ? [] : [packet]);
    network.advance(3 * 3_600_000);
    expect([suspensions(scene), deaths(client)]).toEqual([0, 0]);
  });

  it('finds all well when it is shown again, when it is', () => {
    const scene = new Resumption({ registry: { window: 1e9 } });
    const { network, client } = scene;
    client.endpoint.setHidden(true, network.now);
    client.send(scene.ours, 'before');
    network.collect();
    // Nothing happens in it: it hears nothing, and its timers stand still.
    const held: (typeof network.flight)[number][] = [];
    network.fault = packet => {
      if (packet.to === client) held.push(packet);
      return packet.to === client ? [] : [packet];
    };
    network.advance(10_000);
    network.now += 60_000;
    network.fault = packet => [packet];
    client.endpoint.setHidden(false, network.now);
    client.timeout(network.now);
    expect([suspensions(scene), deaths(client)]).toEqual([0, 0]);
    for (const packet of held) client.receive(packet.frame, network.now);
    network.advance(NOTICED);
    expect([suspensions(scene), deaths(client)]).toEqual([0, 0]);
    expect(scene.messages(scene.theirs)).toEqual(['before']);
  });

  it('notices what is gone after it is shown again, in the time that it takes', () => {
    const scene = new Resumption();
    const { network, client } = scene;
    client.endpoint.setHidden(true, network.now);
    network.fault = packet => (packet.from === client || packet.to === client ? [] : [packet]);
    network.advance(3_600_000);
    client.endpoint.setHidden(false, network.now);
    client.drain();
    // Two echoes are waited for, a third of DEAD_AFTER each.
    network.advance((2 * DEAD_AFTER) / 3 - 1);
    expect([suspensions(scene), deaths(client)]).toEqual([0, 0]);
    network.advance(NOTICED);
    expect(deaths(client)).toBe(1);
  });
});

describe('a clock that jumps: the machine has slept', SLOW, () => {
  it.each([30_000, 170_000, 3 * 3_600_000])(
    'by %d ms: nobody is taken for gone before it was asked',
    sleep => {
      for (const moment of ['idle', 'sending'] as const) {
        const scene = new Resumption({ registry: { window: 1e9 } });
        const { network, client, service } = scene;
        network.advance(20_000);
        if (moment === 'sending') {
          client.send(scene.ours, 'x');
          network.collect();
        }
        // Only the client sleeps; the service may well have suspended the channel, and is told by RESUME.
        network.now += sleep;
        client.timeout(network.now);
        expect([suspensions(scene), deaths(client)], moment).toEqual([0, 0]);
        network.run();
        service.timeout(network.now);
        network.advance(NOTICED);
        expect([suspensions(scene), deaths(client)], moment).toEqual([0, 0]);
        scene.expectWorking();
      }
    },
  );

  it('does not go back in time, and may stand still', () => {
    const scene = new Resumption();
    for (let i = 0; i < 1_000; i++) {
      scene.client.timeout(scene.network.now);
      scene.service.timeout(scene.network.now);
    }
    scene.expectWorking();
  });

  it('past the time that channels are kept: what was suspended is over', () => {
    const scene = new Resumption();
    scene.cutClient();
    scene.network.now += 10 * RESUME_WINDOW;
    scene.service.timeout(scene.network.now);
    expect(scene.closed(scene.theirs)).toMatchObject({ error: { code: 'LINK_LOST' } });
  });
});
