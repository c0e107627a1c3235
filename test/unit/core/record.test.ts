import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex, writeUint64 } from '../../../src/core/bytes.js';
import { MAX_RECORD_ITEMS } from '../../../src/core/constants.js';
import {
  decodeItems,
  decodeRecordHeader,
  encodeAcknowledgement,
  encodeSingleItem,
  isUnsequenced,
  type Item,
  itemLength,
  Opcode,
  payloadThatFits,
  RECORD_HEADER_LENGTH,
  type RecordHeader,
  RecordWriter,
  updateHeader,
} from '../../../src/core/record.js';
import { expectCode } from '../../support/errors.js';
import { bytes, parsesOrRefuses, runs, SLOW, tamperings } from '../../support/fuzz.js';

const HEADER: RecordHeader = {
  channelId: 0x01020304,
  sequenced: true,
  opener: false,
  sequence: 5,
  acknowledgement: 6,
};
const MAX = Number.MAX_SAFE_INTEGER;

const headers: fc.Arbitrary<RecordHeader> = fc.record({
  channelId: fc.oneof(fc.constantFrom(0, 0x8000_0000, 0xffff_ffff), fc.nat()),
  sequenced: fc.boolean(),
  opener: fc.boolean(),
  sequence: fc.maxSafeNat(),
  acknowledgement: fc.maxSafeNat(),
});
const items: fc.Arbitrary<Item> = fc.record({
  opcode: fc.constantFrom(...Object.values(Opcode)),
  fin: fc.boolean(),
  payload: fc.oneof(
    bytes(70),
    fc.nat(20_000).map(length => new Uint8Array(length).fill(length)),
  ),
});

function write(header: RecordHeader, list: readonly Item[]): Uint8Array {
  let length = RECORD_HEADER_LENGTH;
  for (const { payload } of list) length += itemLength(payload.length);
  const writer = new RecordWriter(length);
  for (const { opcode, fin, payload } of list) writer.item(opcode, fin, payload);
  expect(writer.space).toBe(0);
  return writer.finish(header);
}

/** A record with these bytes in the place of its items. */
const recordOf = (hex: string): Uint8Array => concat(write(HEADER, []), fromHex(hex));
const item = (payload: Uint8Array): Item => ({ opcode: Opcode.BINARY, fin: true, payload });

describe('exact bytes', () => {
  it('header: channel id, flags, sequence number, acknowledgement', () => {
    expect(RECORD_HEADER_LENGTH).toBe(21);
    const flags = (sequenced: boolean, opener: boolean) =>
      toHex(write({ ...HEADER, sequenced, opener }, []).subarray(4, 5));
    expect(toHex(write(HEADER, []))).toBe('01020304' + '01' + '0000000000000005' + '0000000000000006');
    expect([flags(false, false), flags(true, false), flags(false, true), flags(true, true)]).toEqual([
      '00',
      '01',
      '02',
      '03',
    ]);
  });

  it('numbers above 2^32 in the header', () => {
    const record = write({ ...HEADER, sequence: 2 ** 32 + 1, acknowledgement: MAX }, []);
    expect(toHex(record.subarray(5))).toBe('0000000100000001' + '001fffffffffffff');
  });

  it.each([
    ['CONTINUATION', '00'],
    ['TEXT', '01'],
    ['BINARY', '02'],
    ['OPEN', '03'],
    ['OPEN_ACCEPT', '04'],
    ['OPEN_REFUSE', '05'],
    ['CREDIT', '06'],
    ['RESET', '07'],
    ['CLOSE', '08'],
    ['PING', '09'],
    ['PONG', '0a'],
    ['PROBE', '0b'],
    ['PROBE_ANSWER', '0c'],
    ['GAP', '0d'],
    ['RESUME', '0e'],
  ] as const)('item %s', (name, hex) => {
    const list = [false, true].map(fin => ({ opcode: Opcode[name], fin, payload: Uint8Array.of(0xee) }));
    const withFin = toHex(Uint8Array.of(0x80 | parseInt(hex, 16)));
    expect(toHex(write(HEADER, list).subarray(RECORD_HEADER_LENGTH))).toBe(`${hex}01ee${withFin}01ee`);
  });

  // RFC 9000 section 16: each length with the shortest field that holds it.
  it.each([
    [0, '00'],
    [63, '3f'],
    [64, '4040'],
    [16_383, '7fff'],
    [16_384, '80004000'],
    [16_777_216, '81000000'],
  ])('length of %d bytes', (length, hex) => {
    const record = write(HEADER, [item(new Uint8Array(length))]);
    expect(toHex(record.subarray(21, 22 + hex.length / 2))).toBe(`82${hex}`);
    expect(record).toHaveLength(21 + itemLength(length));
    expect(decodeItems(record)[0]?.payload).toHaveLength(length);
  });
});

describe('a record', SLOW, () => {
  it('reads as it was written', () => {
    fc.assert(
      fc.property(headers, fc.array(items, { maxLength: 8 }), (header, list) => {
        const record = write(header, list);
        expect(decodeRecordHeader(record)).toEqual(header);
        const read = decodeItems(record);
        expect(read.map(({ opcode, fin, payload }) => [opcode, fin, toHex(payload)])).toEqual(
          list.map(({ opcode, fin, payload }) => [opcode, fin, toHex(payload)]),
        );
        for (const { payload } of read) expect(payload.buffer).toBe(record.buffer);
      }),
      runs(100),
    );
  });

  it('reads as it was written from the middle of a larger buffer', () => {
    const record = write(HEADER, [item(Uint8Array.of(1, 2)), item(Uint8Array.of(3))]);
    const large = new Uint8Array(100).fill(0xff);
    large.set(record, 7);
    const view = large.subarray(7, 7 + record.length);
    expect(decodeRecordHeader(view)).toEqual(HEADER);
    expect(decodeItems(view).map(({ payload }) => [...payload])).toEqual([[1, 2], [3]]);
  });

  it('takes lengths in a longer field than they need', () => {
    for (const hex of ['8201aa', '824001aa', '8280000001aa', '82c000000000000001aa']) {
      expect(decodeItems(recordOf(hex))).toEqual([item(Uint8Array.of(0xaa))]);
    }
  });

  it.each([
    ['a first byte without a length', '82'],
    ['half a length of two bytes', '8240'],
    ['half a length of four bytes', '82800000'],
    ['half a length of eight bytes', '82c0000000000000'],
    ['a payload one byte short', '8202aa'],
    ['a length of 2^30 - 1', '82bfffffff'],
    ['a length of 2^53 - 1', '82c01fffffffffffff'],
    ['a length of 2^53', '82c020000000000000'],
    ['a length of 2^62 - 1', '82ffffffffffffffff'],
    ['opcode 15', '8f00'],
    ['a reserved bit', 'c200'],
    ['another reserved bit', 'a200'],
    ['a good item before a bad one', '8201aa8f00'],
  ])('is refused with %s', (_, hex) => {
    expectCode(() => decodeItems(recordOf(hex)), 'RECORD_MALFORMED');
  });

  it('is refused with a header that is too short, at every length', () => {
    const record = write(HEADER, []);
    for (let length = 0; length < RECORD_HEADER_LENGTH; length++) {
      expectCode(() => decodeRecordHeader(record.subarray(0, length)), 'RECORD_MALFORMED');
    }
  });

  it('is refused with any unknown flag', () => {
    for (let flags = 4; flags < 256; flags++) {
      const record = write(HEADER, []);
      record[4] = flags;
      expectCode(() => decodeRecordHeader(record), 'RECORD_MALFORMED');
    }
  });

  it.each([5, 13])('is refused with a number above 2^53 at byte %d of its header', offset => {
    const record = write(HEADER, []);
    writeUint64(record, offset, MAX);
    expect(() => decodeRecordHeader(record)).not.toThrow();
    for (const hex of ['0020000000000000', '0020000000000001', '7fffffffffffffff', 'ffffffffffffffff']) {
      record.set(fromHex(hex), offset);
      expectCode(() => decodeRecordHeader(record), 'RECORD_MALFORMED');
    }
  });

  it('holds a bounded number of items: many empty ones would take many times their size in memory', () => {
    const writer = new RecordWriter(RECORD_HEADER_LENGTH + 3 * MAX_RECORD_ITEMS);
    while (writer.space > 0) writer.item(Opcode.PING, true, new Uint8Array(0));
    const record = writer.finish(HEADER);
    expect(decodeItems(record)).toHaveLength(MAX_RECORD_ITEMS);
    expectCode(() => decodeItems(concat(record, Uint8Array.of(0x89, 0))), 'RECORD_MALFORMED');
  });

  it('is read or refused whatever was done to it', () => {
    const records = fc.oneof(
      fc.tuple(headers, fc.array(items, { maxLength: 5 })).map(([header, list]) => write(header, list)),
      fc.tuple(headers, bytes(60)).map(([header, rest]) => concat(write(header, []), rest)),
      bytes(80),
    );
    fc.assert(
      fc.property(records, tamperings, (record, tamper) => {
        const changed = tamper(record);
        const header = parsesOrRefuses(() => decodeRecordHeader(changed), 'RECORD_MALFORMED');
        if (!header) return;
        for (const number of [header.sequence, header.acknowledgement]) {
          expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
        }
        const read = parsesOrRefuses(() => decodeItems(changed), 'RECORD_MALFORMED') ?? [];
        let length = 0;
        for (const { payload } of read) length += payload.length;
        expect(length).toBeLessThanOrEqual(changed.length - RECORD_HEADER_LENGTH);
      }),
      runs(500),
    );
  });
});

describe('kinds of items', () => {
  it('stand outside of the sequence when they are RESET, PROBE, PROBE_ANSWER, GAP or RESUME', () => {
    const outside = Object.entries(Opcode).filter(([, opcode]) => isUnsequenced(opcode));
    expect(outside.map(([name]) => name)).toEqual(['RESET', 'PROBE', 'PROBE_ANSWER', 'GAP', 'RESUME']);
  });
});

describe('what a record acknowledges', () => {
  it('is told by a record without items', () => {
    const record = encodeAcknowledgement({ ...HEADER, sequenced: false });
    expect(record).toEqual(write({ ...HEADER, sequenced: false }, []));
    expect(decodeItems(record)).toEqual([]);
  });

  it('is written anew in a record that is sent again, as is the channel id, and nothing else is', () => {
    fc.assert(
      fc.property(headers, fc.array(items, { maxLength: 3 }), headers, (header, list, later) => {
        const record = write(header, list);
        const { channelId, acknowledgement } = later;
        updateHeader(record, channelId, acknowledgement);
        expect(record).toEqual(write({ ...header, channelId, acknowledgement }, list));
      }),
      runs(50),
    );
  });
});

describe('a record of one item', () => {
  it('is as large as it must be', () => {
    for (const length of [0, 63, 64, 16_384]) {
      const record = encodeSingleItem(HEADER, Opcode.RESUME, new Uint8Array(length).fill(3));
      const list = [{ opcode: Opcode.RESUME, fin: true, payload: new Uint8Array(length).fill(3) }];
      expect(record).toEqual(write(HEADER, list));
      expect(record.buffer.byteLength).toBe(RECORD_HEADER_LENGTH + itemLength(length));
    }
  });
});

describe('RecordWriter', () => {
  it('says how much fits, so that no item ever overruns the record', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(200), fc.constantFrom(16_384, 16_385, 16_386, 16_387, 20_000)), space => {
        const fits = payloadThatFits(space);
        if (fits < 0) {
          expect(itemLength(0)).toBeGreaterThan(space);
          return;
        }
        expect(itemLength(fits)).toBeLessThanOrEqual(space);
        // At most the three bytes by which length fields differ are given away.
        expect(itemLength(fits + 3)).toBeGreaterThan(space);
        const writer = new RecordWriter(RECORD_HEADER_LENGTH + space);
        writer.item(Opcode.BINARY, true, new Uint8Array(fits));
        expect(decodeItems(writer.finish(HEADER))).toHaveLength(1);
      }),
      runs(300),
    );
  });

  it('knows whether it is empty, and what is left', () => {
    const writer = new RecordWriter(RECORD_HEADER_LENGTH + 10);
    expect([writer.isEmpty, writer.space]).toEqual([true, 10]);
    writer.item(Opcode.TEXT, true, Uint8Array.of(1, 2, 3));
    expect([writer.isEmpty, writer.space]).toEqual([false, 5]);
    expect(writer.finish(HEADER)).toHaveLength(RECORD_HEADER_LENGTH + 5);
  });
});
