import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Control } from '../../../src/core/control.js';
import { decodeFrame } from '../../../src/core/frame.js';
import { drainConnections, type DrainedConnection, drainTime } from '../../../src/relay/drain.js';

const GRACE = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A connection that notes what becomes of it, and when. */
class Connection implements DrainedConnection {
  readonly told: Control[] = [];
  readonly calls: string[] = [];
  readonly closes: { code: number; reason: string; at: number }[] = [];
  readonly #since = performance.now();

  send(bytes: Uint8Array): void {
    const frame = decodeFrame(bytes);
    if (frame.type !== 'control' || !frame.control) throw new Error(frame.type);
    this.told.push(frame.control);
    this.calls.push('send');
  }

  flush(): void {
    this.calls.push('flush');
  }

  close(code: number, reason: string): void {
    this.calls.push('close');
    this.closes.push({ code, reason, at: performance.now() - this.#since });
  }

  get reconnectIn(): number {
    const [control] = this.told;
    if (control?.type !== 'RESTARTING') throw new Error('was not told');
    return control.reconnectIn;
  }
}

const connections = (count: number): Connection[] => Array.from({ length: count }, () => new Connection());

describe('connections that are drained', () => {
  it('are told at once when to leave, each at another time', () => {
    const all = connections(200);
    drainConnections(all, { time: 10_000, tryFor: 30_000 });
    for (const { told, calls, reconnectIn } of all) {
      expect(told).toEqual([{ type: 'RESTARTING', reconnectIn, tryFor: 30_000 }]);
      // What is sent may be held back to the end of the turn: not this.
      expect(calls).toEqual(['send', 'flush']);
      expect(Number.isInteger(reconnectIn)).toBe(true);
    }
    const times = all.map(({ reconnectIn }) => reconnectIn);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...times)).toBeLessThan(10_000);
    // Spread over all of the time.
    for (let tenth = 0; tenth < 10; tenth++) {
      expect(times.some(time => Math.floor(time / 1_000) === tenth)).toBe(true);
    }
  });

  it('are closed a second after they should have left, with 1012, and never later than all are', () => {
    const all = connections(50);
    drainConnections(all, { time: 5_000, tryFor: 1 });
    vi.advanceTimersByTime(drainTime(5_000));
    for (const { closes, reconnectIn } of all) {
      expect(closes).toEqual([{ code: 1012, reason: expect.any(String) as string, at: reconnectIn + GRACE }]);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are told the earliest and the latest time that there is', () => {
    for (const [random, time, reconnectIn] of [
      [0, 10_000, 0],
      [1 - Number.EPSILON, 10_000, 9_999],
      [0.5, 0, 0],
    ] as const) {
      vi.spyOn(Math, 'random').mockReturnValue(random);
      const [one] = connections(1);
      if (!one) throw new Error('nobody');
      drainConnections([one], { time, tryFor: 0 });
      expect(one.reconnectIn).toBe(reconnectIn);
      vi.advanceTimersByTime(reconnectIn + GRACE - 1);
      expect(one.closes).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(one.closes).toHaveLength(1);
    }
  });

  it('are left alone once somebody else closes them', () => {
    const all = connections(10);
    const stop = drainConnections(all, { time: 5_000, tryFor: 1 });
    stop();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect(all.flatMap(({ closes }) => closes)).toEqual([]);
  });
});

it('nobody is there: there is nothing to wait for', () => {
  drainConnections([], { time: 5_000, tryFor: 1 })();
  expect(vi.getTimerCount()).toBe(0);
});
