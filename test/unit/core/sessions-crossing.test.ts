import { describe, expect, it } from 'vitest';
import { REJECT_AFTER_TIME, REKEY_AFTER_TIME, REKEY_TIMEOUT } from '../../../src/core/constants.js';
import { SessionsNode } from '../../support/sessions-node.js';
import { connected, expectNoHarm, hashesOf, initiations, two } from '../../support/sessions-scene.js';

describe('both at once', () => {
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
      c.sessions.dial(b.anyAddress, network.now);
      network.run();
      expect(c.say(b, 'hello from c')).toBe(true);
      network.run();
      expect(b.texts.filter(text => text !== '')).toEqual(['hello', 'hello from c']);
      expectNoHarm(a, b, c);
    },
  );
});
