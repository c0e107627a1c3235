import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/core/bytes.js';
import { createJoin } from '../../../../src/core/space/join-record.js';
import { entryDigest, rosterHash } from '../../../../src/core/space/roster.js';
import { flipped, runs } from '../../../support/fuzz.js';
import { alice, bob, carol, crypto, EPOCH, MEMBER_ID, NOW, PLACE } from '../../../support/space-pieces.js';

const joins = [alice, bob, carol].map(who => createJoin(who, PLACE, MEMBER_ID, NOW));
const digests = joins.map((join, i) => entryDigest(crypto, i + 1, join));
const hash = rosterHash(crypto, EPOCH, 3, digests);

describe('the hash of a roster', () => {
  it('does not depend on the order in which members are known, nor changes it', () => {
    const unsorted = [...digests].reverse();
    const before = unsorted.map(toHex);
    expect(rosterHash(crypto, EPOCH, 3, unsorted)).toEqual(hash);
    expect(unsorted.map(toHex)).toEqual(before);
    expect(rosterHash(crypto, EPOCH, 3, new Set(digests))).toEqual(hash);
    expect(hash).toHaveLength(32);
  });

  it('depends on who is there, under which number, in which version and epoch', () => {
    const others = [
      rosterHash(crypto, EPOCH, 3, digests.slice(1)),
      rosterHash(crypto, EPOCH, 3, [...digests, digests[0]!]),
      rosterHash(crypto, EPOCH, 3, []),
      rosterHash(crypto, EPOCH, 3, [entryDigest(crypto, 9, joins[0]!), ...digests.slice(1)]),
      rosterHash(crypto, EPOCH, 4, digests),
      rosterHash(crypto, new Uint8Array(8), 3, digests),
    ];
    expect(new Set([hash, ...others].map(toHex)).size).toBe(1 + others.length);
  });

  it('depends on every bit of every join record', () => {
    fc.assert(
      fc.property(fc.nat(2), fc.nat(), fc.nat(7), (who, at, bit) => {
        const changed = entryDigest(crypto, who + 1, flipped(at, bit)(joins[who]!));
        const others = digests.map((its, i) => (i === who ? changed : its));
        expect(rosterHash(crypto, EPOCH, 3, others)).not.toEqual(hash);
      }),
      runs(100),
    );
  });
});
