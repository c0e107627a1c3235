import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Arrivals } from '../../../bench/arrivals.js';
import { Payloads, windowOf } from '../../../bench/payloads.js';

const TIME_LIMIT = 1_000;
const payloads = new Payloads(16);

let arrivals: Arrivals;

beforeEach(() => {
  vi.useFakeTimers();
  arrivals = new Arrivals(TIME_LIMIT);
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('messages that arrive', () => {
  it('are counted to the last', async () => {
    const arrived = arrivals.wait(payloads, 6);
    for (let place = 0; place < 6; place++) arrivals.take(payloads.at(place));
    await expect(arrived).resolves.toBeUndefined();
  });

  it('at several receivers are counted for each', async () => {
    const arrived = arrivals.wait(payloads, 1, { receivers: 3, from: 5 });
    for (const receiver of [2, 0, 1]) arrivals.take(payloads.at(5), receiver);
    await expect(arrived).resolves.toBeUndefined();
  });

  it('and one that is lost make an error when the time is over', async () => {
    const arrived = arrivals.wait(payloads, 3);
    const failed = expect(arrived).rejects.toThrow('1 of 3 messages did not arrive within 1000 ms');
    arrivals.take(payloads.at(0));
    arrivals.take(payloads.at(1));
    // Looked at twice: at the first time something has arrived.
    vi.advanceTimersByTime(2 * TIME_LIMIT);
    await failed;
  });

  it('and go on arriving make none, however long that takes', async () => {
    const arrived = arrivals.wait(payloads, 10);
    for (let place = 0; place < 10; place++) {
      vi.advanceTimersByTime(TIME_LIMIT - 1);
      arrivals.take(payloads.at(place));
    }
    await expect(arrived).resolves.toBeUndefined();
  });

  it.each([
    ['out of turn', payloads.at(1), 0],
    ['cut short', payloads.at(0).subarray(1), 0],
    [
      'altered at the front',
      Uint8Array.from(payloads.at(0), (byte, index) => (index === 0 ? byte ^ 1 : byte)),
      0,
    ],
    [
      'altered at the end',
      Uint8Array.from(payloads.at(0), (byte, index) => (index === 15 ? byte ^ 1 : byte)),
      0,
    ],
    ['at a receiver that there is not', payloads.at(0), 1],
  ])('%s make an error', async (_, data, receiver) => {
    const arrived = arrivals.wait(payloads, 2);
    arrivals.take(data, receiver);
    await expect(arrived).rejects.toThrow(/not the next one sent/);
  });

  it('twice make an error', async () => {
    const arrived = arrivals.wait(payloads, 1, { receivers: 2 });
    arrivals.take(payloads.at(0), 0);
    arrivals.take(payloads.at(1), 0);
    await expect(arrived).rejects.toThrow(/not the next one sent/);
  });
});

describe('payloads', () => {
  it('next to each other differ in their ends, and have the size', () => {
    for (const size of [1, 64, 1_048_576]) {
      const of = new Payloads(size);
      for (let place = 0; place < 8; place++) {
        expect(of.at(place)).toHaveLength(size);
        expect(of.isAt(of.at(place), place)).toBe(true);
        expect(of.isAt(of.at(place), place + 1)).toBe(false);
      }
    }
  });

  it('are at most 256 on their way, and at most 32 MiB, but at least one', () => {
    expect([1, 64, 131_072, 1_048_576, 33_554_432, 67_108_864].map(windowOf)).toEqual([
      256, 256, 256, 32, 1, 1,
    ]);
  });
});
