import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import { Lineage, type Role } from '../../../src/core/lineage.js';
import { encodeOpen } from '../../../src/core/open-parameters.js';
import { Opcode } from '../../../src/core/record.js';
import { ResumableChannels } from '../../../src/core/resumable-channels.js';
import type { TransportKeys } from '../../../src/core/transport-keys.js';
import { EndpointNode } from '../../support/endpoint-node.js';
import { SLOW } from '../../support/fuzz.js';
import { RawPeer } from '../../support/raw-peer.js';
import { lost } from '../../support/resumption.js';
import { crypto } from '../../support/sessions-scene.js';
import { VirtualNetwork } from '../../support/virtual-network.js';

const { OPEN, OPEN_ACCEPT, RESET, RESUME, TEXT, PROBE } = Opcode;
const OPEN_TO_RESUME = encodeOpen({ target: '/', protocols: [], window: 2_097_152, resume: true });

/** The raw peer has opened channel 1, has said 'one', and has lost its link; another of the same key has a session. */
function away() {
  const network = new VirtualNetwork();
  const registry = new ResumableChannels();
  const node = new EndpointNode(network, { identity: 1, resumables: registry });
  const first = new RawPeer(network, { identity: 2, connectionId: 22 });
  network.collect();
  first.sessions.dial(node.anyAddress, network.now);
  network.run();
  first.record(node, [[OPEN, OPEN_TO_RESUME]], { opener: true });
  network.run();
  const [channel] = node.incoming;
  first.record(node, [[TEXT, 'one']], { opener: true, sequence: 1, acknowledgement: 1 });
  network.run();
  expect(channel!.isResumable).toBe(true);
  const keys = keysOf(first, node);
  const { publicKeyBytes } = first.identity;
  const lineage = new Lineage(crypto, keys, publicKeyBytes, 1);
  expect(lineage.id).toBe(channel!.lineage!.id);
  network.remove(first, node);
  node.drain();
  const second = joins(network, node, 2, 23);
  return { network, registry, node, first, second, channel: channel!, lineage, keys };
}

type Scene = ReturnType<typeof away>;

function joins(
  network: Scene['network'],
  node: EndpointNode,
  identity: number,
  connectionId: number,
): RawPeer {
  const peer = new RawPeer(network, { identity, connectionId });
  network.collect();
  peer.sessions.dial(node.address, network.now);
  network.run();
  return peer;
}

function keysOf(peer: RawPeer, node: EndpointNode): TransportKeys {
  const keys = peer.sessions.find(node.address)?.current;
  if (!keys) throw new Error('There are no keys.');
  return keys;
}

/** `peer` asks to go on, as channel 9. What is not given is right. */
function asks(
  { network, node, lineage }: Scene,
  peer: RawPeer,
  {
    payload,
    acknowledgement = 1,
    sequenced = false,
    opener = true,
    channelId = 9,
  }: {
    payload?: Uint8Array;
    acknowledgement?: number;
    sequenced?: boolean;
    opener?: boolean;
    channelId?: number;
  } = {},
): void {
  const proof = payload ?? lineage.encode('opener', keysOf(peer, node).handshakeHash);
  peer.record(node, [[RESUME, proof]], { channelId, opener, sequenced, sequence: 2, acknowledgement });
  network.run();
}

const told = (peer: RawPeer) =>
  peer.records.flatMap(({ items }) =>
    items.map(({ opcode, payload }) => [opcode, Buffer.from(payload).toString()]),
  );
const CHANNEL_LOST = [[RESET, 'CHANNEL_LOST']];

/** The right one still can. */
function expectResumable(scene: Scene): void {
  const { node, second, channel, lineage } = scene;
  const before = second.records.length;
  asks(scene, second);
  expect([channel.session !== undefined, channel.state]).toEqual([true, 'open']);
  const { header, items } = second.records[before]!;
  expect(header).toMatchObject({ channelId: 9, opener: false, sequenced: false, acknowledgement: 2 });
  const { handshakeHash } = keysOf(second, node);
  expect(items.map(({ opcode }) => opcode)).toEqual([RESUME]);
  expect(lineage.isProven('acceptor', handshakeHash, items[0]!.payload)).toBe(true);
  second.record(node, [[TEXT, 'two']], { channelId: 9, opener: true, sequence: 2, acknowledgement: 1 });
  scene.network.run();
  expect(node.messages(channel)).toEqual(['one', 'two']);
}

describe('a peer that asks to go on with a channel', SLOW, () => {
  it('is answered, when it proves in this very session that it has opened it', () => {
    expectResumable(away());
  });

  it.each<[string, (scene: Scene) => Uint8Array]>([
    [
      'a proof with one wrong bit',
      ({ lineage, second, node }) => {
        const payload = lineage.encode('opener', keysOf(second, node).handshakeHash);
        payload[47]! ^= 1;
        return payload;
      },
    ],
    [
      'a proof for another session, as one that was overheard',
      ({ lineage, keys }) => lineage.encode('opener', keys.handshakeHash),
    ],
    [
      'the proof of the other role',
      ({ lineage, second, node }) =>
        lineage.encode('acceptor' satisfies Role, keysOf(second, node).handshakeHash),
    ],
    [
      'the id alone',
      ({ lineage, second, node }) =>
        lineage.encode('opener', keysOf(second, node).handshakeHash).subarray(0, 16),
    ],
    ['nothing', () => new Uint8Array(0)],
    [
      'a proof that is too long',
      ({ lineage, second, node }) =>
        Uint8Array.of(...lineage.encode('opener', keysOf(second, node).handshakeHash), 0),
    ],
    [
      'the lineage of a channel that there is not',
      ({ second, node }) => {
        const keys = keysOf(second, node);
        return new Lineage(crypto, keys, second.identity.publicKeyBytes, 1).encode(
          'opener',
          keys.handshakeHash,
        );
      },
    ],
  ])('is told CHANNEL_LOST with %s', (_, payloadOf) => {
    const scene = away();
    asks(scene, scene.second, { payload: payloadOf(scene) });
    expect(told(scene.second)).toEqual(CHANNEL_LOST);
    expect([scene.channel.session, scene.registry.suspended]).toEqual([undefined, 1]);
    expectResumable(scene);
  });

  it('is told CHANNEL_LOST when it is another than the one who has opened it, whatever it knows', () => {
    const scene = away();
    const thief = joins(scene.network, scene.node, 3, 33);
    asks(scene, thief);
    expect(told(thief)).toEqual(CHANNEL_LOST);
    expectResumable(scene);
  });

  it('cannot take over one that is in use, unless it has opened it', () => {
    const scene = away();
    expectResumable(scene);
    const session = scene.channel.session;
    const thief = joins(scene.network, scene.node, 3, 33);
    asks(scene, thief);
    expect([told(thief), scene.channel.session === session]).toEqual([CHANNEL_LOST, true]);
  });

  it('must not have opened it by the number that it says now, nor say that we did', () => {
    const scene = away();
    asks(scene, scene.second, { opener: false });
    expect(scene.channel.session).toBeUndefined();
    // And with a sequence number it is no RESUME, but a record of no channel.
    asks(scene, scene.second, { sequenced: true });
    expect(told(scene.second)).toEqual([[RESET, 'CHANNEL_RESET']]);
    expectResumable(scene);
  });

  it('that has heard what was never said loses the channel', () => {
    const scene = away();
    asks(scene, scene.second, { acknowledgement: 5 });
    expect(scene.node.closed(scene.channel)).toMatchObject({
      code: 1006,
      error: { code: 'PROTOCOL_VIOLATION' },
    });
    expect(told(scene.second)).toEqual([[RESET, 'PROTOCOL_VIOLATION']]);
    expect([scene.registry.suspended, scene.node.endpoint.channelCount]).toEqual([0, 0]);
    asks(scene, scene.second);
    expect(told(scene.second).at(-1)).toEqual(CHANNEL_LOST[0]);
  });

  it('that asks again and again is answered, but nothing is sent again and again', () => {
    const scene = away();
    const { network, node, second, channel } = scene;
    for (let i = 0; i < 50; i++) node.send(channel, `${i} ${'x'.repeat(20_000)}`);
    asks(scene, second);
    const texts = () => told(second).filter(([opcode]) => opcode === TEXT).length;
    const expected = texts();
    expect(expected).toBe(50);
    for (let i = 0; i < 300; i++) asks(scene, second);
    expect(texts()).toBeLessThanOrEqual(2 * expected);
    expect(told(second).filter(([opcode]) => opcode === RESUME).length).toBeLessThanOrEqual(301);
    // When it asks much later, because it heard nothing, all that is missing is sent again.
    network.now += 1_000;
    const before = texts();
    asks(scene, second);
    expect(texts() - before).toBe(50);
  });

  it('and for another one while it lasts, is not confused', () => {
    const scene = away();
    expectResumable(scene);
    // As the number of a channel that there is: it is about that one, and proves nothing there.
    scene.second.record(scene.node, [[OPEN, OPEN_TO_RESUME]], { channelId: 10, opener: true });
    scene.network.run();
    const other = scene.node.incoming[1]!;
    asks(scene, scene.second, { channelId: 10 });
    expect([other.state, scene.channel.state, scene.channel.id]).toEqual(['open', 'open', 9]);
    scene.second.record(scene.node, [[TEXT, 'still']], { channelId: 10, opener: true, sequence: 1 });
    scene.network.run();
    expect(scene.node.messages(other)).toEqual(['still']);
  });
});

describe('a peer that is asked to go on', SLOW, () => {
  /** The node has opened a channel with the raw peer, has lost it, and asks for it on another link. */
  function asked() {
    const network = new VirtualNetwork();
    const old = new EndpointNode(network, { identity: 1, listening: false });
    const peer = new RawPeer(network, { identity: 2, connectionId: 22 });
    network.collect();
    const channel = old.open(peer.anyAddress, { resume: true });
    network.run();
    const accept = peer.acceptance(old, { resume: 120_000 });
    peer.record(old, [[OPEN_ACCEPT, accept]], { acknowledgement: 1 });
    network.run();
    expect(channel.isResumable).toBe(true);
    const lineage = new Lineage(crypto, keysOf(peer, old), old.identity.publicKeyBytes, 1);
    old.send(channel, 'lost');
    network.remove(old);
    old.fail(lost());
    const node = new EndpointNode(network, {
      identity: 1,
      connectionId: 12,
      listening: false,
      firstChannel: 7,
    });
    node.carryOn(channel, peer.address);
    network.run();
    const request = peer.records.at(-1)!;
    expect(request.items.map(({ opcode }) => opcode)).toEqual([RESUME]);
    expect(request.header).toMatchObject({
      channelId: 7,
      opener: true,
      sequenced: false,
      acknowledgement: 1,
    });
    const hash = keysOf(peer, node).handshakeHash;
    expect(lineage.isProven('opener', hash, request.items[0]!.payload)).toBe(true);
    const answer = (payload: Uint8Array, acknowledgement = 1) => {
      peer.record(node, [[RESUME, payload]], {
        channelId: 7,
        sequenced: false,
        sequence: 1,
        acknowledgement,
      });
      network.run();
    };
    return { network, node, peer, channel, lineage, hash, answer };
  }

  it('has to prove that it has the channel, too', () => {
    const { node, peer, channel, lineage, hash, answer } = asked();
    answer(lineage.encode('acceptor', hash));
    expect(node.typesOf(channel)).toEqual(['resumed', 'sent']);
    expect(told(peer).at(-1)).toEqual([TEXT, 'lost']);
  });

  it('loses it with anything else: our own proof, that of another session, or none', () => {
    for (const make of [
      (lineage: Lineage, hash: Uint8Array) => lineage.encode('opener', hash),
      (lineage: Lineage) => lineage.encode('acceptor', new Uint8Array(64)),
      () => new Uint8Array(48),
      () => new Uint8Array(0),
    ]) {
      const { node, channel, lineage, hash, answer } = asked();
      answer(make(lineage, hash));
      expect(node.closed(channel)).toMatchObject({ code: 1006, error: { code: 'PROTOCOL_VIOLATION' } });
      expect(node.closed(channel)!.unacknowledged).toEqual([{ data: utf8('lost'), isText: true }]);
    }
  });

  it('loses it when it has heard what was never said', () => {
    const { node, channel, lineage, hash, answer } = asked();
    answer(lineage.encode('acceptor', hash), 9);
    expect(node.closed(channel)).toMatchObject({ error: { code: 'PROTOCOL_VIOLATION' } });
  });

  it('is not heard before it has answered', () => {
    const { network, node, peer, channel, lineage, hash, answer } = asked();
    peer.record(node, [[TEXT, 'too early']], { channelId: 7, sequence: 1, acknowledgement: 1 });
    peer.record(node, [[PROBE, new Uint8Array(8)]], {
      channelId: 7,
      sequenced: false,
      sequence: 9,
      acknowledgement: 99,
    });
    network.run();
    expect([channel.state, node.messages(channel)]).toEqual(['open', []]);
    answer(lineage.encode('acceptor', hash));
    peer.record(node, [[TEXT, 'now']], { channelId: 7, sequence: 1, acknowledgement: 1 });
    network.run();
    expect(node.messages(channel)).toEqual(['now']);
    // Its answer once more is nothing new.
    answer(lineage.encode('acceptor', hash));
    expect(node.typesOf(channel).filter(type => type === 'resumed')).toHaveLength(1);
  });

  it('may say that it has given it up, and why', () => {
    const { network, node, peer, channel } = asked();
    peer.record(node, [[RESET, 'ABORTED']], { channelId: 7, sequenced: false, sequence: 1 });
    network.run();
    expect(node.closed(channel)).toMatchObject({ error: { code: 'CHANNEL_RESET' } });
    expect(node.closed(channel)!.unacknowledged).toHaveLength(1);
  });
});
