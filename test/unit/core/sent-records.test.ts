import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { largeBuffers } from '../../../src/core/buffer-pool.js';
import { toHex } from '../../../src/core/bytes.js';
import { MAX_UNACKNOWLEDGED_BYTES, MAX_UNACKNOWLEDGED_RECORDS } from '../../../src/core/constants.js';
import { Opcode } from '../../../src/core/record.js';
import { type Message, SentRecords } from '../../../src/core/sent-records.js';
import { runs } from '../../support/fuzz.js';
import { isInPool } from '../../support/pooled.js';
import { encodeRecord, type RawItem } from '../../support/raw-peer.js';

const { CONTINUATION, TEXT, BINARY, PING, PONG, CREDIT, CLOSE, OPEN } = Opcode;
const record = (text = 'x', sequence = 0) => encodeRecord([[TEXT, text]], { sequence });
const texts = (messages: readonly Message[]) => messages.map(({ data }) => Buffer.from(data).toString());

/** The same thing, as simple as can be. */
class Model {
  all: { bytes: Uint8Array; writtenAt: number | undefined }[] = [];
  first = 0;
  next = 0;

  get kept() {
    return this.all.slice(this.first);
  }

  add(bytes: Uint8Array, now: number): void {
    this.all.push({ bytes, writtenAt: now });
    this.next = this.all.length;
  }

  rewrite(): Uint8Array | undefined {
    const sent = this.all[this.next];
    if (!sent) return undefined;
    sent.writtenAt = undefined;
    this.next++;
    return sent.bytes;
  }

  acknowledge(upTo: number): number | undefined {
    if (upTo <= this.first) return undefined;
    this.first = upTo;
    this.next = Math.max(this.next, upTo);
    return this.all[upTo - 1]!.writtenAt;
  }
}

it('the memory of a message of several records is used again once the last of these is acknowledged', () => {
  const LENGTH = 524_288;
  const data = largeBuffers.copy(new Uint8Array(LENGTH));
  const sent = new SentRecords();
  sent.add(record(), 0);
  sent.addSpanning({ data, isText: false }, 1);
  sent.add(record(), 0);
  sent.acknowledge(1);
  expect(isInPool(data, LENGTH)).toBe(false);
  sent.acknowledge(2);
  expect(isInPool(data, LENGTH)).toBe(true);
});

describe('records that wait for acknowledgement', () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ type: fc.constant('add' as const), length: fc.nat(3_000) }) },
      { weight: 3, arbitrary: fc.record({ type: fc.constant('rewrite' as const), times: fc.nat(5) }) },
      { weight: 3, arbitrary: fc.record({ type: fc.constant('acknowledge' as const), share: fc.nat(100) }) },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('rewind' as const), share: fc.nat(150) }) },
    ),
    { maxLength: 120 },
  );

  it('are numbered, kept, written again and forgotten as in a simple model', () => {
    fc.assert(
      fc.property(steps, list => {
        const sent = new SentRecords();
        const model = new Model();
        for (const [now, step] of list.entries()) {
          switch (step.type) {
            case 'add': {
              // New ones come after all that has to be written again.
              while (sent.mustRewrite) expect(sent.rewrite()).toBe(model.rewrite());
              const bytes = record('x'.repeat(step.length), sent.end);
              sent.add(bytes, now);
              model.add(bytes, now);
              break;
            }
            case 'rewrite':
              for (let i = 0; i < step.times; i++) expect(sent.rewrite()).toBe(model.rewrite());
              break;
            case 'acknowledge': {
              const upTo = model.first + Math.floor(((model.all.length - model.first) * step.share) / 100);
              expect(sent.acknowledge(upTo)).toBe(model.acknowledge(upTo));
              break;
            }
            case 'rewind': {
              const from = Math.floor((model.all.length * step.share) / 100);
              sent.rewind(from);
              model.next = Math.min(model.next, Math.max(from, model.first));
            }
          }
          expect([sent.first, sent.next, sent.end]).toEqual([model.first, model.next, model.all.length]);
          expect(sent.isEmpty).toBe(model.kept.length === 0);
          expect(sent.mustRewrite).toBe(model.next < model.all.length);
          expect(sent.bytes).toBe(model.kept.reduce((sum, { bytes }) => sum + bytes.length, 0));
          expect(sent.longest).toBe(Math.max(0, ...model.kept.map(({ bytes }) => bytes.length)));
          expect(texts(sent.unacknowledged())).toEqual(
            model.kept.map(({ bytes }) => 'x'.repeat(Math.max(0, bytes.length - overhead(bytes.length)))),
          );
        }
      }),
      runs(150),
    );
  });

  /** Header of the record and of its one item, for records of this length. */
  const overhead = (length: number) => (length <= 21 + 2 + 63 ? 23 : 24);

  it('are bounded in number', () => {
    const sent = new SentRecords();
    for (let i = 0; i < MAX_UNACKNOWLEDGED_RECORDS; i++) {
      expect(sent.isFull).toBe(false);
      sent.add(record(), 0);
    }
    expect(sent.isFull).toBe(true);
    sent.acknowledge(1);
    expect(sent.isFull).toBe(false);
  });

  it('are bounded in bytes', () => {
    const sent = new SentRecords();
    const large = new Uint8Array(MAX_UNACKNOWLEDGED_BYTES / 4);
    for (let i = 0; i < 4; i++) {
      expect(sent.isFull).toBe(false);
      sent.add(large, 0);
    }
    expect(sent.isFull).toBe(true);
    sent.acknowledge(1);
    expect([sent.isFull, sent.bytes]).toEqual([false, 3 * large.length]);
  });

  it('are kept in memory that does not grow with all that was ever sent', () => {
    const sent = new SentRecords();
    for (let i = 0; i < 10_000; i++) {
      sent.add(record(`${i}`, i), i);
      if (i >= 3) sent.acknowledge(i - 2);
    }
    expect([sent.first, sent.end, texts(sent.unacknowledged())]).toEqual([
      9_997,
      10_000,
      ['9997', '9998', '9999'],
    ]);
  });

  it('tell when they were written, unless they were written twice', () => {
    const sent = new SentRecords();
    for (const now of [100, 200, 300]) sent.add(record(), now);
    expect(sent.acknowledge(1)).toBe(100);
    sent.rewind(1);
    sent.rewrite();
    expect(sent.acknowledge(2)).toBeUndefined();
    expect(sent.acknowledge(3)).toBe(300);
    expect(sent.acknowledge(3)).toBeUndefined();
  });

  it('are gone after clear(), and their numbers are not given again', () => {
    const sent = new SentRecords();
    for (let i = 0; i < 5; i++) sent.add(record(), 0);
    sent.acknowledge(2);
    sent.clear();
    expect([sent.isEmpty, sent.bytes, sent.first, sent.end, sent.mustRewrite]).toEqual([
      true,
      0,
      5,
      5,
      false,
    ]);
    expect(sent.unacknowledged()).toEqual([]);
  });
});

describe('messages that are not acknowledged', () => {
  it('are those that end in a record that is not: all else is no message', () => {
    const sent = new SentRecords();
    const items: RawItem[] = [[OPEN, '{}'], [PING, 'p'], [TEXT, 'one'], [CREDIT], [BINARY, Uint8Array.of(2)]];
    sent.add(encodeRecord(items), 0);
    sent.add(encodeRecord([[PONG], [CLOSE], [TEXT, '']]), 0);
    expect(sent.unacknowledged()).toEqual(
      [
        { data: Buffer.from('one'), isText: true },
        { data: Uint8Array.of(2), isText: false },
        { data: new Uint8Array(0), isText: true },
      ].map(({ data, isText }) => ({ data: new Uint8Array(data), isText })),
    );
  });

  it('are copies: records are written again', () => {
    const sent = new SentRecords();
    const bytes = record('text');
    sent.add(bytes, 0);
    const [message] = sent.unacknowledged();
    bytes.fill(0);
    expect(toHex(message!.data)).toBe('74657874');
  });

  it('are given whole when they span records, however many of these are acknowledged', () => {
    const long: Message = { data: new Uint8Array(5_000).fill(1), isText: false };
    const piece = new Uint8Array(2_000).fill(1);
    const sent = new SentRecords();
    sent.add(
      encodeRecord([
        [TEXT, 'before'],
        [BINARY, piece, false],
      ]),
      0,
    );
    sent.add(encodeRecord([[CONTINUATION, piece, false]]), 0);
    // The owner keeps a message of which not all is written: nothing of it ends here.
    expect(texts(sent.unacknowledged())).toEqual(['before']);
    sent.addSpanning(long, sent.end);
    sent.add(
      encodeRecord([
        [CONTINUATION, new Uint8Array(1_000), true],
        [TEXT, 'after'],
      ]),
      0,
    );
    const lengths = () => sent.unacknowledged().map(({ data }) => data.length);
    expect(lengths()).toEqual([6, 5_000, 5]);
    sent.acknowledge(2);
    expect(sent.unacknowledged()[0]).toBe(long);
    expect(lengths()).toEqual([5_000, 5]);
    sent.acknowledge(3);
    expect(lengths()).toEqual([]);
  });

  it('come in the order in which they were sent, wherever they were cut', () => {
    const messages = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(messages, fc.nat(100), (pieces, share) => {
        const sent = new SentRecords();
        const ends: number[] = [];
        for (const [number, count] of pieces.entries()) {
          for (let i = 0; i < count; i++) {
            const isLast = i === count - 1;
            if (isLast && count > 1) {
              sent.addSpanning({ data: new Uint8Array(count).fill(number), isText: false }, sent.end);
            }
            const data = new Uint8Array(count).fill(number);
            sent.add(encodeRecord([[i === 0 ? BINARY : CONTINUATION, data, isLast]]), 0);
          }
          ends.push(sent.end);
        }
        const upTo = Math.floor((sent.end * share) / 100);
        sent.acknowledge(upTo);
        const left = [...ends.entries()].filter(([, end]) => end > upTo).map(([number]) => number);
        expect(sent.unacknowledged().map(({ data }) => [data[0], data.length])).toEqual(
          left.map(number => [number, pieces[number]]),
        );
      }),
      runs(200),
    );
  });
});
