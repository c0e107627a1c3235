import { afterEach, describe, expect, it, vi } from 'vitest';
import { RECEIVE_WINDOW } from '../../../src/core/constants.js';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { next, record } from '../../support/conformance/conformance-case.js';
import { lastDialled } from '../../support/scripted-dial.js';
import { connect, errorOf, information, open, settle } from '../../support/scripted-socket.js';

vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('sending', () => {
  it('is done with the bytes when send() returns, and counts until the network has them', async () => {
    const { socket, channel } = await open();
    const bytes = Uint8Array.from([9, 1, 2, 9]);
    socket.send(bytes.subarray(1, 3));
    bytes.fill(7);
    socket.send('h\u{e9}\u{d800}');
    expect(channel.calls).toEqual(['binary 0102', 'text h\u{e9}\u{fffd}']);
    expect(socket.bufferedAmount).toBe(8);
    channel.flush(5);
    channel.flush(2);
    for (let tick = 0; tick < 20; tick++) await Promise.resolve();
    expect(socket.bufferedAmount).toBe(8);
    await settle();
    expect(socket.bufferedAmount).toBe(1);
    channel.flush(1);
    channel.listener.sent?.(100);
    await settle();
    expect(socket.bufferedAmount).toBe(0);
  });

  it('keeps counting what was not sent when the connection is over', async () => {
    const { socket, channel } = await open();
    socket.send('never sent');
    channel.end();
    socket.send('lost');
    await next(socket, 'close');
    socket.send('dropped');
    await settle();
    expect(socket.bufferedAmount).toBe(21);
    expect(channel.calls).not.toContain('text dropped');
  });

  it('keeps Blobs in their place, also before close()', async () => {
    const { socket, channel } = await open();
    socket.send('1');
    socket.send(new Blob([Uint8Array.of(2)]));
    socket.send('3');
    socket.send(new Blob([Uint8Array.of(4)]));
    socket.close(1000, 'bye');
    socket.send('5');
    expect(channel.calls).toEqual(['text 1']);
    expect(socket.bufferedAmount).toBe(5);
    expect(socket.readyState).toBe(2);
    await next(socket, 'close');
    expect(channel.calls).toEqual(['text 1', 'binary 02', 'text 3', 'binary 04', 'close 1000 bye']);
  });

  it('copies what waits behind a Blob', async () => {
    const { socket, channel } = await open();
    const bytes = Uint8Array.of(1, 2, 3, 4);
    socket.send(new Blob(['x']));
    socket.send(bytes.subarray(1, 3));
    socket.send(Buffer.from(bytes.buffer, 1, 2));
    socket.send(new DataView(bytes.buffer, 2));
    socket.send(bytes.buffer);
    bytes.fill(9);
    await settle();
    expect(channel.calls).toEqual([
      'binary 78',
      'binary 0203',
      'binary 0203',
      'binary 0304',
      'binary 01020304',
    ]);
  });

  it('gives back what waited behind a Blob as it was given', async () => {
    const { socket, channel } = await open();
    const [bytes, buffer] = [Uint8Array.of(1, 2), Buffer.of(3, 4)];
    socket.send(new Blob(['x']));
    for (const data of [bytes, buffer]) {
      socket.send(data);
      data.fill(9);
    }
    const left: unknown[] = [];
    socket.onclose = event => left.push(...event.unacknowledged.slice(1));
    channel.end({ error: new SecureWebSocketError('LINK_LOST', 'gone') });
    await settle();
    expect(left.map(data => [...new Uint8Array(data as ArrayBuffer)])).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('drops what waits behind a Blob when the connection ends', async () => {
    const { socket, channel } = await open();
    socket.send(new Blob(['a']));
    socket.send('b');
    channel.end();
    await next(socket, 'close');
    await settle();
    expect(channel.calls).toEqual([]);
    expect(socket.bufferedAmount).toBe(2);
  });

  it('fails when a Blob cannot be read', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const cause = new DOMException('The file has changed.', 'NotReadableError');
    const blob = new Blob(['a']);
    blob.arrayBuffer = () => Promise.reject(cause);
    const { events, closed } = record(socket);
    const failure = errorOf(socket);
    socket.send(blob);
    socket.send('b');
    await settle();
    expect(channel.calls).toEqual(['terminate']);
    // A message less would be a hole in what the peer gets.
    socket.send('c');
    channel.end();
    expect(await failure).toMatchObject({ code: 'BLOB_UNREADABLE', cause });
    await closed;
    expect(channel.calls).toEqual(['terminate']);
    expect(events).toEqual(['error', 'close 1006']);
    expect(socket.bufferedAmount).toBe(3);
  });

  it('does not care for a Blob once the connection is over', async () => {
    const { socket, channel } = await open();
    const blob = new Blob(['a']);
    let reject: (cause: Error) => void = () => undefined;
    blob.arrayBuffer = () =>
      new Promise((_resolve, fail) => {
        reject = fail;
      });
    socket.send(blob);
    channel.end({ code: 1000, wasClean: true });
    await next(socket, 'close');
    reject(new Error('too late'));
    await settle();
    expect(channel.calls).toEqual([]);
  });

  it('counts the bytes of a Blob that are sent, whatever size it says it has', async () => {
    const { socket, channel } = await open();
    const blob = new Blob(['abc']);
    blob.arrayBuffer = () => Promise.resolve(new ArrayBuffer(5));
    socket.send(blob);
    expect(socket.bufferedAmount).toBe(3);
    await settle();
    expect(socket.bufferedAmount).toBe(5);
    channel.flush();
    await settle();
    expect(socket.bufferedAmount).toBe(0);
  });
});

describe('receiving', () => {
  it('delivers ArrayBuffers of exactly the message', async () => {
    const { socket, channel } = await open();
    socket.binaryType = 'arraybuffer';
    const received: ArrayBuffer[] = [];
    socket.addEventListener('message', ({ data }) => received.push(data as ArrayBuffer));
    const exact = Uint8Array.of(1, 2);
    channel.listener.message(exact, false);
    channel.listener.message(Uint8Array.of(9, 3, 4, 9).subarray(1, 3), false);
    await settle();
    // What belongs to the receiver is not copied once more.
    expect(received[0]).toBe(exact.buffer);
    expect(new Uint8Array(received[1] ?? new ArrayBuffer(0))).toEqual(Uint8Array.of(3, 4));
  });

  it('delivers ArrayBuffers where there are no Blobs', async () => {
    const { socket, channel } = await open();
    vi.stubGlobal('Blob', undefined);
    const message = next(socket, 'message');
    channel.binary(1);
    expect(new Uint8Array((await message).data as ArrayBuffer)).toEqual(Uint8Array.of(1));
    expect(socket.binaryType).toBe('blob');
  });

  it('delivers nothing once it is no longer open', async () => {
    const { socket, channel } = await open();
    const { events, closed } = record(socket);
    channel.text('too late');
    socket.close();
    await closed;
    expect(events).toEqual(['close 1005']);
  });

  it('fails for text that is not UTF-8, and delivers what came before', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const { events, closed } = record(socket);
    const failure = errorOf(socket);
    channel.text('before');
    channel.listener.message(Uint8Array.of(0xc3, 0x28), true);
    channel.text('after');
    channel.binary(0);
    // Whatever the channel says now: this end has failed it.
    channel.end({
      code: 1002,
      reason: 'other',
      error: new SecureWebSocketError('LINK_LOST', 'Something else.'),
    });
    expect((await failure).code).toBe('INVALID_UTF8');
    expect(await closed).toMatchObject({ code: 1006, reason: '', wasClean: false });
    expect(channel.calls).toEqual(['terminate']);
    expect(events).toEqual(['message before', 'error', 'close 1006']);
  });

  it('answers pings, unseen by the application', async () => {
    const { socket, channel } = await open();
    const { events } = record(socket);
    channel.listener.ping?.(Uint8Array.of(1, 2));
    channel.listener.pong?.(Uint8Array.of(3));
    expect(channel.calls).toEqual(['pong 0102']);
    await settle();
    expect(events).toEqual([]);
  });

  it('keeps a byte order mark', async () => {
    const { socket, channel } = await open();
    const message = next(socket, 'message');
    channel.text('\u{feff}x');
    expect((await message).data).toBe('\u{feff}x');
  });

  it('slows the peer down while messages wait for their events', async () => {
    const { socket, channel } = await open();
    let count = 0;
    socket.onmessage = () => count++;
    channel.listener.message(new Uint8Array(RECEIVE_WINDOW), false);
    channel.listener.message(new Uint8Array(1), false);
    expect(channel.calls).toEqual(['pause']);
    await settle();
    expect(count).toBe(2);
    expect(channel.calls).toEqual(['pause', 'resume']);
    // Empty messages cost something too.
    channel.listener.message(new Uint8Array(RECEIVE_WINDOW - 1_000), false);
    for (let n = 0; n < 20; n++) channel.text('');
    expect(channel.calls).toEqual(['pause', 'resume', 'pause']);
    await settle();
    expect(count).toBe(23);
    expect(channel.calls.at(-1)).toBe('resume');
  });

  it('names the origin of the URL', async () => {
    const socket = new ClientSecureWebSocket('https://user@Relay.example:443/chat');
    const { channel } = lastDialled();
    channel.listener.opened?.(information);
    const message = next(socket, 'message');
    channel.text('x');
    expect((await message).origin).toBe('wss://relay.example');
  });
});

describe('closing', () => {
  it('is CLOSING from the CLOSE of the peer on', async () => {
    const { socket, channel } = await open();
    const { events } = record(socket);
    channel.listener.closing?.();
    expect(socket.readyState).toBe(1);
    await settle();
    expect(socket.readyState).toBe(2);
    socket.send('dropped');
    socket.close(1000);
    expect(channel.calls).toEqual([]);
    channel.end({ code: 4000, reason: 'done', wasClean: true });
    expect(await next(socket, 'close')).toMatchObject({ code: 4000, reason: 'done', wasClean: true });
    expect(events).toEqual(['close 4000']);
  });

  it('passes code and reason on, and no reason without a code', async () => {
    for (const [code, reason, call] of [
      [undefined, undefined, 'close'],
      [undefined, 'why', 'close'],
      [1000, undefined, 'close 1000'],
      [3000, 'why', 'close 3000 why'],
    ] as const) {
      const { socket, channel } = await open();
      socket.close(code, reason);
      expect(channel.calls).toEqual([call]);
    }
  });

  it('fails when the channel does, and says why', async () => {
    const { socket, channel } = await open();
    const error = new SecureWebSocketError('DECRYPT_FAILED', 'A record was tampered with.');
    const event = new Promise<Event>(resolve => {
      socket.onerror = resolve;
    });
    const { events, closed } = record(socket);
    channel.end({ error });
    expect(Object.entries(Object.getOwnPropertyDescriptors(await event))).toEqual(
      expect.arrayContaining([
        ['error', { value: error, enumerable: true, configurable: true, writable: false }],
        ['message', { value: error.message, enumerable: true, configurable: true, writable: false }],
      ]),
    );
    expect(await closed).toMatchObject({ code: 1006, wasClean: false });
    expect(events).toEqual(['error', 'close 1006']);
  });

  it('has an error of its own for a channel that just ends', async () => {
    const { socket, channel } = await open();
    channel.end();
    expect((await errorOf(socket)).code).toBe('LINK_LOST');
  });

  it('tells the code that the channel tells', async () => {
    const { socket, channel } = await open();
    const { events, closed } = record(socket);
    channel.end({
      code: 1009,
      reason: 'too large',
      error: new SecureWebSocketError('MESSAGE_TOO_LARGE', 'x'),
    });
    expect(await closed).toMatchObject({ code: 1009, reason: 'too large', wasClean: false });
    expect(events).toEqual(['error', 'close 1009']);
  });

  it('runs microtasks, and nothing else, between error and close', async () => {
    const { socket, channel } = await open();
    const log: string[] = [];
    socket.onerror = () => {
      log.push('error');
      setImmediate(() => log.push('immediate'));
      setTimeout(() => log.push('timeout'), 0);
      queueMicrotask(() => {
        queueMicrotask(() => log.push('microtask'));
      });
    };
    socket.onclose = () => log.push('close');
    channel.end();
    await next(socket, 'close');
    await settle();
    expect(log.slice(0, 3)).toEqual(['error', 'microtask', 'close']);
    expect(log).toHaveLength(5);
  });

  it('while CONNECTING fails the attempt, even when the channel is open already', async () => {
    const { socket, channel } = connect();
    channel.manual = true;
    const { events, closed } = record(socket);
    const failure = errorOf(socket);
    channel.listener.opened?.(information);
    channel.text('unseen');
    socket.close(1000);
    expect(socket.readyState).toBe(2);
    expect(channel.calls).toEqual(['terminate']);
    channel.end({ code: 1000, wasClean: true });
    expect(events).toEqual([]);
    expect((await failure).code).toBe('ABORTED');
    expect(await closed).toMatchObject({ code: 1006, wasClean: false });
    expect(events).toEqual(['error', 'close 1006']);
    expect([socket.protocol, socket.peerPublicKey]).toEqual(['', '']);
  });
});
