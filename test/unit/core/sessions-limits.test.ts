import { describe, expect, it, vi } from 'vitest';
import {
  HANDSHAKE_BURST,
  HANDSHAKE_INTERVAL,
  MAX_SEEN_EPHEMERALS,
  MAX_SESSIONS,
  MAX_UNCONFIRMED_HANDSHAKES,
  MAX_UNCONFIRMED_HANDSHAKES_PER_PEER,
  REJECT_AFTER_MESSAGES,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_TIME,
  REKEY_TIMEOUT,
} from '../../../src/core/constants.js';
import { peerAddress } from '../../../src/core/frame.js';
import { CipherState } from '../../../src/core/noise/cipher-state.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import { TransportKeys } from '../../../src/core/transport-keys.js';
import { SLOW } from '../../support/fuzz.js';
import { SessionsNode } from '../../support/sessions-node.js';
import {
  codes,
  crypto,
  expectWorking,
  first,
  initiationOf,
  type Network,
  scene,
} from '../../support/sessions-scene.js';
import { typeOf, VirtualNetwork } from '../../support/virtual-network.js';

// Limits that are reached with less work than the real ones.
vi.mock('../../../src/core/constants.js', async importOriginal => ({
  ...(await importOriginal<typeof import('../../../src/core/constants.js')>()),
  MAX_UNCONFIRMED_HANDSHAKES: 24,
  MAX_SESSIONS: 32,
  MAX_SEEN_EPHEMERALS: 40,
  HANDSHAKE_BURST: 16,
}));

describe('handshakes that are not confirmed', () => {
  it('are few for one peer', () => {
    const { network, a, b, mallory } = scene();
    for (let i = 0; i <= MAX_UNCONFIRMED_HANDSHAKES_PER_PEER; i++) {
      network.inject(mallory, b, initiationOf(mallory, b));
    }
    expect(b.takeFrames()).toHaveLength(MAX_UNCONFIRMED_HANDSHAKES_PER_PEER);
    expect(b.sessionWith(mallory)!.unconfirmed).toBe(MAX_UNCONFIRMED_HANDSHAKES_PER_PEER);
    expect(codes(b)).toEqual(['SESSION_FAILED']);
    expectWorking(network, a, b);
  });

  it('do not keep the same peer from its live session, nor replace it', () => {
    const { network, a, b } = scene();
    const { current } = b.sessionWith(a)!;
    for (let i = 0; i < 2 * MAX_UNCONFIRMED_HANDSHAKES_PER_PEER; i++)
      network.inject(a, b, initiationOf(a, b));
    b.takeFrames();
    expect(b.sessionWith(a)!.current).toBe(current);
    expectWorking(network, a, b);
  });

  it('are bounded in all, and evict nothing', SLOW, () => {
    const { network, a, b, mallory } = scene();
    const { current } = b.sessionWith(a)!;
    let answered = 0;
    for (let id = 1; id <= MAX_UNCONFIRMED_HANDSHAKES + 1; id++) {
      const frame = initiationOf(mallory, b);
      frame.set(peerAddress(mallory.identity.publicKeyBytes, 1_000 + id), 1);
      b.receive(frame, network.now);
      answered += b.takeFrames().length;
    }
    expect(answered).toBe(MAX_UNCONFIRMED_HANDSHAKES);
    expect(codes(b)).toEqual(['SESSION_FAILED']);
    expect(b.sessionWith(a)!.current).toBe(current);
    expectWorking(network, a, b);
    // They leave nothing behind, and then there is room again.
    network.advance(10_000);
    expect(b.sessions.size).toBe(1);
    mallory.sessions.dial(b.anyAddress, network.now);
    network.run();
    expect(mallory.established).toHaveLength(1);
  });

  it('are limited in number per time for each address, and for each by itself', SLOW, () => {
    const { network, a, b, mallory } = scene();
    // Dialled again and again, and confirmed each time: only the budget stands in the way.
    const begin = network.now;
    const asked = 2 * HANDSHAKE_BURST;
    for (let i = 0; i < asked; i++) {
      network.now += HANDSHAKE_INTERVAL / 10;
      mallory.sessions.dial(b.anyAddress, network.now);
      network.run();
    }
    const most = HANDSHAKE_BURST + (network.now - begin) / HANDSHAKE_INTERVAL;
    expect(most).toBeLessThan(asked);
    expect(mallory.established.length).toBeGreaterThanOrEqual(HANDSHAKE_BURST);
    expect(mallory.established.length).toBeLessThanOrEqual(most);
    expect(new Set(codes(b))).toEqual(new Set(['SESSION_FAILED']));
    expectWorking(network, a, b);
    // Whoever waits is answered again.
    network.advance(REKEY_TIMEOUT);
    expect(mallory.attemptFailures).toEqual([]);
    expect(mallory.sessionWith(b)!.sealingKeys(network.now)).toBeDefined();
  });
});

describe('message counters', () => {
  /** Two nodes that share keys which were used so often before. */
  function used(times: number) {
    const network: Network = new VirtualNetwork();
    const [a, b] = [1, 2].map(n => new SessionsNode(network, { identity: n, connectionId: n })) as [
      SessionsNode,
      SessionsNode,
    ];
    network.collect();
    for (const [node, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const ciphers = [1, 2].map(n => new CipherState(crypto, new Uint8Array(32).fill(n)));
      for (const cipher of ciphers) cipher.setNonce(times);
      const [send, receive] = (node === a ? ciphers : ciphers.reverse()) as [CipherState, CipherState];
      const createdAt = network.now;
      const keys = { localIndex: 0, remoteIndex: 0, send, receive, initiator: node === a, createdAt };
      const secrets = { handshakeHash: new Uint8Array(64), exporter: new Uint8Array(32) };
      node.sessions.adopt(peer.address, new TransportKeys({ ...keys, ...secrets }));
      node.used.add(node.sessionWith(peer)!);
    }
    return { network, a, b };
  }

  it('make keys renewed after REKEY_AFTER_MESSAGES, by whoever has sent so many', () => {
    for (const speaker of ['a', 'b'] as const) {
      const { network, ...nodes } = used(REKEY_AFTER_MESSAGES - 1);
      const [from, to] = speaker === 'a' ? [nodes.a, nodes.b] : [nodes.b, nodes.a];
      from.say(to, '1');
      expect(network.passed).toEqual([]);
      network.run();
      expect(network.passed).toHaveLength(1);
      from.say(to, '2');
      network.run();
      expect(network.passed.some(packet => typeOf(packet) === BodyType.HANDSHAKE_INITIATION)).toBe(true);
      expect(to.texts).toEqual(['1', '2']);
      expect(from.sessionWith(to)!.current!.sentMessages).toBeLessThan(10);
      expectWorking(network, from, to);
    }
  });

  it('stop the use of keys at REJECT_AFTER_MESSAGES; fresh ones take their place', () => {
    const { network, a, b } = used(REJECT_AFTER_MESSAGES - 1);
    expect(a.say(b, 'the last')).toBe(true);
    expect(a.say(b, 'one too many')).toBe(false);
    network.run();
    expect(b.texts).toEqual(['the last']);
    expectWorking(network, a, b);
  });
});

describe('memory', () => {
  it('of ephemeral keys is bounded: the oldest are forgotten, and a replay of them gains nothing', () => {
    const { network, a, b, mallory } = scene();
    const recorded = first(network, BodyType.HANDSHAKE_INITIATION);
    for (let i = 0; i < MAX_SEEN_EPHEMERALS; i++) {
      const frame = initiationOf(mallory, b);
      // Refused, but after it was written down.
      frame[frame.length - 1]! ^= 1;
      network.now += HANDSHAKE_INTERVAL;
      network.inject(mallory, b, frame);
      if (i < MAX_SEEN_EPHEMERALS - 2) {
        network.inject(a, b, recorded.frame);
        expect(codes(b).at(-1)).toBe('REPLAYED');
      }
    }
    network.inject(a, b, recorded.frame);
    expect(codes(b).at(-1)).not.toBe('REPLAYED');
    expect(b.sessionWith(a)!.unconfirmed).toBe(1);
    b.takeFrames();
    expectWorking(network, a, b);
  });

  it('of sessions is bounded: with all in use, strangers are not answered, and nobody is thrown out', () => {
    const { network, a, b, mallory } = scene();
    const others = Array.from({ length: MAX_SESSIONS - 1 }, (_, i) => {
      const node = new SessionsNode(network, { identity: 40, connectionId: 100 + i });
      node.sessions.dial(b.anyAddress, network.now);
      network.run();
      return node;
    });
    expect(b.sessions.size).toBe(MAX_SESSIONS);
    mallory.sessions.dial(b.anyAddress, network.now);
    network.run();
    expect(mallory.established).toEqual([]);
    expect(codes(b)).toEqual(['SESSION_FAILED']);
    for (const node of [a, others[0]!]) expectWorking(network, node, b);
    // Whoever has one may renew it.
    network.advance(REKEY_AFTER_TIME);
    expectWorking(network, a, b);
    expect(a.established).toHaveLength(2);
  });
});
