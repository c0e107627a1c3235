import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { largeBuffers } from '../../../src/core/buffer-pool.js';
import { concat } from '../../../src/core/bytes.js';
import { MIN_FRAGMENT } from '../../../src/core/constants.js';
import { MessageAssembler } from '../../../src/core/message-assembler.js';
import { type Item, Opcode } from '../../../src/core/record.js';
import { expectCode } from '../../support/errors.js';
import { isInPool } from '../../support/pooled.js';
import { parsesOrRefuses, runs, SLOW } from '../../support/fuzz.js';

const { CONTINUATION, TEXT, BINARY } = Opcode;
const filled = (length: number, value = length): Uint8Array => new Uint8Array(length).fill(value);
const item = (opcode: Item['opcode'], fin: boolean, payload: Uint8Array): Item => ({ opcode, fin, payload });

describe('MessageAssembler', SLOW, () => {
  it('gives a whole message at once, empty ones too', () => {
    const assembler = new MessageAssembler(100);
    expect(assembler.add(item(TEXT, true, Uint8Array.of(1)))).toEqual({
      data: Uint8Array.of(1),
      isText: true,
    });
    expect(assembler.add(item(BINARY, true, filled(0)))).toEqual({ data: filled(0), isText: false });
    expect(assembler.add(item(TEXT, true, filled(100)))).toEqual({ data: filled(100), isText: true });
  });

  it('puts fragments together in order, of the type that the first one has', () => {
    const lengths = fc.array(fc.integer({ min: MIN_FRAGMENT, max: 3 * MIN_FRAGMENT }), { maxLength: 4 });
    fc.assert(
      fc.property(fc.boolean(), lengths, fc.nat(2_000), (isText, before, last) => {
        const fragments = [...before, last].map((length, i) => filled(length, i));
        const assembler = new MessageAssembler(100_000);
        const results = fragments.map((payload, i) => {
          const opcode = i > 0 ? CONTINUATION : isText ? TEXT : BINARY;
          return assembler.add(item(opcode, i === before.length, payload));
        });
        expect(results.slice(0, -1).every(result => result === undefined)).toBe(true);
        expect(results.at(-1)).toEqual({ data: concat(...fragments), isText });
        // And is ready for the next one.
        expect(assembler.add(item(BINARY, true, filled(1)))).toEqual({ data: filled(1), isText: false });
      }),
      runs(50),
    );
  });

  describe('memory of fragments', () => {
    const LENGTH = 131_072;
    /** In memory of the pool, as a frame that is opened where it stands. */
    function pooled(value: number): Uint8Array {
      return largeBuffers.take(LENGTH).subarray(0, LENGTH).fill(value);
    }
    const isBack = (bytes: Uint8Array): boolean => isInPool(bytes, LENGTH);

    it('is used again once the message is put together, if nothing else was in it', () => {
      const assembler = new MessageAssembler(10 * LENGTH);
      const fragments = [pooled(1), pooled(2), pooled(3)];
      const results = fragments.map((payload, i) => {
        expect(fragments.some(isBack)).toBe(false);
        return assembler.add({ ...item(i > 0 ? CONTINUATION : BINARY, i === 2, payload), isAlone: i !== 1 });
      });
      expect(fragments.map(isBack)).toEqual([true, false, true]);
      const data = results[2]?.data;
      expect(fragments.some(({ buffer }) => buffer === data?.buffer)).toBe(false);
      expect(data).toEqual(concat(filled(LENGTH, 1), filled(LENGTH, 2), filled(LENGTH, 3)));
    });

    it('is used again at once when they are small in it, and they are copied', () => {
      const assembler = new MessageAssembler(10 * LENGTH);
      const memory = pooled(1);
      assembler.add({ ...item(BINARY, false, memory.subarray(0, 2_000)), isAlone: true });
      expect(isBack(memory)).toBe(true);
      memory.fill(2);
      expect(assembler.add(item(CONTINUATION, true, filled(0)))?.data).toEqual(filled(2_000, 1));
    });

    it('is not, when it is a whole message: that is the memory of the application', () => {
      const memory = pooled(1);
      new MessageAssembler(LENGTH).add({ ...item(BINARY, true, memory), isAlone: true });
      expect(isBack(memory)).toBe(false);
    });
  });

  it('takes a last fragment that is empty, and fragments of exactly the least size', () => {
    const assembler = new MessageAssembler(10_000);
    expect(assembler.add(item(TEXT, false, filled(MIN_FRAGMENT)))).toBeUndefined();
    expect(assembler.add(item(CONTINUATION, false, filled(MIN_FRAGMENT)))).toBeUndefined();
    expect(assembler.add(item(CONTINUATION, true, filled(0)))?.data).toHaveLength(2 * MIN_FRAGMENT);
  });

  it('refuses a fragment that is too small and not the last: many would take much memory', () => {
    const first = new MessageAssembler(10_000);
    expectCode(() => first.add(item(TEXT, false, filled(MIN_FRAGMENT - 1))), 'PROTOCOL_VIOLATION');
    const second = new MessageAssembler(10_000);
    second.add(item(TEXT, false, filled(MIN_FRAGMENT)));
    expectCode(() => second.add(item(CONTINUATION, false, filled(MIN_FRAGMENT - 1))), 'PROTOCOL_VIOLATION');
  });

  it.each([true, false])('refuses a continuation of nothing (last: %s)', fin => {
    const assembler = new MessageAssembler(10_000);
    expectCode(() => assembler.add(item(CONTINUATION, fin, filled(2_000))), 'PROTOCOL_VIOLATION');
    assembler.add(item(TEXT, true, filled(1)));
    expectCode(() => assembler.add(item(CONTINUATION, fin, filled(2_000))), 'PROTOCOL_VIOLATION');
  });

  it.each([TEXT, BINARY])('refuses a message inside another (opcode %d)', opcode => {
    for (const fin of [true, false]) {
      const assembler = new MessageAssembler(10_000);
      assembler.add(item(opcode, false, filled(MIN_FRAGMENT)));
      expectCode(() => assembler.add(item(opcode, fin, filled(MIN_FRAGMENT))), 'PROTOCOL_VIOLATION');
    }
  });

  it('refuses a message above maxPayload, in one piece or in several, as soon as it is above', () => {
    const whole = new MessageAssembler(2_000);
    expect(whole.add(item(BINARY, true, filled(2_000)))).toBeDefined();
    expectCode(() => whole.add(item(BINARY, true, filled(2_001))), 'MESSAGE_TOO_LARGE');

    const pieces = new MessageAssembler(2_048);
    pieces.add(item(BINARY, false, filled(MIN_FRAGMENT)));
    pieces.add(item(CONTINUATION, false, filled(MIN_FRAGMENT)));
    expectCode(() => pieces.add(item(CONTINUATION, true, filled(1))), 'MESSAGE_TOO_LARGE');

    const none = new MessageAssembler(0);
    expect(none.add(item(TEXT, true, filled(0)))?.data).toHaveLength(0);
    expectCode(() => none.add(item(TEXT, true, filled(1))), 'MESSAGE_TOO_LARGE');
  });

  it('counts each message by itself', () => {
    const assembler = new MessageAssembler(1_500);
    for (let i = 0; i < 10; i++) {
      assembler.add(item(BINARY, false, filled(MIN_FRAGMENT)));
      expect(assembler.add(item(CONTINUATION, true, filled(400)))?.data).toHaveLength(MIN_FRAGMENT + 400);
      expect(assembler.add(item(BINARY, true, filled(1_500)))).toBeDefined();
    }
  });

  it('keeps no large record alive for a small fragment', () => {
    const assembler = new MessageAssembler(1_000_000);
    const record = filled(100_000, 7);
    assembler.add(item(BINARY, false, record.subarray(5, 5 + MIN_FRAGMENT)));
    record.fill(8);
    expect(assembler.add(item(CONTINUATION, true, filled(0)))?.data).toEqual(filled(MIN_FRAGMENT, 7));
  });

  it('forgets what it holds when it is told to', () => {
    const assembler = new MessageAssembler(2_000);
    assembler.add(item(TEXT, false, filled(MIN_FRAGMENT)));
    assembler.clear();
    expect(assembler.add(item(BINARY, true, filled(2_000)))).toEqual({ data: filled(2_000), isText: false });
  });

  it('gives what was put in, or refuses, in any order of items', () => {
    const items = fc.record({
      opcode: fc.constantFrom(CONTINUATION, TEXT, BINARY),
      fin: fc.boolean(),
      payload: fc.oneof(fc.nat(3), fc.integer({ min: MIN_FRAGMENT - 1, max: 3_000 })).map(n => filled(n)),
    });
    fc.assert(
      fc.property(fc.array(items, { maxLength: 12 }), list => {
        const assembler = new MessageAssembler(5_000);
        let fragments: Uint8Array[] = [];
        for (const next of list) {
          let refused = true;
          parsesOrRefuses(
            () => {
              const message = assembler.add(next);
              refused = false;
              fragments.push(next.payload);
              expect(message !== undefined).toBe(next.fin);
              if (!message) return;
              expect(message.data).toEqual(concat(...fragments));
              expect(message.data.length).toBeLessThanOrEqual(5_000);
              fragments = [];
            },
            'PROTOCOL_VIOLATION',
            'MESSAGE_TOO_LARGE',
          );
          if (refused as boolean) return;
        }
      }),
      runs(300),
    );
  });
});
