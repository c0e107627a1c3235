import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/core/bytes.js';
import { createJoin } from '../../../../src/core/space/join-record.js';
import { SenderChain } from '../../../../src/core/space/sender-key.js';
import {
  firstLogHash,
  joinedDigest,
  leftDigest,
  messageDigest,
  nextLogHash,
} from '../../../../src/core/space/space-log.js';
import { sealWrapped } from '../../../../src/core/space/wrap.js';
import { flipped, runs } from '../../../support/fuzz.js';
import {
  alice,
  crypto,
  EPOCH,
  headerOf,
  MEMBER_ID,
  NOW,
  OTHER_PLACES,
  PLACE,
} from '../../../support/space-pieces.js';

const HASH = new Uint8Array(32).fill(0x33);
const join = createJoin(alice, PLACE, MEMBER_ID, NOW);
const key = alice.publicKeyBytes;
const wrapped = sealWrapped(crypto, PLACE, key, headerOf(), Buffer.from('hello'), []).message;
const signed = new SenderChain(crypto).seal(PLACE, key, headerOf(), Buffer.from('hello'));

const allDiffer = (hashes: Uint8Array[]): void => {
  expect(new Set(hashes.map(toHex)).size).toBe(hashes.length);
  for (const hash of hashes) expect(hash).toHaveLength(32);
};

describe('the log of a space', () => {
  it('begins otherwise in every space, at every relay, in every epoch', () => {
    allDiffer([
      firstLogHash(crypto, PLACE, EPOCH),
      firstLogHash(crypto, PLACE, new Uint8Array(8)),
      ...Object.values(OTHER_PLACES).map(place => firstLogHash(crypto, place, EPOCH)),
    ]);
  });

  it('depends on all that came before, on the offset and on the item', () => {
    const first = firstLogHash(crypto, PLACE, EPOCH);
    const [a, b] = [messageDigest(crypto, wrapped), messageDigest(crypto, signed)];
    const after = (...items: Uint8Array[]) =>
      items.reduce((hash, item, i) => nextLogHash(crypto, hash, i + 1, item), first);
    allDiffer([
      first,
      after(a),
      after(b),
      after(a, b),
      after(b, a),
      after(a, a),
      nextLogHash(crypto, first, 2, a),
      nextLogHash(crypto, HASH, 1, a),
    ]);
  });

  it('tells apart what joins and leaves by everything that is said of it', () => {
    const other = flipped(20)(join);
    allDiffer([
      joinedDigest(crypto, 3, HASH, 7, join),
      joinedDigest(crypto, 4, HASH, 7, join),
      joinedDigest(crypto, 3, flipped(0)(HASH), 7, join),
      joinedDigest(crypto, 3, HASH, 8, join),
      joinedDigest(crypto, 3, HASH, 7, other),
      leftDigest(crypto, 3, HASH, 7, 'left'),
      leftDigest(crypto, 4, HASH, 7, 'left'),
      leftDigest(crypto, 3, flipped(0)(HASH), 7, 'left'),
      leftDigest(crypto, 3, HASH, 8, 'left'),
      leftDigest(crypto, 3, HASH, 7, 'gone'),
      leftDigest(crypto, 3, HASH, 7, 'removed'),
    ]);
  });

  it('depends on every bit of a message: header, body and signature', () => {
    fc.assert(
      fc.property(fc.constantFrom(wrapped, signed), fc.nat(), fc.nat(7), (message, at, bit) => {
        const place = at % message.length;
        // The length of the body follows from that of the message.
        fc.pre(place < 97 || place >= 101);
        expect(messageDigest(crypto, flipped(place, bit)(message))).not.toEqual(
          messageDigest(crypto, message),
        );
      }),
      runs(200),
    );
  });
});
