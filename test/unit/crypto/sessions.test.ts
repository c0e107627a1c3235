// Ends with different back ends understand each other: handshakes, records of all sizes, new keys.
import { expect, it } from 'vitest';
import { REKEY_AFTER_TIME } from '../../../src/core/constants.js';
import { BACK_END_PAIRS } from '../../support/back-ends.js';
import { channels } from '../../support/endpoint-node.js';

/** Below and above every size at which another implementation takes over, and more than one record. */
const SIZES = [0, 1, 64, 1_500, 1_600, 16_300, 16_500, 262_000, 600_000];

it.each(BACK_END_PAIRS.map(([a, b]) => [a.name, b.name, a, b] as const))(
  '%s and %s',
  (_a, _b, backEndA, backEndB) => {
    const { network, a, b, ours, theirs } = channels({ a: { backEnd: backEndA }, b: { backEnd: backEndB } });
    for (const step of [0, 1]) {
      const messages = SIZES.map(size => new Uint8Array(size).fill(size + step));
      for (const message of messages) {
        a.send(ours, message);
        b.send(theirs, message);
      }
      network.run();
      for (const received of [a.messages(ours), b.messages(theirs)]) {
        const latest = received.slice(-messages.length) as Uint8Array[];
        expect(latest.map(message => message.length)).toEqual(SIZES);
        expect(latest.every((message, i) => Buffer.compare(message, messages[i]!) === 0)).toBe(true);
      }
      // A handshake in which the other key is ephemeral, and records under its keys.
      network.advance(REKEY_AFTER_TIME);
    }
    expect([a.refusals, b.refusals]).toEqual([[], []]);
  },
);
