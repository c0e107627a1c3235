import { describe, expect, it } from 'vitest';
import { FRAME_HEADROOM } from '../../../../src/websocket/frame.js';
import { type LoopbackListener, LoopbackSocket } from '../../../../src/relay/service/loopback-socket.js';
import type { RouterPort } from '../../../../src/relay/router.js';

/** A loopback socket, and what happens at its two ends. */
function loopback() {
  const told: unknown[] = [];
  const routed: Uint8Array[] = [];
  let removed = 0;
  const listener: LoopbackListener = {
    frames: frames => told.push(frames.map(frame => [...frame])),
    drained: () => told.push('drained'),
    closed: (code, reason) => told.push([code, reason]),
  };
  const socket = new LoopbackSocket(listener);
  const port: Partial<RouterPort> = {
    receive: frame => routed.push(frame),
    remove: () => {
      removed++;
    },
  };
  socket.connect(port as RouterPort);
  return { socket, told, routed, removed: () => removed };
}

const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

describe('LoopbackSocket', () => {
  it('hands on what the router brings at the end of the turn, together', async () => {
    const { socket, told } = loopback();
    socket.connection.send(Uint8Array.of(1, 2));
    socket.connection.sendShared(Uint8Array.of(3), Uint8Array.of(4));
    expect(told).toEqual([]);
    expect(socket.connection.bufferedBytes).toBe(4);
    await Promise.resolve();
    expect(told).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
    ]);
    expect(socket.connection.bufferedBytes).toBe(0);
  });

  it('gives the router frames with room before them, and lets others have their turn', async () => {
    const { socket, told, routed } = loopback();
    const data = Uint8Array.of(1, 2, 3);
    socket.send(data);
    socket.send('text');
    expect(routed.map(frame => [...frame])).toEqual([[1, 2, 3]]);
    expect(routed[0]?.byteOffset).toBeGreaterThanOrEqual(FRAME_HEADROOM);
    // What the router writes into it is of no concern to the link.
    routed[0]?.fill(0);
    expect([...data]).toEqual([1, 2, 3]);
    expect(socket.bufferedAmount).toBeGreaterThan(3);
    await nextTurn();
    expect(socket.bufferedAmount).toBe(0);
    expect(told).toEqual(['drained']);
  });

  it('gives each frame memory of its own, be it large', () => {
    const { socket, routed } = loopback();
    for (const length of [100_000, 1, 100_000]) socket.send(new Uint8Array(length).fill(length % 255));
    expect(routed.map(({ length }) => length)).toEqual([100_000, 1, 100_000]);
    for (const frame of routed) expect(frame.every(byte => byte === frame.length % 255)).toBe(true);
  });

  it('is silent once the link has closed it', async () => {
    const { socket, told, routed, removed } = loopback();
    socket.connection.send(Uint8Array.of(1));
    socket.send(Uint8Array.of(2));
    socket.close();
    socket.send(Uint8Array.of(3));
    socket.connection.send(Uint8Array.of(4));
    socket.connection.close(4002, 'too slow');
    await nextTurn();
    await nextTurn();
    expect(routed).toHaveLength(1);
    expect(removed()).toBe(1);
    expect(told).toEqual([]);
  });

  it('tells the link when the router has closed it, later', async () => {
    const { socket, told } = loopback();
    socket.connection.close(4002, 'too slow');
    expect(told).toEqual([]);
    await Promise.resolve();
    expect(told).toEqual([[4002, 'too slow']]);
  });
});
