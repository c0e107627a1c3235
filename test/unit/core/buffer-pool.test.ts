import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../../src/core/buffer-pool.js';
import { runs } from '../../support/fuzz.js';

describe('BufferPool', () => {
  it('gives what it was given', () => {
    const pool = new BufferPool(1_000_000);
    const { buffer } = pool.take(100_000);
    pool.give(buffer);
    expect(pool.take(90_000).buffer).toBe(buffer);
    expect(pool.take(90_000).buffer).not.toBe(buffer);
  });

  it('gives nothing that is too small, and nothing that is far too large', () => {
    const pool = new BufferPool(10_000_000);
    const { buffer } = pool.take(100_000);
    pool.give(buffer);
    expect(pool.take(200_000).byteLength).toBeGreaterThanOrEqual(200_000);
    expect(pool.take(40_000).buffer).not.toBe(buffer);
  });

  it('keeps no small ones, which are of the length that was asked for', () => {
    const pool = new BufferPool(1_000_000);
    const { buffer } = pool.take(1_000);
    expect(buffer.byteLength).toBe(1_000);
    pool.give(buffer);
    expect(pool.bytes).toBe(0);
  });

  it('drops what it did not make, and memory that is shared', () => {
    const pool = new BufferPool(1_000_000);
    pool.give(new ArrayBuffer(50_000));
    pool.give(new SharedArrayBuffer(pool.take(50_000).byteLength));
    expect(pool.bytes).toBe(0);
  });

  it('takes back only what it gave, and that once', () => {
    const pool = new BufferPool(10_000_000);
    const other = new BufferPool(10_000_000);
    const { buffer } = pool.take(100_000);
    other.give(buffer);
    // The length of those that it makes.
    pool.give(new ArrayBuffer(buffer.byteLength));
    expect([pool.bytes, other.bytes]).toEqual([0, 0]);
    pool.give(buffer);
    pool.give(buffer);
    expect(pool.bytes).toBe(buffer.byteLength);
  });

  it.each([0, 100, 40_000, 65_536, 66_000, 1_048_576])('copies %i bytes, without wasting much', length => {
    const bytes = Buffer.alloc(length, 7);
    const copy = new BufferPool(1_000_000).copy(bytes);
    bytes.fill(8);
    expect(copy).toEqual(new Uint8Array(length).fill(7));
    expect(copy.buffer.byteLength).toBeLessThanOrEqual(length * 1.125);
  });

  it('copies what is about as long as one of its buffers into one of them', () => {
    const pool = new BufferPool(10_000_000);
    pool.give(pool.copy(new Uint8Array(1_048_576)).buffer);
    expect(pool.bytes).toBeGreaterThan(1_048_576);
    pool.give(pool.copy(new Uint8Array(700_000)).buffer);
    expect(pool.bytes).toBeLessThan(1_048_576 + 700_000);
  });

  it('never keeps more than it may, and never gives the same buffer twice', () => {
    const operations = fc.array(fc.oneof(fc.nat(300_000), fc.constant('give' as const)), { maxLength: 60 });
    fc.assert(
      fc.property(operations, list => {
        const pool = new BufferPool(600_000);
        const taken: ArrayBuffer[] = [];
        for (const operation of list) {
          if (operation === 'give') {
            const buffer = taken.pop();
            if (buffer) pool.give(buffer);
          } else {
            const { buffer } = pool.take(operation);
            expect(buffer.byteLength).toBeGreaterThanOrEqual(operation);
            expect(buffer.byteLength).toBeLessThanOrEqual(2 * Math.max(operation, 17_000) + 1_024);
            expect(taken).not.toContain(buffer);
            taken.push(buffer);
          }
          expect(pool.bytes).toBeLessThanOrEqual(600_000);
        }
      }),
      runs(200),
    );
  });
});
