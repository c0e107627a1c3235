/** Who and what the tests of the pieces of spaces are about. */
import fc from 'fast-check';
import type { Crypto } from '../../src/core/crypto.js';
import { Identity } from '../../src/core/identity.js';
import type { MessageHeader } from '../../src/core/space/space-message.js';
import { loadLibsodium } from '../../src/crypto/libsodium.js';
import { bytes } from './fuzz.js';

export const crypto = await loadLibsodium();

const identityOf = (n: number): Identity => new Identity(crypto, new Uint8Array(32).fill(n));
export const alice = identityOf(1);
export const bob = identityOf(2);
export const carol = identityOf(3);
export const mallory = identityOf(4);
export const admin = identityOf(5);

export const NOW = 1_750_000_000_000;
export const PLACE = { relayKey: identityOf(9).publicKeyBytes, name: 'lobby' };
export const MEMBER_ID = new Uint8Array(16).fill(0xa1);
export const EPOCH = new Uint8Array(8).fill(0xe0);

/** Places that differ from {@link PLACE} in one thing each. */
export const OTHER_PLACES = {
  'another relay': { ...PLACE, relayKey: identityOf(10).publicKeyBytes },
  'another space': { ...PLACE, name: 'lobbx' },
  'a space whose name is longer': { ...PLACE, name: 'lobby2' },
};

export const headerOf = (changes: Partial<MessageHeader> = {}): MessageHeader => ({
  kind: 1,
  sender: MEMBER_ID,
  sequence: 7,
  epoch: EPOCH,
  seen: 20,
  version: 3,
  viewHash: new Uint8Array(32).fill(0x10),
  generation: 2,
  iteration: 4,
  first: 3,
  ...changes,
});

export const uint32s = fc.oneof(fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff), fc.nat());
/** What fits into 64 bits, and into a number of JavaScript. */
export const counts = fc.oneof(
  fc.constantFrom(0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.nat(),
  fc.maxSafeNat(),
);
export const ordinals = counts.map(value => Math.max(1, value));
/** 1 ≤ from ≤ to. */
export const ranges = fc
  .tuple(ordinals, ordinals)
  .map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));

export const headers: fc.Arbitrary<MessageHeader> = fc
  .record({
    kind: fc.constantFrom(1 as const, 2 as const),
    sender: bytes(16, 16),
    epoch: bytes(8, 8),
    seen: counts,
    version: counts,
    viewHash: bytes(32, 32),
    generation: uint32s.map(value => Math.max(1, value)),
    iteration: uint32s,
    range: ranges,
  })
  .map(({ range, ...header }) => ({ ...header, first: range.from, sequence: range.to }));

/** {@link crypto}, but for some of its methods. */
export function alteredCrypto(methods: Partial<Crypto>): Crypto {
  return new Proxy(crypto, {
    get(target, name) {
      const its: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof its === 'function' ? (its.bind(target) as unknown) : its;
    },
  });
}

/** A `Crypto` that remembers what it made, what it was given as a key, and what it has wiped. */
export function watchedCrypto(): { crypto: Crypto; made: Uint8Array[]; keys: Uint8Array[]; wiped: string[] } {
  const made: Uint8Array[] = [];
  const keys: Uint8Array[] = [];
  const wiped: string[] = [];
  const watched = alteredCrypto({
    randomBytes: length => remember(made, crypto.randomBytes(length)),
    aeadEncrypt: (key, ...rest) => crypto.aeadEncrypt(remember(keys, key), ...rest),
    aeadDecrypt: (key, ...rest) => crypto.aeadDecrypt(remember(keys, key), ...rest),
    wipe: secret => {
      wiped.push(Buffer.from(secret).toString('hex'));
      crypto.wipe(secret);
    },
  });
  return { crypto: watched, made, keys, wiped };
}

function remember(list: Uint8Array[], array: Uint8Array): Uint8Array {
  list.push(array);
  return array;
}

export const isZero = (array: Uint8Array): boolean => array.every(byte => byte === 0);
