import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Keepalive, type Watched } from '../../../src/relay/keepalive.js';

class FakeConnection implements Watched {
  heard = true;
  pings = 0;
  terminated = false;

  ping(): void {
    this.pings += 1;
  }

  terminate(): void {
    this.terminated = true;
  }
}

/** Lets time pass, and what is due then happen. */
async function elapse(milliseconds: number): Promise<void> {
  vi.advanceTimersByTime(milliseconds);
  await new Promise(resolve => setImmediate(resolve));
}

describe('keepalive', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('pings in every interval, and goes on while there are answers', async () => {
    const keepalive = new Keepalive(1_000);
    const connection = new FakeConnection();
    keepalive.watch(connection);
    for (let i = 1; i <= 10; i++) {
      await elapse(1_000);
      expect(connection.pings).toBe(i);
      connection.heard = true;
    }
    expect(connection.terminated).toBe(false);
    keepalive.stop();
  });

  it('ends a connection from which nothing comes', async () => {
    const keepalive = new Keepalive(1_000);
    const silent = new FakeConnection();
    const talking = new FakeConnection();
    keepalive.watch(silent);
    keepalive.watch(talking);
    await elapse(1_999);
    expect(silent.terminated).toBe(false);
    talking.heard = true;
    await elapse(1);
    expect(silent.terminated).toBe(true);
    expect(talking.terminated).toBe(false);
    await elapse(1_000);
    expect(talking.terminated).toBe(true);
    keepalive.stop();
  });

  it('waits for answers that are there but have not been read, after a pause of the process', async () => {
    const keepalive = new Keepalive(1_000);
    const connection = new FakeConnection();
    keepalive.watch(connection);
    await elapse(1_000);
    vi.advanceTimersByTime(1_000);
    connection.heard = true;
    await elapse(0);
    expect(connection.terminated).toBe(false);
    expect(connection.pings).toBe(2);
    keepalive.stop();
  });

  it('leaves alone what is closed, and everything once it is stopped', async () => {
    const keepalive = new Keepalive(1_000);
    const [closed, other] = [new FakeConnection(), new FakeConnection()];
    keepalive.watch(closed);
    keepalive.unwatch(closed);
    keepalive.watch(other);
    await elapse(1_000);
    keepalive.stop();
    await elapse(10_000);
    expect([closed.pings, other.pings]).toEqual([0, 1]);
    expect(other.terminated).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });
});
