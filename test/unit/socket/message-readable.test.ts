import { describe, expect, it, vi } from 'vitest';
import { ITEM_OVERHEAD } from '../../../src/core/constants.js';
import { READABLE_HIGH_WATER_MARK } from '../../../src/socket/message-readable.js';
import { settle } from '../../support/scripted-socket.js';
import { lost, stateOf, type StreamedMessage, streamedSockets } from '../../support/streamed-sockets.js';

vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

/** Everything there is to read, and 'end' or the error behind it. */
async function readAll(stream: ReadableStream<StreamedMessage>): Promise<unknown[]> {
  const reader = stream.getReader();
  const read: unknown[] = [];
  try {
    for (let one = await reader.read(); !one.done; one = await reader.read()) read.push(one.value);
    read.push('end');
  } catch (error) {
    read.push(error);
  }
  return read;
}

describe.each(streamedSockets)('readable of a %s', (name, open) => {
  const isClient = name.startsWith('Client');

  it('is one stream, of strings and bytes', async () => {
    const { socket, channel } = await open();
    const { readable } = socket;
    expect(readable).toBeInstanceOf(ReadableStream);
    expect(socket.readable).toBe(readable);
    channel.text('h\u{e9}');
    channel.binary(1, 2);
    channel.text('');
    channel.end({ code: 1000, wasClean: true });
    const read = await readAll(readable);
    expect(read).toEqual(['h\u{e9}', Uint8Array.of(1, 2), '', 'end']);
    expect(Object.getPrototypeOf(read[1])).toBe(Uint8Array.prototype);
  });

  it('takes the messages from the listeners when it is first asked for', async () => {
    const { socket, channel } = await open();
    const heard: unknown[] = [];
    socket.addEventListener('message', event => heard.push(event.data));
    channel.text('for listeners');
    await settle();
    const { readable } = socket;
    channel.text('for the stream');
    channel.end({ code: 1000, wasClean: true });
    expect(await readAll(readable)).toEqual(['for the stream', 'end']);
    expect(heard).toEqual(['for listeners']);
  });

  it('slows the peer down while it is full, and only then', async () => {
    const { socket, channel } = await open();
    const reader = socket.readable.getReader();
    const half = new Uint8Array(READABLE_HIGH_WATER_MARK / 2 - ITEM_OVERHEAD);
    await settle();
    channel.listener.message(half, false);
    await settle();
    expect(channel.calls).toEqual([]);
    channel.listener.message(half, false);
    await settle();
    expect(channel.calls).toEqual(['pause']);
    // Some were on their way.
    channel.text('more');
    await settle();
    await reader.read();
    await settle();
    expect(channel.calls).toEqual(['pause', 'resume']);
    channel.listener.message(half, false);
    await settle();
    expect(channel.calls).toEqual(['pause', 'resume', 'pause']);
  });

  it('counts empty messages too', async () => {
    const { socket, channel } = await open();
    expect(socket.readable.locked).toBe(false);
    await settle();
    const most = READABLE_HIGH_WATER_MARK / ITEM_OVERHEAD;
    for (let count = 1; count < most; count++) channel.text('');
    await settle();
    expect(channel.calls).toEqual([]);
    channel.text('');
    await settle();
    expect(channel.calls).toEqual(['pause']);
  });

  it('fails behind what was received before', async () => {
    const { socket, channel } = await open();
    const { readable } = socket;
    channel.text('one');
    channel.listener.message(new Uint8Array(READABLE_HIGH_WATER_MARK), false);
    channel.text('last words');
    channel.end({ error: lost });
    await settle();
    const read = await readAll(readable);
    expect(read.map(one => (one instanceof Uint8Array ? 'bytes' : one))).toEqual([
      'one',
      'bytes',
      'last words',
      lost,
    ]);
  });

  it('fails a reader that waits', async () => {
    const { socket, channel } = await open();
    const reader = socket.readable.getReader();
    const reading = reader.read();
    channel.end({ error: lost });
    expect(await stateOf(reading)).toBe(lost);
    expect(await stateOf(reader.closed)).toBe(lost);
  });

  it('has ended when the socket has, before it was asked for', async () => {
    const clean = await open();
    clean.channel.end({ code: 1000, wasClean: true });
    await settle();
    expect(await readAll(clean.socket.readable)).toEqual(['end']);
    const failed = await open();
    failed.channel.end({ error: lost });
    await settle();
    expect(await readAll(failed.socket.readable)).toEqual([lost]);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'close'],
    ['null', null, 'close'],
    ['an error', new Error('enough'), 'close'],
    ['a WebSocketError', { name: 'WebSocketError', closeCode: 4000, reason: 'enough' }, 'close 4000 enough'],
    ['one without a reason', { closeCode: 1000 }, 'close 1000'],
    ['one without a code', { closeCode: null, reason: 'enough' }, 'close'],
    ['one whose code cannot be sent', { closeCode: 1006, reason: 'enough' }, 'close'],
    ['one whose reason is too long', { closeCode: 4000, reason: 'x'.repeat(124) }, 'close'],
  ])('closes the socket when it is cancelled with %s', async (_what, reason, call) => {
    const { socket, channel } = await open();
    await socket.readable.cancel(reason);
    expect(channel.calls).toEqual([call]);
    await settle();
    expect(socket.readyState).toBe(3);
  });

  it('takes nothing more once it is cancelled, and lets the CLOSE of the peer through', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const heard: unknown[] = [];
    socket.addEventListener('message', event => heard.push(event.data));
    const { readable } = socket;
    channel.listener.message(new Uint8Array(READABLE_HIGH_WATER_MARK), false);
    await settle();
    expect(channel.calls).toEqual(['pause']);
    await readable.cancel();
    expect(channel.calls).toEqual(['pause', 'resume', 'close']);
    channel.listener.message(new Uint8Array(READABLE_HIGH_WATER_MARK), false);
    channel.end({ code: 1005, wasClean: true });
    await settle();
    expect(heard).toEqual([]);
    expect(channel.calls).toEqual(['pause', 'resume', 'close']);
    expect(socket.readyState).toBe(3);
  });

  it('fails for text that is not UTF-8', async () => {
    const { socket, channel } = await open();
    const { readable } = socket;
    channel.text('before');
    channel.listener.message(Uint8Array.of(0xff), true);
    channel.text('behind');
    const read = await readAll(readable);
    expect(read).toEqual(['before', expect.objectContaining({ code: 'INVALID_UTF8' })]);
  });

  it(`${isClient ? 'drops' : 'takes'} what comes after close(), as events do`, async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const { readable } = socket;
    channel.listener.message(new Uint8Array(READABLE_HIGH_WATER_MARK), false);
    await settle();
    socket.close();
    // The client reads no more: what is full does not keep it from its end.
    expect(channel.calls.includes('resume')).toBe(isClient);
    channel.text('after');
    channel.end({ code: 1005, wasClean: true });
    await settle();
    const read = await readAll(readable);
    expect(read.slice(1)).toEqual(isClient ? ['end'] : ['after', 'end']);
  });
});
