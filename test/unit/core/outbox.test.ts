import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, utf8 } from '../../../src/core/bytes.js';
import { ITEM_OVERHEAD, MIN_FRAGMENT } from '../../../src/core/constants.js';
import { Outbox } from '../../../src/core/outbox.js';
import {
  decodeItems,
  type Item,
  Opcode,
  RECORD_HEADER_LENGTH,
  RecordWriter,
} from '../../../src/core/record.js';
import type { Message } from '../../../src/core/sent-records.js';
import { expectCode } from '../../support/errors.js';
import { runs, SLOW } from '../../support/fuzz.js';
import { credit } from '../../support/raw-peer.js';

const HEADER = { channelId: 1, sequenced: true, opener: true, sequence: 0, acknowledgement: 0 };

/** One record of at most `capacity` bytes, header included, and what was told of it. */
function fill(outbox: Outbox, capacity: number) {
  const writer = new RecordWriter(capacity);
  const spanning: Message[] = [];
  let bytes = 0;
  while (outbox.isReady) {
    const written = outbox.write(writer);
    if (!written) break;
    bytes += written.bytes;
    if (written.spanning) spanning.push(written.spanning);
  }
  return { items: decodeItems(writer.finish(HEADER)), bytes, spanning };
}

const shape = (items: readonly Item[]) =>
  items.map(({ opcode, fin, payload }) => [opcode, fin, payload.length]);

describe('an outbox', SLOW, () => {
  it('has nothing to send without credit, but pings', () => {
    const outbox = new Outbox();
    outbox.message(utf8('text'), true);
    expect([outbox.isReady, outbox.length, outbox.bytes]).toEqual([false, 1, 4]);
    outbox.offered(ITEM_OVERHEAD + 3);
    expect(outbox.isReady).toBe(false);
    outbox.credit(credit(ITEM_OVERHEAD + 4));
    expect(outbox.isReady).toBe(true);
    expect(shape(fill(outbox, 100).items)).toEqual([[Opcode.TEXT, true, 4]]);
    outbox.message(utf8('more'), true);
    expect([outbox.isReady, outbox.length]).toEqual([false, 1]);
    const pings = new Outbox();
    pings.ping(utf8('p'));
    expect([pings.isReady, pings.bytes]).toEqual([true, 0]);
    expect(fill(pings, 100)).toMatchObject({ items: [{ opcode: Opcode.PING }], bytes: 0 });
  });

  it('takes no credit back, and refuses one that is none', () => {
    const outbox = new Outbox();
    outbox.offered(1_000);
    outbox.credit(credit(10));
    outbox.message(new Uint8Array(1_000 - ITEM_OVERHEAD), false);
    expect(outbox.isReady).toBe(true);
    for (const payload of [
      new Uint8Array(7),
      new Uint8Array(9),
      new Uint8Array(0),
      new Uint8Array(8).fill(0xff),
    ]) {
      expectCode(() => {
        outbox.credit(payload);
      }, 'PROTOCOL_VIOLATION');
    }
    expectCode(() => {
      outbox.credit(Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0));
    }, 'PROTOCOL_VIOLATION');
  });

  it('sends no sliver: a fragment is of MIN_FRAGMENT bytes at least, or ends its message', () => {
    const outbox = new Outbox();
    outbox.offered(Number.MAX_SAFE_INTEGER);
    outbox.message(new Uint8Array(MIN_FRAGMENT + 1), false);
    expect(fill(outbox, RECORD_HEADER_LENGTH + MIN_FRAGMENT).items).toEqual([]);
    const most = RECORD_HEADER_LENGTH + MIN_FRAGMENT + 3;
    expect(shape(fill(outbox, most).items)).toEqual([[Opcode.BINARY, false, MIN_FRAGMENT]]);
    expect(shape(fill(outbox, most).items)).toEqual([[Opcode.CONTINUATION, true, 1]]);
  });

  it('gives a message that began in another record back when it ends, for whoever asks what was lost', () => {
    const outbox = new Outbox();
    outbox.offered(Number.MAX_SAFE_INTEGER);
    const data = new Uint8Array(5_000).fill(7);
    outbox.message(data, false);
    outbox.message(utf8('whole'), true);
    expect(fill(outbox, 3_000).spanning).toEqual([]);
    // Begun, and not acknowledged: it still waits here as a whole.
    expect(outbox.messages()).toEqual([
      { data, isText: false },
      { data: utf8('whole'), isText: true },
    ]);
    expect(fill(outbox, 3_000).spanning).toEqual([{ data, isText: false }]);
    expect([outbox.messages(), outbox.length, outbox.bytes]).toEqual([[], 0, 0]);
  });

  it('does not count pings among messages', () => {
    const outbox = new Outbox();
    outbox.ping(utf8('p'));
    outbox.message(utf8('m'), true);
    expect([outbox.messages().length, outbox.length]).toEqual([1, 2]);
    outbox.clear();
    expect([outbox.messages(), outbox.length, outbox.isReady]).toEqual([[], 0, false]);
  });

  it('writes all that it is given, in order, within the credit and the records that there are', () => {
    const messages = fc.array(
      fc.oneof(
        {
          weight: 3,
          arbitrary: fc.record({ size: fc.oneof(fc.nat(100), fc.nat(9_000)), ping: fc.constant(false) }),
        },
        { weight: 1, arbitrary: fc.record({ size: fc.nat(125), ping: fc.constant(true) }) },
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(
        messages,
        fc.array(fc.integer({ min: 1_100, max: 6_000 }), { minLength: 1 }),
        (list, sizes) => {
          const outbox = new Outbox();
          outbox.offered(0);
          for (const [i, { size, ping }] of list.entries()) {
            if (ping) outbox.ping(new Uint8Array(size).fill(i));
            else outbox.message(new Uint8Array(size).fill(i), i % 2 === 0);
          }
          const items: Item[] = [];
          let granted = 0;
          let spent = 0;
          let buffered = outbox.bytes;
          for (let step = 0; outbox.length > 0; step++) {
            expect(step).toBeLessThan(1_000);
            const written = fill(outbox, sizes[step % sizes.length]!);
            items.push(...written.items);
            for (const { opcode, payload } of written.items) {
              if (opcode !== Opcode.PING) spent += payload.length + ITEM_OVERHEAD;
            }
            expect(spent).toBeLessThanOrEqual(granted);
            buffered -= written.bytes;
            expect(outbox.bytes).toBe(buffered);
            granted += 1_000;
            outbox.credit(credit(granted));
          }
          const whole: (number | undefined)[][] = [];
          let parts: Uint8Array[] = [];
          for (const { opcode, fin, payload } of items) {
            if (opcode === Opcode.PING) {
              whole.push([opcode, payload.length, payload[0]]);
              continue;
            }
            expect(opcode === Opcode.CONTINUATION).toBe(parts.length > 0);
            if (!fin) expect(payload.length).toBeGreaterThanOrEqual(MIN_FRAGMENT);
            parts.push(payload);
            if (!fin) continue;
            const data = concat(...parts);
            whole.push([parts.length > 1 ? -1 : opcode, data.length, data[0]]);
            parts = [];
          }
          expect(whole.map(([, length, first]) => [length, first])).toEqual(
            list.map(({ size }, i) => [size, size === 0 ? undefined : i & 0xff]),
          );
          for (const [i, [opcode]] of whole.entries()) {
            if (list[i]!.ping) expect(opcode).toBe(Opcode.PING);
            else expect([-1, i % 2 === 0 ? Opcode.TEXT : Opcode.BINARY]).toContain(opcode);
          }
        },
      ),
      runs(100),
    );
  });
});
