import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  KeyTraffic,
  type TrafficLease,
  type TrafficLimiter,
} from '../../../../src/relay/limits/key-traffic.js';
import { SecureWebSocketError } from '../../../../src/core/errors.js';
import { runs } from '../../../support/fuzz.js';

const A = 'aa'.repeat(32);
const B = 'bb'.repeat(32);

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A limiter that lets `points` through in each second of the clock, counts its questions, and can fail. */
class FakeLimiter implements TrafficLimiter {
  readonly asked: { key: string; points: number }[] = [];
  behaviour: 'works' | 'fails' | 'throws' | 'hangs' = 'works';
  readonly #points: number;
  readonly #used = new Map<string, number>();

  constructor(points: number) {
    this.#points = points;
  }

  consume(key: string, points: number): Promise<unknown> {
    this.asked.push({ key, points });
    if (this.behaviour === 'throws') throw new Error('broken');
    if (this.behaviour === 'fails') return Promise.reject(new Error('connection lost'));
    if (this.behaviour === 'hangs') return new Promise(() => undefined);
    const window = `${key} ${Math.floor(performance.now() / 1_000)}`;
    const used = (this.#used.get(window) ?? 0) + points;
    this.#used.set(window, used);
    const msBeforeNext = 1_000 - (performance.now() % 1_000);
    return used <= this.#points
      ? Promise.resolve({ msBeforeNext })
      : // As rate-limiter-flexible does.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        Promise.reject({ msBeforeNext });
  }
}

/** Whether `promise` is settled once everything that takes no time is done. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  await vi.advanceTimersByTimeAsync(0);
  return settled;
}

/** Reads chunks of `frames` and `bytes` as a connection does, and calls `count` for each, until that returns false. */
async function flood(
  lease: TrafficLease,
  frames: number,
  bytes: number,
  count: () => unknown,
): Promise<void> {
  for (;;) {
    if (!lease.ready) await lease.renew();
    if (count() === false) return;
    if (!lease.spend(frames, bytes)) await lease.renew();
    // A turn for everybody else.
    await new Promise(resolve => setTimeout(resolve, 1));
  }
}

describe('KeyTraffic', () => {
  it('has no limit without limits', async () => {
    const traffic = await KeyTraffic.create({});
    const lease = traffic.lease(A);
    expect(lease.spend(1e9, 1e9)).toBe(true);
    expect(lease.ready).toBe(true);
  });

  it('refuses limits that are none', async () => {
    for (const bad of [0, -1, 1.5, NaN, Infinity]) {
      const error = await KeyTraffic.create({ framesPerSecond: bad }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SecureWebSocketError);
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(KeyTraffic.create({ bytesPerSecond: bad })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });

  it('draws a twentieth of a second’s worth, and spends from it without asking', async () => {
    const limiter = new FakeLimiter(100);
    const traffic = await KeyTraffic.create({ framesPerSecond: 100, frameLimiter: limiter });
    const lease = traffic.lease(A);
    expect(lease.spend(1, 100)).toBe(false);
    expect(await lease.renew()).toBeUndefined();
    expect(limiter.asked).toEqual([{ key: `key_frames:${A}`, points: 5 }]);
    // One paid for the first, one put aside for the next.
    expect([1, 2, 3, 4].map(() => lease.spend(1, 100))).toEqual([true, true, true, true]);
    expect(limiter.asked).toHaveLength(1);
    expect(lease.spend(1, 100)).toBe(false);
    expect(await lease.renew()).toBeUndefined();
    expect(limiter.asked).toHaveLength(2);
  });

  it('lets no more through than the limit, and tells which one it was', async () => {
    const traffic = await KeyTraffic.create({ framesPerSecond: 40 });
    const lease = traffic.lease(A);
    let frames = 0;
    let renewed: Promise<unknown>;
    for (;;) {
      frames++;
      if (lease.spend(1, 10)) continue;
      renewed = lease.renew();
      if (!(await isSettled(renewed))) break;
    }
    expect(frames).toBeGreaterThanOrEqual(40);
    expect(frames).toBeLessThanOrEqual(41);
    await vi.advanceTimersByTimeAsync(998);
    expect(await isSettled(renewed)).toBe(false);
    await vi.advanceTimersByTimeAsync(3);
    expect(await isSettled(renewed)).toBe(true);
    expect(await renewed).toEqual({ limit: 'key_frames' });
  });

  it('counts bytes beside frames', async () => {
    const traffic = await KeyTraffic.create({ framesPerSecond: 1_000, bytesPerSecond: 1_000 });
    const lease = traffic.lease(A);
    expect(lease.spend(1, 2_500)).toBe(false);
    const renewed = lease.renew();
    expect(await isSettled(renewed)).toBe(false);
    // A thousand in each of the first two seconds, and the rest in the third.
    await vi.advanceTimersByTimeAsync(1_990);
    expect(await isSettled(renewed)).toBe(false);
    await vi.advanceTimersByTimeAsync(20);
    expect(await isSettled(renewed)).toBe(true);
    expect(await renewed).toEqual({ limit: 'key_bytes' });
  });

  it('counts all connections of a key together, and those of another apart', async () => {
    const traffic = await KeyTraffic.create({ framesPerSecond: 40 });
    const counts = { a: 0, other: 0, b: 0 };
    void flood(traffic.lease(A), 1, 1, () => counts.a++);
    void flood(traffic.lease(A), 1, 1, () => counts.other++);
    void flood(traffic.lease(B), 1, 1, () => counts.b++);
    await vi.advanceTimersByTimeAsync(9_900);
    expect(counts.a + counts.other).toBeGreaterThan(360);
    expect(counts.a + counts.other).toBeLessThanOrEqual(402);
    expect(counts.b).toBeGreaterThan(360);
    expect(counts.b).toBeLessThanOrEqual(401);
  });

  it('serves connections one after the other: none starves', async () => {
    const traffic = await KeyTraffic.create({ framesPerSecond: 40 });
    const counts = Array.from({ length: 50 }, () => 0);
    for (const at of counts.keys()) void flood(traffic.lease(A), 1, 1, () => counts[at]!++);
    await vi.advanceTimersByTimeAsync(20_000);
    const total = counts.reduce((sum, each) => sum + each, 0);
    expect(total).toBeLessThanOrEqual(21 * 40 + 50);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.floor(total / 50) - 3);
  });

  it('lets a small connection through beside large ones', async () => {
    const traffic = await KeyTraffic.create({ bytesPerSecond: 100_000 });
    const counts = { large: 0, small: 0 };
    for (let each = 0; each < 5; each++) void flood(traffic.lease(A), 1, 65_536, () => counts.large++);
    void flood(traffic.lease(A), 1, 100, () => counts.small++);
    await vi.advanceTimersByTimeAsync(30_000);
    // Its turn comes after each of the others at the latest.
    expect(counts.small).toBeGreaterThanOrEqual(Math.floor(counts.large / 5) - 1);
    expect(counts.large * 65_536 + counts.small * 100).toBeLessThanOrEqual(31 * 100_000 + 6 * 65_536);
  });

  it('forgets an allowance after a second', async () => {
    const limiter = new FakeLimiter(100);
    const traffic = await KeyTraffic.create({ framesPerSecond: 100, frameLimiter: limiter });
    const lease = traffic.lease(A);
    lease.spend(1, 1);
    await lease.renew();
    await vi.advanceTimersByTimeAsync(999);
    expect(lease.spend(2, 1)).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(lease.spend(1, 1)).toBe(false);
  });

  it('forgets after a second what was put aside for one connection', async () => {
    const traffic = await KeyTraffic.create({ framesPerSecond: 100, frameLimiter: new FakeLimiter(100) });
    const lease = traffic.lease(A);
    lease.spend(1, 1);
    await lease.renew();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(lease.spend(1, 1)).toBe(false);
  });

  it('lets nobody pass those who wait', async () => {
    const limiter = new FakeLimiter(5);
    const traffic = await KeyTraffic.create({ framesPerSecond: 100, frameLimiter: limiter });
    const [first, second] = [traffic.lease(A), traffic.lease(A)];
    first.spend(2, 1);
    second.spend(1, 1);
    const renewed = [first.renew(), second.renew()];
    // Five for two frames and one leave two: these are put aside for the first, and there is nothing for the second.
    expect(await Promise.all(renewed.map(isSettled))).toEqual([true, false]);

    const other = await KeyTraffic.create({ framesPerSecond: 100, frameLimiter: new FakeLimiter(5) });
    const [large, small, late] = [other.lease(A), other.lease(A), other.lease(A)];
    large.spend(3, 1);
    small.spend(1, 1);
    // One is left, which would do for the second, but the first needs three.
    expect(await Promise.all([large.renew(), small.renew()].map(isSettled))).toEqual([false, false]);
    small.close();
    expect(late.spend(1, 1)).toBe(false);
  });

  it('asks once for all who wait', async () => {
    const limiter = new FakeLimiter(100);
    const traffic = await KeyTraffic.create({ framesPerSecond: 100, frameLimiter: limiter });
    const leases = [traffic.lease(A), traffic.lease(A)];
    for (const lease of leases) lease.spend(1, 1);
    await Promise.all(leases.map(lease => lease.renew()));
    expect(limiter.asked).toHaveLength(1);
  });

  it('gives back what a connection that goes had been given', async () => {
    const limiter = new FakeLimiter(100);
    const traffic = await KeyTraffic.create({ framesPerSecond: 100, frameLimiter: limiter });
    const first = traffic.lease(A);
    const second = traffic.lease(A);
    first.spend(3, 1);
    await first.renew();
    // Two pieces of 5: 3 paid for, 3 put aside, 4 left.
    first.close();
    first.close();
    expect(traffic.keys).toBe(1);
    expect(Array.from({ length: 7 }, () => second.spend(1, 1))).toEqual(
      Array.from({ length: 7 }, () => true),
    );
    expect(second.spend(1, 1)).toBe(false);
  });

  it('forgets keys without connections', async () => {
    const traffic = await KeyTraffic.create({ framesPerSecond: 10, bytesPerSecond: 1_000 });
    const leases = [traffic.lease(A), traffic.lease(A), traffic.lease(B)];
    expect(traffic.keys).toBe(2);
    for (const lease of leases) {
      lease.spend(1, 1);
      await lease.renew();
    }
    for (const lease of leases) lease.close();
    expect(traffic.keys).toBe(0);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('remembers what a key owed when it went, and takes the time since for paid', async () => {
    const traffic = await KeyTraffic.create({ bytesPerSecond: 1_000 });
    const lease = traffic.lease(A);
    expect(lease.ready).toBe(true);
    lease.spend(1, 5_000);
    lease.close();
    await vi.advanceTimersByTimeAsync(4_000);
    const again = traffic.lease(A);
    expect(again.ready).toBe(false);
    expect(traffic.keys).toBe(1);
    again.close();
    await vi.advanceTimersByTimeAsync(1_000);
    const last = traffic.lease(A);
    expect(last.ready).toBe(true);
    last.close();
    expect(traffic.keys).toBe(0);
  });

  it('remembers no more than 10,000 keys that owe something', async () => {
    const traffic = await KeyTraffic.create({ bytesPerSecond: 1_000 });
    for (let key = 0; key < 10_050; key++) {
      const lease = traffic.lease(String(key));
      lease.spend(1, 5_000);
      lease.close();
    }
    expect(traffic.keys).toBe(10_000);
    expect(traffic.lease('0').ready).toBe(true);
    expect(traffic.lease('10049').ready).toBe(false);
  });

  it('lets go of a connection that ends while it waits, and of its timer', async () => {
    const traffic = await KeyTraffic.create({ bytesPerSecond: 1_000, byteLimiter: new FakeLimiter(1_000) });
    const lease = traffic.lease(A);
    lease.spend(1, 50_000);
    const renewed = lease.renew();
    expect(lease.renew()).toBe(renewed);
    expect(await isSettled(renewed)).toBe(false);
    lease.close();
    expect(await isSettled(renewed)).toBe(true);
    await expect(lease.renew()).resolves.toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('goes on with the next when the first in line ends', async () => {
    const traffic = await KeyTraffic.create({ bytesPerSecond: 1_000 });
    const first = traffic.lease(A);
    const second = traffic.lease(A);
    first.spend(1, 1_500);
    void first.renew();
    second.spend(1, 10);
    const renewed = second.renew();
    expect(await isSettled(renewed)).toBe(false);
    first.close();
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await isSettled(renewed)).toBe(true);
    expect(await renewed).toEqual({ limit: 'key_bytes' });
  });

  describe('with a limiter that others share', () => {
    it('lets no more through in all than the limit', async () => {
      const limiter = new FakeLimiter(100);
      let count = 0;
      for (let relay = 0; relay < 3; relay++) {
        const traffic = await KeyTraffic.create({ framesPerSecond: 100, frameLimiter: limiter });
        for (let each = 0; each < 3; each++) void flood(traffic.lease(A), 1, 1, () => count++);
      }
      await vi.advanceTimersByTimeAsync(5_000);
      expect(count).toBeGreaterThan(400);
      expect(count).toBeLessThanOrEqual(6 * 100 + 9);
    });

    it.each(['fails', 'throws', 'hangs'] as const)('limits by itself while that %s', async behaviour => {
      const limiter = new FakeLimiter(40);
      limiter.behaviour = behaviour;
      const traffic = await KeyTraffic.create({ framesPerSecond: 40, frameLimiter: limiter });
      let count = 0;
      void flood(traffic.lease(A), 1, 1, () => count++);
      await vi.advanceTimersByTimeAsync(1_000);
      const before = count;
      const asked = limiter.asked.length;
      await vi.advanceTimersByTimeAsync(3_900);
      expect(count - before).toBeGreaterThan(100);
      expect(count - before).toBeLessThanOrEqual(5 * 40);
      // Whoever does not answer is not asked each time.
      expect(limiter.asked.length).toBe(asked);
      limiter.behaviour = 'works';
      await vi.advanceTimersByTimeAsync(5_000);
      expect(limiter.asked.length).toBeGreaterThan(asked);
    });

    it('asks again within a minute, whatever it was told', async () => {
      for (const msBeforeNext of [1e9, -1, 0, NaN]) {
        let asked = 0;
        const limiter: TrafficLimiter = {
          consume: () =>
            asked++ === 0
              ? // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
                Promise.reject({ msBeforeNext })
              : Promise.resolve(),
        };
        const traffic = await KeyTraffic.create({ framesPerSecond: 20, frameLimiter: limiter });
        const lease = traffic.lease(A);
        lease.spend(1, 1);
        const renewed = lease.renew();
        await vi.advanceTimersByTimeAsync(60_000);
        expect(await isSettled(renewed), String(msBeforeNext)).toBe(true);
        // No once, and yes for the debt and for what is put aside.
        expect(asked).toBe(3);
      }
    });
  });

  it('never lets more through than the limit and one chunk for each connection, and always goes on', async () => {
    const scene = fc.record({
      rate: fc.integer({ min: 1, max: 2_000 }),
      chunks: fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(scene, async ({ rate, chunks }) => {
        const limiter = new FakeLimiter(rate);
        const traffic = await KeyTraffic.create({ bytesPerSecond: rate, byteLimiter: limiter });
        const start = performance.now();
        let bytes = 0;
        let isOver = false;
        const leases = chunks.map(() => traffic.lease(A));
        for (const [at, chunk] of chunks.entries()) {
          void flood(leases[at]!, 1, chunk, () => {
            if (!isOver) bytes += chunk;
            return !isOver;
          });
        }
        const largest = chunks.reduce((sum, chunk) => sum + chunk, 0);
        await vi.advanceTimersByTimeAsync(5_500);
        const windows = Math.floor(performance.now() / 1_000) - Math.floor(start / 1_000) + 1;
        expect(bytes).toBeLessThanOrEqual(windows * rate + largest);
        // What does not divide evenly is lost, and what each connection has been given and not used yet.
        expect(bytes).toBeGreaterThanOrEqual(Math.min(largest, 4 * rate * 0.5));
        isOver = true;
        for (const lease of leases) lease.close();
        await vi.advanceTimersByTimeAsync(1_000);
        expect(vi.getTimerCount()).toBe(0);
      }),
      runs(40),
    );
  });
});

describe('loading', () => {
  it('loads no limiter when one is given', async () => {
    vi.doMock('rate-limiter-flexible', () => {
      throw new Error('loaded');
    });
    try {
      vi.resetModules();
      const fresh = await import('../../../../src/relay/limits/key-traffic.js');
      await fresh.KeyTraffic.create({});
      await fresh.KeyTraffic.create({ framesPerSecond: 1, frameLimiter: new FakeLimiter(1) });
      await expect(fresh.KeyTraffic.create({ framesPerSecond: 1 })).rejects.toThrow();
    } finally {
      vi.doUnmock('rate-limiter-flexible');
    }
  });
});
