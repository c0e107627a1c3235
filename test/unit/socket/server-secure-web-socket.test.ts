import { setImmediate as nextTask } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SecureWebSocketError, type ErrorCode } from '../../../src/core/errors.js';
import {
  ServerSecureWebSocket,
  type ServerSocketOptions,
} from '../../../src/socket/server-secure-web-socket.js';
import { ScriptedChannel } from '../../support/scripted-channel.js';

const textOf = (data: unknown): string => String(data);

/** Event names with what they carry, in order. */
function record(socket: ServerSecureWebSocket): string[] {
  const seen: string[] = [];
  socket.on('message', (data, isBinary) => seen.push(`${isBinary ? 'binary' : 'text'} ${textOf(data)}`));
  socket.on('ping', data => seen.push(`ping ${String(data)}`));
  socket.on('pong', data => seen.push(`pong ${String(data)}`));
  socket.on('error', error => seen.push(`error ${error.message} ${socket.readyState}`));
  socket.on('close', (code, reason) => seen.push(`close ${code} ${String(reason)} ${socket.readyState}`));
  return seen;
}

/** A socket whose events have begun. */
async function started(
  options?: ServerSocketOptions,
): Promise<{ channel: ScriptedChannel; socket: ServerSecureWebSocket; seen: string[] }> {
  const channel = new ScriptedChannel();
  const socket = new ServerSecureWebSocket(channel, '', options);
  const seen = record(socket);
  await nextTask();
  return { channel, socket, seen };
}

const failure = (code: ErrorCode): SecureWebSocketError => new SecureWebSocketError(code, `It is ${code}.`);

afterEach(() => {
  vi.restoreAllMocks();
});

describe('ServerSecureWebSocket', () => {
  it('accepts the channel, and knows all keys', () => {
    const channel = new ScriptedChannel({ target: '/chat?x=1', protocols: ['a', 'b'] });
    const socket = new ServerSecureWebSocket(channel, 'b');
    expect(channel.accepted).toBe('b');
    expect(socket).toMatchObject({
      readyState: 1,
      protocol: 'b',
      extensions: '',
      url: '/chat?x=1',
      publicKey: 'aa'.repeat(32),
      peerPublicKey: 'bb'.repeat(32),
      serverPublicKey: 'cc'.repeat(32),
    });
    const hash = socket.handshakeHash;
    expect(hash).toEqual(new Uint8Array(64).fill(7));
    hash.fill(0);
    expect(socket.handshakeHash).toEqual(new Uint8Array(64).fill(7));
  });

  it('tells nothing before the task in which it was made is over, then everything in order', async () => {
    const channel = new ScriptedChannel();
    const socket = new ServerSecureWebSocket(channel);
    channel.text('first');
    channel.listener.ping?.(Uint8Array.of(0x70));
    channel.binary(0x62);
    channel.listener.pong?.(Uint8Array.of(0x71));
    channel.listener.closing?.();
    channel.end({ code: 1000, reason: 'bye', wasClean: true });
    // As long as it takes code behind a few awaits to add its listeners.
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    expect(socket.readyState).toBe(1);
    const seen = record(socket);
    await nextTask();
    expect(seen).toEqual(['text first', 'ping p', 'binary b', 'pong q', 'close 1000 bye 3']);
  });

  it('delivers what came at once also when the connection was lost right behind it', async () => {
    const channel = new ScriptedChannel();
    const seen = record(new ServerSecureWebSocket(channel));
    channel.text('last words');
    channel.end({ error: failure('LINK_LOST') });
    await nextTask();
    expect(seen).toEqual(['text last words', 'close 1006  3']);
  });

  it('answers a ping at once, before listeners can be there', () => {
    const channel = new ScriptedChannel();
    const socket = new ServerSecureWebSocket(channel);
    channel.listener.ping?.(Uint8Array.of(1, 2));
    expect(channel.calls).toEqual(['pong 0102']);
    expect(socket.readyState).toBe(1);
  });

  it('leaves pings to the application with autoPong: false', async () => {
    const { channel, seen } = await started({ autoPong: false });
    channel.listener.ping?.(Uint8Array.of(0x70));
    expect(seen).toEqual(['ping p']);
    expect(channel.calls).toEqual([]);
  });

  it('answers no ping once it closes', async () => {
    const { channel, socket } = await started();
    channel.manual = true;
    socket.close();
    channel.listener.ping?.(Uint8Array.of(1));
    expect(channel.calls).toEqual(['close']);
  });

  it('is done with what it is given when it returns, be it behind a Blob', async () => {
    const { channel, socket } = await started();
    const expected: string[] = [];
    for (const behind of ['', '78']) {
      if (behind) socket.send(new Blob(['x']));
      const bytes = Uint8Array.of(1, 2, 3, 4);
      socket.send(bytes.subarray(1, 3));
      socket.send(Buffer.from(bytes.buffer, 1, 2));
      socket.send(new DataView(bytes.buffer, 2));
      socket.send(bytes.buffer);
      // Fragments wait for the last of their message.
      for (const part of [Buffer.of(5), Uint8Array.of(6), Buffer.of(7)]) {
        socket.send(part, { fin: false });
        part.fill(9);
      }
      socket.send(Buffer.from(bytes.buffer, 0, 1), { fin: true });
      bytes.fill(9);
      if (behind) expected.push('binary 78');
      expected.push('binary 0203', 'binary 0203', 'binary 0304', 'binary 01020304', 'binary 05060701');
    }
    await vi.waitFor(() => {
      expect(channel.calls).toEqual(expected);
    });
  });

  it.each(['ping', 'pong'] as const)('keeps no bytes of others for a %s', async kind => {
    const { channel, socket } = await started();
    for (const behind of [false, true]) {
      if (behind) socket.send(new Blob(['x']));
      for (const data of [Buffer.of(1, 2), Uint8Array.of(1, 2)]) {
        socket[kind](data);
        data.fill(9);
      }
    }
    const given = channel[`${kind}s`];
    await vi.waitFor(() => {
      expect(given).toHaveLength(4);
    });
    // A channel takes them as they are.
    for (const data of given) expect([...data]).toEqual([1, 2]);
  });

  it('gives away bytes of its own: what the application writes into them reaches nobody', async () => {
    const { channel, socket } = await started();
    const ping = Uint8Array.of(4, 5);
    socket.on('ping', data => data.fill(0));
    channel.listener.ping?.(ping);
    expect(channel.pongs).toEqual([Uint8Array.of(4, 5)]);
    expect(ping).toEqual(Uint8Array.of(4, 5));
  });

  it('gives an ArrayBuffer that holds the message and nothing else', async () => {
    const { channel, socket } = await started();
    socket.binaryType = 'arraybuffer';
    const received: Uint8Array[] = [];
    socket.on('message', data => received.push(new Uint8Array(data as ArrayBuffer)));
    channel.listener.message(Uint8Array.of(9, 1, 2, 9).subarray(1, 3), false);
    channel.binary(3, 4);
    expect(received).toEqual([Uint8Array.of(1, 2), Uint8Array.of(3, 4)]);
  });

  it('calls callbacks when their bytes are handed to the network, not before, and in order', async () => {
    const { channel, socket } = await started();
    const called: string[] = [];
    const note = (name: string) => (error?: Error) => called.push(error ? `${name} ${error.message}` : name);
    socket.send('abc', note('abc'));
    socket.send('silent');
    socket.send('', note('empty'));
    socket.send('de', note('de'));
    socket.ping('', undefined, note('ping'));
    expect(socket.bufferedAmount).toBe(11);
    channel.flush(2);
    await Promise.resolve();
    expect(called).toEqual([]);
    channel.flush(1);
    expect(called).toEqual(['abc']);
    channel.flush(6);
    expect(called).toEqual(['abc', 'empty']);
    channel.flush(2);
    expect(called).toEqual(['abc', 'empty', 'de', 'ping']);
    expect(socket.bufferedAmount).toBe(0);
  });

  it('calls the callback of an empty message in its turn, never inside send', async () => {
    const { socket } = await started();
    const called: string[] = [];
    socket.send('', () => called.push('empty'));
    socket.pong(() => called.push('pong'));
    expect(called).toEqual([]);
    await nextTask();
    expect(called).toEqual(['empty', 'pong']);
  });

  it('tells every callback that is left when the channel ends, before close', async () => {
    const { channel, socket, seen } = await started();
    const note = (name: string) => (error?: Error) => seen.push(`${name} ${error?.message ?? 'sent'}`);
    socket.send('abc', note('abc'));
    socket.send(new Blob(['d']), note('blob'));
    socket.send('e', { fin: false }, note('fragment'));
    channel.flush(3);
    channel.end({ error: failure('RECORD_MALFORMED') });
    expect(seen).toEqual([
      'abc sent',
      'blob It is RECORD_MALFORMED.',
      'fragment It is RECORD_MALFORMED.',
      'error It is RECORD_MALFORMED. 2',
      'close 1006  3',
    ]);
    expect(socket.bufferedAmount).toBe(2);
    await nextTask();
    expect(channel.calls).toEqual(['text abc']);
  });

  it('fails when a Blob cannot be read: what follows it cannot be sent in its place', async () => {
    const { channel, socket, seen } = await started();
    channel.manual = true;
    const blob = new Blob(['x']);
    vi.spyOn(blob, 'arrayBuffer').mockRejectedValue(new Error('gone'));
    const called: string[] = [];
    socket.send(blob, error => called.push(`blob ${String(error?.message)}`));
    socket.send('behind', error => called.push(`behind ${String(error?.message)}`));
    await nextTask();
    expect(called).toEqual(['blob gone', 'behind gone']);
    expect(channel.calls).toEqual(['terminate']);
    channel.end({ error: failure('ABORTED') });
    expect(seen).toEqual(['error gone 2', 'close 1006  3']);
  });

  it('sends the fragments of a message as one, of the type of the first', async () => {
    const { channel, socket } = await started();
    socket.send('a', { fin: false });
    socket.send(Uint8Array.of(0x62), { fin: false });
    expect(channel.calls).toEqual([]);
    expect(socket.bufferedAmount).toBe(2);
    socket.send('c');
    socket.send('d');
    expect(channel.calls).toEqual(['text abc', 'text d']);
  });

  it('fails the connection with 1007 for a text that is not UTF-8, and delivers nothing behind it', async () => {
    const { channel, socket, seen } = await started();
    channel.manual = true;
    channel.listener.message(Uint8Array.of(0xff), true);
    channel.text('behind');
    expect(socket.readyState).toBe(2);
    expect(channel.calls).toEqual(['close 1007']);
    channel.end({ code: 1007, wasClean: true, error: failure('PROTOCOL_VIOLATION') });
    // What it leads to is not told as another error.
    expect(seen).toEqual(['error The peer sent a text message that is not UTF-8. 2', 'close 1006  3']);
    expect(socket.failure?.code).toBe('INVALID_UTF8');
  });

  it.each<ErrorCode>([
    'LINK_LOST',
    'PEER_GONE',
    'CHANNEL_RESET',
    'CLOSE_TIMEOUT',
    'ABORTED',
    'SESSION_TIMEOUT',
  ])('has no error event for %s, as ws has none for a connection that is lost', async code => {
    const { channel, socket, seen } = await started();
    const error = failure(code);
    channel.end({ error });
    expect(seen).toEqual(['close 1006  3']);
    expect(socket.failure).toBe(error);
  });

  it.each<ErrorCode>([
    'DECRYPT_FAILED',
    'RECORD_MALFORMED',
    'MESSAGE_TOO_LARGE',
    'PROTOCOL_VIOLATION',
    'PEER_QUEUE_FULL',
  ])('has an error event for %s before close', async code => {
    const { channel, seen } = await started();
    channel.end({ error: failure(code) });
    expect(seen).toEqual([`error It is ${code}. 2`, 'close 1006  3']);
  });

  it('survives an error that nobody listens to', async () => {
    const channel = new ScriptedChannel();
    const socket = new ServerSecureWebSocket(channel);
    await nextTask();
    const close = vi.fn();
    socket.on('close', close);
    channel.end({ error: failure('DECRYPT_FAILED') });
    expect(close).toHaveBeenCalledOnce();
  });

  it('makes an exception of a listener an uncaught one, and goes on', async () => {
    const { channel, socket, seen } = await started();
    const reported: unknown[] = [];
    vi.spyOn(globalThis, 'queueMicrotask').mockImplementation(callback => {
      try {
        callback();
      } catch (error) {
        reported.push(error);
      }
    });
    const mistake = new Error('of the application');
    const thrower = (): never => {
      throw mistake;
    };
    socket.prependOnceListener('message', thrower);
    channel.text('lost to the mistake');
    channel.text('next');
    socket.send('x', thrower);
    channel.flush();
    socket.once('close', thrower);
    channel.end();
    expect(reported).toEqual([mistake, mistake, mistake]);
    expect(seen).toEqual(['text next', 'close 1006  3']);
  });

  it('knows when it was closed cleanly', async () => {
    for (const wasClean of [true, false]) {
      const { channel, socket } = await started();
      const closed = vi.fn();
      socket.onclose = closed;
      channel.end({ code: 4000, reason: 'r', wasClean });
      expect(closed).toHaveBeenCalledWith({
        type: 'close',
        target: socket,
        code: 4000,
        reason: 'r',
        wasClean,
      });
    }
  });

  it('gives an error event object', async () => {
    const { channel, socket } = await started();
    const failed = vi.fn();
    socket.addEventListener('error', failed);
    const error = failure('DECRYPT_FAILED');
    channel.end({ error });
    expect(failed).toHaveBeenCalledWith({
      type: 'error',
      target: socket,
      error,
      message: 'It is DECRYPT_FAILED.',
    });
  });

  it('is CLOSING from the CLOSE of the peer on', async () => {
    const { channel, socket } = await started();
    channel.listener.closing?.();
    expect(socket.readyState).toBe(2);
    socket.send('too late');
    socket.close(1000);
    expect(channel.calls).toEqual([]);
  });

  it('pauses the channel, and leaves it alone when it is closed', async () => {
    const { channel, socket } = await started();
    socket.pause();
    socket.resume();
    expect(channel.calls).toEqual(['pause', 'resume']);
    channel.end();
    socket.pause();
    expect(socket.isPaused).toBe(false);
    socket.resume();
    socket.terminate();
    socket.close();
    expect(channel.calls).toEqual(['pause', 'resume']);
  });

  it('calls onClosed once, before close, also when listeners were removed', async () => {
    const onClosed = vi.fn();
    const { channel, socket, seen } = await started({ onClosed });
    socket.once('close', () => seen.push(String(onClosed.mock.calls.length)));
    channel.end();
    expect(seen).toContain('1');
    expect(onClosed).toHaveBeenCalledExactlyOnceWith(socket);

    const other = vi.fn();
    const bare = await started({ onClosed: other });
    bare.socket.removeAllListeners();
    bare.channel.end();
    expect(other).toHaveBeenCalledOnce();
  });

  describe('checkAlive', () => {
    it('terminates a peer of which nothing is heard between two beats', async () => {
      const { channel, socket } = await started();
      channel.manual = true;
      socket.checkAlive();
      expect(channel.calls).toEqual([expect.stringMatching(/^ping /)]);
      socket.checkAlive();
      expect(channel.calls.at(-1)).toBe('terminate');
      const { length } = channel.calls;
      socket.checkAlive();
      expect(channel.calls).toHaveLength(length);
    });

    it.each<[string, (channel: ScriptedChannel) => void]>([
      ['a message', channel => channel.text('x')],
      ['a ping', channel => channel.listener.ping?.(new Uint8Array())],
      ['a pong', channel => channel.listener.pong?.(new Uint8Array())],
    ])('leaves a peer alone that sends %s', async (_what, act) => {
      const { channel, socket } = await started();
      for (let beat = 0; beat < 3; beat++) {
        socket.checkAlive();
        act(channel);
      }
      expect(channel.calls).not.toContain('terminate');
    });

    it('leaves a paused socket alone: nothing can be heard', async () => {
      const { channel, socket } = await started();
      socket.pause();
      socket.checkAlive();
      socket.checkAlive();
      expect(channel.calls).not.toContain('terminate');
    });

    it('keeps the answers to its own pings from the application', async () => {
      const { channel, socket, seen } = await started();
      socket.checkAlive();
      const sent = channel.calls[0]?.replace('ping ', '') ?? '';
      channel.listener.pong?.(Buffer.from(sent, 'hex'));
      channel.listener.pong?.(Buffer.from('other'));
      expect(seen).toEqual(['pong other']);
    });
  });
});

describe('allowSynchronousEvents', () => {
  /** Hears one message after the other, as code does that awaits each. */
  async function heardOneByOne(options: ServerSocketOptions): Promise<string[]> {
    const { channel, socket } = await started(options);
    const heard: string[] = [];
    const next = async () =>
      await new Promise<string>(resolve => {
        socket.once('message', data => {
          resolve(textOf(data));
        });
      });
    const hearing = (async () => {
      for (;;) heard.push(await next());
    })();
    void hearing;
    for (const text of ['a', 'b', 'c']) channel.text(text);
    for (let task = 0; task < 10; task++) await nextTask();
    return heard;
  }

  it('tells messages that come together one right after the other, unless it is false', async () => {
    expect(await heardOneByOne({})).toEqual(['a']);
    expect(await heardOneByOne({ allowSynchronousEvents: true })).toEqual(['a']);
    expect(await heardOneByOne({ allowSynchronousEvents: false })).toEqual(['a', 'b', 'c']);
  });

  it('keeps the order of everything that happens when it is false', async () => {
    const { channel, socket, seen } = await started({ allowSynchronousEvents: false });
    channel.text('first');
    channel.listener.ping?.(Uint8Array.of(0x70));
    channel.binary(0x62);
    channel.listener.pong?.(Uint8Array.of(0x71));
    channel.listener.closing?.();
    channel.end({ code: 1000, reason: 'bye', wasClean: true });
    expect([seen, socket.readyState]).toEqual([[], 1]);
    for (let task = 0; task < 10; task++) await nextTask();
    expect(seen).toEqual(['text first', 'ping p', 'binary b', 'pong q', 'close 1000 bye 3']);
  });

  it('slows down a peer that sends faster than events are told', async () => {
    const { channel } = await started({ allowSynchronousEvents: false });
    for (let i = 0; i < 20; i++) channel.listener.message(new Uint8Array(200_000), false);
    expect(channel.calls).toEqual(['pause']);
    for (let task = 0; task < 30; task++) await nextTask();
    expect(channel.calls).toEqual(['pause', 'resume']);
  });
});
