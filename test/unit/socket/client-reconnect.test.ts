import { describe, expect, it, vi } from 'vitest';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import type { ChannelInformation, UnacknowledgedMessage } from '../../../src/link/channel-port.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import type { ClientSecureWebSocketOptions } from '../../../src/socket/client-secure-web-socket-options.js';
import { next } from '../../support/conformance/conformance-case.js';
import { expectCode } from '../../support/errors.js';
import { lastDialled } from '../../support/scripted-dial.js';
import { connect, information, open, type ScriptedSocket, settle } from '../../support/scripted-socket.js';

vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

const lost = new SecureWebSocketError('LINK_LOST', 'The link was lost.');
const refused = new SecureWebSocketError('LINK_FAILED', 'Nobody is there.');

const text = (data: string): UnacknowledgedMessage => ({
  data: new TextEncoder().encode(data),
  isText: true,
});
const binary = (...data: number[]): UnacknowledgedMessage => ({
  data: Uint8Array.from(data),
  isText: false,
});

/** Messages that were given back, with bytes as lists: matchers do not look into buffers. */
const plain = (messages: readonly unknown[]): unknown[] =>
  messages.map(message => (message instanceof ArrayBuffer ? [...new Uint8Array(message)] : message));

/** A socket that reconnects, and is open. */
async function reconnecting(options: ClientSecureWebSocketOptions = {}): Promise<ScriptedSocket> {
  const socket = new ClientSecureWebSocket('wss://relay.example/chat', [], { reconnect: true, ...options });
  const { channel } = lastDialled();
  channel.listener.opened?.(information);
  await next(socket, 'open');
  return { socket, channel };
}

/** Everything that the socket tells, in order. */
function log(socket: ClientSecureWebSocket): string[] {
  const seen: string[] = [];
  for (const type of ['open', 'error', 'close'] as const) {
    socket.addEventListener(type, () => seen.push(type));
  }
  socket.addEventListener('message', event => seen.push(`message ${String(event.data)}`));
  socket.addEventListener('reconnecting', event => seen.push(`reconnecting ${event.attempt}`));
  socket.addEventListener('reconnected', event => seen.push(`reconnected ${event.resumed}`));
  return seen;
}

const resumption = (
  resumed: boolean,
  unacknowledged: readonly UnacknowledgedMessage[] = [],
  changed: Partial<ChannelInformation> = {},
): ChannelInformation & { resumed: boolean; unacknowledged: readonly UnacknowledgedMessage[] } => ({
  ...information,
  ...changed,
  resumed,
  unacknowledged,
});

describe('a socket that reconnects', () => {
  it('stays OPEN, and tells of attempts and of its return in order with messages', async () => {
    const { socket, channel } = await reconnecting();
    const seen = log(socket);
    channel.text('before');
    channel.listener.suspended?.({ error: lost });
    channel.listener.reconnecting?.({ attempt: 1, delay: 250, error: lost });
    channel.listener.reconnecting?.({ attempt: 2, delay: 500, error: refused });
    channel.listener.resumed?.(resumption(true));
    channel.text('after');
    expect(seen).toEqual([]);
    await settle();
    expect(seen).toEqual([
      'message before',
      'reconnecting 1',
      'reconnecting 2',
      'reconnected true',
      'message after',
    ]);
    expect(socket.readyState).toBe(1);
  });

  it('says in own properties of the events what there is to say', async () => {
    const { socket, channel } = await reconnecting();
    const events: Event[] = [];
    socket.addEventListener('reconnecting', event => events.push(event));
    socket.addEventListener('reconnected', event => events.push(event));
    channel.listener.suspended?.({ error: lost });
    channel.listener.reconnecting?.({ attempt: 3, delay: 250, error: refused });
    channel.listener.resumed?.(resumption(true));
    await settle();
    const own = (value: unknown): PropertyDescriptor => ({
      value,
      enumerable: true,
      configurable: true,
      writable: false,
    });
    for (const event of events) expect(event).toBeInstanceOf(Event);
    expect(Object.getOwnPropertyDescriptors(events[0])).toMatchObject({
      attempt: own(3),
      delay: own(250),
      error: own(refused),
    });
    expect(Object.getOwnPropertyDescriptors(events[1])).toMatchObject({
      resumed: own(true),
      unacknowledged: own([]),
    });
  });

  it('has handlers for them', async () => {
    const { socket, channel } = await reconnecting();
    expect([socket.onreconnecting, socket.onreconnected]).toEqual([null, null]);
    const onreconnecting = vi.fn();
    const onreconnected = vi.fn();
    socket.onreconnecting = onreconnecting;
    socket.onreconnected = onreconnected;
    expect([socket.onreconnecting, socket.onreconnected]).toEqual([onreconnecting, onreconnected]);
    channel.listener.suspended?.({ error: lost });
    channel.listener.reconnecting?.({ attempt: 1, delay: 0, error: lost });
    channel.listener.resumed?.(resumption(true));
    await settle();
    expect(onreconnecting).toHaveBeenCalledOnce();
    expect(onreconnected).toHaveBeenCalledOnce();
    socket.onreconnecting = null;
    expect(socket.onreconnecting).toBeNull();
  });

  it('tells of attempts before it is open, and not once it was given up', async () => {
    const { socket, channel } = connect();
    channel.manual = true;
    const seen = log(socket);
    channel.listener.reconnecting?.({ attempt: 1, delay: 0, error: refused });
    await settle();
    expect(seen).toEqual(['reconnecting 1']);
    expect(socket.readyState).toBe(0);
    channel.listener.reconnecting?.({ attempt: 2, delay: 0, error: refused });
    socket.close();
    channel.listener.reconnecting?.({ attempt: 3, delay: 0, error: refused });
    await settle();
    expect(seen).toEqual(['reconnecting 1']);
  });

  it('tells of attempts and of the return while what was sent before close() waits', async () => {
    const { socket, channel } = await reconnecting();
    channel.manual = true;
    const seen = log(socket);
    channel.listener.suspended?.({ error: lost });
    socket.close();
    channel.listener.reconnecting?.({ attempt: 1, delay: 0, error: lost });
    channel.listener.resumed?.(resumption(true));
    channel.end({ code: 1000, wasClean: true });
    await settle();
    expect(seen).toEqual(['reconnecting 1', 'reconnected true', 'close']);
  });

  it('keeps what it knows when it is resumed, and knows the new connection when it is not', async () => {
    const { socket, channel } = await reconnecting();
    const changed = {
      publicKey: '44'.repeat(32),
      peerPublicKey: '55'.repeat(32),
      serverPublicKey: '66'.repeat(32),
      handshakeHash: new Uint8Array(64).fill(8),
    };
    const { publicKey, peerPublicKey, serverPublicKey, handshakeHash } = information;
    channel.listener.suspended?.({ error: lost });
    channel.listener.resumed?.(resumption(true, [], changed));
    await next(socket as never, 'reconnected' as never);
    expect(socket).toMatchObject({ publicKey, peerPublicKey, serverPublicKey, handshakeHash });
    channel.listener.suspended?.({ error: lost });
    channel.listener.resumed?.(resumption(false, [], changed));
    // In order with messages of the old connection.
    expect(socket).toMatchObject({ peerPublicKey });
    await next(socket as never, 'reconnected' as never);
    expect(socket).toMatchObject(changed);
  });

  it('knows the subprotocol of the new connection, which must be one that was offered', async () => {
    const socket = new ClientSecureWebSocket('wss://a/', ['one', 'two'], { reconnect: true });
    const { channel } = lastDialled();
    channel.listener.opened?.({ ...information, protocol: 'one' });
    await next(socket, 'open');
    channel.listener.suspended?.({ error: lost });
    channel.listener.resumed?.(resumption(false, [], { protocol: 'two' }));
    await settle();
    expect(socket.protocol).toBe('two');

    const seen = log(socket);
    const errors: string[] = [];
    let unacknowledged: unknown;
    socket.onerror = event => errors.push(event.error.code);
    socket.onclose = event => (unacknowledged = event.unacknowledged);
    channel.listener.suspended?.({ error: lost });
    channel.listener.resumed?.(resumption(false, [text('a')], { protocol: 'three' }));
    await settle();
    expect(seen).toEqual(['error', 'close']);
    expect(errors).toEqual(['PROTOCOL_NOT_OFFERED']);
    // No `reconnected` has told of it.
    expect(unacknowledged).toEqual(['a']);
  });

  it('gives back what the old connection had left, as it would be sent again', async () => {
    const { socket, channel } = await reconnecting();
    let given: unknown[] = [];
    socket.onreconnected = event => (given = plain(event.unacknowledged));
    channel.listener.suspended?.({ error: lost });
    const part = { data: Uint8Array.of(9, 3, 4, 9).subarray(1, 3), isText: false };
    channel.listener.resumed?.(resumption(false, [text('h\u{e9}'), binary(1, 2), part]));
    await settle();
    expect(given).toEqual(['h\u{e9}', [1, 2], [3, 4]]);
  });

  it('does not count what the old connection had left', async () => {
    const { socket, channel } = await reconnecting();
    socket.send('12345');
    channel.flush(2);
    channel.listener.suspended?.({ error: lost });
    socket.send('678');
    await settle();
    expect(socket.bufferedAmount).toBe(6);
    channel.bufferedAmount = 0;
    channel.listener.resumed?.(resumption(false, [text('12345'), text('678')]));
    socket.send('90');
    await settle();
    expect(socket.bufferedAmount).toBe(2);
    channel.flush();
    await settle();
    expect(socket.bufferedAmount).toBe(0);
  });

  it('counts what the new connection takes over, be it right after it was told of', async () => {
    const { socket, channel } = await reconnecting();
    channel.listener.suspended?.({ error: lost });
    socket.send('12345');
    socket.send('678');
    channel.bufferedAmount = 0;
    channel.listener.resumed?.(resumption(false, [text('12345')]));
    channel.bufferedAmount = 3;
    await settle();
    expect(socket.bufferedAmount).toBe(3);
  });

  it('goes on counting what was never sent when the new connection ends at once', async () => {
    const { socket, channel } = await reconnecting();
    channel.listener.suspended?.({ error: lost });
    socket.send('12345');
    channel.listener.resumed?.(resumption(false));
    channel.end({ error: lost, unacknowledged: [text('12345')] });
    channel.bufferedAmount = 0;
    await settle();
    expect(socket.bufferedAmount).toBe(5);
  });

  it('keeps what waits behind a Blob for the new connection', async () => {
    const { socket, channel } = await reconnecting();
    let read: (buffer: ArrayBuffer) => void = () => undefined;
    const blob = new Blob(['a']);
    blob.arrayBuffer = () => new Promise(resolve => (read = resolve));
    socket.send(blob);
    socket.send('b');
    channel.listener.suspended?.({ error: lost });
    channel.listener.resumed?.(resumption(false));
    await settle();
    expect(socket.bufferedAmount).toBe(2);
    read(Uint8Array.of(1).buffer);
    await settle();
    expect(channel.calls).toEqual(['binary 01', 'text b']);
    channel.flush();
    await settle();
    expect(socket.bufferedAmount).toBe(0);
  });

  it('says in the reason of close why it failed, as far as there is room', async () => {
    for (const [message, reason] of [
      ['The server is gone.', 'The server is gone.'],
      ['a'.repeat(124), 'a'.repeat(123)],
      [`${'a'.repeat(122)}\u{e9}`, 'a'.repeat(122)],
      [`${'a'.repeat(120)}\u{1f600}`, 'a'.repeat(120)],
      ['\u{e9}'.repeat(62), '\u{e9}'.repeat(61)],
    ] as const) {
      const { socket, channel } = await reconnecting();
      const closed = next(socket, 'close');
      channel.end({ error: new SecureWebSocketError('LINK_LOST', message) });
      expect(await closed).toMatchObject({ code: 1006, reason, wasClean: false });
    }
  });

  it('says so for failures of its own, and leaves what the channel says alone', async () => {
    const own = await reconnecting();
    const failed = next(own.socket, 'close');
    own.channel.listener.message(Uint8Array.of(0xff), true);
    expect((await failed).reason).toContain('not UTF-8');
    const told = await reconnecting();
    const closed = next(told.socket, 'close');
    told.channel.end({ code: 1009, reason: 'too large', error: lost });
    expect(await closed).toMatchObject({ code: 1009, reason: 'too large' });
    const clean = await reconnecting();
    const ended = next(clean.socket, 'close');
    clean.channel.end({ code: 1000, wasClean: true });
    expect(await ended).toMatchObject({ code: 1000, reason: '' });
  });
});

describe('close', () => {
  it.each([{ reconnect: true }, { reconnect: false }])(
    'tells what was not acknowledged: %o',
    async options => {
      const { socket, channel } = await reconnecting(options);
      const closed = next(socket, 'close');
      const blob = new Blob(['x']);
      socket.send(blob);
      socket.send('behind');
      socket.send(Uint8Array.of(3));
      channel.end({ error: lost, unacknowledged: [text('sent'), binary(1, 2)] });
      // Between the end and its event the socket is still open.
      socket.send('late');
      const event = await closed;
      socket.send('dropped');
      const own = Object.getOwnPropertyDescriptor(event, 'unacknowledged');
      expect(own).toMatchObject({ enumerable: true, configurable: true, writable: false });
      const unacknowledged = own?.value as unknown[];
      expect(plain(unacknowledged)).toEqual(['sent', [1, 2], blob, 'behind', [3], 'late']);
      expect(unacknowledged[2]).toBe(blob);
      expect(event.reason).toBe(options.reconnect ? lost.message : '');
    },
  );

  it('tells what was sent between the end and its event', async () => {
    const { socket, channel } = await reconnecting();
    const closed = next(socket, 'close');
    channel.end({ error: lost });
    socket.send('late');
    expect(channel.calls).toEqual([]);
    expect(await closed).toMatchObject({ unacknowledged: ['late'] });
  });

  it('gives back a Blob that cannot be read, and what is behind it', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const blob = new Blob(['a']);
    blob.arrayBuffer = () => Promise.reject(new Error('gone'));
    let unacknowledged: readonly unknown[] = [];
    socket.onclose = event => (unacknowledged = event.unacknowledged);
    socket.send(blob);
    socket.send('b');
    await settle();
    socket.send('c');
    socket.close();
    channel.end();
    await settle();
    expect(unacknowledged[0]).toBe(blob);
    expect(unacknowledged.slice(1)).toEqual(['b', 'c']);
  });

  it('has nothing to give back after a clean end, and before it was open', async () => {
    const { socket, channel } = await reconnecting();
    const closed = next(socket, 'close');
    socket.send(new Blob(['x']));
    channel.end({ code: 1000, wasClean: true });
    expect(await closed).toMatchObject({ unacknowledged: [] });
    const early = connect();
    const failed = next(early.socket, 'close');
    early.channel.end({ error: refused });
    expect(await failed).toMatchObject({ unacknowledged: [], reason: '' });
  });
});

describe('maxBuffered', () => {
  it('bounds what waits while the peer cannot be reached', async () => {
    const { socket, channel } = await reconnecting({ maxBuffered: 10 });
    socket.send('a'.repeat(100));
    channel.flush(95);
    await settle();
    expect(socket.bufferedAmount).toBe(5);
    channel.listener.suspended?.({ error: lost });
    socket.send('12345');
    const error = expectCode(() => {
      socket.send('6');
    }, 'BUFFER_FULL');
    expect(error.message).toContain('10 bytes');
    expect(error.message).toContain('maxBuffered');
    expect(error.message).toContain('drained');
    expectCode(() => {
      socket.send(Uint8Array.of(1));
    }, 'BUFFER_FULL');
    expectCode(() => {
      socket.send(new Blob(['x']));
    }, 'BUFFER_FULL');
    expect(socket.bufferedAmount).toBe(10);
    expect(channel.calls).toHaveLength(2);
    channel.listener.resumed?.(resumption(true));
    await settle();
    socket.send('a'.repeat(11));
    expect(channel.calls).toHaveLength(3);
  });

  it('refuses a message that is larger than all that may wait', async () => {
    const { socket, channel } = await reconnecting({ maxBuffered: 10 });
    channel.listener.suspended?.({ error: lost });
    expectCode(() => {
      socket.send('a'.repeat(11));
    }, 'BUFFER_FULL');
    socket.send('a'.repeat(10));
    expect(socket.bufferedAmount).toBe(10);
  });

  it('still holds when the peer goes away again before its return was told', async () => {
    const { socket, channel } = await reconnecting({ maxBuffered: 0 });
    channel.listener.suspended?.({ error: lost });
    channel.listener.resumed?.(resumption(true));
    channel.listener.suspended?.({ error: lost });
    await settle();
    expectCode(() => {
      socket.send('x');
    }, 'BUFFER_FULL');
  });

  it('is 16 MiB by default', async () => {
    const { socket, channel } = await reconnecting();
    channel.listener.suspended?.({ error: lost });
    const mebibyte = new Uint8Array(2 ** 20);
    for (let count = 0; count < 16; count++) socket.send(mebibyte);
    expectCode(() => {
      socket.send('x');
    }, 'BUFFER_FULL');
  });

  it('drops what is sent after close(), as ever', async () => {
    const { socket, channel } = await reconnecting({ maxBuffered: 0 });
    channel.manual = true;
    channel.listener.suspended?.({ error: lost });
    socket.close();
    socket.send('dropped');
    expect(socket.bufferedAmount).toBe(7);
  });

  it.each([-1, NaN, Infinity, '10', null, {}, true])('cannot be %s', maxBuffered => {
    const construct = (): unknown =>
      new ClientSecureWebSocket('wss://a/', [], { maxBuffered: maxBuffered as number });
    expect(construct).toThrow(TypeError);
    expect(construct).toThrow(/maxBuffered/);
  });

  it.each([0, 1, 0.5, undefined, Number.MAX_VALUE])('can be %s', maxBuffered => {
    expect(new ClientSecureWebSocket('wss://a/', [], { maxBuffered }).readyState).toBe(0);
  });
});
