import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/core/bytes.js';
import type { Wrap } from '../../../../src/core/space/space-frame.js';
import {
  decodeSpaceMessage,
  encodeHeader,
  encodeSpaceMessage,
  wrapBinding,
} from '../../../../src/core/space/space-message.js';
import { openWrapped, sealWrapped, WRAP_LENGTH } from '../../../../src/core/space/wrap.js';
import { bytes, flipped, parsesOrRefuses, runs, SLOW, tamperings } from '../../../support/fuzz.js';
import {
  alice,
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
const PLAINTEXT = new TextEncoder().encode('what nobody else may read');
const BOB = { number: 2, key: new Uint8Array(32).fill(0x0b) };
const CAROL = { number: 3, key: new Uint8Array(32).fill(0x0c) };
const { message: sealed, wraps } = sealWrapped(crypto, PLACE, KEY, headerOf(), PLAINTEXT, [BOB, CAROL]);
const [forBob, forCarol] = wraps.map(({ wrap }) => wrap) as [Uint8Array, Uint8Array];

interface Case {
  place?: typeof PLACE;
  senderKey?: Uint8Array;
  message?: Uint8Array;
  wrap?: Uint8Array;
  key?: Uint8Array;
}

function open({ place = PLACE, senderKey = KEY, message = sealed, wrap = forBob, key = BOB.key }: Case = {}) {
  return openWrapped(crypto, place, senderKey, decodeSpaceMessage(message), wrap, key);
}

/** The key of a body: what every recipient of it knows. */
function bodyKeyOf(message: Uint8Array, wrap: Uint8Array, key: Uint8Array): Uint8Array {
  const { headerBytes, body } = decodeSpaceMessage(message);
  const binding = wrapBinding(crypto, PLACE, KEY, headerBytes, body);
  return crypto.aeadDecrypt(key, binding.subarray(32, 44), binding.subarray(0, 32), wrap)!;
}

describe('a wrapped message', SLOW, () => {
  it('is opened by each recipient, with its own wrap', () => {
    expect(open()).toEqual(PLAINTEXT);
    expect(open({ wrap: forCarol, key: CAROL.key })).toEqual(PLAINTEXT);
    expect(wraps.map(({ number, wrap }) => [number, wrap.length])).toEqual([
      [2, WRAP_LENGTH],
      [3, WRAP_LENGTH],
    ]);
  });

  it('holds the body once, however many receive it', () => {
    const many = Array.from({ length: 100 }, (_, i) => ({ number: i, key: crypto.randomBytes(32) }));
    const { message, wraps: all } = sealWrapped(crypto, PLACE, KEY, headerOf(), PLAINTEXT, many);
    expect(message).toHaveLength(97 + 4 + PLAINTEXT.length + 16);
    for (const [i, { wrap }] of all.entries())
      expect(open({ message, wrap, key: many[i]!.key })).toEqual(PLAINTEXT);
    expect(new Set(all.map(({ wrap }) => toHex(wrap))).size).toBe(100);
  });

  it('is opened as it was sealed, whatever it is', () => {
    fc.assert(
      fc.property(headers, bytes(500), bytes(32, 32), (header, plaintext, key) => {
        const { message, wraps: its } = sealWrapped(crypto, PLACE, KEY, header, plaintext, [
          { number: 0, key },
        ]);
        expect(open({ message, wrap: its[0]!.wrap, key })).toEqual(plaintext);
      }),
      runs(100),
    );
  });

  it('says of itself that it is one', () => {
    const { message } = sealWrapped(crypto, PLACE, KEY, headerOf({ kind: 2 }), PLAINTEXT, []);
    expect(decodeSpaceMessage(message).header.kind).toBe(1);
  });

  it.each([
    ...Object.entries(OTHER_PLACES).map(([name, place]) => [name, { place }] as const),
    ['another sender', { senderKey: bob.publicKeyBytes }],
    ["another member's wrap", { wrap: forCarol }],
    ["another member's key", { key: CAROL.key }],
    ['a wrap that is too short', { wrap: forBob.subarray(1) }],
    ['no wrap', { wrap: new Uint8Array(0) }],
  ] as [string, Case][])('is not opened with %s', (_, changes) => {
    expect(open(changes)).toBeUndefined();
  });

  it('is not opened with any bit of header, body or wrap changed', () => {
    for (let at = 0; at < sealed.length; at++) {
      const changed = flipped(at, at % 8)(sealed);
      const message = parsesOrRefuses(() => decodeSpaceMessage(changed), 'FRAME_MALFORMED');
      if (message)
        expect(openWrapped(crypto, PLACE, KEY, message, forBob, BOB.key), String(at)).toBeUndefined();
    }
    for (let at = 0; at < forBob.length; at++) {
      expect(open({ wrap: flipped(at, at % 8)(forBob) }), String(at)).toBeUndefined();
    }
  });

  it('is not opened once the relay has altered it', () => {
    fc.assert(
      fc.property(tamperings, fc.boolean(), (tamper, ofWrap) => {
        const [message, wrap] = ofWrap ? [sealed, tamper(forBob)] : [tamper(sealed), forBob];
        fc.pre(toHex(message) !== toHex(sealed) || toHex(wrap) !== toHex(forBob));
        const read = parsesOrRefuses(() => decodeSpaceMessage(message), 'FRAME_MALFORMED');
        if (read) expect(openWrapped(crypto, PLACE, KEY, read, wrap, BOB.key)).toBeUndefined();
      }),
      runs(300),
    );
  });

  it('cannot be changed for a third by a recipient, who knows the key of the body', () => {
    const bodyKey = bodyKeyOf(sealed, forBob, BOB.key);
    expect(
      crypto.aeadDecrypt(
        bodyKey,
        new Uint8Array(12),
        encodeHeader(headerOf()),
        decodeSpaceMessage(sealed).body,
      ),
    ).toEqual(PLAINTEXT);
    const forgery = (header = headerOf()): Uint8Array => {
      const headerBytes = encodeHeader(header);
      const body = crypto.aeadEncrypt(
        bodyKey,
        new Uint8Array(12),
        headerBytes,
        Buffer.from('something else'),
      );
      return encodeSpaceMessage(headerBytes, body);
    };
    // With Carol's wrap as she got it, and with one that Bob makes with the only wrapping key he has.
    const message = forgery();
    const { headerBytes, body } = decodeSpaceMessage(message);
    const binding = wrapBinding(crypto, PLACE, KEY, headerBytes, body);
    const made = crypto.aeadEncrypt(BOB.key, binding.subarray(32, 44), binding.subarray(0, 32), bodyKey);
    expect(open({ message, wrap: made })).toBeDefined();
    for (const wrap of [forCarol, made]) expect(open({ message, wrap, key: CAROL.key })).toBeUndefined();
    expect(
      open({ message: forgery(headerOf({ sequence: 8 })), wrap: forCarol, key: CAROL.key }),
    ).toBeUndefined();
  });

  it('is of no use under another header, also with the wraps of both', () => {
    const next = sealWrapped(crypto, PLACE, KEY, headerOf({ sequence: 8 }), PLAINTEXT, [BOB]);
    const mixed = encodeSpaceMessage(next.message.subarray(0, 97), decodeSpaceMessage(sealed).body);
    for (const wrap of [forBob, next.wraps[0]!.wrap]) expect(open({ message: mixed, wrap })).toBeUndefined();
  });

  it('seals the same message again under the same wrapping key without harm: with another key, and another nonce', () => {
    const nonceOf = (message: Uint8Array) => {
      const { headerBytes, body } = decodeSpaceMessage(message);
      return toHex(wrapBinding(crypto, PLACE, KEY, headerBytes, body).subarray(32, 44));
    };
    const again = Array.from({ length: 20 }, () =>
      sealWrapped(crypto, PLACE, KEY, headerOf(), PLAINTEXT, [BOB]),
    );
    const nonces = again.map(({ message }) => nonceOf(message));
    const keys = again.map(({ message, wraps: its }) => toHex(bodyKeyOf(message, its[0]!.wrap, BOB.key)));
    expect([new Set(nonces).size, new Set(keys).size]).toEqual([20, 20]);
  });

  it('leaves no key of a body behind, whatever becomes of it', () => {
    const { crypto: watched, made, keys } = watchedCrypto();
    const its: { message: Uint8Array; wraps: Wrap[] } = sealWrapped(
      watched,
      PLACE,
      KEY,
      headerOf(),
      PLAINTEXT,
      [BOB],
    );
    expect(made).toHaveLength(1);
    expect(made.every(isZero)).toBe(true);
    keys.length = 0;
    const read = decodeSpaceMessage(its.message);
    expect(openWrapped(watched, PLACE, KEY, read, its.wraps[0]!.wrap, BOB.key)).toEqual(PLAINTEXT);
    expect(keys.map(isZero)).toEqual([false, true]);
    keys.length = 0;
    // A member that wraps one key well, and seals under another.
    const headerBytes = encodeHeader(headerOf());
    const body = new Uint8Array(20);
    const binding = wrapBinding(crypto, PLACE, KEY, headerBytes, body);
    const wrap = crypto.aeadEncrypt(
      BOB.key,
      binding.subarray(32, 44),
      binding.subarray(0, 32),
      new Uint8Array(32).fill(7),
    );
    const bad = decodeSpaceMessage(encodeSpaceMessage(headerBytes, body));
    expect(openWrapped(watched, PLACE, KEY, bad, wrap, BOB.key)).toBeUndefined();
    expect(keys.map(isZero)).toEqual([false, true]);
    expect(isZero(BOB.key)).toBe(false);
  });

  it('has its key wiped, also when sealing fails', () => {
    const { crypto: watched, made } = watchedCrypto();
    const bad = { number: 1, key: new Uint8Array(31) };
    expect(() => sealWrapped(watched, PLACE, KEY, headerOf(), PLAINTEXT, [BOB, bad])).toThrow('32 bytes');
    expect(made.map(isZero)).toEqual([true]);
  });
});
