import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import {
  MAX_UNCONFIRMED_HANDSHAKES_PER_PEER,
  REJECT_AFTER_MESSAGES,
  REJECT_AFTER_TIME,
  REJECT_MARGIN,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_TIME,
} from '../../../src/core/constants.js';
import { peerAddress } from '../../../src/core/frame.js';
import { CipherState } from '../../../src/core/noise/cipher-state.js';
import { Session, staysInitiator } from '../../../src/core/session.js';
import { loadLibsodium } from '../../../src/crypto/libsodium.js';
import { TransportKeys } from '../../../src/core/transport-keys.js';
import { expectCode } from '../../support/errors.js';
import { bytes, flipped, runs, SLOW } from '../../support/fuzz.js';
import { transportMessage } from '../../support/transport-message.js';

const crypto = await loadLibsodium();
const ADDRESS = peerAddress(new Uint8Array(32).fill(9), 7);
const NOW = 1_000_000;

/** The two ends of one handshake. `nonce`: so many messages were sealed and opened before. */
function agree(index = 1, { initiator = true, createdAt = NOW, nonce = 0 } = {}) {
  const end = (isFirst: boolean) => {
    const ciphers = [1, 2].map(n => new CipherState(crypto, new Uint8Array(32).fill(index * 2 + n)));
    for (const cipher of ciphers) cipher.setNonce(nonce);
    const [send, receive] = (isFirst ? ciphers : ciphers.reverse()) as [CipherState, CipherState];
    const [localIndex, remoteIndex] = isFirst ? [index, index + 1_000] : [index + 1_000, index];
    const handshakeHash = new Uint8Array(64).fill(index);
    return new TransportKeys({
      localIndex,
      remoteIndex,
      send,
      receive,
      initiator: isFirst === initiator,
      handshakeHash,
      exporter: new Uint8Array(32).fill(index + 7),
      createdAt,
    });
  };
  return { ours: end(true), theirs: end(false) };
}

/** A whole transport message. */
function seal(keys: TransportKeys, text = ''): Uint8Array {
  return transportMessage(keys, utf8(text));
}

function newSession(stays = true) {
  const retired: TransportKeys[] = [];
  return { session: new Session(ADDRESS, stays, keys => retired.push(keys)), retired };
}

describe('TransportKeys', SLOW, () => {
  it('write type, receiver index, counter and ciphertext', () => {
    const { ours } = agree(0x0102);
    expect([...seal(ours).subarray(0, 13)]).toEqual([4, 0, 0, 4, 0xea, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...seal(ours).subarray(5, 13)]).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
    expect(ours.sentMessages).toBe(2);
  });

  it('open what the other end has sealed, in both directions', () => {
    const { ours, theirs } = agree();
    for (const text of ['a', '', 'ü'.repeat(1_000)]) {
      expect(theirs.open(seal(ours, text))).toEqual(utf8(text));
      expect(ours.open(seal(theirs, text))).toEqual(utf8(text));
    }
  });

  it('open each message once, and none that was overtaken: counters strictly rise', () => {
    const { ours, theirs } = agree();
    const messages = Array.from({ length: 8 }, (_, i) => seal(ours, `${i}`));
    fc.assert(
      fc.property(fc.array(fc.nat(7), { minLength: 1, maxLength: 20 }), order => {
        const { theirs: fresh } = agree();
        let highest = -1;
        for (const i of order) {
          expect(fresh.open(messages[i]!.slice())).toEqual(i > highest ? utf8(`${i}`) : undefined);
          highest = Math.max(highest, i);
        }
      }),
      runs(100),
    );
    expect(theirs.open(messages[7]!)).toEqual(utf8('7'));
  });

  it('refuse what was tampered with, and are none the worse for it', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(7), bytes(40), (at, bit, payload) => {
        const { ours, theirs } = agree();
        const message = transportMessage(ours, payload);
        // Counter and ciphertext; type and index are for others to look at.
        const tampered = flipped(5 + (at % (message.length - 5)), bit)(message);
        expectCode(() => theirs.open(tampered), 'DECRYPT_FAILED');
        expect(theirs.open(message)).toEqual(payload);
      }),
      runs(100),
    );
  });

  it.each([REJECT_AFTER_MESSAGES, 2 ** 53, 2 ** 63])(
    'refuse the counter %d, however it was sealed',
    counter => {
      const { ours, theirs } = agree();
      const message = seal(ours);
      new DataView(message.buffer).setBigUint64(5, BigInt(counter));
      expectCode(() => theirs.open(message), 'DECRYPT_FAILED');
      expect(theirs.open(seal(ours))).toEqual(new Uint8Array(0));
    },
  );

  it('may be used until just before the limit of messages, and not at it', () => {
    const { ours, theirs } = agree(1, { nonce: REJECT_AFTER_MESSAGES - 1 });
    expect(ours.isExpired(NOW)).toBe(false);
    expect(theirs.open(seal(ours, 'last'))).toEqual(utf8('last'));
    expect(ours.isExpired(NOW)).toBe(true);
    expectCode(() => seal(ours), 'NONCE_EXHAUSTED');
  });

  it('go on where the handshake left their counters', () => {
    const { ours, theirs } = agree(1, { nonce: 5 });
    expect(ours.sentMessages).toBe(5);
    const { ours: earlier } = agree(1);
    expect(theirs.open(seal(earlier))).toBeUndefined();
    expect(theirs.open(seal(ours, 'x'))).toEqual(utf8('x'));
  });

  it('are of no use once wiped', () => {
    const { ours, theirs } = agree();
    const message = seal(theirs);
    ours.wipe();
    expectCode(() => seal(ours), 'NOISE_STATE');
    expectCode(() => ours.open(message), 'NOISE_STATE');
  });
});

describe('the three slots', () => {
  it('seal with nothing before there are keys', () => {
    const { session } = newSession();
    expect(session.sealingKeys(NOW)).toBeUndefined();
    expect(session.wantsHandshake(NOW)).toBe(true);
    expect(session.publicKey).toEqual(new Uint8Array(32).fill(9));
  });

  it('keep what was current as previous, and wipe what was previous', () => {
    const { session, retired } = newSession();
    const [first, second, third] = [agree(1), agree(2), agree(3)];
    session.install(first.ours);
    session.install(second.ours);
    expect(session.sealingKeys(NOW)).toBe(second.ours);
    // What is on its way under the old keys still arrives.
    expect(session.open(first.ours, seal(first.theirs, 'late'), NOW)).toMatchObject({ confirmed: false });
    expect(retired).toEqual([]);
    session.install(third.ours);
    expect(retired).toEqual([first.ours]);
    expectCode(() => seal(first.ours), 'NOISE_STATE');
    expect(session.keys()).toEqual([second.ours, third.ours]);
  });

  it('never seal with keys that are not confirmed, and open with them only to confirm them', () => {
    const { session, retired } = newSession();
    const [old, next] = [agree(1), agree(2)];
    session.install(old.ours);
    expect(session.offer(next.ours)).toBe(true);
    expect(session.unconfirmed).toBe(1);
    expect(session.sealingKeys(NOW)).toBe(old.ours);
    expect(session.open(old.ours, seal(old.theirs, 'a'), NOW)).toMatchObject({ confirmed: false });
    expect(session.unconfirmed).toBe(1);

    expect(session.open(next.ours, seal(next.theirs, 'b'), NOW)).toEqual({
      plaintext: utf8('b'),
      confirmed: true,
    });
    expect([session.unconfirmed, session.current]).toEqual([0, next.ours]);
    expect(session.open(next.ours, seal(next.theirs, 'c'), NOW)).toMatchObject({ confirmed: false });
    expect(session.open(old.ours, seal(old.theirs, 'd'), NOW)).toMatchObject({ plaintext: utf8('d') });
    expect(retired).toEqual([]);
  });

  it('do not confirm keys by a message that is not authentic', () => {
    const { session } = newSession();
    const [old, next] = [agree(1), agree(2)];
    session.install(old.ours);
    session.offer(next.ours);
    expectCode(() => session.open(next.ours, flipped(20)(seal(next.theirs)), NOW), 'DECRYPT_FAILED');
    expect([session.current, session.unconfirmed]).toEqual([old.ours, 1]);
  });

  it('confirm one of several answered handshakes, and wipe the others', () => {
    const { session, retired } = newSession();
    const offers = [agree(1), agree(2), agree(3)];
    for (const { ours } of offers) session.offer(ours);
    session.open(offers[1]!.ours, seal(offers[1]!.theirs), NOW);
    expect(session.current).toBe(offers[1]!.ours);
    expect(retired).toEqual([offers[0]!.ours, offers[2]!.ours]);
  });

  it('hold few unconfirmed handshakes, and throw none away for another', () => {
    const { session, retired } = newSession();
    const offers = Array.from({ length: MAX_UNCONFIRMED_HANDSHAKES_PER_PEER + 1 }, (_, i) => agree(i + 1));
    expect(offers.map(({ ours }) => session.offer(ours))).toEqual([true, true, true, true, false]);
    expect([session.unconfirmed, retired]).toEqual([4, []]);
    expect(session.open(offers[0]!.ours, seal(offers[0]!.theirs), NOW)).toMatchObject({ confirmed: true });
  });

  it('wipe everything at the end', () => {
    const { session, retired } = newSession();
    const all = [agree(1), agree(2), agree(3)];
    session.install(all[0]!.ours);
    session.install(all[1]!.ours);
    session.offer(all[2]!.ours);
    session.wipe();
    expect(retired).toEqual(all.map(({ ours }) => ours));
    for (const { ours } of all) expectCode(() => seal(ours), 'NOISE_STATE');
    expect([session.keys(), session.current, session.unconfirmed]).toEqual([[], undefined, 0]);
  });
});

describe('age', () => {
  it('makes the initiator want a handshake at REKEY_AFTER_TIME, the responder 15 s before the keys expire', () => {
    for (const [initiator, age] of [
      [true, REKEY_AFTER_TIME],
      [false, 165_000],
    ] as const) {
      const { session } = newSession();
      session.install(agree(1, { initiator }).ours);
      expect(session.wantsHandshake(NOW + age - 1)).toBe(false);
      expect(session.wantsHandshake(NOW + age)).toBe(true);
    }
  });

  it('makes keys useless at REJECT_AFTER_TIME, in both directions', () => {
    const { session } = newSession();
    const { ours, theirs } = agree();
    session.install(ours);
    const message = seal(theirs, 'x');
    // What is sealed has time to arrive.
    const sealedUntil = NOW + REJECT_AFTER_TIME - REJECT_MARGIN;
    expect(session.sealingKeys(sealedUntil - 1)).toBe(ours);
    expect(session.sealingKeys(sealedUntil)).toBeUndefined();
    expect(session.open(ours, message, NOW + REJECT_AFTER_TIME)).toBeUndefined();
    expect(session.open(ours, message, NOW + REJECT_AFTER_TIME - 1)).toMatchObject({ plaintext: utf8('x') });
  });

  it('has keys wiped: previous and current at REJECT_AFTER_TIME, unconfirmed ones before', () => {
    const { session, retired } = newSession();
    const [first, second, offered] = [agree(1), agree(2, { createdAt: NOW + 100 }), agree(3)];
    session.install(first.ours);
    session.install(second.ours);
    session.offer(offered.ours);
    session.expire(NOW + 9_999, NOW - 1);
    expect(retired).toEqual([]);
    session.expire(NOW + 10_000, NOW);
    expect(retired).toEqual([offered.ours]);
    session.expire(NOW + REJECT_AFTER_TIME, Infinity);
    expect(retired).toEqual([offered.ours, first.ours]);
    session.expire(NOW + REJECT_AFTER_TIME + 100, Infinity);
    expect(retired).toEqual([offered.ours, first.ours, second.ours]);
    expect(session.keys()).toEqual([]);
  });

  it('that is negative, because a clock was put back, ends nothing', () => {
    const { session } = newSession();
    const { ours, theirs } = agree();
    session.install(ours);
    const earlier = NOW - 10 * REJECT_AFTER_TIME;
    session.expire(earlier, earlier);
    expect(session.sealingKeys(earlier)).toBe(ours);
    expect(session.wantsHandshake(earlier)).toBe(false);
    expect(session.open(ours, seal(theirs, 'x'), earlier)).toMatchObject({ plaintext: utf8('x') });
  });
});

describe('message counters', () => {
  it('make either end want a handshake after REKEY_AFTER_MESSAGES', () => {
    for (const initiator of [true, false]) {
      const { session } = newSession();
      const { ours } = agree(1, { initiator, nonce: REKEY_AFTER_MESSAGES - 1 });
      session.install(ours);
      expect(session.wantsHandshake(NOW)).toBe(false);
      seal(ours);
      expect(session.wantsHandshake(NOW)).toBe(true);
      // Meanwhile the old keys do.
      expect(session.sealingKeys(NOW)).toBe(ours);
    }
  });

  it('stop the use of keys at REJECT_AFTER_MESSAGES, long before 2^53', () => {
    const { session } = newSession();
    const { ours } = agree(1, { nonce: REJECT_AFTER_MESSAGES });
    session.install(ours);
    expect(session.sealingKeys(NOW)).toBeUndefined();
    expect(session.wantsHandshake(NOW)).toBe(true);
    expect(REJECT_AFTER_MESSAGES).toBeLessThan(2 ** 53);
  });
});

describe('staysInitiator', () => {
  it('is true for exactly one of two different addresses: the lower one, key first', () => {
    fc.assert(
      fc.property(bytes(36, 36), bytes(36, 36), (a, b) => {
        fc.pre(a.some((byte, i) => byte !== b[i]));
        expect(staysInitiator(a, b)).toBe(!staysInitiator(b, a));
        expect(staysInitiator(a, b)).toBe(Buffer.compare(a, b) < 0);
      }),
      runs(100),
    );
    const key = new Uint8Array(32).fill(1);
    expect(staysInitiator(peerAddress(key, 1), peerAddress(key, 2))).toBe(true);
    expect(staysInitiator(peerAddress(key, 0x8000_0000), peerAddress(key, 1))).toBe(false);
  });
});
