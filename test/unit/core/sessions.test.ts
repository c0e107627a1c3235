import { describe, expect, it } from 'vitest';
import {
  REJECT_AFTER_TIME,
  REKEY_AFTER_TIME,
  REKEY_ATTEMPT_TIME,
  REKEY_TIMEOUT,
} from '../../../src/core/constants.js';
import { connectionIdOf, NoticeReason, peerAddress } from '../../../src/core/frame.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import { expectCode } from '../../support/errors.js';
import { SLOW } from '../../support/fuzz.js';
import { SessionsNode } from '../../support/sessions-node.js';
import {
  connected,
  expectNoHarm,
  expectWorking,
  hashesOf,
  initiations,
  type Network,
  two,
} from '../../support/sessions-scene.js';
import { transportMessage } from '../../support/transport-message.js';
import { bodyOf, type Packet, typeOf, VirtualNetwork } from '../../support/virtual-network.js';

describe('a handshake', () => {
  it('gives both ends the same keys and the same hash, dialled at any connection or at one', () => {
    for (const exact of [false, true]) {
      const { network, a, b } = two();
      const attempt = a.sessions.dial(exact ? b.address : b.anyAddress, network.now);
      network.run();
      expect(a.established).toEqual([{ attempt, session: a.sessionWith(b) }]);
      expect(b.confirmed).toEqual([b.sessionWith(a)]);
      expect(a.sessionWith(b)!.address).toEqual(b.address);
      expect(hashesOf(a, b)).toEqual(hashesOf(b, a));
      a.say(b, 'from a');
      b.say(a, 'from b');
      network.run();
      expect([a.texts, b.texts]).toEqual([['from b'], ['from a']]);
      expectNoHarm(a, b);
    }
  });

  it('is not used by the one who answered before the first message under the new keys', () => {
    const { network, a, b } = two();
    a.confirms = false;
    a.sessions.dial(b.anyAddress, network.now);
    network.run();
    const session = b.sessionWith(a)!;
    expect(session.unconfirmed).toBe(1);
    expect(session.sealingKeys(network.now)).toBeUndefined();
    expect([b.confirmed, b.received]).toEqual([[], []]);
    a.say(b, 'hello');
    network.run();
    expect(b.confirmed).toEqual([session]);
    expect(b.texts).toEqual(['hello']);
    expect(session.sealingKeys(network.now)).toBe(session.current);
  });

  it('leaves nothing behind when it is never confirmed', () => {
    const { network, a, b } = two();
    a.confirms = false;
    a.sessions.dial(b.anyAddress, network.now);
    network.run();
    expect(b.sessions.size).toBe(1);
    network.advance(9_999);
    expect(b.sessionWith(a)?.unconfirmed).toBe(1);
    network.advance(1);
    expect(b.sessions.size).toBe(0);
    // What comes too late is not taken, and harms nothing.
    a.say(b, 'too late');
    network.run();
    expect([b.received, b.confirmed, b.failures]).toEqual([[], [], []]);
  });

  it('leaves nothing behind when several are never confirmed, each at its own time', () => {
    const { network, a, b } = two();
    const c = new SessionsNode(network, { identity: 3, connectionId: 33 });
    a.confirms = c.confirms = false;
    a.sessions.dial(b.anyAddress, network.now);
    network.advance(4_000);
    c.sessions.dial(b.anyAddress, network.now);
    network.advance(6_000);
    expect([b.sessionWith(a), b.sessionWith(c)?.unconfirmed]).toEqual([undefined, 1]);
    network.advance(4_000);
    expect([b.sessions.size, b.wakeAt]).toEqual([0, Infinity]);
  });

  it('is joined by whoever dials the same address meanwhile', () => {
    const { network, a, b } = two();
    const attempt = a.sessions.dial(b.anyAddress, network.now);
    expect(a.sessions.dial(b.anyAddress, network.now)).toBe(attempt);
    network.run();
    expect(initiations(network)).toHaveLength(1);
    expect(a.established).toHaveLength(1);
  });

  it('works between two connections of one identity', () => {
    const network: Network = new VirtualNetwork();
    const [a, b] = [1, 2].map(id => new SessionsNode(network, { identity: 1, connectionId: id })) as [
      SessionsNode,
      SessionsNode,
    ];
    network.collect();
    a.sessions.dial(b.anyAddress, network.now);
    network.run();
    a.say(b, 'hello');
    network.run();
    expect(b.texts).toEqual(['hello']);
    expectNoHarm(a, b);
  });

  it('can be started with an address that is canonical only', () => {
    const { network, a } = two();
    const dial = (byte: number) =>
      a.sessions.dial(peerAddress(new Uint8Array(32).fill(byte), 0), network.now);
    expectCode(() => dial(0xff), 'NON_CANONICAL_ADDRESS');
    expectCode(() => dial(0), 'LOW_ORDER_ADDRESS');
    expect(a.takeFrames()).toEqual([]);
  });
});

describe('an unanswered handshake', () => {
  it('is made anew, with a new ephemeral key, every REKEY_TIMEOUT', () => {
    const { network, a, b } = two();
    network.fault = packet => (initiations(network).length > 2 ? [packet] : []);
    a.sessions.dial(b.anyAddress, network.now);
    network.advance(2 * REKEY_TIMEOUT - 1);
    expect(initiations(network)).toHaveLength(2);
    expect(a.established).toEqual([]);
    network.advance(1);
    expect(initiations(network)).toHaveLength(3);
    expect(a.established).toHaveLength(1);
    expect(
      new Set(initiations(network).map(packet => Buffer.from(bodyOf(packet)).toString('hex', 5, 37))),
    ).toHaveProperty('size', 3);
    expectNoHarm(a, b);
  });

  it('succeeds when only its answer was lost', () => {
    const { network, a, b } = two();
    let lost = 0;
    network.fault = packet =>
      typeOf(packet) === BodyType.HANDSHAKE_RESPONSE && lost++ === 0 ? [] : [packet];
    a.sessions.dial(b.anyAddress, network.now);
    network.advance(REKEY_TIMEOUT);
    a.say(b, 'hello');
    network.run();
    expect(b.texts).toEqual(['hello']);
    expect(b.sessionWith(a)!.unconfirmed).toBe(0);
    expectNoHarm(a, b);
  });

  it('takes no answer to an initiation that it has replaced', () => {
    const { network, a, b } = two();
    const held: Packet<SessionsNode>[] = [];
    network.fault = packet => {
      if (typeOf(packet) !== BodyType.HANDSHAKE_RESPONSE) return [packet];
      held.push(packet);
      return [];
    };
    a.sessions.dial(b.anyAddress, network.now);
    network.advance(REKEY_TIMEOUT);
    expect(held).toHaveLength(2);
    network.inject(b, a, held[0]!.frame);
    expect(a.refusals).toMatchObject([{ code: 'REPLAYED' }]);
    expect(a.established).toEqual([]);
    network.inject(b, a, held[1]!.frame);
    expect(a.established).toHaveLength(1);
  });

  it('is given up after REKEY_ATTEMPT_TIME', () => {
    const { network, a, b } = two();
    network.fault = () => [];
    const attempt = a.sessions.dial(b.anyAddress, network.now);
    network.advance(REKEY_ATTEMPT_TIME - 1);
    expect(a.attemptFailures).toEqual([]);
    network.advance(1);
    expect(a.attemptFailures).toMatchObject([{ attempt, error: { code: 'SESSION_TIMEOUT' } }]);
    expect(initiations(network)).toHaveLength(REKEY_ATTEMPT_TIME / REKEY_TIMEOUT);
    expect(a.wakeAt).toBe(Infinity);
    network.advance(3_600_000);
    expect(initiations(network)).toHaveLength(REKEY_ATTEMPT_TIME / REKEY_TIMEOUT);
  });

  it('that renews a session ends it when it is given up', () => {
    const { network, a, b } = connected();
    network.advance(REKEY_AFTER_TIME);
    network.fault = packet => (typeOf(packet) === BodyType.HANDSHAKE_INITIATION ? [] : [packet]);
    expect(a.say(b, 'still under the old keys')).toBe(true);
    network.advance(REKEY_ATTEMPT_TIME);
    expect(b.texts).toEqual(['still under the old keys']);
    expect(a.failures).toMatchObject([{ error: { code: 'SESSION_TIMEOUT' } }]);
    expect([a.sessions.size, a.attemptFailures]).toEqual([0, []]);
  });
});

describe('notices of the relay', () => {
  it.each([
    [NoticeReason.NOT_HERE, 'PEER_NOT_HERE'],
    [NoticeReason.REFUSED, 'PEER_REFUSED'],
    [NoticeReason.TOO_LARGE, 'FRAME_TOO_LARGE'],
    [NoticeReason.PEER_GONE, 'PEER_GONE'],
  ] as const)('%d ends a handshake, and a session: %s', (reason, code) => {
    const { network, a, b } = two();
    network.fault = () => [];
    a.sessions.dial(b.anyAddress, network.now);
    network.run();
    network.notice(a, reason, b.anyAddress);
    expect(a.attemptFailures).toMatchObject([{ error: { code } }]);

    const nodes = connected();
    const { current } = nodes.a.sessionWith(nodes.b)!;
    nodes.network.notice(nodes.a, reason, nodes.b.address);
    expect(nodes.a.failures).toMatchObject([{ error: { code } }]);
    expect(nodes.a.sessions.size).toBe(0);
    expectCode(() => transportMessage(current!, new Uint8Array(0)), 'NOISE_STATE');
  });

  it('of a full queue end nothing: handshakes are tried again by themselves, as channels do with records', () => {
    const { network, a, b } = two();
    network.fault = () => [];
    a.sessions.dial(b.anyAddress, network.now);
    network.run();
    network.notice(a, NoticeReason.QUEUE_FULL, b.anyAddress);
    network.fault = packet => [packet];
    network.advance(REKEY_TIMEOUT);
    expect(a.established).toHaveLength(1);
    network.notice(a, NoticeReason.QUEUE_FULL, b.address);
    expect([a.failures, a.attemptFailures]).toEqual([[], []]);
    expect(a.refusals.map(({ code }) => code)).toEqual(['PEER_QUEUE_FULL', 'PEER_QUEUE_FULL']);
    expectWorking(network, a, b);
  });

  it('about somebody else end nothing', () => {
    const { network, a, b } = connected();
    for (const reason of Object.values(NoticeReason)) {
      network.notice(a, reason, peerAddress(b.identity.publicKeyBytes, 99));
      network.notice(a, reason, peerAddress(new Uint8Array(32).fill(3), connectionIdOf(b.address)));
    }
    a.refusals.length = 0;
    expectNoHarm(a, b);
    expectWorking(network, a, b);
  });

  it('that nobody is there come by themselves', () => {
    const { network, a } = two();
    a.sessions.dial(peerAddress(new Uint8Array(32).fill(3), 0), network.now);
    network.run();
    expect(a.attemptFailures).toMatchObject([{ error: { code: 'PEER_NOT_HERE' } }]);
  });
});

describe('renewal', SLOW, () => {
  it('is started by the initiator after REKEY_AFTER_TIME of use, again and again, and nothing is lost', () => {
    const { network, a, b } = connected();
    const sent: string[] = [];
    // Packets spend up to two steps on their way, so that all handshakes happen in the midst of traffic.
    const begin = network.now;
    for (let step = 0; network.now < begin + 600_000; step++) {
      const text = `${step}`;
      sent.push(text);
      expect([a.say(b, text), b.say(a, text)]).toEqual([true, true]);
      network.collect();
      while (network.flight.length > 3) network.deliver();
      network.now += 250;
      for (const node of [a, b]) node.timeout(network.now);
    }
    network.run();
    expect(b.texts).toEqual(sent);
    expect(a.texts).toEqual(sent);
    expectNoHarm(a, b);
    expect(initiations(network).map(({ from }) => from)).toEqual([a, a, a, a, a]);
    for (const node of [a, b]) expect(new Set(node.received.map(({ keys }) => keys)).size).toBe(5);
  });

  it('is taken over by the other end at 165 s when the initiator has nothing to say', () => {
    const { network, a, b } = connected();
    for (let seconds = 0; seconds < 200; seconds++) {
      b.say(a, `${seconds}`);
      network.advance(1_000);
      expect(initiations(network)).toHaveLength(seconds < 165 ? 1 : 2);
    }
    expect(initiations(network)[1]!.from).toBe(b);
    expect(a.texts).toHaveLength(200);
    expect(b.sessionWith(a)!.current!.initiator).toBe(true);
    expectNoHarm(a, b);
  });

  it('does not happen while nothing is sent', () => {
    const { network } = connected();
    network.advance(3_600_000);
    expect(initiations(network)).toHaveLength(1);
  });

  it('happens once, however much is said before it is done', () => {
    const { network, a, b } = connected();
    network.advance(REKEY_AFTER_TIME);
    for (let i = 0; i < 10; i++) a.say(b, `${i}`);
    network.run();
    expect(initiations(network)).toHaveLength(2);
    expect(b.texts).toHaveLength(10);
  });

  it('keeps old keys for what is still on its way', () => {
    const { network, a, b } = connected();
    network.advance(REKEY_AFTER_TIME);
    const late: Packet<SessionsNode>[] = [];
    network.fault = packet => {
      if (packet.from !== b || typeOf(packet) !== BodyType.TRANSPORT) return [packet];
      late.push(packet);
      return [];
    };
    b.say(a, 'late');
    a.say(b, 'x');
    network.run();
    expect(initiations(network)).toHaveLength(2);
    for (const packet of late) network.inject(b, a, packet.frame);
    expect(a.texts).toEqual(['late']);
    expectNoHarm(a, b);
  });

  it('changes keys once when a dial and a renewal are answered together, so that nothing on its way is lost', () => {
    const { network, a, b } = connected();
    network.advance(REKEY_AFTER_TIME);
    a.say(b, 'x');
    a.sessions.dial(b.anyAddress, network.now);
    network.collect();
    network.now += 50;
    // Both initiations arrive; before either answer does, more is said under the old keys.
    while (network.deliver());
    network.collect();
    b.say(a, 'under the old keys');
    network.now += 50;
    network.run();
    expect(initiations(network)).toHaveLength(3);
    expect(a.established).toHaveLength(3);
    expect(a.texts).toEqual(['under the old keys']);
    a.say(b, 'y');
    b.say(a, 'z');
    network.run();
    expect([a.texts.at(-1), b.texts.at(-1)]).toEqual(['z', 'y']);
    expectNoHarm(a, b);
  });
});

describe('age', () => {
  it('makes messages refused that arrive after REJECT_AFTER_TIME', () => {
    for (const late of [false, true]) {
      const { network, a, b } = connected();
      a.say(b, 'slow');
      network.collect();
      network.now += REJECT_AFTER_TIME - (late ? 0 : 1);
      network.deliver();
      expect(b.texts).toEqual(late ? [] : ['slow']);
      expect(b.refusals.map(({ code }) => code)).toEqual(late ? ['REPLAYED'] : []);
      expect(b.failures).toEqual([]);
    }
  });

  it('of keys that are about to end makes fresh ones be waited for: what is said must have time to arrive', () => {
    const { network, a, b } = connected();
    network.advance(REJECT_AFTER_TIME - 500);
    expect(a.say(b, 'would arrive too late')).toBe(false);
    network.run();
    expect(a.say(b, 'in time')).toBe(true);
    network.collect();
    network.now += 1_000;
    for (const node of [a, b]) node.timeout(network.now);
    network.run();
    expect(b.texts).toEqual(['in time']);
    expectNoHarm(a, b);
  });

  it('has all keys wiped, on both ends, without anybody asking', () => {
    const { network, a, b } = connected();
    const keys = [a.sessionWith(b)!.current!, b.sessionWith(a)!.current!];
    network.advance(REJECT_AFTER_TIME - 1);
    expect(a.sessionWith(b)!.keys()).toHaveLength(1);
    network.advance(1);
    for (const used of keys) expectCode(() => transportMessage(used, new Uint8Array(0)), 'NOISE_STATE');
    expect([a.sessionWith(b)!.keys(), b.sessionWith(a)!.keys()]).toEqual([[], []]);
  });

  it('ends sessions on which nothing stands, silently', () => {
    const { network, a, b } = connected();
    a.used.clear();
    b.used.clear();
    network.advance(REJECT_AFTER_TIME);
    expect([a.sessions.size, b.sessions.size]).toEqual([0, 0]);
    expect([a.wakeAt, b.wakeAt]).toEqual([Infinity, Infinity]);
    expectNoHarm(a, b);
  });

  it.each(['a', 'b'] as const)('of hours without a word does not keep %s from going on', who => {
    const nodes = connected();
    const { network } = nodes;
    const [speaker, listener] = who === 'a' ? [nodes.a, nodes.b] : [nodes.b, nodes.a];
    const session = speaker.sessionWith(listener);
    // No stranger is welcome: but whoever has a session is none.
    listener.listening = false;
    network.advance(5 * 3_600_000);
    expect(speaker.say(listener, 'not yet')).toBe(false);
    network.run();
    expect(speaker.say(listener, 'here I am again')).toBe(true);
    network.run();
    expect(listener.texts).toEqual(['here I am again']);
    expect(speaker.sessionWith(listener)).toBe(session);
    expectNoHarm(nodes.a, nodes.b);
  });
});

it('wipe() leaves no key, and tells nobody', () => {
  const { network, a, b } = connected();
  a.sessions.dial(peerAddress(new Uint8Array(32).fill(3), 0), network.now);
  const { current } = a.sessionWith(b)!;
  a.sessions.wipe();
  expectCode(() => transportMessage(current!, new Uint8Array(0)), 'NOISE_STATE');
  expect(a.sessions.size).toBe(0);
  expectNoHarm(a, b);
});
