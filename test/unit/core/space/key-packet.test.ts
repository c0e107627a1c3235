import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../../src/core/bytes.js';
import { decodePacket, encodePacket, type Packet } from '../../../../src/core/space/key-packet.js';
import { expectCode } from '../../../support/errors.js';
import { bytes, parsesOrRefuses, runs, tamperings } from '../../../support/fuzz.js';
import { counts, ordinals, ranges, uint32s } from '../../../support/space-pieces.js';

const KEY = new Uint8Array(32).fill(0xaa);
const SIGNING_KEY = new Uint8Array(32).fill(0xbb);
const key32 = bytes(32, 32);
const generations = uint32s.map(value => Math.max(1, value));

const packets: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({
    type: fc.constant('key' as const),
    kind: fc.constant(1 as const),
    generation: generations,
    first: ordinals,
    key: key32,
  }),
  fc.record({
    type: fc.constant('key' as const),
    kind: fc.constant(2 as const),
    generation: generations,
    first: ordinals,
    key: key32,
    signingKey: key32,
  }),
  counts.map(sequence => ({ type: 'head' as const, sequence })),
  ranges.map(range => ({ type: 'want' as const, ...range })),
  ranges.map(range => ({ type: 'lost' as const, ...range })),
  fc.record({ type: fc.constant('missed' as const), sequence: ordinals, plaintext: bytes(200) }),
);

describe('a packet of a member', () => {
  it.each([
    [
      { type: 'key', kind: 1, generation: 3, first: 7, key: KEY },
      `01 01 00000003 0000000000000007 ${'aa'.repeat(32)}`,
    ],
    [
      { type: 'key', kind: 2, generation: 3, first: 7, key: KEY, signingKey: SIGNING_KEY },
      `01 02 00000003 0000000000000007 ${'aa'.repeat(32)} ${'bb'.repeat(32)}`,
    ],
    [{ type: 'head', sequence: 7 }, '02 0000000000000007'],
    [{ type: 'want', from: 5, to: 7 }, '03 0000000000000005 0000000000000007'],
    [{ type: 'missed', sequence: 7, plaintext: Uint8Array.of(0xcc, 0xdd) }, '04 0000000000000007 ccdd'],
    [{ type: 'lost', from: 5, to: 7 }, '05 0000000000000005 0000000000000007'],
  ] as [Packet, string][])('%o has these bytes', (packet, hex) => {
    expect(toHex(encodePacket(packet))).toBe(hex.replaceAll(' ', ''));
    expect(decodePacket(encodePacket(packet))).toEqual(packet);
  });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(packets, packet => {
        expect(decodePacket(encodePacket(packet))).toEqual(packet);
      }),
      runs(200),
    );
  });

  it.each([
    ['nothing', ''],
    ['type 0', '000000000000000001'],
    ['type 6', '060000000000000001'],
    ['keys of kind 0', `01 00 00000003 0000000000000007 ${'aa'.repeat(32)}`],
    ['keys of kind 3', `01 03 00000003 0000000000000007 ${'aa'.repeat(32)}`],
    ['keys of generation 0', `01 01 00000000 0000000000000007 ${'aa'.repeat(32)}`],
    ['keys from message 0 on', `01 01 00000003 0000000000000000 ${'aa'.repeat(32)}`],
    ['keys from above 2^53 on', `01 01 00000003 0020000000000000 ${'aa'.repeat(32)}`],
    ['a wrapping key of 31 bytes', `01 01 00000003 0000000000000007 ${'aa'.repeat(31)}`],
    ['a wrapping key of 33 bytes', `01 01 00000003 0000000000000007 ${'aa'.repeat(33)}`],
    ['a chain key without a signing key', `01 02 00000003 0000000000000007 ${'aa'.repeat(32)}`],
    ['a signing key of 33 bytes', `01 02 00000003 0000000000000007 ${'aa'.repeat(65)}`],
    ['a HEAD of 7 bytes', '02 00000000000007'],
    ['a HEAD of 9 bytes', '02 000000000000000700'],
    ['a HEAD above 2^53', '02 0020000000000000'],
    ['a WANT from the last to the first', '03 0000000000000007 0000000000000006'],
    ['a WANT from 0', '03 0000000000000000 0000000000000006'],
    ['a WANT without an end', '03 0000000000000007'],
    ['a WANT with more', '03 0000000000000005 0000000000000006 00'],
    ['a MISSED without a sequence', '04 00'],
    ['a MISSED of message 0', '04 0000000000000000 aa'],
    ['a LOST from the last to the first', '05 0000000000000007 0000000000000006'],
  ])('is malformed with %s', (_, hex) => {
    expectCode(() => decodePacket(fromHex(hex.replaceAll(' ', ''))), 'FRAME_MALFORMED');
  });

  it.each([
    ['a wrapping key and a signing key', { kind: 1, key: KEY, signingKey: SIGNING_KEY }],
    ['a chain key alone', { kind: 2, key: KEY }],
    ['a key of 31 bytes', { kind: 1, key: KEY.subarray(1) }],
    ['a signing key of 31 bytes', { kind: 2, key: KEY, signingKey: KEY.subarray(1) }],
  ] as const)('is not made of %s', (_, keys) => {
    const error = expectCode(
      () => encodePacket({ type: 'key', generation: 1, first: 1, ...keys }),
      'INVALID_ARGUMENT',
    );
    expect(error.message).not.toContain('aa');
  });

  it('reads or refuses anything at all, and reads no more than was there', () => {
    const changed = fc.tuple(packets, tamperings).map(([packet, tamper]) => tamper(encodePacket(packet)));
    const garbage = fc.tuple(fc.nat(6), bytes(90)).map(([type, rest]) => Uint8Array.of(type, ...rest));
    fc.assert(
      fc.property(fc.oneof(changed, garbage, bytes(90)), data => {
        const packet = parsesOrRefuses(() => decodePacket(data), 'FRAME_MALFORMED');
        if (packet) expect(encodePacket(packet)).toEqual(data);
      }),
      runs(500),
    );
  });
});
