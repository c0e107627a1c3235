import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ThrottledLimit } from '../../../../src/core/control.js';
import {
  type KeyTrafficExceeded,
  KeyTraffic,
  type TrafficLease,
} from '../../../../src/relay/limits/key-traffic.js';
import { Throttle } from '../../../../src/relay/limits/throttle.js';
import { TrafficLimit } from '../../../../src/relay/limits/traffic-limit.js';
import { runs } from '../../../support/fuzz.js';

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A lease that a test has in its hands. */
class FakeLease implements TrafficLease {
  ready = true;
  enough = true;
  readonly spent: [frames: number, bytes: number][] = [];
  closed = 0;
  readonly #renewals: ((exceeded: KeyTrafficExceeded | undefined) => void)[] = [];

  spend(frames: number, bytes: number): boolean {
    this.spent.push([frames, bytes]);
    return this.enough;
  }

  renew(): Promise<KeyTrafficExceeded | undefined> {
    return new Promise(resolve => this.#renewals.push(resolve));
  }

  close(): void {
    this.closed += 1;
    void this.answer({ limit: 'key_bytes' });
  }

  /** How often it was asked without an answer. */
  get asked(): number {
    return this.#renewals.length;
  }

  async answer(exceeded: KeyTrafficExceeded | undefined): Promise<void> {
    for (const resolve of this.#renewals.splice(0)) resolve(exceeded);
    await vi.advanceTimersByTimeAsync(0);
  }
}

function setUp({ frames, bytes, lease }: { frames?: number; bytes?: number; lease?: TrafficLease } = {}) {
  const told: ThrottledLimit[] = [];
  const held: boolean[] = [];
  const calls: string[] = [];
  const throttle = new Throttle(
    {
      pause: () => calls.push('pause'),
      resume: () => calls.push('resume'),
    },
    new TrafficLimit(frames, bytes),
    lease,
    {
      exceeded: limit => told.push(limit),
      held: isHeld => held.push(isHeld),
    },
  );
  /** One read of the network: bytes, and the frames that were in them. */
  const reads = (count: number, length = 10): void => {
    throttle.arrived(length * count);
    for (let n = 0; n < count; n++) throttle.frame();
  };
  return { throttle, told, held, calls, reads };
}

describe('a connection that sends more than it may', () => {
  it('is not read for as long as that takes, and told so once', () => {
    const { throttle, told, held, calls, reads } = setUp({ bytes: 1_000 });
    reads(100);
    expect(calls).toEqual([]);
    reads(50);
    expect(told).toEqual(['bytes']);
    expect([throttle.isHeld, held, calls]).toEqual([true, [true], ['pause']]);
    vi.advanceTimersByTime(499);
    expect(calls).toEqual(['pause']);
    vi.advanceTimersByTime(1);
    expect([throttle.isHeld, held, calls]).toEqual([false, [true, false], ['pause', 'resume']]);

    reads(1);
    expect(calls).toEqual(['pause', 'resume', 'pause']);
    expect(told).toEqual(['bytes']);
    vi.advanceTimersByTime(10_000);
    expect(held).toEqual([true, false, true, false]);
  });

  it('is told of each limit by its name', () => {
    const { told, reads } = setUp({ frames: 10, bytes: 1_000 });
    for (const count of [11, 1, 11, 200, 1]) {
      reads(count);
      vi.advanceTimersByTime(60_000);
    }
    expect(told).toEqual(['frames', 'bytes']);
  });

  it('pays for a frame when that is known, with the next bytes', () => {
    const { told, throttle, reads } = setUp({ frames: 5 });
    reads(6);
    expect(throttle.isHeld).toBe(false);
    throttle.arrived(1);
    expect(told).toEqual(['frames']);
    expect(throttle.isHeld).toBe(true);
  });

  it('is held longer when what was read already is too much as well', () => {
    const { calls, reads } = setUp({ bytes: 1_000 });
    reads(110);
    vi.advanceTimersByTime(50);
    // The socket had read this before it was paused.
    reads(100);
    expect(calls).toEqual(['pause']);
    vi.advanceTimersByTime(1_049);
    expect(calls).toEqual(['pause']);
    vi.advanceTimersByTime(1);
    expect(calls).toEqual(['pause', 'resume']);
  });

  it('keeps no process alive by being held', () => {
    vi.useRealTimers();
    const spy = vi.spyOn(globalThis, 'setTimeout');
    const { throttle } = setUp({ bytes: 1 });
    throttle.arrived(1_000_000);
    const timer = spy.mock.results.at(-1)?.value as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(false);
    throttle.close();
    spy.mockRestore();
  });

  it('is not limited where nothing is', () => {
    const { calls, reads } = setUp();
    for (let n = 0; n < 100; n++) reads(10_000);
    expect(calls).toEqual([]);
  });
});

describe('a key that sends more than it may', () => {
  it('is not read until there is more, and told so once', async () => {
    const lease = new FakeLease();
    const { throttle, told, held, calls, reads } = setUp({ lease });
    reads(3);
    expect(lease.spent).toEqual([[0, 30]]);
    lease.enough = false;
    reads(1);
    reads(1);
    expect(lease.spent.slice(1)).toEqual([
      [3, 10],
      [1, 10],
    ]);
    // Asked once, and not told before the answer.
    expect(lease.asked).toBe(1);
    expect([throttle.isHeld, told, calls]).toEqual([true, [], ['pause']]);
    await lease.answer({ limit: 'key_bytes' });
    expect([throttle.isHeld, told, calls]).toEqual([false, ['key_bytes'], ['pause', 'resume']]);
    reads(1);
    await lease.answer({ limit: 'key_bytes' });
    expect(told).toEqual(['key_bytes']);
    reads(1);
    await lease.answer({ limit: 'key_frames' });
    expect(told).toEqual(['key_bytes', 'key_frames']);
    expect(held).toEqual([true, false, true, false, true, false]);
  });

  it('is not told anything when somebody had only to be asked', async () => {
    const lease = new FakeLease();
    lease.enough = false;
    const { told, calls, reads } = setUp({ lease });
    reads(1);
    await lease.answer(undefined);
    expect(told).toEqual([]);
    expect(calls).toEqual(['pause', 'resume']);
  });

  it('that owes something from before is not read at first', async () => {
    const lease = new FakeLease();
    lease.ready = false;
    const { throttle, held, calls } = setUp({ lease });
    expect([throttle.isHeld, held, calls]).toEqual([true, [true], ['pause']]);
    await lease.answer(undefined);
    expect([throttle.isHeld, held, calls]).toEqual([false, [true, false], ['pause', 'resume']]);
  });

  it('is read again when nothing holds it back any more, of two things', async () => {
    for (const leaseFirst of [true, false]) {
      const lease = new FakeLease();
      const { held, calls, reads } = setUp({ bytes: 1_000, lease });
      lease.enough = false;
      reads(200);
      expect([held, calls]).toEqual([[true], ['pause']]);
      if (leaseFirst) await lease.answer(undefined);
      else vi.advanceTimersByTime(5_000);
      expect([held, calls]).toEqual([[true], ['pause']]);
      if (leaseFirst) vi.advanceTimersByTime(5_000);
      else await lease.answer(undefined);
      expect([held, calls]).toEqual([
        [true, false],
        ['pause', 'resume'],
      ]);
    }
  });
});

describe('a connection that is gone', () => {
  it('is not resumed, and counts as held no more', async () => {
    const lease = new FakeLease();
    const { throttle, held, calls, told, reads } = setUp({ bytes: 1_000, lease });
    lease.enough = false;
    reads(200);
    throttle.close();
    expect(held).toEqual([true, false]);
    await vi.advanceTimersByTimeAsync(60_000);
    throttle.close();
    expect([held, calls, told]).toEqual([[true, false], ['pause'], ['bytes']]);
    expect(lease.closed).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that was never held is closed without a word', () => {
    const lease = new FakeLease();
    const { throttle, held, calls } = setUp({ lease });
    throttle.close();
    expect([held, calls, lease.closed]).toEqual([[], [], 1]);
  });
});

describe('a throttle', () => {
  it('holds and lets go in turn, and never lets more through than limits allow', async () => {
    const steps = fc.array(
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            type: fc.constant('read' as const),
            count: fc.integer({ min: 1, max: 30 }),
            length: fc.integer({ min: 1, max: 40 }),
          }),
        },
        {
          weight: 2,
          arbitrary: fc.record({ type: fc.constant('wait' as const), time: fc.nat(1_500) }),
        },
      ),
      { maxLength: 60, size: 'max' },
    );
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), async (list, shared) => {
        const rate = 1_000;
        const traffic = await KeyTraffic.create({ bytesPerSecond: shared ? 2 * rate : undefined });
        const lease = shared ? traffic.lease('aa') : undefined;
        const { throttle, told, held, calls, reads } = setUp({
          bytes: rate,
          ...(lease && { lease }),
        });
        const since = performance.now();
        let total = 0;
        let largest = 0;
        for (const step of list) {
          if (step.type === 'wait') {
            await vi.advanceTimersByTimeAsync(step.time);
          } else if (!throttle.isHeld) {
            reads(step.count, step.length);
            total += step.count * step.length;
            largest = Math.max(largest, step.count * step.length);
          }
          expect(held.map(isHeld => (isHeld ? 'pause' : 'resume'))).toEqual(calls);
          expect(held.every((isHeld, at) => isHeld === (at % 2 === 0))).toBe(true);
          expect(held.at(-1) ?? false).toBe(throttle.isHeld);
        }
        expect(total).toBeLessThanOrEqual(rate + (rate * (performance.now() - since)) / 1_000 + largest);
        expect(new Set(told).size).toBe(told.length);
        throttle.close();
        expect(held.at(-1) ?? false).toBe(false);
      }),
      runs(60),
    );
  });
});
