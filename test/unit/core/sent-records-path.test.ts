import { describe, expect, it } from 'vitest';
import { SentRecords } from '../../../src/core/sent-records.js';

const LENGTH = 10_000;

/** How many records are written again before it is held back. */
function rewritten(sent: SentRecords): number {
  let count = 0;
  while (sent.rewrite()) count++;
  return count;
}

function withUnderWay(count: number): SentRecords {
  const sent = new SentRecords();
  for (let i = 0; i < count; i++) sent.add(new Uint8Array(LENGTH), i);
  return sent;
}

describe('after a loss', () => {
  it('no more than half of what was under way is under way', () => {
    const sent = withUnderWay(40);
    sent.rewind(0, true);
    expect(rewritten(sent)).toBe(20);
    expect([sent.mustRewrite, sent.isFull]).toEqual([false, true]);
    // Once more, and it is half of that.
    sent.rewind(0, true);
    expect(rewritten(sent)).toBe(10);
  });

  it('what arrives makes room, and a little more', () => {
    const sent = withUnderWay(40);
    sent.rewind(0, true);
    expect(rewritten(sent)).toBe(20);
    sent.acknowledge(20);
    // A round trip: 200,000 bytes, and 64 KiB more.
    expect(rewritten(sent)).toBe(20);
    for (let i = 0; i < 6; i++) {
      expect(sent.isFull).toBe(false);
      sent.add(new Uint8Array(LENGTH), 0);
    }
    expect(sent.isFull).toBe(true);
  });

  it('64 KiB may always be under way, and one record whatever its size', () => {
    const sent = withUnderWay(8);
    for (let i = 0; i < 5; i++) {
      sent.rewind(0, true);
      expect(rewritten(sent)).toBe(7);
    }
    const large = new SentRecords();
    for (let i = 0; i < 2; i++) large.add(new Uint8Array(300_000), 0);
    for (let i = 0; i < 9; i++) large.rewind(0, true);
    expect(rewritten(large)).toBe(1);
  });

  it('what is known of one path says nothing about another', () => {
    const sent = withUnderWay(40);
    sent.rewind(0, true);
    sent.forgetPath();
    expect(rewritten(sent)).toBe(40);
    expect(sent.isFull).toBe(false);
  });

  it('what is sent again without a loss is not held back', () => {
    const sent = withUnderWay(40);
    sent.rewind(0);
    expect(rewritten(sent)).toBe(40);
  });
});
