import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { DRAIN_MARK } from '../../../src/socket/drain-watch.js';
import { next } from '../../support/conformance/conformance-case.js';
import { lastDialled } from '../../support/scripted-dial.js';
import { information, settle } from '../../support/scripted-socket.js';
import { lost, stateOf as outcomeOf, streamedSockets } from '../../support/streamed-sockets.js';

vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

const resumption = { ...information, resumed: true, unacknowledged: [] };

/** 'pending', 'resolved' or the code of the error, after everything that is under way. */
async function stateOf(promise: Promise<void>): Promise<unknown> {
  const state = await outcomeOf(promise);
  return state instanceof SecureWebSocketError ? state.code : state;
}

const unhandled: unknown[] = [];
const note = (reason: unknown): void => {
  unhandled.push(reason);
};
beforeEach(() => {
  unhandled.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(() => {
  process.off('unhandledRejection', note);
});

it('the mark is 64 KiB', () => {
  expect(DRAIN_MARK).toBe(64 * 1024);
});

describe.each(streamedSockets)('drained of a %s', (_name, open) => {
  it('is resolved while no more than the mark waits', async () => {
    const { socket } = await open();
    expect(await stateOf(socket.drained)).toBe('resolved');
    socket.send(new Uint8Array(DRAIN_MARK));
    expect(await stateOf(socket.drained)).toBe('resolved');
  });

  it('waits until no more than that is left, with one promise for all', async () => {
    const { socket, channel } = await open();
    socket.send(new Uint8Array(DRAIN_MARK + 10));
    const { drained } = socket;
    expect(socket.drained).toBe(drained);
    expect(await stateOf(drained)).toBe('pending');
    channel.flush(9);
    expect(await stateOf(drained)).toBe('pending');
    channel.flush(1);
    expect(await stateOf(drained)).toBe('resolved');
    socket.send('x');
    expect(socket.drained).not.toBe(drained);
    expect(await stateOf(socket.drained)).toBe('pending');
  });

  it('waits for a peer that cannot be reached', async () => {
    const { socket, channel } = await open();
    channel.listener.suspended?.({ error: lost });
    const { drained } = socket;
    expect(await stateOf(drained)).toBe('pending');
    channel.listener.resumed?.(resumption);
    expect(await stateOf(drained)).toBe('resolved');
  });

  it('needs both', async () => {
    const { socket, channel } = await open();
    socket.send(new Uint8Array(DRAIN_MARK + 1));
    channel.listener.suspended?.({ error: lost });
    const { drained } = socket;
    channel.flush();
    expect(await stateOf(drained)).toBe('pending');
    socket.send(new Uint8Array(DRAIN_MARK + 1));
    channel.listener.resumed?.(resumption);
    expect(await stateOf(drained)).toBe('pending');
    channel.flush();
    expect(await stateOf(drained)).toBe('resolved');
  });

  it('rejects when the connection fails first, and afterwards', async () => {
    const { socket, channel } = await open();
    channel.listener.suspended?.({ error: lost });
    const { drained } = socket;
    channel.end({ error: lost });
    await expect(drained).rejects.toBe(lost);
    await expect(socket.drained).rejects.toBe(lost);
  });

  it('rejects when the socket is closed first, and afterwards', async () => {
    const { socket, channel } = await open();
    socket.send(new Uint8Array(DRAIN_MARK + 1));
    const { drained } = socket;
    channel.end({ code: 1000, wasClean: true });
    expect(await stateOf(drained)).toBe('ABORTED');
    channel.flush();
    expect(await stateOf(socket.drained)).toBe('ABORTED');
  });

  it('has an error for a connection that just ends', async () => {
    const { socket, channel } = await open();
    channel.end();
    await settle();
    expect(await stateOf(socket.drained)).toBe('LINK_LOST');
  });

  it('rejects, and nobody has to look at it', async () => {
    const { socket, channel } = await open();
    channel.listener.suspended?.({ error: lost });
    void socket.drained;
    channel.end({ error: lost });
    await settle();
    void socket.drained;
    await settle();
    expect(unhandled).toEqual([]);
  });
});

describe('drained of a client', () => {
  it('waits for open', async () => {
    const socket = new ClientSecureWebSocket('wss://a/');
    const { channel } = lastDialled();
    const { drained } = socket;
    expect(await stateOf(drained)).toBe('pending');
    channel.listener.opened?.(information);
    expect(await stateOf(drained)).toBe('resolved');
  });

  it('rejects when it does not come to that', async () => {
    const socket = new ClientSecureWebSocket('wss://a/');
    const { drained } = socket;
    socket.close();
    expect(await stateOf(drained)).toBe('ABORTED');
  });

  it('is not resolved between the end of the connection and its event', async () => {
    const socket = new ClientSecureWebSocket('wss://a/');
    const { channel } = lastDialled();
    channel.listener.opened?.(information);
    await next(socket, 'open');
    channel.end({ error: lost });
    await expect(socket.drained).rejects.toBe(lost);
  });

  it('comes after reconnected, which tells what was lost', async () => {
    const socket = new ClientSecureWebSocket('wss://a/', [], { reconnect: true });
    const { channel } = lastDialled();
    channel.listener.opened?.(information);
    await next(socket, 'open');
    const order: string[] = [];
    channel.listener.suspended?.({ error: lost });
    socket.onreconnected = () => order.push('reconnected');
    void socket.drained.then(() => order.push('drained'));
    channel.listener.resumed?.({ ...resumption, resumed: false });
    await settle();
    expect(order).toEqual(['reconnected', 'drained']);
  });

  it('resolves for what an old connection had left', async () => {
    const socket = new ClientSecureWebSocket('wss://a/', [], { reconnect: true });
    const { channel } = lastDialled();
    channel.listener.opened?.(information);
    await next(socket, 'open');
    socket.send(new Uint8Array(DRAIN_MARK + 1));
    channel.listener.suspended?.({ error: lost });
    channel.bufferedAmount = 0;
    channel.listener.resumed?.({ ...resumption, resumed: false });
    expect(await stateOf(socket.drained)).toBe('resolved');
  });
});
