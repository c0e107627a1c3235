import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../../src/core/bytes.js';
import type { Crypto } from '../../../../src/core/crypto.js';
import { ReceivedChain, SenderChain } from '../../../../src/core/space/sender-key.js';
import {
  decodeSpaceMessage,
  encodeHeader,
  encodeSpaceMessage,
  signedOf,
} from '../../../../src/core/space/space-message.js';
import { expectCode } from '../../../support/errors.js';
import { bytes, flipped, parsesOrRefuses, runs, SLOW, tamperings } from '../../../support/fuzz.js';
import { hmac } from '../../../support/independent/primitives.js';
import {
  alice,
  alteredCrypto,
  bob,
  crypto,
  headerOf,
  headers,
  isZero,
  OTHER_PLACES,
  PLACE,
  watchedCrypto,
} from '../../../support/space-pieces.js';

const KEY = alice.publicKeyBytes;
const NONCE = new Uint8Array(12);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A sender, a receiver, and so many messages from one to the other. */
function scene(count: number, its: Crypto = crypto) {
  const sender = new SenderChain(crypto);
  const receiver = new ReceivedChain(its, sender.chainKey, sender.signingKey);
  const messages = Array.from({ length: count }, (_, i) =>
    sender.seal(PLACE, KEY, headerOf({ sequence: 3 + i, first: 3 }), text(`message ${String(i)}`)),
  );
  const open = (message: Uint8Array | undefined, place = PLACE, senderKey = KEY) =>
    receiver.open(place, senderKey, decodeSpaceMessage(message!));
  return { sender, receiver, messages, open, read: (i: number) => open(messages[i]) };
}

/** CK_i and MK_i, computed as docs/protocol.md says. */
function keysAt(chainKey: Uint8Array, iteration: number): { chain: Buffer; message: Buffer } {
  let chain: Buffer = Buffer.from(chainKey);
  for (let i = 0; i < iteration; i++) chain = hmac(chain, Buffer.of(2)).subarray(0, 32);
  return { chain, message: hmac(chain, Buffer.of(1)).subarray(0, 32) };
}

/** What somebody can make who has the chain key: all but the signature. */
function forge(
  chainKey: Uint8Array,
  iteration: number,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const headerBytes = encodeHeader(headerOf({ kind: 2, iteration }));
  const body = crypto.aeadEncrypt(keysAt(chainKey, iteration).message, NONCE, headerBytes, text('forged'));
  return encodeSpaceMessage(headerBytes, body, sign(signedOf(crypto, PLACE, KEY, headerBytes, body)));
}

describe('sender keys', SLOW, () => {
  it('carry one message after the other', () => {
    const { messages, read, sender, receiver } = scene(5);
    expect(messages.map((_, i) => read(i))).toEqual(messages.map((_, i) => text(`message ${String(i)}`)));
    expect(messages.map(message => decodeSpaceMessage(message).header.iteration)).toEqual([0, 1, 2, 3, 4]);
    expect(sender.iteration).toBe(5);
    expect(receiver.skipped).toBe(0);
  });

  it('seal each message under a key of its own, as the protocol says', () => {
    const { messages, sender } = scene(4);
    for (const [i, message] of messages.entries()) {
      const { headerBytes, body } = decodeSpaceMessage(message);
      const key = keysAt(sender.chainKey, i).message;
      expect(crypto.aeadDecrypt(key, NONCE, headerBytes, body)).toEqual(text(`message ${String(i)}`));
    }
  });

  it('sign what holds the message together', () => {
    const { messages, sender } = scene(1);
    const { headerBytes, body, signature } = decodeSpaceMessage(messages[0]!);
    const signed = signedOf(crypto, PLACE, KEY, headerBytes, body);
    expect(crypto.ed25519Verify(signature!, signed, sender.signingKey)).toBe(true);
  });

  it('are others for every generation, and hand out copies', () => {
    const [a, b] = [new SenderChain(crypto), new SenderChain(crypto)];
    expect(toHex(a.chainKey)).not.toBe(toHex(b.chainKey));
    expect(toHex(a.signingKey)).not.toBe(toHex(b.signingKey));
    const before = a.chainKey.slice();
    a.chainKey.fill(0);
    a.seal(PLACE, KEY, headerOf(), text('x'));
    expect(a.chainKey).toEqual(before);
  });

  it('take messages in any order, each once', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          Array.from({ length: 12 }, (_, i) => i),
          { minLength: 12 },
        ),
        order => {
          const { read, receiver } = scene(12);
          for (const i of order) expect(read(i)).toEqual(text(`message ${String(i)}`));
          for (const i of order) expect(read(i)).toBeUndefined();
          expect(receiver.skipped).toBe(0);
        },
      ),
      runs(30),
    );
  });

  it('are opened as they were sealed, whatever it is', () => {
    const { sender, open } = scene(0);
    fc.assert(
      fc.property(headers, bytes(300), (header, plaintext) => {
        expect(open(sender.seal(PLACE, KEY, header, plaintext))).toEqual(plaintext);
      }),
      runs(100),
    );
  });

  it('are passed over 512 messages at most, and a forger does not get them to', () => {
    const { sender, messages, open, receiver } = scene(514);
    expect(open(messages[513])).toBeUndefined();
    const far = forge(sender.chainKey, 512, () => new Uint8Array(64).fill(1));
    expect(open(far)).toBeUndefined();
    expect(receiver.skipped).toBe(0);
    expect(open(messages[512])).toEqual(text('message 512'));
    expect(receiver.skipped).toBe(512);
    expect(open(messages[513])).toEqual(text('message 513'));
    expect(open(messages[0])).toEqual(text('message 0'));
  });

  it('keep the keys of 512 passed messages, and forget the oldest', () => {
    const { messages, open, receiver } = scene(900);
    expect(open(messages[400])).toBeDefined();
    expect(open(messages[899])).toBeDefined();
    expect(receiver.skipped).toBe(512);
    // 898 were passed, 400 of them not: the newest 512 are 386 … 399 and 401 … 898.
    expect([385, 0, 200].map(i => open(messages[i]))).toEqual([undefined, undefined, undefined]);
    expect(open(messages[386])).toEqual(text('message 386'));
    expect(open(messages[898])).toEqual(text('message 898'));
    expect(receiver.skipped).toBe(510);
  });

  it('compute nothing for a forger that claims to be far ahead', () => {
    let hashes = 0;
    const counting = alteredCrypto({
      hash: (...parts) => {
        hashes++;
        return crypto.hash(...parts);
      },
    });
    const { sender, open } = scene(0, counting);
    const forged = forge(sender.chainKey, 500, () => new Uint8Array(64).fill(1));
    hashes = 0;
    expect(open(forged)).toBeUndefined();
    expect(hashes).toBeLessThan(5);
  });

  it.each(Object.entries(OTHER_PLACES))('are of no use in %s', (_, place) => {
    const { messages, open, read } = scene(1);
    expect(open(messages[0], place)).toBeUndefined();
    expect(read(0)).toBeDefined();
  });

  it('are of no use in the name of another', () => {
    const { messages, open, read } = scene(1);
    expect(open(messages[0], PLACE, bob.publicKeyBytes)).toBeUndefined();
    expect(read(0)).toBeDefined();
  });

  it('cannot be used by those who have the chain key to speak in the name of its owner', () => {
    const { sender, receiver, open } = scene(0);
    const mine = new SenderChain(crypto);
    const stolen = mine.seal(PLACE, KEY, headerOf(), text('x'));
    const ownSignature = decodeSpaceMessage(stolen).signature!;
    for (const sign of [() => ownSignature, (m: Uint8Array) => bob.sign(m), () => new Uint8Array(64)]) {
      expect(open(forge(sender.chainKey, 0, sign))).toBeUndefined();
    }
    expect(receiver.skipped).toBe(0);
    // Nor can the signature of one message be put below another.
    const { messages, open: openToo } = scene(2);
    const [first, second] = messages.map(decodeSpaceMessage);
    const moved = encodeSpaceMessage(first!.headerBytes, first!.body, second!.signature);
    expect(openToo(moved)).toBeUndefined();
    expect(openToo(messages[0])).toBeDefined();
  });

  it('are not opened with any bit changed, and nothing changes by it', () => {
    const { messages, receiver, read } = scene(3);
    const message = messages[1]!;
    for (let at = 0; at < message.length; at++) {
      const changed = flipped(at, at % 8)(message);
      const decoded = parsesOrRefuses(() => decodeSpaceMessage(changed), 'FRAME_MALFORMED');
      if (decoded) expect(receiver.open(PLACE, KEY, decoded), String(at)).toBeUndefined();
    }
    expect(receiver.skipped).toBe(0);
    expect([0, 1, 2].map(i => read(i) !== undefined)).toEqual([true, true, true]);
  });

  it('are not opened once the relay has altered them', () => {
    const { messages, receiver } = scene(3);
    fc.assert(
      fc.property(fc.nat(2), tamperings, (i, tamper) => {
        const changed = tamper(messages[i]!);
        fc.pre(toHex(changed) !== toHex(messages[i]!));
        const message = parsesOrRefuses(() => decodeSpaceMessage(changed), 'FRAME_MALFORMED');
        if (message) expect(receiver.open(PLACE, KEY, message)).toBeUndefined();
      }),
      runs(300),
    );
    expect(receiver.skipped).toBe(0);
  });

  it('are not opened where a wrapped message is expected, nor the other way round', () => {
    const { messages, receiver } = scene(1);
    const message = decodeSpaceMessage(messages[0]!);
    const wrapped = { ...message, header: { ...message.header, kind: 1 as const } };
    expect(receiver.open(PLACE, KEY, wrapped)).toBeUndefined();
    expect(receiver.open(PLACE, KEY, { ...message, signature: undefined })).toBeUndefined();
    expect(receiver.open(PLACE, KEY, message)).toBeDefined();
  });

  it('stay as they are when their owner signs what it did not seal under them', () => {
    const sender = new SenderChain(crypto);
    const other = new SenderChain(crypto);
    // The signing key of one, the chain of the other: each message is signed well and does not open.
    const { crypto: watched, wiped, keys } = watchedCrypto();
    const receiver = new ReceivedChain(watched, other.chainKey, sender.signingKey);
    const [, , third] = Array.from({ length: 3 }, () => sender.seal(PLACE, KEY, headerOf(), text('x')));
    expect(receiver.open(PLACE, KEY, decodeSpaceMessage(third!))).toBeUndefined();
    expect(receiver.skipped).toBe(0);
    expect(keys.map(isZero)).toEqual([true]);
    for (const i of [0, 1, 2]) expect(wiped).toContain(toHex(keysAt(other.chainKey, i).message));
    // Nor when it is one of those that were passed over.
    const chain = new ReceivedChain(crypto, sender.chainKey, sender.signingKey);
    const messages = Array.from({ length: 3 }, () => sender.seal(PLACE, KEY, headerOf(), text('y')));
    expect(chain.open(PLACE, KEY, decodeSpaceMessage(messages[2]!))).toBeDefined();
    expect(chain.skipped).toBe(5);
  });
});

describe('keys that are wiped', SLOW, () => {
  it('are zero at the sender, which does nothing with them any more', () => {
    const { crypto: watched, made, keys, wiped } = watchedCrypto();
    const sender = new SenderChain(watched);
    const first = sender.chainKey;
    for (let i = 0; i < 3; i++) sender.seal(PLACE, KEY, headerOf(), text('x'));
    expect(keys.map(isZero)).toEqual([true, true, true]);
    expect(made.map(isZero)).toEqual([false, false]);
    const seed = toHex(made[1]!);
    sender.wipe();
    expect(made.map(isZero)).toEqual([true, true]);
    expect(wiped).toContain(seed);
    // The chain as it stood, and each key of a message.
    expect(wiped).toContain(toHex(keysAt(first, 3).chain));
    for (const i of [0, 1, 2]) expect(wiped).toContain(toHex(keysAt(first, i).message));
    expectCode(() => sender.seal(PLACE, KEY, headerOf(), text('x')), 'NOISE_STATE');
    expectCode(() => sender.chainKey, 'NOISE_STATE');
  });

  it('are zero at the receiver, those of passed messages, too', () => {
    const { crypto: watched, keys, wiped } = watchedCrypto();
    const { sender, receiver, messages, read } = scene(4, watched);
    expect(read(2)).toBeDefined();
    expect(read(0)).toBeDefined();
    expect(keys.map(isZero)).toEqual([true, true]);
    // All that the chain has gone through, and what it was cut from.
    for (const i of [0, 1, 2]) {
      const { chain } = keysAt(sender.chainKey, i);
      const codes = [1, 2].map(what => hmac(chain, Buffer.of(what)));
      for (const its of [chain, ...codes]) expect(wiped).toContain(toHex(its));
    }
    const wipedBefore = new Set(wiped);
    const kept = keysAt(sender.chainKey, 1).message;
    const chain = keysAt(sender.chainKey, 3).chain;
    expect([...wipedBefore].filter(its => its === toHex(kept))).toEqual([]);
    receiver.wipe();
    expect(wiped).toContain(toHex(kept));
    expect(wiped.slice(wipedBefore.size)).toContain(toHex(chain));
    expect(receiver.skipped).toBe(0);
    for (const message of messages)
      expect(receiver.open(PLACE, KEY, decodeSpaceMessage(message))).toBeUndefined();
  });

  it('are those of passed messages that are forgotten, too', () => {
    const { crypto: watched, wiped } = watchedCrypto();
    const { sender, messages, open } = scene(600, watched);
    expect(open(messages[100])).toBeDefined();
    expect(open(messages[599])).toBeDefined();
    for (const i of [0, 50, 85]) expect(wiped).toContain(toHex(keysAt(sender.chainKey, i).message));
    expect(wiped).not.toContain(toHex(keysAt(sender.chainKey, 86).message));
  });

  it('do not become keys that everybody knows: nothing is opened under zeros', () => {
    const zero = new Uint8Array(32);
    const receiver = new ReceivedChain(crypto, new Uint8Array(32).fill(9), fromHex(alice.signingKey));
    const message = decodeSpaceMessage(forge(zero, 0, its => alice.sign(its)));
    expect(new ReceivedChain(crypto, zero, fromHex(alice.signingKey)).open(PLACE, KEY, message)).toEqual(
      text('forged'),
    );
    receiver.wipe();
    expect(receiver.open(PLACE, KEY, message)).toBeUndefined();
  });

  it('are not those of the caller', () => {
    const given = new SenderChain(crypto);
    const [chainKey, signingKey] = [given.chainKey, given.signingKey];
    const receiver = new ReceivedChain(crypto, chainKey, signingKey);
    receiver.wipe();
    expect(isZero(chainKey)).toBe(false);
    expect(isZero(signingKey)).toBe(false);
    const other = new ReceivedChain(crypto, chainKey, signingKey);
    const message = given.seal(PLACE, KEY, headerOf(), text('x'));
    chainKey.fill(0);
    signingKey.fill(0);
    expect(other.open(PLACE, KEY, decodeSpaceMessage(concat(message)))).toEqual(text('x'));
  });
});
