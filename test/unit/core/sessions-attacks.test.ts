import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readUint32, toHex, writeUint32 } from '../../../src/core/bytes.js';
import { MAX_HANDSHAKE_PAYLOAD, REKEY_AFTER_TIME, REKEY_TIMEOUT } from '../../../src/core/constants.js';
import { encodeEnvelope, NoticeReason, peerAddress } from '../../../src/core/frame.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import { bytes, flipped, runs, SLOW, tamperings } from '../../support/fuzz.js';
import { SessionsNode } from '../../support/sessions-node.js';
import {
  changed,
  codes,
  expectWorking,
  first,
  initiationOf,
  type Network,
  scene,
} from '../../support/sessions-scene.js';
import { bodyOf, typeOf, VirtualNetwork } from '../../support/virtual-network.js';

const { HANDSHAKE_INITIATION, HANDSHAKE_RESPONSE, TRANSPORT } = BodyType;

describe('a replayed', () => {
  it('initiation is refused and not answered, at once, later, and in the name of anybody', () => {
    const { network, a, b, mallory } = scene();
    const { frame } = first(network, HANDSHAKE_INITIATION);
    for (const [i, source] of [a, a, mallory, b].entries()) {
      network.advance(i * 70_000);
      network.inject(source, b, frame);
      expect(b.takeFrames()).toEqual([]);
    }
    expect(codes(b)).toEqual(['REPLAYED', 'REPLAYED', 'REPLAYED', 'REPLAYED']);
    expect(b.sessionWith(a)!.unconfirmed).toBe(0);
  });

  it('initiation gains nothing of one who does not remember it either, because it was started anew', () => {
    const { network, a, b } = scene();
    const { frame } = first(network, HANDSHAKE_INITIATION);
    network.remove(b);
    const again = new SessionsNode(network, { identity: 2, connectionId: 44 });
    network.inject(a, again, frame);
    expect(again.sessionWith(a)!.unconfirmed).toBe(1);
    // The transport messages of then do not fit.
    for (const packet of network.passed.filter(passed => passed.to === b && typeOf(passed) === TRANSPORT)) {
      const body = bodyOf(packet).slice();
      writeUint32(body, 1, again.sessionWith(a)!.keys()[0]!.localIndex);
      network.inject(a, again, encodeEnvelope(again.address, body));
    }
    expect([again.confirmed, again.received]).toEqual([[], []]);
    network.advance(10_000);
    expect(again.sessions.size).toBe(0);
  });

  it('response is refused', () => {
    const { network, a, b } = scene();
    const { frame } = first(network, HANDSHAKE_RESPONSE);
    network.inject(b, a, frame);
    expect(codes(a)).toEqual(['REPLAYED']);
    expectWorking(network, a, b);
    // Also while another handshake is under way.
    network.advance(REKEY_AFTER_TIME);
    a.say(b, 'x');
    network.inject(b, a, frame);
    network.run();
    expect(codes(a)).toEqual(['REPLAYED', 'REPLAYED']);
    expectWorking(network, a, b);
  });

  it('message is refused, in any order, be it under keys that were renewed', () => {
    const { network, a, b } = scene();
    for (let i = 0; i < 5; i++) a.say(b, `${i}`);
    network.run();
    const messages = network.passed.filter(packet => packet.to === b && typeOf(packet) === TRANSPORT);
    const replay = () => {
      for (const packet of [...messages, ...[...messages].reverse()]) network.inject(a, b, packet.frame);
    };
    replay();
    network.advance(REKEY_AFTER_TIME);
    a.say(b, '5');
    network.run();
    replay();
    expect(b.texts).toEqual(['0', '1', '2', '3', '4', '5']);
    expect(new Set(codes(b))).toEqual(new Set(['REPLAYED']));
    expectWorking(network, a, b);
    // After the keys are gone too.
    network.advance(180_000);
    replay();
    expect(b.failures).toEqual([]);
  });
});

describe('a reflected', () => {
  it('initiation is refused by the one who made it', () => {
    const { network, a, b } = scene();
    const { frame } = first(network, HANDSHAKE_INITIATION);
    for (const source of [a, b]) network.inject(source, a, frame);
    expect(codes(a)).toEqual(['REPLAYED', 'REPLAYED']);
    expect(a.takeFrames()).toEqual([]);
    expectWorking(network, a, b);
  });

  it('initiation is refused by another connection of the same identity, too', () => {
    const network: Network = new VirtualNetwork();
    const [a, twin] = [1, 2].map(id => new SessionsNode(network, { identity: 1, connectionId: id })) as [
      SessionsNode,
      SessionsNode,
    ];
    network.collect();
    network.fault = packet => [{ ...packet, to: packet.from }];
    a.sessions.dial(twin.address, network.now);
    network.run();
    expect(codes(a)).toEqual(['REPLAYED']);
    expect([a.established, a.received]).toEqual([[], []]);
  });

  it('message ends the session it names, and is not delivered', () => {
    const { network, a, b } = scene();
    network.fault = packet => [{ ...packet, to: packet.from }];
    a.say(b, 'echo');
    network.run();
    expect(a.received).toEqual([]);
    expect(b.received).toEqual([]);
  });
});

describe('a relay that lies about the source', () => {
  it('of an initiation is found out: both addresses are part of the handshake', () => {
    const { network, b, mallory } = scene();
    const c = new SessionsNode(network, { identity: 4, connectionId: 44 });
    network.collect();
    network.inject(mallory, b, initiationOf(c, b));
    expect(codes(b)).toEqual(['DECRYPT_FAILED']);
    expect([b.takeFrames(), b.sessionWith(mallory)]).toEqual([[], undefined]);
  });

  it.each([
    ['no key', 0xff],
    ['a key of low order', 0x00],
  ])('of an initiation, and names %s', (_, byte) => {
    const { network, b, mallory } = scene();
    const frame = initiationOf(mallory, b);
    frame.set(peerAddress(new Uint8Array(32).fill(byte), 5), 1);
    b.receive(frame, network.now);
    expect(codes(b)).toEqual([byte === 0 ? 'LOW_ORDER_ADDRESS' : 'NON_CANONICAL_ADDRESS']);
    expect(b.takeFrames()).toEqual([]);
  });

  it.each([
    ['another key', 3, 33],
    ['another connection of the same key', 2, 99],
  ])('of an answer, and names %s: SOURCE_MISMATCH', (_, identity, connectionId) => {
    const { network, a, b } = scene();
    const other = new SessionsNode(network, { identity, connectionId });
    network.collect();
    network.advance(REKEY_AFTER_TIME);
    network.fault = packet => {
      if (typeOf(packet) === HANDSHAKE_RESPONSE) packet.frame.set(other.address, 1);
      return [packet];
    };
    a.say(b, 'x');
    network.run();
    expect(a.failures).toMatchObject([{ error: { code: 'SOURCE_MISMATCH' } }]);
    expect(a.sessionWith(b)).toBeUndefined();
  });

  it('of the answer to the first handshake: SOURCE_MISMATCH', () => {
    const { network, b, mallory } = scene();
    const c = new SessionsNode(network, { identity: 4, connectionId: 44 });
    network.collect();
    network.fault = packet => {
      if (typeOf(packet) === HANDSHAKE_RESPONSE) packet.frame.set(mallory.address, 1);
      return [packet];
    };
    c.sessions.dial(b.anyAddress, network.now);
    network.run();
    expect(c.attemptFailures).toMatchObject([{ error: { code: 'SOURCE_MISMATCH' } }]);
    expect([c.sessions.size, c.established]).toEqual([0, []]);
  });

  it.each([
    ['another key', 3, 33],
    ['another connection of the same key', 1, 99],
  ])('of a message, and names %s: SOURCE_MISMATCH, and it is not delivered', (_, identity, connectionId) => {
    const { network, a, b } = scene();
    const other = new SessionsNode(network, { identity, connectionId });
    network.collect();
    network.fault = packet => {
      packet.frame.set(other.address, 1);
      return [packet];
    };
    a.say(b, 'hello');
    network.run();
    expect(b.failures).toMatchObject([{ error: { code: 'SOURCE_MISMATCH' } }]);
    expect([b.received, b.sessionWith(a)]).toEqual([[], undefined]);
  });
});

describe('a third party', () => {
  it('is not answered by one who does not listen', () => {
    const { network, a, b, mallory } = scene();
    b.listening = false;
    mallory.sessions.dial(b.address, network.now);
    network.run();
    expect(network.passed.filter(packet => packet.to === mallory)).toEqual([]);
    expect(codes(b)).toEqual(['SESSION_FAILED']);
    expect(b.sessionWith(mallory)).toBeUndefined();
    expectWorking(network, a, b);
  });

  it("who guesses an index cannot end another's session", () => {
    const { network, a, b, mallory } = scene();
    const { localIndex } = b.sessionWith(a)!.current!;
    const guess = new Uint8Array(60);
    guess[0] = TRANSPORT;
    writeUint32(guess, 1, localIndex);
    for (const counter of [0, 1, 2 ** 31]) {
      writeUint32(guess, 9, counter);
      network.inject(mallory, b, encodeEnvelope(b.address, guess));
      network.inject(mallory, b, encodeEnvelope(b.address, guess.fill(0xff, 5, 13)));
    }
    expect(b.failures).toEqual([]);
    expect(codes(b)).toContain('DECRYPT_FAILED');
    expectWorking(network, a, b);
  });

  it("who guesses an index cannot keep others' keys from being renewed", () => {
    const { network, a, b, mallory } = scene();
    network.advance(REKEY_AFTER_TIME);
    a.say(b, 'x');
    network.collect();
    const initiation = network.flight.find(packet => typeOf(packet) === HANDSHAKE_INITIATION)!;
    const guess = new Uint8Array(9 + 52).fill(0x42);
    guess[0] = HANDSHAKE_RESPONSE;
    writeUint32(guess, 5, readUint32(bodyOf(initiation), 1));
    network.inject(mallory, a, encodeEnvelope(a.address, guess));
    expect(a.failures).toEqual([]);
    const before = a.sessionWith(b)!.current;
    network.run();
    expect(a.sessionWith(b)!.current).not.toBe(before);
    expectWorking(network, a, b);
  });

  it('who sends on what others have said changes nothing', () => {
    const { network, a, b, mallory } = scene();
    a.say(b, 'once');
    network.run();
    for (const packet of [...network.passed]) {
      network.inject(mallory, a, packet.frame);
      network.inject(mallory, b, packet.frame);
    }
    expect([a.texts, b.texts]).toEqual([[], ['once']]);
    expectWorking(network, a, b);
  });
});

describe('what was tampered with', () => {
  it.each([
    ['a message', 20],
    ['the counter of a message', 9],
    ['the index of a message', 3],
  ])('%s ends the session with its peer and no other: DECRYPT_FAILED', (_, at) => {
    const { network, a, b, mallory } = scene();
    mallory.sessions.dial(b.anyAddress, network.now);
    network.run();
    network.fault = packet => (packet.from === a ? [changed(packet, flipped(at))] : [packet]);
    a.say(b, 'x');
    network.run();
    expect(b.failures).toMatchObject([{ error: { code: 'DECRYPT_FAILED' } }]);
    expect([b.received, b.sessionWith(a)]).toEqual([[], undefined]);
    mallory.say(b, 'still here');
    network.run();
    expect(b.texts).toEqual(['still here']);
  });

  it('an initiation is refused without harm, and made anew in time', () => {
    const { network, b } = scene();
    const c = new SessionsNode(network, { identity: 4, connectionId: 44 });
    let tampered = 0;
    network.fault = packet => (tampered++ === 0 ? [changed(packet, flipped(60))] : [packet]);
    c.sessions.dial(b.anyAddress, network.now);
    network.advance(REKEY_TIMEOUT);
    expect(codes(b)).toEqual(['DECRYPT_FAILED']);
    expect(c.established).toHaveLength(1);
  });

  it('an answer ends the handshake: DECRYPT_FAILED', () => {
    const { network, b } = scene();
    const c = new SessionsNode(network, { identity: 4, connectionId: 44 });
    network.fault = packet =>
      typeOf(packet) === HANDSHAKE_RESPONSE ? [changed(packet, flipped(50))] : [packet];
    c.sessions.dial(b.anyAddress, network.now);
    network.run();
    expect(c.attemptFailures).toMatchObject([{ error: { code: 'DECRYPT_FAILED' } }]);
    expect(c.sessions.size).toBe(0);
  });

  it('a body that is none ends the session with its peer and no other', () => {
    const { network, a, b, mallory } = scene();
    network.inject(mallory, b, encodeEnvelope(b.address, Uint8Array.of(9)));
    expect(codes(b)).toEqual(['FRAME_MALFORMED']);
    expectWorking(network, a, b);
    network.inject(a, b, encodeEnvelope(b.address, Uint8Array.of(9)));
    expect(b.failures).toMatchObject([{ error: { code: 'FRAME_MALFORMED' } }]);
  });

  it('an initiation with too large a payload, or one that is too short, is refused', () => {
    const { network, b, mallory } = scene();
    const most = new Uint8Array(MAX_HANDSHAKE_PAYLOAD);
    network.inject(mallory, b, initiationOf(mallory, b, most));
    expect(b.takeFrames()).toHaveLength(1);
    for (const length of [MAX_HANDSHAKE_PAYLOAD + 1, 27, 0]) {
      network.inject(mallory, b, initiationOf(mallory, b, new Uint8Array(length)));
    }
    expect(b.takeFrames()).toEqual([]);
    expect(codes(b)).toEqual(Array(3).fill('NOISE_MESSAGE_MALFORMED'));
  });
});

describe('a session that failed at one end', () => {
  it('can be replaced at once, whatever of the old one is still on its way', () => {
    const { network, a, b } = scene();
    network.notice(b, NoticeReason.TOO_LARGE, a.address);
    expect(b.failures).toHaveLength(1);
    // `a` knows nothing of it, and goes on.
    b.sessions.dial(a.anyAddress, network.now);
    network.collect();
    network.deliver();
    a.say(b, 'under the old keys');
    network.run();
    expect(b.established).toHaveLength(1);
    a.say(b, 'under the new keys');
    network.run();
    expect(b.failures).toHaveLength(1);
    expect(b.texts).toEqual(['under the new keys']);
  });
});

describe('any bytes in the name of anybody', SLOW, () => {
  it('are survived, and harm at most the session with whoever is named', () => {
    const sources = fc.constantFrom('a', 'mallory', 'stranger');
    const kinds = fc.constantFrom(HANDSHAKE_INITIATION, HANDSHAKE_RESPONSE, TRANSPORT, 0, 1, 3);
    const made = fc.tuple(kinds, bytes(160)).map(([type, rest]) => Uint8Array.of(type, ...rest));
    const input = fc.record({
      source: sources,
      /** A recorded frame to be tampered with, or something made up. */
      recorded: fc.option(fc.nat(200), { nil: undefined }),
      tamper: fc.option(tamperings, { nil: undefined }),
      made,
    });
    fc.assert(
      fc.property(fc.array(input, { maxLength: 12 }), list => {
        const { network, a, b, mallory } = scene();
        const c = new SessionsNode(network, { identity: 4, connectionId: 44 });
        c.sessions.dial(b.anyAddress, network.now);
        a.say(b, 'genuine');
        network.run();
        const stranger = peerAddress(new Uint8Array(32).fill(7), 7);
        for (const { source, recorded, tamper, made: body } of list) {
          const address = source === 'a' ? a.address : source === 'mallory' ? mallory.address : stranger;
          const original =
            recorded === undefined ? body : bodyOf(network.passed[recorded % network.passed.length]!);
          const sent = tamper ? tamper(original) : original;
          // The router delivers no empty envelopes.
          if (sent.length > 0) b.receive(encodeEnvelope(address, sent), network.now);
        }
        expect(b.texts).toEqual(['genuine']);
        expect(b.failures.every(({ session }) => toHex(session.address) === toHex(a.address))).toBe(true);
        c.say(b, 'unharmed');
        network.run();
        expect(b.texts).toEqual(['genuine', 'unharmed']);
        network.advance(200_000);
        expect(b.sessions.size).toBeLessThanOrEqual(2);
      }),
      runs(60),
    );
  });
});
