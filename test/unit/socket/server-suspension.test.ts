import { setImmediate as nextTask } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { SecureWebSocketError, type ErrorCode } from '../../../src/core/errors.js';
import type { UnacknowledgedMessage } from '../../../src/link/channel-port.js';
import { ServerSecureWebSocket } from '../../../src/socket/server-secure-web-socket.js';
import { ScriptedChannel } from '../../support/scripted-channel.js';
import { information } from '../../support/scripted-socket.js';

const lost = new SecureWebSocketError('LINK_LOST', 'The link was lost.');
const resumption = { ...information, resumed: true, unacknowledged: [] };

const textOf = (data: unknown): string => String(data);

const text = (data: string): UnacknowledgedMessage => ({
  data: new TextEncoder().encode(data),
  isText: true,
});

/** A socket whose events have begun, and what it tells. */
async function started(): Promise<{
  channel: ScriptedChannel;
  socket: ServerSecureWebSocket;
  seen: string[];
}> {
  const channel = new ScriptedChannel();
  const socket = new ServerSecureWebSocket(channel);
  const seen: string[] = [];
  socket.on('message', data => seen.push(`message ${textOf(data)}`));
  socket.on('suspended', error => seen.push(`suspended ${error.code}`));
  socket.on('resumed', (...args) => seen.push(['resumed', ...args].join(' ')));
  socket.on('error', error => {
    seen.push(`error ${error instanceof SecureWebSocketError ? error.code : error.message}`);
  });
  socket.on('close', code => seen.push(`close ${code}`));
  await nextTask();
  return { channel, socket, seen };
}

/** What was left, in a form to compare. */
const left = (socket: ServerSecureWebSocket): (string | number[])[] =>
  socket.unacknowledged.map(({ data, isBinary }) => {
    expect(Buffer.isBuffer(data)).toBe(true);
    return isBinary ? [...data] : data.toString();
  });

describe('a server-side socket whose client is away', () => {
  it('goes on: it stays OPEN, and tells', async () => {
    const { channel, socket, seen } = await started();
    channel.text('before');
    channel.listener.suspended?.({ error: lost });
    expect(socket.readyState).toBe(1);
    channel.listener.resumed?.(resumption);
    channel.text('after');
    expect(seen).toEqual(['message before', 'suspended LINK_LOST', 'resumed', 'message after']);
    expect(socket.readyState).toBe(1);
  });

  it('tells in order also what happened before listeners could be there', async () => {
    const channel = new ScriptedChannel();
    const socket = new ServerSecureWebSocket(channel);
    channel.text('before');
    channel.listener.suspended?.({ error: lost });
    channel.listener.resumed?.(resumption);
    channel.text('after');
    const seen: string[] = [];
    socket.on('message', data => seen.push(textOf(data)));
    for (const event of ['suspended', 'resumed']) socket.on(event, () => seen.push(event));
    expect(seen).toEqual([]);
    await nextTask();
    expect(seen).toEqual(['before', 'suspended', 'resumed', 'after']);
  });

  it('takes what is sent, and calls callbacks when it is handed to the network', async () => {
    const { channel, socket } = await started();
    const called: string[] = [];
    const note = (name: string) => (error?: Error) => called.push(error ? `${name} ${error.message}` : name);
    channel.listener.suspended?.({ error: lost });
    socket.send('', note('empty'));
    socket.ping(note('ping'));
    socket.send('abc', note('abc'));
    expect(channel.calls).toEqual(['text ', 'ping ', 'text abc']);
    expect(socket.bufferedAmount).toBe(3);
    await nextTask();
    expect(called).toEqual([]);
    channel.listener.resumed?.(resumption);
    expect(called).toEqual(['empty', 'ping']);
    channel.flush();
    expect(called).toEqual(['empty', 'ping', 'abc']);
  });

  it('tells callbacks that wait when the client does not come back', async () => {
    const { channel, socket, seen } = await started();
    channel.listener.suspended?.({ error: lost });
    socket.send('', error => seen.push(`empty ${String(error?.message)}`));
    socket.send('abc', error => seen.push(`abc ${String(error?.message)}`));
    channel.end({ error: lost, unacknowledged: [text('abc')] });
    expect(seen).toEqual([
      'suspended LINK_LOST',
      'empty The link was lost.',
      'abc The link was lost.',
      'close 1006',
    ]);
  });

  it.each<ErrorCode>(['CHANNEL_LOST', 'REPLACED'])('has no error event for %s', async code => {
    const { channel, seen } = await started();
    channel.end({ error: new SecureWebSocketError(code, 'It is over.') });
    expect(seen).toEqual(['close 1006']);
  });

  it('is not terminated for not answering, nor right when it is back', async () => {
    const { channel, socket } = await started();
    socket.checkAlive();
    channel.listener.suspended?.({ error: lost });
    const before = channel.calls.length;
    for (let beat = 0; beat < 3; beat++) socket.checkAlive();
    expect(channel.calls).toHaveLength(before);
    channel.listener.resumed?.(resumption);
    socket.checkAlive();
    expect(channel.calls.at(-1)).toMatch(/^ping /);
    socket.checkAlive();
    expect(channel.calls.at(-1)).toBe('terminate');
  });

  it('can be closed and terminated', async () => {
    const { channel, socket } = await started();
    channel.manual = true;
    channel.listener.suspended?.({ error: lost });
    socket.close(1000);
    expect(channel.calls).toEqual(['close 1000']);
    socket.terminate();
    expect(channel.calls).toEqual(['close 1000', 'terminate']);
  });
});

describe('what a server-side socket had left', () => {
  it('is known once it is closed, and before anybody is told', async () => {
    const { channel, socket, seen } = await started();
    socket.send('callback', () => seen.push('callback'));
    const look = (): number => seen.push(left(socket).join());
    socket.prependListener('error', look);
    socket.prependListener('close', look);
    expect(socket.unacknowledged).toEqual([]);
    channel.end({
      error: new SecureWebSocketError('DECRYPT_FAILED', 'x'),
      unacknowledged: [text('h\u{e9}'), { data: Uint8Array.of(1, 2), isText: false }],
    });
    expect(seen).toEqual(['callback', 'h\u{e9},1,2', 'error DECRYPT_FAILED', 'h\u{e9},1,2', 'close 1006']);
    expect(left(socket)).toEqual(['h\u{e9}', [1, 2]]);
  });

  it('has whole messages that waited for a Blob, and no Blobs, pings or parts', async () => {
    const { channel, socket } = await started();
    socket.send('sent');
    socket.send(new Blob(['x']));
    socket.send('behind');
    socket.ping('ping');
    socket.send(Uint8Array.of(1), { fin: false });
    socket.send(Uint8Array.of(2));
    socket.send(new Blob(['y']), { fin: false });
    socket.send('z');
    socket.send('unfinished', { fin: false });
    channel.end({ error: lost, unacknowledged: [text('sent')] });
    await nextTask();
    expect(left(socket)).toEqual(['sent', 'behind', [1, 2]]);
    expect(channel.calls).toEqual(['text sent']);
  });

  it('is there also when it failed because of a Blob', async () => {
    const { channel, socket } = await started();
    channel.manual = true;
    const blob = new Blob(['x']);
    blob.arrayBuffer = () => Promise.reject(new Error('gone'));
    socket.send(blob);
    socket.send('behind');
    await nextTask();
    channel.end({ unacknowledged: [text('sent')] });
    expect(left(socket)).toEqual(['sent', 'behind']);
    expect(socket.failure).toMatchObject({ code: 'BLOB_UNREADABLE', cause: { message: 'gone' } });
  });

  it('is nothing after a clean end', async () => {
    const { channel, socket } = await started();
    socket.send(new Blob(['x']));
    socket.send('behind');
    channel.end({ code: 1000, wasClean: true });
    expect(socket.unacknowledged).toEqual([]);
  });

  it('does not hold up fragments that wait behind a Blob', async () => {
    const { channel, socket } = await started();
    socket.send(new Blob(['x']));
    socket.send('a', { fin: false });
    socket.send('b');
    socket.send('c', { fin: false });
    socket.send(new Blob(['y']));
    await nextTask();
    await nextTask();
    expect(channel.calls).toEqual(['binary 78', 'text ab', 'text cy']);
  });
});

describe('a paused server-side socket', () => {
  it('gets after resume what was held back, also when the channel has ended', async () => {
    const { channel, socket, seen } = await started();
    socket.pause();
    expect(channel.calls).toEqual(['pause']);
    // The peer has closed: the channel holds what is left of it.
    channel.listener.closing?.();
    expect(socket.readyState).toBe(2);
    socket.resume();
    expect(channel.calls).toEqual(['pause', 'resume']);
    channel.text('held back');
    channel.end({ code: 1000, wasClean: true });
    expect(seen).toEqual(['message held back', 'close 1000']);
  });

  it('gets it also after a failure', async () => {
    const { channel, socket, seen } = await started();
    socket.pause();
    channel.listener.suspended?.({ error: lost });
    socket.resume();
    channel.text('held back');
    channel.end({ error: lost });
    expect(seen).toEqual(['suspended LINK_LOST', 'message held back', 'close 1006']);
  });
});
