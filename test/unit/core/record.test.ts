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
  ItemReader,
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

/** Whole records, records with anything in the place of items, and anything. */
const anyRecords: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.tuple(headers, fc.array(items, { maxLength: 5 })).map(([header, list]) => write(header, list)),
  fc.tuple(headers, bytes(60)).map(([header, rest]) => concat(write(header, []), rest)),
  bytes(80),
);

/** What docs/protocol.md says of items, in as few words as can be. Undefined for a record that is malformed. */
function readPlainly(record: Uint8Array): Item[] | undefined {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  const list: Item[] = [];
  let offset = RECORD_HEADER_LENGTH;
  while (offset < record.length) {
    if (offset + 2 > record.length) return undefined;
    const first = view.getUint8(offset);
    const field = 1 << (view.getUint8(offset + 1) >> 6);
    const start = offset + 1 + field;
    if ((first & 0x7f) > Opcode.RESUME || start > record.length) return undefined;
    let length = BigInt(view.getUint8(offset + 1) & 0x3f);
    for (let i = offset + 2; i < start; i++) length = (length << 8n) | BigInt(view.getUint8(i));
    if (length > BigInt(record.length - start)) return undefined;
    offset = start + Number(length);
    list.push({
      opcode: (first & 0x7f) as Opcode,
      fin: first >= 0x80,
      payload: record.subarray(start, offset),
    });
  }
  return list.length > MAX_RECORD_ITEMS ? undefined : list;
}

/** In a form that is quick to compare. */
const plainly = (list: readonly Item[] | undefined) =>
  list?.map(({ opcode, fin, payload }) => `${opcode} ${fin} ${Buffer.from(payload).toString('latin1')}`);

function readAll(reader: ItemReader): Item[] {
  const list: Item[] = [];
  while (reader.next()) list.push({ opcode: reader.opcode, fin: reader.fin, payload: reader.payload });
  return list;
}

/** The same bytes, of which it is said that there are more: lengths come out that no memory holds. */
function claiming(bytes: Uint8Array, length: number): Uint8Array {
  return Object.defineProperty(bytes, 'length', { value: length });
}

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

// RFC 9000 section 16, at the borders of its four lengths.
describe('a length', () => {
  const lengths = [
    [0, '00'],
    [63, '3f'],
    [64, '4040'],
    [16_383, '7fff'],
    [16_384, '80004000'],
    [2 ** 30 - 1, 'bfffffff'],
    [2 ** 30, 'c000000040000000'],
    [2 ** 32 + 1, 'c000000100000001'],
    [2 ** 52, 'c010000000000000'],
  ] as const;

  it.each(lengths)('of %d is written as %s', (length, hex) => {
    const header = RECORD_HEADER_LENGTH + 1 + hex.length / 2;
    expect(itemLength(length)).toBe(1 + hex.length / 2 + length);
    const writer = new RecordWriter(header);
    writer.item(Opcode.BINARY, true, claiming(new Uint8Array(0), length));
    expect(toHex(writer.finish(HEADER).subarray(RECORD_HEADER_LENGTH, header))).toBe(`82${hex}`);
  });

  it.each(lengths)('of %d is read from %s, no more and no less', (length, hex) => {
    const record = recordOf(`82${hex}`);
    const end = record.length + length;
    const reader = new ItemReader(claiming(record, end));
    expect([reader.next(), reader.next()]).toEqual([true, false]);
    if (length > 0)
      expectCode(() => new ItemReader(claiming(recordOf(`82${hex}`), end - 1)), 'RECORD_MALFORMED');
    // One byte more would have to be the beginning of another item.
    if (end < MAX)
      expectCode(() => new ItemReader(claiming(recordOf(`82${hex}`), end + 1)), 'RECORD_MALFORMED');
  });

  it('is taken up to 2^53 - 1, where a double stops counting', () => {
    const writer = new RecordWriter(RECORD_HEADER_LENGTH + 9);
    writer.item(Opcode.BINARY, true, claiming(new Uint8Array(0), MAX));
    const record = writer.finish(HEADER);
    expect(toHex(record.subarray(RECORD_HEADER_LENGTH))).toBe('82c01fffffffffffff');
    expect(() => new ItemReader(record)).toThrow(/longer than the record/);
    expect(() => new ItemReader(recordOf('82c020000000000000'))).toThrow(/above 2\^53/);
  });

  it('is at the borders what memory holds', () => {
    for (const length of [0, 63, 64, 16_383, 16_384]) {
      const payload = new Uint8Array(length).fill(length);
      expect(decodeItems(write(HEADER, [item(payload), item(Uint8Array.of(1))]))).toEqual([
        item(payload),
        item(Uint8Array.of(1)),
      ]);
    }
  });
});

describe('ItemReader', SLOW, () => {
  it('reads what the specification says, and refuses the rest, whatever it is given', () => {
    fc.assert(
      fc.property(anyRecords, tamperings, (record, tamper) => {
        for (const bytes of [record, tamper(record)]) {
          const expected = plainly(readPlainly(bytes));
          const read = parsesOrRefuses(() => readAll(new ItemReader(bytes)), 'RECORD_MALFORMED');
          expect(plainly(read)).toEqual(expected);
          const decoded = parsesOrRefuses(() => decodeItems(bytes), 'RECORD_MALFORMED');
          expect(plainly(decoded)).toEqual(expected);
        }
      }),
      runs(500),
    );
  });

  it('gives no item of a record that is malformed further on', () => {
    for (const rest of ['8f00', '82', '8202aa', '82c020000000000000']) {
      expectCode(() => new ItemReader(recordOf('8201aa' + '8900' + rest)), 'RECORD_MALFORMED');
    }
    const many = '8900'.repeat(MAX_RECORD_ITEMS);
    expect(readAll(new ItemReader(recordOf(many)))).toHaveLength(MAX_RECORD_ITEMS);
    expectCode(() => new ItemReader(recordOf(`${many}8900`)), 'RECORD_MALFORMED');
  });

  it('knows from the start which kinds of items there are', () => {
    const kinds = (...opcodes: Opcode[]) => {
      const list = opcodes.map(opcode => ({ opcode, fin: true, payload: Uint8Array.of(1) }));
      const { hasSequenced, hasUnsequenced } = new ItemReader(write(HEADER, list));
      return [hasSequenced, hasUnsequenced];
    };
    expect(kinds()).toEqual([false, false]);
    for (const opcode of Object.values(Opcode)) {
      const outside = isUnsequenced(opcode);
      expect(kinds(opcode)).toEqual([!outside, outside]);
      expect(kinds(opcode, Opcode.TEXT)).toEqual([true, outside]);
      expect(kinds(Opcode.GAP, opcode)).toEqual([!outside, true]);
    }
  });

  it('stays at the end once it is there, and copies nothing', () => {
    const record = write(HEADER, [item(Uint8Array.of(1, 2))]);
    const reader = new ItemReader(record);
    expect([reader.next(), reader.next(), reader.next()]).toEqual([true, false, false]);
    expect(reader.payload).toEqual(Uint8Array.of(1, 2));
    expect(reader.payload.buffer).toBe(record.buffer);
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
    fc.assert(
      fc.property(anyRecords, tamperings, (record, tamper) => {
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

describe('what a record acknowledges', SLOW, () => {
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

  it('writes the same whatever length it was told to expect', () => {
    const expectations = fc.oneof(fc.nat(100), fc.nat(70_000), fc.constant(Infinity));
    fc.assert(
      fc.property(fc.array(items, { maxLength: 8 }), fc.nat(5_000), expectations, (list, more, expected) => {
        const record = write(HEADER, list);
        const writer = new RecordWriter(record.length + more, expected);
        let length = RECORD_HEADER_LENGTH;
        for (const { opcode, fin, payload } of list) {
          expect(writer.space).toBe(record.length + more - length);
          writer.item(opcode, fin, payload);
          length += itemLength(payload.length);
          expect(writer.length).toBe(length);
        }
        expect(plainly(writer.items())).toEqual(plainly(list));
        expect(Buffer.compare(writer.finish(HEADER), record)).toBe(0);
      }),
      runs(100),
    );
  });

  it('keeps nothing that is much larger than the record', () => {
    fc.assert(
      fc.property(
        fc.array(items, { maxLength: 8 }),
        fc.integer({ min: RECORD_HEADER_LENGTH, max: 300_000 }),
        (list, expected) => {
          const writer = new RecordWriter(300_000, expected);
          for (const { opcode, fin, payload } of list) writer.item(opcode, fin, payload);
          const record = writer.finish(HEADER);
          expect(record.buffer.byteLength).toBeLessThanOrEqual(2 * record.length);
        },
      ),
      runs(100),
    );
  });

  it('can be given less room than it was begun with, if it does not need more already', () => {
    const writer = new RecordWriter(1_000);
    writer.item(Opcode.BINARY, true, new Uint8Array(50));
    expect([writer.length, writer.space]).toEqual([73, 927]);
    expect([writer.limit(2_000), writer.space]).toEqual([true, 927]);
    expect([writer.limit(100), writer.space]).toEqual([true, 27]);
    expect([writer.limit(73), writer.limit(72)]).toEqual([true, false]);
  });

  it('takes over the items of another, if there is room for all of them', () => {
    const payloads = (record: Uint8Array) => decodeItems(record).map(({ payload }) => [...payload]);
    const other = new RecordWriter(1_000);
    other.item(Opcode.BINARY, true, Uint8Array.of(2));
    other.item(Opcode.TEXT, true, Uint8Array.of(3, 4));
    const writer = new RecordWriter(RECORD_HEADER_LENGTH + 10, RECORD_HEADER_LENGTH);
    writer.item(Opcode.BINARY, true, Uint8Array.of(1));
    expect(writer.append(other)).toBe(true);
    expect(writer.append(other)).toBe(false);
    expect(writer.space).toBe(0);
    expect(payloads(writer.finish(HEADER))).toEqual([[1], [2], [3, 4]]);
    expect(payloads(other.finish(HEADER))).toEqual([[2], [3, 4]]);
  });

  it('takes over no more items than a record may have', () => {
    const full = new RecordWriter(100_000);
    for (let i = 0; i < MAX_RECORD_ITEMS; i++) full.item(Opcode.BINARY, true, new Uint8Array(0));
    expect(new RecordWriter(100_000).append(full)).toBe(true);
    const writer = new RecordWriter(100_000);
    writer.item(Opcode.BINARY, true, new Uint8Array(0));
    expect(writer.append(full)).toBe(false);
  });

  it('goes on after it was made as small as it can be', () => {
    const writer = new RecordWriter(1_000);
    writer.item(Opcode.BINARY, true, Uint8Array.of(1));
    writer.compact();
    writer.item(Opcode.BINARY, true, Uint8Array.of(2));
    const record = writer.finish(HEADER);
    expect(decodeItems(record).map(({ payload }) => [...payload])).toEqual([[1], [2]]);
    expect(record.buffer.byteLength).toBeLessThan(60);
  });

  it('takes no more memory than the record may have', () => {
    const writer = new RecordWriter(RECORD_HEADER_LENGTH + 30, 22);
    for (let i = 0; i < 10; i++) writer.item(Opcode.BINARY, true, Uint8Array.of(i));
    expect(writer.space).toBe(0);
    expect(writer.finish(HEADER).buffer.byteLength).toBe(51);
  });
});
