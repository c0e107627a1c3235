import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME_OVERHEAD, QueueBudget, SendQueue } from '../../../src/relay/send-queue.js';
import { FakeConnection } from '../../support/fake-connection.js';

const HUGE = Number.MAX_SAFE_INTEGER;

function queueOf(budget: QueueBudget): { connection: FakeConnection; queue: SendQueue } {
  const connection = new FakeConnection();
  connection.stuck = true;
  return { connection, queue: new SendQueue(connection, budget) };
}

/** As many frames of `length` bytes as are taken, up to `limit`. */
function fill(queue: SendQueue, length: number, limit = 1_000_000): number {
  let frames = 0;
  while (frames < limit && queue.offer(new Uint8Array(length))) frames++;
  return frames;
}

describe('one queue', () => {
  it('takes bytes up to its bound and not one more', () => {
    const { connection, queue } = queueOf(new QueueBudget(100_000, HUGE));
    expect(fill(queue, 10_000)).toBe(10);
    expect(queue.offer(new Uint8Array(1))).toBe(false);
    connection.drain(1);
    expect(queue.offer(new Uint8Array(10_001))).toBe(false);
    expect(queue.offer(new Uint8Array(10_000))).toBe(true);
  });

  it('never takes a frame that is larger than the bound, even when it is empty', () => {
    const { connection, queue } = queueOf(new QueueBudget(1_000, HUGE));
    expect(queue.offer(new Uint8Array(1_001))).toBe(false);
    expect(connection.sent).toEqual([]);
  });

  it('takes fewer of the smallest frames: they cost more than their bytes', () => {
    const max = 1_048_576;
    const { connection, queue } = queueOf(new QueueBudget(max, HUGE));
    const frames = fill(queue, 38);
    expect(frames * FRAME_OVERHEAD).toBeLessThanOrEqual(max);
    expect(frames * FRAME_OVERHEAD).toBeGreaterThan(max / 8);
    connection.drain();
    expect(fill(queue, 38)).toBe(frames);
  });

  it('does not lose count of frames when a part of them goes', () => {
    const { connection, queue } = queueOf(new QueueBudget(1_048_576, HUGE));
    for (let round = 0; round < 20; round++) {
      fill(queue, 200, 500);
      connection.drain(450);
      fill(queue, 200, 1);
      const cost = connection.bufferedBytes + connection.waitingFrames * FRAME_OVERHEAD;
      expect(queue.charged).toBeGreaterThanOrEqual(cost);
      expect(queue.charged).toBeLessThan(20 * cost);
    }
  });

  it('does not tire of a steady stream of small frames with a small backlog', () => {
    const { connection, queue } = queueOf(new QueueBudget(1_048_576, HUGE));
    fill(queue, 50, 20);
    for (let i = 0; i < 200_000; i++) {
      if (!queue.offer(new Uint8Array(50))) expect.fail(`refused frame ${String(i)}`);
      connection.drain(1);
      connection.sent.length = 0;
    }
  });

  it('sends the buffer itself, unless a frame that has to wait would hold a far larger one', () => {
    const { connection, queue } = queueOf(new QueueBudget(1_048_576, HUGE));
    const chunk = new Uint8Array(65_536).fill(7);
    const view = chunk.subarray(100, 200);
    queue.offer(view); // nothing waits: the network takes it at once
    expect(connection.sent[0]).toBe(view);
    queue.offer(view);
    expect(connection.sent[1]).not.toBe(view);
    expect(connection.sent[1]).toEqual(new Uint8Array(100).fill(7));
    expect(connection.sent[1]?.buffer.byteLength).toBe(100);
    const large = chunk.subarray(0, 40_000);
    queue.offer(large);
    expect(connection.sent[2]).toBe(large);
  });
});

describe('all queues together', () => {
  it('hold no more than the budget beyond a small share each', () => {
    const max = 128_000; // a share of 2,000
    const budget = new QueueBudget(max, 200_000);
    const queues = Array.from({ length: 10 }, () => queueOf(budget));
    for (const { queue } of queues) fill(queue, 2_000);
    const waiting = queues.map(({ connection }) => connection.bufferedBytes);
    expect(waiting.reduce((a, b) => a + b)).toBeLessThanOrEqual(200_000 + 10 * (2_000 + 2_000));
    expect(waiting[0]).toBe(max);
    expect(Math.min(...waiting)).toBe(2_000); // the first frame is always taken
    // Small frames still pass within the share.
    expect(queues[9]?.queue.offer(new Uint8Array(100))).toBe(false);
    // Not a byte is left, and yet a connection that is not greedy gets its share.
    for (const { queue } of queues) fill(queue, 1);
    const late = queueOf(budget);
    expect(fill(late.queue, 100)).toBeGreaterThan(1);
  });

  it('have room again as soon as some have been drained, told or not', () => {
    for (const told of [true, false]) {
      const budget = new QueueBudget(64_000, 64_000);
      const [first, second] = [queueOf(budget), queueOf(budget)];
      fill(first.queue, 2_000);
      expect(fill(second.queue, 2_000)).toBeLessThan(5);
      first.connection.drain();
      if (told) {
        first.queue.settle();
        expect(budget.used).toBeLessThan(20_000);
      }
      // Without a hint it takes as many refusals as there are queues.
      let refusals = 0;
      while (!second.queue.offer(new Uint8Array(2_000))) expect(refusals++).toBeLessThan(told ? 0 : 3);
    }
  });

  it('are charged for what is left once a part has gone', () => {
    const budget = new QueueBudget(200_000, HUGE);
    const { connection, queue } = queueOf(budget);
    fill(queue, 10_000, 12);
    connection.drain(10);
    queue.settle();
    expect(budget.used).toBeGreaterThan(20_000);
    expect(budget.used).toBeLessThan(30_000);
  });

  it('forget a queue whose connection is gone', () => {
    const budget = new QueueBudget(64_000, 64_000);
    const { queue } = queueOf(budget);
    fill(queue, 2_000);
    expect(budget.used).toBeGreaterThan(50_000);
    queue.release();
    expect(budget.used).toBe(0);
  });
});

it('no order of sending and draining breaks a bound, and large frames are refused for their bytes only', () => {
  const MAX = 50_000;
  const TOTAL = 120_000;
  const command = fc.record({
    queue: fc.nat(3),
    action: fc.constantFrom('offer', 'offer', 'offer', 'burst', 'drain', 'settle', 'release'),
    length: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 20_000 })),
    count: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 150 }), fc.boolean(), (commands, shared) => {
      const budget = new QueueBudget(MAX, shared ? TOTAL : HUGE);
      const queues = Array.from({ length: 4 }, () => ({ ...queueOf(budget), smallest: Infinity }));
      for (const { queue: index, action, length, count } of commands) {
        const entry = queues[index];
        if (entry === undefined) continue;
        const { connection, queue } = entry;
        if (action === 'offer' || action === 'burst') {
          for (let i = 0; i < (action === 'offer' ? 1 : count); i++) {
            const waiting = connection.bufferedBytes;
            const taken = queue.offer(new Uint8Array(length));
            if (waiting + length > MAX) expect(taken).toBe(false);
            else if (waiting === 0 || (!shared && Math.min(length, entry.smallest) >= 2_048))
              expect(taken).toBe(true);
            if (!taken) continue;
            entry.smallest = Math.min(entry.smallest, length);
            // What the budget holds against the queue is never less than what waits in it.
            if (waiting > 0) {
              const cost = connection.bufferedBytes + connection.waitingFrames * FRAME_OVERHEAD;
              expect(queue.charged).toBeGreaterThanOrEqual(cost);
            }
          }
        } else if (action === 'drain') {
          connection.drain(count);
        } else if (action === 'settle') {
          const before = queue.charged;
          queue.settle();
          const cost = connection.bufferedBytes + connection.waitingFrames * FRAME_OVERHEAD;
          expect(queue.charged).toBeLessThanOrEqual(before);
          expect(queue.charged).toBeGreaterThanOrEqual(Math.min(before, cost));
        } else {
          connection.drain();
          queue.release();
        }
        expect(connection.bufferedBytes).toBeLessThanOrEqual(MAX);
        expect(connection.waitingFrames * FRAME_OVERHEAD).toBeLessThanOrEqual(MAX);
        expect(budget.used).toBe(queues.reduce((sum, each) => sum + each.queue.charged, 0));
        if (shared) expect(budget.used).toBeLessThanOrEqual(TOTAL + queues.length * Math.floor(MAX / 64));
      }
      for (const { connection, queue } of queues) {
        connection.drain();
        queue.settle();
      }
      expect(budget.used).toBe(0);
    }),
    { numRuns: 200 },
  );
});

describe('a frame of two parts', () => {
  it('counts as one that is not shared', () => {
    const [head, tail] = [new Uint8Array(15), new Uint8Array(9_985)];
    const { connection, queue } = queueOf(new QueueBudget(100_000, HUGE));
    for (let i = 0; i < 10; i++) expect(queue.offerShared(head, tail)).toBe(true);
    expect(queue.offerShared(head, new Uint8Array(0))).toBe(false);
    expect(connection.bufferedBytes).toBe(100_000);
    expect(queue.charged).toBeGreaterThanOrEqual(90_000);
    connection.drain();
    expect(queue.offerShared(head, new Uint8Array(100_000))).toBe(false);
    expect(queue.offerShared(head, tail)).toBe(true);
    queue.settle();
    connection.drain();
    queue.settle();
    expect(queue.charged).toBe(0);
  });

  it('finds room that what is only held back takes', () => {
    const { connection, queue } = queueOf(new QueueBudget(1_000, HUGE));
    Object.assign(connection, {
      flush: () => {
        connection.drain();
      },
    });
    expect(queue.offerShared(new Uint8Array(500), new Uint8Array(400))).toBe(true);
    expect(queue.offerShared(new Uint8Array(500), new Uint8Array(400))).toBe(true);
    expect(connection.sent).toHaveLength(2);
  });
});
