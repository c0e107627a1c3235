import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { Keepalive } from '../../../src/relay/keepalive.js';

/** The part of a `ws` WebSocket that is touched. */
class FakeWebSocket extends EventEmitter {
  pings = 0;
  terminated = false;

  ping(): void {
    this.pings += 1;
  }

  terminate(): void {
    this.terminated = true;
  }

  get asWebSocket(): WebSocket {
    return this as unknown as WebSocket;
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
    const ws = new FakeWebSocket();
    keepalive.watch(ws.asWebSocket);
    for (let i = 1; i <= 10; i++) {
      await elapse(1_000);
      expect(ws.pings).toBe(i);
      ws.emit('pong', Buffer.alloc(0));
    }
    expect(ws.terminated).toBe(false);
    keepalive.stop();
  });

  it('ends a connection from which nothing comes', async () => {
    const keepalive = new Keepalive(1_000);
    const silent = new FakeWebSocket();
    const talking = new FakeWebSocket();
    keepalive.watch(silent.asWebSocket);
    const watched = keepalive.watch(talking.asWebSocket);
    await elapse(1_999);
    expect(silent.terminated).toBe(false);
    watched.heard = true; // a frame is as good as a pong
    await elapse(1);
    expect(silent.terminated).toBe(true);
    expect(talking.terminated).toBe(false);
    await elapse(1_000);
    expect(talking.terminated).toBe(true);
    keepalive.stop();
  });

  it('waits for answers that are there but have not been read, after a pause of the process', async () => {
    const keepalive = new Keepalive(1_000);
    const ws = new FakeWebSocket();
    keepalive.watch(ws.asWebSocket);
    await elapse(1_000);
    vi.advanceTimersByTime(1_000);
    ws.emit('pong', Buffer.alloc(0));
    await elapse(0);
    expect(ws.terminated).toBe(false);
    expect(ws.pings).toBe(2);
    keepalive.stop();
  });

  it('leaves alone what is closed, and everything once it is stopped', async () => {
    const keepalive = new Keepalive(1_000);
    const [closed, other] = [new FakeWebSocket(), new FakeWebSocket()];
    keepalive.watch(closed.asWebSocket);
    closed.emit('close');
    keepalive.watch(other.asWebSocket);
    await elapse(1_000);
    keepalive.stop();
    await elapse(10_000);
    expect([closed.pings, other.pings]).toEqual([0, 1]);
    expect(other.terminated).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });
});
