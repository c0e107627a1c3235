import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareBytes, concat, toHex } from '../../../../src/core/bytes.js';
import { rosterHash } from '../../../../src/core/space/roster.js';
import { RosterDigests } from '../../../../src/relay/spaces/roster-digests.js';
import { bytes, runs } from '../../../support/fuzz.js';
import { crypto } from '../../../support/spaces-bench.js';

it('stand in their order, whatever was added and removed', () => {
  const digests = fc.uniqueArray(bytes(32, 32), { maxLength: 40, selector: toHex });
  fc.assert(
    fc.property(digests, fc.infiniteStream(fc.nat(2)), (all, choices) => {
      const roster = new RosterDigests();
      const present: Uint8Array[] = [];
      for (const digest of all) {
        roster.add(digest);
        present.push(digest);
        if (choices.next().value === 0) roster.remove(present.shift() as Uint8Array);
        // One that is not there.
        if (choices.next().value === 0) roster.remove(new Uint8Array(32).fill(7));
        const sorted = [...present].sort(compareBytes);
        expect(roster.sorted).toEqual(concat(...sorted));
        expect(roster.count).toBe(present.length);
        // As one they hash as they do one by one.
        const epoch = new Uint8Array(8);
        expect(rosterHash(crypto, epoch, 1, [roster.sorted])).toEqual(rosterHash(crypto, epoch, 1, present));
      }
    }),
    runs(100),
  );
});
