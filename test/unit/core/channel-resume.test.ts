import { describe, expect, it } from 'vitest';
import { fromUtf8 } from '../../../src/core/bytes.js';
import {
  CONNECT_TIMEOUT,
  RECEIVE_WINDOW,
  REKEY_AFTER_TIME,
  RESUME_PATIENCE,
  RESUME_WINDOW,
} from '../../../src/core/constants.js';
import { ResumableChannels } from '../../../src/core/resumable-channels.js';
import type { Message } from '../../../src/core/sent-records.js';
import { EndpointNode } from '../../support/endpoint-node.js';
import { SLOW } from '../../support/fuzz.js';
import { lost, Resumption } from '../../support/resumption.js';
import { typeOf } from '../../support/virtual-network.js';

const texts = (messages: readonly Message[] = []) => messages.map(({ data }) => fromUtf8(data));
const HANDSHAKE_INITIATION = 2;

describe('whether a channel can be resumed', () => {
  it('is agreed when it is opened: the opener wants it, and the acceptor can', () => {
    const scene = new Resumption();
    expect([scene.ours.resumeWindow, scene.theirs.resumeWindow]).toEqual([RESUME_WINDOW, RESUME_WINDOW]);
    expect([scene.ours.isResumable, scene.theirs.isResumable]).toEqual([true, true]);
    expect(scene.ours.lineage!.id).toBe(scene.theirs.lineage!.id);
    // Not wanted.
    const plain = scene.client.open(scene.service.address);
    scene.network.run();
    expect([plain.state, plain.isResumable, scene.service.incoming[1]!.isResumable]).toEqual([
      'open',
      false,
      false,
    ]);
    // Wanted of one that keeps nothing.
    const other = new EndpointNode(scene.network, { identity: 5 });
    scene.network.collect();
    const unkept = scene.client.open(other.anyAddress, { resume: true });
    scene.network.run();
    expect([unkept.state, unkept.isResumable, other.incoming[0]!.isResumable]).toEqual([
      'open',
      false,
      false,
    ]);
    scene.cutClient();
    expect([scene.ours.state, plain.state, unkept.state]).toEqual(['open', 'closed', 'closed']);
  });

  it('is told to the opener with the time that the acceptor gives it', () => {
    const scene = new Resumption({ registry: { window: 7_000 } });
    expect(scene.ours.resumeWindow).toBe(7_000);
  });
});

describe('a channel that is resumed', SLOW, () => {
  it('goes on over another link, from its very first record', () => {
    const scene = new Resumption();
    scene.cutClient();
    expect([scene.types(scene.ours), scene.types(scene.theirs)]).toEqual([
      ['opened', 'suspended'],
      ['incoming', 'suspended'],
    ]);
    expect(scene.registry.suspended).toBe(1);
    const { handshakeHash } = scene.ours;
    scene.newClient();
    scene.goOn();
    expect([scene.types(scene.ours).at(-1), scene.types(scene.theirs).at(-1)]).toEqual([
      'resumed',
      'resumed',
    ]);
    expect([scene.registry.suspended, scene.service.incoming.length]).toEqual([0, 1]);
    expect([scene.ours.handshakeHash, scene.theirs.handshakeHash]).toEqual([handshakeHash, handshakeHash]);
    scene.expectWorking();
  });

  it('sends again what was lost with the link, and what was said meanwhile, once and in order', () => {
    const scene = new Resumption();
    const { network, ours, theirs } = scene;
    scene.client.send(ours, 'arrives');
    scene.service.send(theirs, 'arrives');
    network.run();
    network.fault = () => [];
    scene.client.send(ours, 'lost');
    scene.service.send(theirs, 'lost');
    network.run();
    scene.cutClient();
    network.fault = packet => [packet];
    scene.client.send(ours, 'meanwhile');
    scene.service.send(theirs, 'meanwhile');
    scene.newClient();
    scene.goOn();
    for (const channel of [ours, theirs]) {
      expect(scene.messages(channel)).toEqual(['arrives', 'lost', 'meanwhile']);
    }
    scene.expectWorking();
  });

  it('does so any number of times', () => {
    const scene = new Resumption();
    const said: string[] = [];
    for (let i = 0; i < 50; i++) {
      said.push(`${i}`);
      scene.client.send(scene.ours, `${i}`);
      scene.service.send(scene.theirs, `${i}`);
      // Some of it arrives.
      for (let moved = 0; moved < i % 5; moved++) {
        scene.network.collect();
        scene.network.deliver();
      }
      if (i % 3 === 0) {
        scene.cutService();
        scene.client.drain();
        scene.newService();
      } else {
        scene.cutClient();
        scene.newClient();
      }
      scene.goOn();
    }
    expect(scene.messages(scene.ours)).toEqual(said);
    expect(scene.messages(scene.theirs)).toEqual(said);
    // And no old carrier holds on to it.
    for (const node of [...scene.clients.slice(0, -1), ...scene.services.slice(0, -1)]) {
      expect(node.endpoint.channelCount).toBe(0);
    }
  });

  it('survives that both ends lose their links at once', () => {
    const scene = new Resumption();
    scene.client.send(scene.ours, 'one');
    scene.service.send(scene.theirs, 'one');
    scene.network.collect();
    scene.cutClient(false);
    scene.cutService(false);
    scene.newService();
    scene.newClient();
    scene.goOn();
    expect([scene.messages(scene.ours), scene.messages(scene.theirs)]).toEqual([['one'], ['one']]);
    scene.expectWorking();
  });

  it('may go on over the link that it had, when only the session was lost', () => {
    const scene = new Resumption();
    scene.client.send(scene.ours, 'lost');
    scene.network.collect();
    scene.cutSessions();
    scene.goOn();
    expect(scene.messages(scene.theirs)).toEqual(['lost']);
    scene.expectWorking();
  });

  it('may be taken over before the old link is known to be dead', () => {
    const scene = new Resumption();
    const old = scene.service;
    scene.cutClient(false);
    expect(scene.types(scene.theirs)).toEqual(['incoming']);
    scene.newClient();
    scene.goOn();
    expect(scene.types(scene.theirs)).toEqual(['incoming', 'resumed']);
    expect(old.endpoint.channelCount).toBe(1);
    scene.expectWorking();
    // What is heard of the old link later changes nothing.
    scene.network.notice(scene.service, 5, scene.clients[0]!.address);
    scene.service.drain();
    scene.expectWorking();
    expect(scene.registry.suspended).toBe(0);
  });

  it('may be taken over by another link of the service, and the old one lets go of it', () => {
    const scene = new Resumption();
    const old = scene.service;
    scene.newService();
    scene.cutClient(false);
    scene.newClient();
    scene.goOn();
    scene.expectWorking();
    expect([old.endpoint.channelCount, scene.service.endpoint.channelCount]).toEqual([0, 1]);
    // Late records of the old session find nothing, and do no harm.
    old.fail(lost());
    scene.expectWorking();
  });

  it('is not confused by late records of the old session', () => {
    const scene = new Resumption();
    const { network } = scene;
    const old = scene.service;
    scene.newService();
    // All of it is on its way for long.
    scene.client.send(scene.ours, 'late');
    network.collect();
    const late = network.flight[0]!;
    network.deliver();
    scene.cutClient(false);
    scene.newClient();
    scene.goOn();
    scene.expectWorking();
    const before = scene.messages(scene.theirs);
    late.to.receive(late.frame, network.now);
    old.drain();
    network.run();
    expect(scene.messages(scene.theirs)).toEqual(before);
    expect(before.filter(text => text === 'late')).toHaveLength(1);
    scene.expectWorking();
  });

  it('keeps what arrived and was not read, and the credit that there is', () => {
    const scene = new Resumption();
    scene.theirs.pause();
    const sent = Array.from({ length: 60 }, (_, i) => new Uint8Array(100_000).fill(i));
    for (const data of sent) scene.client.send(scene.ours, data);
    scene.network.run();
    const waiting = scene.ours.bufferedAmount;
    expect(waiting).toBeGreaterThan(6_000_000 - RECEIVE_WINDOW - 1);
    scene.cutClient();
    scene.newClient();
    scene.goOn();
    expect(scene.ours.bufferedAmount).toBe(waiting);
    scene.service.resume(scene.theirs);
    scene.network.run();
    const received = scene.messages(scene.theirs) as Uint8Array[];
    expect(received.map(data => [data.length, data[0]])).toEqual(sent.map((_, i) => [100_000, i]));
  });

  it('goes on while the keys of the session that is to carry it change', () => {
    for (const isLate of [false, true]) {
      const scene = new Resumption();
      const { network, service, ours } = scene;
      const old = scene.client;
      const second = scene.newClient().open(service.address);
      network.advance(REKEY_AFTER_TIME);
      scene.client.send(ours, 'lost');
      network.remove(old, service);
      old.fail(lost());
      expect(second.state).toBe('open');
      const session = second.session!;
      const before = session.current;
      // RESUME is sealed under the old keys, as a handshake for new ones begins.
      let held: (typeof network.flight)[number] | undefined;
      network.fault = packet => {
        if (!isLate || held || typeOf(packet) !== 4 || packet.from !== scene.client) return [packet];
        held = packet;
        return [];
      };
      scene.client.carryOn(ours, service.address);
      network.run();
      expect(session.current).not.toBe(before);
      if (isLate) {
        expect(ours.isResuming).toBe(true);
        held!.to.receive(held!.frame, network.now);
        network.run();
      }
      expect([ours.session === session, ours.isResuming]).toEqual([true, false]);
      expect(scene.messages(scene.theirs)).toEqual(['lost']);
      scene.expectWorking();
    }
  });

  it('can be resumed again when the session fails while RESUME is under way', () => {
    const scene = new Resumption();
    scene.client.send(scene.ours, 'lost');
    scene.cutClient();
    scene.newClient();
    scene.client.carryOn(scene.ours, scene.service.anyAddress);
    while (scene.ours.session === undefined) {
      scene.network.collect();
      scene.network.deliver();
    }
    scene.network.collect();
    scene.cutSessions();
    expect(scene.types(scene.ours).slice(-2)).toEqual(['suspended', 'suspended']);
    scene.goOn();
    scene.expectWorking();
    expect(scene.messages(scene.theirs)[0]).toBe('lost');
  });
});

describe('RESUME', SLOW, () => {
  it('that is never answered is given up for another session, soon', () => {
    const scene = new Resumption();
    scene.service.send(scene.theirs, 'from the service');
    scene.cutClient();
    scene.newClient();
    scene.network.fault = packet => (typeOf(packet) === 4 && packet.from === scene.service ? [] : [packet]);
    scene.goOn();
    scene.network.advance(3 * RESUME_PATIENCE);
    expect(scene.types(scene.ours).filter(type => type === 'suspended')).toHaveLength(2);
    scene.network.fault = packet => [packet];
    scene.goOn();
    scene.network.run();
    expect(scene.messages(scene.ours)).toEqual(['from the service']);
  });

  it.each([
    ['itself is lost', 'client'],
    ['is answered and the answer is lost', 'service'],
  ] as const)('that %s is repeated until it is answered', (_, loser) => {
    for (const times of [1, 2]) {
      const scene = new Resumption();
      scene.client.send(scene.ours, 'from the client');
      scene.service.send(scene.theirs, 'from the service');
      scene.cutClient();
      scene.newClient();
      let left = times;
      const confirmed = new Set<unknown>();
      scene.network.fault = packet => {
        if (typeOf(packet) !== 4 || packet.from !== scene[loser]) return [packet];
        // The first message of the client confirms the keys, and holds nothing.
        if (loser === 'client' && !confirmed.has(packet.from)) {
          confirmed.add(packet.from);
          return [packet];
        }
        return left-- > 0 ? [] : [packet];
      };
      scene.goOn();
      expect(scene.ours.isResuming).toBe(true);
      scene.network.advance(CONNECT_TIMEOUT - 1);
      expect(scene.ours.isResuming).toBe(false);
      expect(scene.messages(scene.ours)).toEqual(['from the service']);
      expect(scene.messages(scene.theirs)).toEqual(['from the client']);
      expect(scene.types(scene.ours).filter(type => type === 'resumed')).toHaveLength(1);
      scene.expectWorking();
    }
  });

  it('that is not answered within CONNECT_TIMEOUT leaves the channel to be resumed again', () => {
    const scene = new Resumption();
    scene.cutClient();
    scene.newClient();
    scene.network.fault = packet => (typeOf(packet) === 4 && packet.from === scene.service ? [] : [packet]);
    scene.goOn();
    scene.network.advance(CONNECT_TIMEOUT);
    expect(scene.types(scene.ours).slice(-2)).toEqual(['suspended', 'suspended']);
    expect([scene.ours.state, scene.client.endpoint.channelCount]).toEqual(['open', 0]);
    scene.network.fault = packet => [packet];
    scene.goOn();
    scene.expectWorking();
  });

  it('to a peer that is not there leaves the channel to be resumed again', () => {
    const scene = new Resumption();
    scene.cutService();
    scene.client.carryOn(scene.ours, scene.service.anyAddress);
    scene.network.run();
    expect(scene.types(scene.ours).slice(-2)).toEqual(['suspended', 'suspended']);
    scene.newService();
    scene.goOn();
    scene.expectWorking();
  });

  it('to another process of the same key: what the peer does not know is lost, and handed back', () => {
    const scene = new Resumption();
    scene.client.send(scene.ours, 'acknowledged');
    scene.network.advance(1_000);
    scene.client.send(scene.ours, 'never arrives');
    scene.cutService();
    scene.client.send(scene.ours, 'nor does this');
    const other = new ResumableChannels();
    // Where nobody has had the channel, the one who has it may still come back: that is for the owner to decide.
    scene.newService({ resumables: other });
    scene.goOn();
    expect(scene.closed(scene.ours)).toBeUndefined();
    expect(scene.events(scene.ours).at(-1)).toMatchObject({
      type: 'suspended',
      error: { code: 'CHANNEL_LOST' },
    });
    // At the very place where it was it is lost.
    scene.cutService();
    scene.newService({ resumables: other, connectionId: 200 });
    scene.goOn();
    expect(scene.closed(scene.ours)).toMatchObject({
      code: 1006,
      wasClean: false,
      error: { code: 'CHANNEL_LOST' },
    });
    expect(texts(scene.closed(scene.ours)!.unacknowledged)).toEqual(['never arrives', 'nor does this']);
    expect(scene.client.endpoint.channelCount).toBe(0);
  });

  it('after the time that the service keeps channels: both have lost it', () => {
    const scene = new Resumption();
    scene.service.send(scene.theirs, 'never read');
    scene.cutClient();
    scene.network.advance(RESUME_WINDOW - 1);
    expect(scene.theirs.state).toBe('open');
    scene.network.advance(1);
    expect(scene.closed(scene.theirs)).toMatchObject({ code: 1006, error: { code: 'LINK_LOST' } });
    expect(texts(scene.closed(scene.theirs)!.unacknowledged)).toEqual(['never read']);
    scene.newClient();
    scene.goOn();
    expect(scene.closed(scene.ours)).toMatchObject({ error: { code: 'CHANNEL_LOST' } });
  });

  it('makes records fit: what is larger than the frames of the new link ends the channel, and is handed back', () => {
    for (const side of ['client', 'service'] as const) {
      const scene = new Resumption();
      const channel = side === 'client' ? scene.ours : scene.theirs;
      scene.network.fault = () => [];
      scene[side].send(channel, new Uint8Array(150_000));
      scene.network.run();
      scene.network.fault = packet => [packet];
      if (side === 'client') {
        scene.cutClient();
        scene.newClient({ maxFrame: 33_000 });
      } else {
        scene.cutService();
        scene.newService({ maxFrame: 33_000 });
      }
      scene.goOn();
      scene.network.advance(1_000);
      const end = scene.closed(channel);
      expect(end, side).toMatchObject({ code: 1006, error: { code: 'FRAME_TOO_LARGE' } });
      expect(end!.unacknowledged.map(({ data }) => data.length)).toEqual([150_000]);
      const other = scene.closed(side === 'client' ? scene.theirs : scene.ours);
      expect(other, side).toMatchObject({ code: 1006, wasClean: false });
      const nodes = side === 'client' ? scene.clients : scene.services;
      for (const { frame } of scene.network.passed.filter(({ from }) => from === nodes[1])) {
        expect(frame.length).toBeLessThanOrEqual(33_000);
      }
    }
  });

  it('asks for one handshake, and none when there is a session', () => {
    const scene = new Resumption();
    const { network } = scene;
    scene.cutClient();
    scene.newClient();
    const count = () => network.passed.filter(packet => typeOf(packet) === HANDSHAKE_INITIATION).length;
    const before = count();
    const second = scene.client.open(scene.service.address);
    network.run();
    scene.client.carryOn(scene.ours, scene.service.address);
    network.run();
    expect([count() - before, second.state]).toEqual([1, 'open']);
    scene.expectWorking();
  });
});
