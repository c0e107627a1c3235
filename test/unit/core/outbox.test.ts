import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromUtf8, utf8 } from '../../../src/core/bytes.js';
import { ITEM_OVERHEAD, MAX_RECORD_ITEMS, MIN_FRAGMENT } from '../../../src/core/constants.js';
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

/** Header, and what a channel may have to say beside messages. */
const CONTROL_ROOM = RECORD_HEADER_LENGTH + 512;
const HEADER = { channelId: 1, sequenced: true, opener: true, sequence: 0, acknowledgement: 0 };

/** The next record of at most `capacity` bytes, header included, as a channel writes it, and what was told of it. */
function fill(outbox: Outbox, capacity: number) {
  const batch = outbox.takeBatch(capacity);
  const writer = batch?.writer ?? new RecordWriter(Math.min(capacity, CONTROL_ROOM + outbox.estimate));
  const spanning: Message[] = [];
  let bytes = batch?.bytes ?? 0;
  while (outbox.isReady) {
    const written = outbox.write(writer);
    if (!written) break;
    bytes += written.bytes;
    if (written.spanning) spanning.push(written.spanning);
  }
  const record = writer.finish(HEADER);
  expect(record.length).toBeLessThanOrEqual(capacity);
  return { items: decodeItems(record), bytes, spanning };
}

const shape = (items: readonly Item[]) =>
  items.map(({ opcode, fin, payload }) => [opcode, fin, payload.length]);

/** In a form that is quick to compare: a matcher that shows differences takes long for many bytes. */
const plain = (list: readonly Message[]) =>
  list.map(
    ({ data, isText }) =>
      `${isText ? 'text' : 'binary'} ${data.length} ${Buffer.from(data).toString('latin1')}`,
  );

const textsOf = (items: readonly Item[]) => items.map(({ payload }) => fromUtf8(payload));
const text = (data: string): Message => ({ data: utf8(data), isText: true });

/** All that may go out, in records of at most `capacity` bytes. */
function drain(outbox: Outbox, capacity: number): Item[] {
  const items: Item[] = [];
  while (outbox.isReady) {
    const { items: more } = fill(outbox, capacity);
    expect(more.length).toBeGreaterThan(0);
    items.push(...more);
  }
  return items;
}

/** An outbox with so much credit, for a link whose records may have so many bytes. */
function credited(window: number, capacity = 262_000): Outbox {
  const outbox = new Outbox();
  outbox.offered(window);
  expect(outbox.takeBatch(capacity)).toBeUndefined();
  return outbox;
}

/** The credit that is left, found out by messages that are sent for it. */
function expectLeft(outbox: Outbox, granted: number, spent: number): void {
  const most = granted - spent - ITEM_OVERHEAD;
  if (most < 0) {
    outbox.message(new Uint8Array(0), false);
    expect(outbox.isReady).toBe(false);
    outbox.credit(credit(spent + ITEM_OVERHEAD - 1));
    expect(outbox.isReady).toBe(false);
    outbox.credit(credit(spent + ITEM_OVERHEAD));
    expect(outbox.isReady).toBe(true);
    return;
  }
  outbox.message(new Uint8Array(most), false);
  expect(shape(drain(outbox, most + 100))).toEqual([[Opcode.BINARY, true, most]]);
  expectLeft(outbox, granted, granted);
}

describe('an outbox', SLOW, () => {
  it('has nothing to send without credit, but pings', () => {
    const outbox = new Outbox();
    outbox.message(utf8('text'), true);
    expect([outbox.isReady, outbox.isEmpty, outbox.bytes]).toEqual([false, false, 4]);
    outbox.offered(ITEM_OVERHEAD + 3);
    expect(outbox.isReady).toBe(false);
    outbox.credit(credit(ITEM_OVERHEAD + 4));
    expect(outbox.isReady).toBe(true);
    expect(shape(fill(outbox, 100).items)).toEqual([[Opcode.TEXT, true, 4]]);
    outbox.message(utf8('more'), true);
    expect([outbox.isReady, outbox.isEmpty]).toEqual([false, false]);
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
    expect([outbox.messages(), outbox.isEmpty, outbox.bytes]).toEqual([[], true, 0]);
  });

  it('does not count pings among messages', () => {
    const outbox = new Outbox();
    outbox.ping(utf8('p'));
    outbox.message(utf8('m'), true);
    expect([outbox.messages().length, outbox.isEmpty]).toEqual([1, false]);
    outbox.clear();
    expect([outbox.messages(), outbox.isEmpty, outbox.isReady]).toEqual([[], true, false]);
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
          for (let step = 0; !outbox.isEmpty; step++) {
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

describe('messages that have credit', SLOW, () => {
  it('go into one record, which is as large as it must be', () => {
    const outbox = credited(1_000_000);
    for (let i = 0; i < 300; i++) outbox.message(utf8(`${i}`), true);
    expect([outbox.isReady, outbox.bytes, outbox.bytesKept, outbox.estimate]).toEqual([true, 790, 790, 0]);
    const { items, bytes } = fill(outbox, 262_000);
    expect(textsOf(items)).toEqual(Array.from({ length: 300 }, (_, i) => `${i}`));
    expect([bytes, outbox.bytes, outbox.isEmpty, outbox.isReady]).toEqual([790, 0, true, false]);
    expect(items[0]!.payload.buffer.byteLength).toBeLessThanOrEqual(2 * (RECORD_HEADER_LENGTH + 790 + 600));
  });

  it('are text or binary, as they were sent, and none is too small', () => {
    const outbox = credited(1_000_000);
    outbox.message(utf8('a'), true);
    outbox.message(new Uint8Array(0), false);
    outbox.message(new Uint8Array(0), true);
    outbox.message(utf8('b'), false);
    expect(shape(fill(outbox, 262_000).items)).toEqual([
      [Opcode.TEXT, true, 1],
      [Opcode.BINARY, true, 0],
      [Opcode.TEXT, true, 0],
      [Opcode.BINARY, true, 1],
    ]);
  });

  it('are copied, as are those that have none', () => {
    for (const window of [1_000_000, 0]) {
      const outbox = credited(window);
      // Of a Buffer `slice` is no copy.
      const data = Buffer.from('as it was');
      const large = Buffer.alloc(300_000, 1);
      outbox.message(data, true);
      outbox.message(large, false);
      data.fill(0);
      large.fill(0);
      outbox.credit(credit(1_000_000));
      const items = drain(outbox, 262_000);
      expect(textsOf(items.slice(0, 1))).toEqual(['as it was']);
      expect(items.slice(1).every(({ payload }) => payload.every(byte => byte === 1))).toBe(true);
    }
  });

  it('fill a record, and then the next', () => {
    const outbox = credited(1_000_000, 10_000);
    for (let i = 0; i < 30; i++) outbox.message(new Uint8Array(997).fill(i), false);
    // Header, and nine times 1000 bytes.
    for (const count of [9, 9, 9, 3]) expect(fill(outbox, 10_000).items).toHaveLength(count);
    expect(outbox.isEmpty).toBe(true);
  });

  it('are no more in a record than there may be', () => {
    const outbox = credited(Number.MAX_SAFE_INTEGER);
    for (let i = 0; i < 2 * MAX_RECORD_ITEMS + 1; i++) outbox.message(new Uint8Array(0), false);
    for (const count of [MAX_RECORD_ITEMS, MAX_RECORD_ITEMS, 1]) {
      expect(fill(outbox, 262_000).items).toHaveLength(count);
    }
    expect(outbox.isEmpty).toBe(true);
  });

  it('stay behind a ping that was sent before, and before one that was sent later', () => {
    const outbox = credited(1_000_000);
    const sent = ['a', 'b', 'ping 1', 'c', 'ping 2', 'ping 3', 'd'];
    for (const data of sent) {
      if (data.startsWith('ping')) outbox.ping(utf8(data));
      else outbox.message(utf8(data), true);
    }
    expect(outbox.messages()).toEqual(['a', 'b', 'c', 'd'].map(text));
    const items = drain(outbox, 262_000);
    expect(textsOf(items)).toEqual(sent);
    expect(items.map(({ opcode }) => opcode === Opcode.PING)).toEqual(
      sent.map(data => data.startsWith('ping')),
    );
  });

  it('stay behind a large one that was sent before', () => {
    const outbox = credited(1_000_000, 10_000);
    const sizes = [1, 20_000, 2, 3, 20_001, 4];
    for (const size of sizes) outbox.message(new Uint8Array(size), false);
    const items = drain(outbox, 10_000);
    const whole: number[] = [];
    for (const { opcode, payload } of items) {
      if (opcode === Opcode.CONTINUATION) whole.push((whole.pop() ?? 0) + payload.length);
      else whole.push(payload.length);
    }
    expect(whole).toEqual(sizes);
  });

  it('leave those waiting that have none, until it comes', () => {
    const outbox = credited(3 * (ITEM_OVERHEAD + 10));
    for (let i = 0; i < 5; i++) outbox.message(new Uint8Array(10).fill(i), false);
    // It would have credit, but must not overtake.
    outbox.message(new Uint8Array(0), false);
    expect(fill(outbox, 262_000).items.map(({ payload }) => payload[0])).toEqual([0, 1, 2]);
    expect([outbox.isReady, outbox.isEmpty, outbox.bytes]).toEqual([false, false, 20]);
    expect(outbox.estimate).toBeGreaterThanOrEqual(20 + 3 * 2);
    outbox.credit(credit(4 * (ITEM_OVERHEAD + 10)));
    outbox.message(new Uint8Array(1).fill(6), false);
    expect(drain(outbox, 262_000).map(({ payload }) => payload[0])).toEqual([3]);
    outbox.credit(credit(1_000));
    expect(drain(outbox, 262_000).map(({ payload }) => payload[0])).toEqual([4, undefined, 6]);
    expectLeft(outbox, 1_000, 5 * (ITEM_OVERHEAD + 10) + 2 * ITEM_OVERHEAD + 1);
  });

  it('cost the same whether they wait for it or not', () => {
    for (const window of [0, 10_000]) {
      const outbox = credited(window);
      for (const size of [0, 1, 100, 2_000]) outbox.message(new Uint8Array(size), false);
      outbox.credit(credit(10_000));
      expect(drain(outbox, 262_000)).toHaveLength(4);
      expectLeft(outbox, 10_000, 4 * ITEM_OVERHEAD + 2_101);
    }
  });

  it('are given back, each in memory of its own, one that was begun among them', () => {
    const outbox = credited(1_000_000, 10_000);
    const data = new Uint8Array(15_000).fill(7);
    outbox.message(data, false);
    for (const message of ['a', 'b']) outbox.message(utf8(message), true);
    expect(fill(outbox, 10_000).bytes).toBeLessThan(10_000);
    const kept = [{ data, isText: false }, text('a'), text('b')];
    expect(outbox.messages()).toEqual(kept);
    expect(outbox.bytesKept).toBe(15_002);
    fill(outbox, 10_000);
    outbox.message(utf8('c'), true);
    outbox.message(utf8('d'), true);
    const waiting = outbox.messages();
    expect(waiting).toEqual([text('c'), text('d')]);
    for (const message of waiting) {
      expect(message.data.buffer.byteLength).toBe(1);
      message.data.fill(0);
    }
    expect(textsOf(drain(outbox, 10_000))).toEqual(['c', 'd']);
  });
});

describe('messages for a link with smaller records than the one before', SLOW, () => {
  it('go out in more of them, whole and in order', () => {
    const outbox = credited(1_000_000, 100_000);
    for (let i = 0; i < 50; i++) outbox.message(new Uint8Array(4_000).fill(i), false);
    outbox.ping(utf8('p'));
    outbox.message(new Uint8Array(60_000).fill(99), false);
    expect(outbox.bytes).toBe(260_000);
    const items = drain(outbox, 30_000);
    const whole = items.filter(({ payload }) => payload[0]! < 50);
    // Not a fragment more than has to be.
    expect(whole.filter(({ opcode }) => opcode === Opcode.CONTINUATION).length).toBeLessThan(10);
    const sent = [
      ...Array.from({ length: 50 }, (_, i) => new Uint8Array(4_000).fill(i)),
      utf8('p'),
      new Uint8Array(60_000).fill(99),
    ];
    expect(Buffer.compare(concat(...items.map(({ payload }) => payload)), concat(...sent))).toBe(0);
    expect([outbox.bytes, outbox.bytesKept, outbox.isEmpty]).toEqual([0, 0, true]);
    expectLeft(outbox, 1_000_000, 260_000 + ITEM_OVERHEAD * (items.length - 1));
  });

  it('use the credit that they had, and no more', () => {
    const outbox = credited(100_000, 100_000);
    for (let i = 0; i < 10; i++) outbox.message(new Uint8Array(4_000), false);
    // Too small for a single one: nothing is spent by trying.
    for (let i = 0; i < 3; i++) expect(fill(outbox, RECORD_HEADER_LENGTH + 100).items).toEqual([]);
    expect([outbox.bytes, outbox.isReady]).toEqual([40_000, true]);
    expect(drain(outbox, 100_000)).toHaveLength(10);
    expectLeft(outbox, 100_000, 10 * (4_000 + ITEM_OVERHEAD));
  });

  it('leave room in the record for what comes behind them', () => {
    const outbox = credited(100_000 + 2 * ITEM_OVERHEAD, 262_000);
    outbox.message(new Uint8Array(30_000), false);
    // Waits for credit.
    outbox.message(new Uint8Array(200_000), false);
    expect(outbox.isReady).toBe(true);
    // They fit; what is written behind them must, too: `fill` looks.
    const { items } = fill(outbox, 32_000);
    expect(items[0]?.payload).toHaveLength(30_000);
  });

  it('do not wait for credit that those behind them keep', () => {
    // Enough for both messages; cut in fragments the first costs more.
    const outbox = credited(20_000 + 200_000 + 2 * ITEM_OVERHEAD, 210_000);
    outbox.message(new Uint8Array(200_000), false);
    outbox.message(new Uint8Array(20_000), false);
    const items = drain(outbox, 32_000);
    const sent = items.reduce((sum, { payload }) => sum + payload.length, 0);
    // Nothing is left unused but what would be a sliver.
    const left = 220_000 + 2 * ITEM_OVERHEAD - sent - ITEM_OVERHEAD * items.length;
    expect(left).toBeLessThan(MIN_FRAGMENT + ITEM_OVERHEAD);
    outbox.credit(credit(1_000_000));
    expect(concat(...[...items, ...drain(outbox, 32_000)].map(({ payload }) => payload))).toHaveLength(
      220_000,
    );
  });
});

/** A message or ping that a model of an outbox keeps. */
interface Kept {
  readonly kind: 'text' | 'binary' | 'ping';
  readonly data: Uint8Array;
  offset: number;
}

type Step =
  | { readonly do: 'message' | 'ping'; readonly size: number; readonly isText: boolean }
  | { readonly do: 'credit'; readonly more: number }
  | { readonly do: 'record'; readonly capacity: number };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('message' as const),
      size: fc.oneof(fc.nat(100), fc.nat(9_000), fc.nat(40_000)),
      isText: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('ping' as const),
      size: fc.nat(125),
      isText: fc.constant(false),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('credit' as const),
      more: fc.oneof(fc.nat(200), fc.nat(30_000), fc.nat(500_000)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('record' as const),
      capacity: fc.oneof(fc.integer({ min: 1_100, max: 6_000 }), fc.integer({ min: 6_000, max: 60_000 })),
    }),
  },
);

/** What an outbox is for, without a thought of memory: a list. */
class Model {
  readonly outbox = new Outbox();
  readonly #queue: Kept[] = [];
  #granted = 0;
  #spent = 0;
  #count = 0;

  take(step: Step): void {
    if (step.do === 'credit') {
      this.#granted += step.more;
      this.outbox.credit(credit(this.#granted));
    } else if (step.do === 'record') {
      this.record(step.capacity);
    } else {
      const data = new Uint8Array(step.size).fill(++this.#count);
      const kind = step.do === 'ping' ? 'ping' : step.isText ? 'text' : 'binary';
      this.#queue.push({ kind, data: data.slice(), offset: 0 });
      if (kind === 'ping') {
        this.outbox.ping(data);
      } else {
        this.outbox.message(data, step.isText);
        data.fill(0);
      }
    }
    this.check();
  }

  /** One record. The number of its items. */
  record(capacity: number): number {
    const mustWrite = this.outbox.isReady;
    const { items, bytes, spanning } = fill(this.outbox, capacity);
    if (mustWrite) expect(items.length).toBeGreaterThan(0);
    const ended = items.map(item => this.#written(item)).filter(message => message !== undefined);
    expect(plain(spanning)).toEqual(plain(ended));
    const payloads = items
      .filter(({ opcode }) => opcode !== Opcode.PING)
      .map(({ payload }) => payload.length);
    expect(bytes).toBe(payloads.reduce((sum, length) => sum + length, 0));
    return items.length;
  }

  check(): void {
    const { outbox } = this;
    const messages = this.#queue.filter(({ kind }) => kind !== 'ping');
    const waiting = messages.reduce((sum, { data, offset }) => sum + data.length - offset, 0);
    const next = this.#queue[0];
    expect([outbox.bytes, outbox.bytesKept]).toEqual([waiting, waiting + (next?.offset ?? 0)]);
    expect(outbox.isEmpty).toBe(next === undefined);
    const kept = messages.map(({ kind, data }) => ({ data, isText: kind === 'text' }));
    expect(plain(outbox.messages())).toEqual(plain(kept));
    const left = this.#granted - this.#spent;
    expect(left).toBeGreaterThanOrEqual(0);
    expect(outbox.isReady).toBe(
      next !== undefined &&
        (next.kind === 'ping' ||
          left - ITEM_OVERHEAD >= Math.min(next.data.length - next.offset, MIN_FRAGMENT)),
    );
  }

  /** With credit for all, all goes out, and it costs what it must. */
  finish(): void {
    this.take({ do: 'credit', more: 10_000_000 });
    while (this.record(30_000) > 0) this.check();
    expect(this.#queue).toEqual([]);
    expectLeft(this.outbox, this.#granted, this.#spent);
  }

  /** An item is the next piece of what is next. The message, if that ends one that began in another record. */
  #written({ opcode, fin, payload }: Item): Message | undefined {
    const next = this.#queue[0]!;
    const { kind, data, offset } = next;
    const first = { text: Opcode.TEXT, binary: Opcode.BINARY, ping: Opcode.PING }[kind];
    expect(opcode).toBe(offset === 0 ? first : Opcode.CONTINUATION);
    expect(Buffer.compare(payload, data.subarray(offset, offset + payload.length))).toBe(0);
    next.offset += payload.length;
    expect(fin).toBe(next.offset === data.length);
    if (!fin) expect(payload.length).toBeGreaterThanOrEqual(MIN_FRAGMENT);
    if (kind !== 'ping') this.#spent += payload.length + ITEM_OVERHEAD;
    if (!fin) return undefined;
    this.#queue.shift();
    return offset > 0 ? { data, isText: kind === 'text' } : undefined;
  }
}

describe('an outbox in all', SLOW, () => {
  it('does what a list would do, whatever is sent, granted and written, through links of any size', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.array(steps, { maxLength: 40 }), (window, list) => {
        const model = new Model();
        model.take({ do: 'credit', more: window });
        for (const step of list) model.take(step);
        model.finish();
      }),
      runs(200),
    );
  });
});
