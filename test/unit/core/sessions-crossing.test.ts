import { describe, expect, it } from 'vitest';
import { REJECT_AFTER_TIME, REKEY_AFTER_TIME, REKEY_TIMEOUT } from '../../../src/core/constants.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import { SLOW } from '../../support/fuzz.js';
import { SessionsNode } from '../../support/sessions-node.js';
import {
  connected,
  expectNoHarm,
  hashesOf,
  initiations,
  responses,
  two,
} from '../../support/sessions-scene.js';
import { typeOf } from '../../support/virtual-network.js';

describe('both at once', SLOW, () => {
  it.each(['a lower', 'b lower'] as const)('dialling whoever listens: both get through (%s)', order => {
    const { network, a, b } = two(order);
    a.sessions.dial(b.anyAddress, network.now);
    b.sessions.dial(a.anyAddress, network.now);
    network.run();
    expect([a.established.length, b.established.length]).toEqual([1, 1]);
    a.say(b, 'from a');
    b.say(a, 'from b');
    network.run();
    expect([a.texts, b.texts]).toEqual([['from b'], ['from a']]);
    expect(new Set(hashesOf(a, b).map(String))).toEqual(new Set(hashesOf(b, a).map(String)));
    // Both use the same keys from now on: those of the lower.
    const [ours, theirs] = [a.sessionWith(b)!.current!, b.sessionWith(a)!.current!];
    expect(ours.handshakeHash).toEqual(theirs.handshakeHash);
    expect([ours.initiator, theirs.initiator]).toEqual([order === 'a lower', order === 'b lower']);
    expectNoHarm(a, b);
  });

  it.each(['a lower', 'b lower'] as const)('lose nothing when the keys are renewed later (%s)', order => {
    const { network, a, b } = two(order);
    a.sessions.dial(b.anyAddress, network.now);
    b.sessions.dial(a.anyAddress, network.now);
    network.run();
    const sent: string[] = [];
    const begin = network.now;
    for (let step = 0; network.now < begin + 400_000; step++) {
      sent.push(`${step}`);
      a.say(b, `${step}`);
      b.say(a, `${step}`);
      network.collect();
      while (network.flight.length > 3) network.deliver();
      network.now += 250;
      for (const node of [a, b]) node.timeout(network.now);
    }
    network.run();
    expect([a.texts, b.texts]).toEqual([sent, sent]);
    expectNoHarm(a, b);
  });

  it.each(['a lower', 'b lower'] as const)(
    'agree on the same keys when answers are overtaken (%s)',
    order => {
      const { network, a, b } = two(order);
      a.sessions.dial(b.anyAddress, network.now);
      b.sessions.dial(a.anyAddress, network.now);
      network.collect();
      for (let i = 0; i < 2; i++) network.deliver();
      network.collect();
      // The answer of `a` arrives; what `b` says under the keys overtakes the answer of `b`.
      network.deliver(network.flight.findIndex(({ to }) => to === b));
      network.collect();
      const toA = network.flight.findIndex(
        packet => packet.to === a && typeOf(packet) === BodyType.TRANSPORT,
      );
      network.deliver(toA);
      network.run();
      const [ours, theirs] = [a.sessionWith(b)!.current!, b.sessionWith(a)!.current!];
      expect(ours.handshakeHash).toEqual(theirs.handshakeHash);
      a.say(b, 'from a');
      b.say(a, 'from b');
      network.run();
      expect([a.texts, b.texts]).toEqual([['from b'], ['from a']]);
      expectNoHarm(a, b);
    },
  );

  it.each(['a lower', 'b lower'] as const)('lose nothing when one dials again at once (%s)', order => {
    const { network, a, b } = two(order);
    a.sessions.dial(b.anyAddress, network.now);
    b.sessions.dial(a.anyAddress, network.now);
    network.collect();
    // As far as the answers: both have keys of their own handshake then, and neither is confirmed.
    for (let i = 0; i < 2; i++) network.deliver();
    network.collect();
    for (let i = 0; i < 2; i++) network.deliver();
    a.sessions.dial(b.anyAddress, network.now);
    network.collect();
    // Whatever each says at each moment arrives.
    const [fromA, fromB] = [[] as string[], [] as string[]];
    for (let i = 0; i < 20; i++) {
      if (a.say(b, `${i}`)) fromA.push(`${i}`);
      if (b.say(a, `${i}`)) fromB.push(`${i}`);
      network.collect();
      network.deliver();
      network.deliver();
    }
    network.run();
    expect([a.texts, b.texts]).toEqual([fromB, fromA]);
    expect(fromA.length).toBeGreaterThan(15);
    expectNoHarm(a, b);
  });

  it.each(['a lower', 'b lower'] as const)(
    'dialling each other exactly: the lower stays initiator, nobody waits (%s)',
    order => {
      const { network, a, b } = two(order);
      a.sessions.dial(b.address, network.now);
      b.sessions.dial(a.address, network.now);
      network.run();
      expect([a.established.length, b.established.length]).toEqual([1, 1]);
      const [lower, higher] = order === 'a lower' ? [a, b] : [b, a];
      expect(lower.sessionWith(higher)!.current!.initiator).toBe(true);
      expect(higher.sessionWith(lower)!.current!.initiator).toBe(false);
      expect(hashesOf(a, b)).toEqual(hashesOf(b, a));
      network.advance(60_000);
      expect(initiations(network)).toHaveLength(2);
      expect(responses(network).map(({ from }) => from)).toEqual([higher]);
      expectNoHarm(a, b);
    },
  );

  it.each(['a lower', 'b lower'] as const)('renewing: the lower stays initiator (%s)', order => {
    const { network, a, b } = connected(order);
    network.advance(REJECT_AFTER_TIME);
    a.say(b, '');
    b.say(a, '');
    network.run();
    expect(initiations(network)).toHaveLength(3);
    expect(responses(network)).toHaveLength(2);
    const [lower, higher] = order === 'a lower' ? [a, b] : [b, a];
    expect(lower.sessionWith(higher)!.current!.initiator).toBe(true);
    expect(higher.sessionWith(lower)!.current!.initiator).toBe(false);
    expect(hashesOf(a, b)).toEqual(hashesOf(b, a));
    a.say(b, 'from a');
    b.say(a, 'from b');
    network.run();
    expect([a.texts, b.texts]).toEqual([['from b'], ['from a']]);
    expectNoHarm(a, b);
  });

  it.each(['a lower', 'b lower'] as const)("renewing, when the lower's initiation is lost (%s)", order => {
    const { network, a, b } = connected(order);
    network.advance(REJECT_AFTER_TIME);
    const lower = order === 'a lower' ? a : b;
    let lost = false;
    network.fault = packet => {
      if (lost || packet.from !== lower) return [packet];
      lost = true;
      return [];
    };
    a.say(b, '');
    b.say(a, '');
    network.advance(REKEY_TIMEOUT);
    expect([a.say(b, 'from a'), b.say(a, 'from b')]).toEqual([true, true]);
    network.run();
    expect([a.texts, b.texts]).toEqual([['from b'], ['from a']]);
    expectNoHarm(a, b);
  });
});

describe('clocks', () => {
  it.each([0, -1e15, 1e15, Number.NaN])('showing %d at one end lock nobody out', wall => {
    for (const wrong of ['a', 'b'] as const) {
      const nodes = two();
      nodes[wrong].wall = wall;
      const { network, a, b } = nodes;
      a.sessions.dial(b.anyAddress, network.now);
      network.run();
      a.say(b, 'hello');
      network.run();
      expect(b.texts).toEqual(['hello']);
      expectNoHarm(a, b);
    }
  });

  it('that jump between two handshakes lock nobody out', () => {
    const { network, a, b } = connected();
    for (const wall of [1e15, 0, 1_750_000_000_000, 1]) {
      a.wall = wall;
      network.advance(REKEY_AFTER_TIME);
      a.say(b, `${wall}`);
      network.run();
      expect(b.texts.at(-1)).toBe(`${wall}`);
    }
    expect(initiations(network)).toHaveLength(5);
    expectNoHarm(a, b);
  });

  it.each([-3_600_000, 10 * 365 * 86_400_000])(
    'that count the time jumping by %d ms lock nobody out',
    jump => {
      const { network, a, b } = connected();
      const c = new SessionsNode(network, { identity: 3, connectionId: 33 });
      network.collect();
      network.now += jump;
      for (const node of [a, b, c]) node.timeout(network.now);
      a.say(b, '');
      network.run();
      expect(a.say(b, 'hello')).toBe(true);
      const before = a.established.length;
      a.sessions.dial(b.anyAddress, network.now);
      network.run();
      expect(a.established).toHaveLength(before + 1);
      c.sessions.dial(b.anyAddress, network.now);
      network.run();
      expect(c.say(b, 'hello from c')).toBe(true);
      network.run();
      expect(b.texts.filter(text => text !== '')).toEqual(['hello', 'hello from c']);
      expectNoHarm(a, b, c);
    },
  );
});
