import { setImmediate as nextTask } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { READABLE_HIGH_WATER_MARK } from '../../../src/socket/message-readable.js';
import { ServerSecureWebSocket } from '../../../src/socket/server-secure-web-socket.js';
import { next } from '../../support/conformance/conformance-case.js';
import { ScriptedChannel } from '../../support/scripted-channel.js';
import { connect, information, settle } from '../../support/scripted-socket.js';
import { stateOf } from '../../support/streamed-sockets.js';

// Where the streams of the two ends differ; what they have in common is in message-readable and message-writable.
vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

describe('the streams of a client', () => {
  it('can be asked for before it is open', async () => {
    const { socket, channel } = connect();
    const writer = socket.writable.getWriter();
    const reader = socket.readable.getReader();
    const writing = writer.write('x');
    expect(await stateOf(writing)).toBe('pending');
    channel.listener.opened?.(information);
    channel.text('hello');
    expect(await stateOf(writing)).toBe('resolved');
    expect(await reader.read()).toEqual({ done: false, value: 'hello' });
  });

  it('are closed after it was opened, not instead', async () => {
    const { socket, channel } = connect();
    const closing = socket.writable.close();
    await settle();
    expect(channel.calls).toEqual([]);
    channel.listener.opened?.(information);
    expect(await stateOf(closing)).toBe('resolved');
    expect(channel.calls).toEqual(['close']);
  });

  it('give up the attempt when they are cancelled or aborted before', async () => {
    for (const act of [
      (socket: ClientSecureWebSocket) => socket.readable.cancel(),
      (socket: ClientSecureWebSocket) => socket.writable.abort(),
    ]) {
      const { socket, channel } = connect();
      await act(socket);
      expect(channel.calls).toEqual(['terminate']);
      await settle();
      expect(socket.readyState).toBe(3);
    }
  });

  it('have bytes whatever binaryType says', async () => {
    const { socket, channel } = connect();
    channel.listener.opened?.(information);
    const reader = socket.readable.getReader();
    for (const type of ['blob', 'arraybuffer'] as const) {
      socket.binaryType = type;
      channel.binary(1);
      expect((await reader.read()).value).toEqual(Uint8Array.of(1));
    }
  });

  it('leave pausing alone that is there for another reason', async () => {
    const { socket, channel } = connect();
    channel.listener.opened?.(information);
    await next(socket, 'open');
    expect(socket.readable.locked).toBe(false);
    // So much that the queue of events pauses first, and has run empty before the stream is read.
    channel.listener.message(new Uint8Array(3 * 2 ** 20), false);
    expect(channel.calls).toEqual(['pause']);
    await settle();
    expect(channel.calls).toEqual(['pause', 'resume', 'pause']);
    await socket.readable.getReader().read();
    await settle();
    expect(channel.calls).toEqual(['pause', 'resume', 'pause', 'resume']);
  });
});

describe('the streams of a server-side socket', () => {
  it('have bytes whatever binaryType says', async () => {
    const channel = new ScriptedChannel();
    const socket = new ServerSecureWebSocket(channel);
    const reader = socket.readable.getReader();
    for (const type of ['nodebuffer', 'arraybuffer', 'fragments'] as const) {
      socket.binaryType = type;
      channel.binary(1);
      const { value } = await reader.read();
      expect(value).toEqual(Uint8Array.of(1));
      expect(Buffer.isBuffer(value)).toBe(false);
    }
  });

  it('leave pausing alone that the application has asked for', async () => {
    const channel = new ScriptedChannel();
    const socket = new ServerSecureWebSocket(channel);
    const reader = socket.readable.getReader();
    await nextTask();
    socket.pause();
    channel.listener.message(new Uint8Array(READABLE_HIGH_WATER_MARK), false);
    await reader.read();
    await settle();
    expect(socket.isPaused).toBe(true);
    expect(channel.calls).toEqual(['pause']);
    channel.listener.message(new Uint8Array(READABLE_HIGH_WATER_MARK), false);
    socket.resume();
    expect(socket.isPaused).toBe(false);
    expect(channel.calls).toEqual(['pause']);
    await reader.read();
    await settle();
    expect(channel.calls).toEqual(['pause', 'resume']);
  });

  it('do not keep a socket that has failed from closing', async () => {
    const channel = new ScriptedChannel();
    const socket = new ServerSecureWebSocket(channel);
    expect(socket.readable.locked).toBe(false);
    await nextTask();
    channel.manual = true;
    channel.listener.message(new Uint8Array(READABLE_HIGH_WATER_MARK), false);
    channel.listener.message(Uint8Array.of(0xff), true);
    expect(channel.calls).toEqual(['pause', 'resume', 'close 1007']);
  });

  it('keep a peer alive that is not read from', async () => {
    const channel = new ScriptedChannel();
    const socket = new ServerSecureWebSocket(channel);
    expect(socket.readable.locked).toBe(false);
    await nextTask();
    channel.listener.message(new Uint8Array(READABLE_HIGH_WATER_MARK), false);
    socket.checkAlive();
    socket.checkAlive();
    expect(channel.calls).not.toContain('terminate');
  });
});
