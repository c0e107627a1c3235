import { afterEach, describe, expect, it, vi } from 'vitest';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { content, next, record, thrown } from '../../support/conformance/conformance-case.js';
import { dialChannel, lastDialled } from '../../support/scripted-dial.js';
import { connect, errorOf, information, open, settle } from '../../support/scripted-socket.js';

// What the face makes of the calls of a channel, and a channel gets of the calls of the face. What every WebSocket
// does is in the conformance cases.
vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('construction', () => {
  it('dials the normalized URL with the subprotocols and the options', () => {
    const options = { userId: 'alice' };
    const socket = new ClientSecureWebSocket(
      'https://Relay.example:443/a/../chat?x=1',
      ['one', 'two'],
      options,
    );
    expect(socket.url).toBe('wss://relay.example/chat?x=1');
    expect(lastDialled()).toMatchObject({ protocols: ['one', 'two'], options });
    expect(lastDialled().url.href).toBe(socket.url);
  });

  it('dials nothing when an argument is wrong', () => {
    dialChannel.mockClear();
    for (const given of [[], ['wss://a/#'], ['ftp://a/'], ['wss://a/', ['x', 'x']], ['relative']]) {
      expect(() => Reflect.construct(ClientSecureWebSocket, given) as unknown).toThrow();
    }
    expect(dialChannel).not.toHaveBeenCalled();
  });

  it('takes options from an object only', () => {
    for (const third of [null, undefined, 5, 'text', () => undefined]) {
      Reflect.construct(ClientSecureWebSocket, ['wss://a/', [], third]);
      expect(lastDialled().options).toEqual({});
    }
  });

  it('says with a SyntaxError that a segment is no address', () => {
    const error = thrown(() => new ClientSecureWebSocket(`wss://relay.example/${'0'.repeat(64)}`));
    expect(error).toBeInstanceOf(DOMException);
    expect(error).toMatchObject({ name: 'SyntaxError', cause: { code: 'LOW_ORDER_ADDRESS' } });
    expect(error).toMatchObject({ message: (error as { cause: Error }).cause.message });
  });

  it('passes other errors on as they are', () => {
    for (const error of [
      new SecureWebSocketError('INVALID_ARGUMENT', 'An option is wrong.'),
      new RangeError('other'),
    ]) {
      dialChannel.mockImplementationOnce(() => {
        throw error;
      });
      expect(thrown(() => new ClientSecureWebSocket('wss://relay.example/'))).toBe(error);
    }
  });
});

describe('configure', () => {
  it('gives a class whose sockets have the options', () => {
    const Configured = ClientSecureWebSocket.configure({ userId: 'alice', deviceId: 'phone' });
    const socket = new Configured('wss://a/', 'one');
    expect(lastDialled()).toMatchObject({
      protocols: ['one'],
      options: { userId: 'alice', deviceId: 'phone' },
    });
    expect(socket).toBeInstanceOf(ClientSecureWebSocket);
    expect(Configured.OPEN).toBe(1);
    expect(Configured.name).toBe('ClientSecureWebSocket');
    expect(Configured).toHaveLength(1);
    expect(() => Reflect.construct(Configured, []) as unknown).toThrow(TypeError);
    // The class itself is as it was.
    new ClientSecureWebSocket('wss://a/');
    expect(lastDialled().options).toEqual({});
  });

  it('lets options of the constructor win, unless they are undefined', () => {
    const Configured = ClientSecureWebSocket.configure({ userId: 'alice', deviceId: 'phone' });
    new Configured('wss://a/', [], { userId: 'bob', deviceId: undefined });
    expect(lastDialled().options).toEqual({ userId: 'bob', deviceId: 'phone' });
    new Configured('wss://a/', [], null);
    expect(lastDialled().options).toEqual({ userId: 'alice', deviceId: 'phone' });
  });

  it('can be applied again, and to subclasses', () => {
    class Own extends ClientSecureWebSocket {
      own(): string {
        return 'own';
      }
    }
    const first = { userId: 'alice', deviceId: 'phone' };
    const Once = Own.configure(first);
    first.userId = 'changed';
    const Twice = Once.configure({ deviceId: 'laptop' });
    class Further extends Twice {}
    const socket = new Further('wss://a/');
    expect(socket.own()).toBe('own');
    expect(lastDialled().options).toEqual({ userId: 'alice', deviceId: 'laptop' });
    new Once('wss://a/');
    expect(lastDialled().options).toEqual({ userId: 'alice', deviceId: 'phone' });
  });
});

describe('opening', () => {
  it('tells the keys as they become known', async () => {
    const { socket, channel } = connect();
    expect([socket.publicKey, socket.serverPublicKey, socket.peerPublicKey]).toEqual(['', '', '']);
    expect(socket.handshakeHash).toBeUndefined();
    channel.listener.registered?.(information);
    expect([socket.publicKey, socket.serverPublicKey]).toEqual([
      information.publicKey,
      information.serverPublicKey,
    ]);
    expect(socket.peerPublicKey).toBe('');
    channel.listener.opened?.(information);
    expect(socket.readyState).toBe(0);
    await next(socket, 'open');
    expect(socket.peerPublicKey).toBe(information.peerPublicKey);
    // A copy each time.
    socket.handshakeHash?.fill(0);
    expect(socket.handshakeHash).toEqual(information.handshakeHash);
  });

  it('knows all keys once it is open', async () => {
    const { publicKey, peerPublicKey, serverPublicKey } = (await open()).socket;
    expect(information).toMatchObject({ publicKey, peerPublicKey, serverPublicKey });
  });

  it.each([
    { offered: ['one', 'two'], protocol: 'two', opens: true },
    { offered: ['one', 'two'], protocol: '', opens: false },
    { offered: ['one'], protocol: 'two', opens: false },
    { offered: [], protocol: 'one', opens: false },
  ])('offered $offered, answered "$protocol": opens $opens', async ({ offered, protocol, opens }) => {
    const { socket, channel } = connect(offered);
    const { events, closed } = record(socket);
    channel.listener.opened?.({ ...information, protocol });
    if (opens) {
      await next(socket, 'open');
      expect(socket.protocol).toBe(protocol);
    } else {
      expect((await errorOf(socket)).code).toBe('PROTOCOL_NOT_OFFERED');
      await closed;
      expect(socket.protocol).toBe('');
      expect(events).toEqual(['error', 'close 1006']);
    }
  });

  it('fires one event per task, in order, when the channel tells everything at once', async () => {
    const { socket, channel } = connect();
    const log: string[] = [];
    for (const type of ['open', 'message', 'close'] as const) {
      socket.addEventListener(type, () => {
        log.push(`${type} ${socket.readyState}`);
        queueMicrotask(() => log.push('microtask'));
      });
    }
    channel.listener.opened?.(information);
    channel.text('one');
    channel.text('two');
    channel.listener.closing?.();
    channel.end({ code: 1000, wasClean: true });
    expect(log).toEqual([]);
    await next(socket, 'close');
    await settle();
    const expected = ['open 1', 'message 1', 'message 1', 'close 3'];
    expect(log).toEqual(expected.flatMap(entry => [entry, 'microtask']));
  });
});

describe('events', () => {
  it('are of the classes that the runtime has at that time', async () => {
    class OwnMessageEvent extends Event {
      constructor(
        type: string,
        readonly init: object,
      ) {
        super(type);
      }
    }
    class OwnCloseEvent extends OwnMessageEvent {}
    const { socket, channel } = await open();
    vi.stubGlobal('MessageEvent', OwnMessageEvent);
    vi.stubGlobal('CloseEvent', OwnCloseEvent);
    const events: unknown[] = [];
    socket.onmessage = event => events.push(event);
    socket.onclose = event => events.push(event);
    channel.text('x');
    channel.end({ code: 1000, wasClean: true });
    await settle();
    expect(events[0]).toBeInstanceOf(OwnMessageEvent);
    expect(events[0]).toMatchObject({ init: { data: 'x', origin: 'wss://relay.example' } });
    expect(events[1]).toBeInstanceOf(OwnCloseEvent);
    expect(events[1]).toMatchObject({ init: { code: 1000, reason: '', wasClean: true } });
  });

  it('are like them where it has none', async () => {
    const { socket, channel } = await open();
    vi.stubGlobal('MessageEvent', undefined);
    vi.stubGlobal('CloseEvent', undefined);
    const events: Event[] = [];
    socket.onmessage = event => events.push(event);
    socket.onclose = event => events.push(event);
    channel.text('x');
    channel.end({ code: 4000, reason: 'why', wasClean: true });
    await settle();
    const [message, close] = events;
    for (const event of events) expect(event).toBeInstanceOf(Event);
    expect(message).toMatchObject({
      type: 'message',
      data: 'x',
      origin: 'wss://relay.example',
      lastEventId: '',
      source: null,
      ports: [],
      target: socket,
    });
    expect(close).toMatchObject({ type: 'close', code: 4000, reason: 'why', wasClean: true, target: socket });
    expect(message?.constructor.name).toBe('MessageEvent');
    expect(close?.constructor.name).toBe('CloseEvent');
    expect(events.map(String)).toEqual(['[object MessageEvent]', '[object CloseEvent]']);
  });

  it('need no listeners', async () => {
    const { channel } = connect();
    channel.end();
    await settle();
  });

  it('survive the exceptions of listeners', async () => {
    const { socket, channel } = await open();
    const mark = new Error('of a listener');
    // Node tells the process; Vitest's own listeners would count it as a failure.
    const others = process.rawListeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const uncaught: unknown[] = [];
    process.on('uncaughtException', error => uncaught.push(error));
    try {
      const seen: unknown[] = [];
      socket.onmessage = () => {
        throw mark;
      };
      socket.addEventListener('message', event => seen.push(event.data));
      channel.text('one');
      channel.text('two');
      await settle();
      expect(seen).toEqual(['one', 'two']);
      expect(uncaught).toEqual([mark, mark]);
      expect(socket.readyState).toBe(1);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener as (error: Error) => void);
    }
  });

  it('show a Blob that was received', async () => {
    const { socket, channel } = await open();
    const message = next(socket, 'message');
    channel.binary(1, 2);
    const data: unknown = (await message).data;
    expect(data).toBeInstanceOf(Blob);
    expect(await content(data)).toEqual([1, 2]);
  });
});

it('reads no global but EventTarget when the module is loaded', async () => {
  const names = [
    'WebSocket',
    'Event',
    'MessageEvent',
    'CloseEvent',
    'Blob',
    'ReadableStream',
    'WritableStream',
    'URL',
    'DOMException',
    'MessageChannel',
  ];
  names.push(
    'TextEncoder',
    'TextDecoder',
    'setTimeout',
    'setImmediate',
    'queueMicrotask',
    'crypto',
    'document',
  );
  const read: string[] = [];
  const before = names.map(name => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, descriptor] of before) {
    const value: unknown = descriptor?.get ? descriptor.get.call(globalThis) : descriptor?.value;
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get() {
        if (new Error('here').stack?.includes('/src/socket/') === true) read.push(name);
        return value;
      },
    });
  }
  try {
    vi.resetModules();
    const loaded = await import('../../../src/socket/client-secure-web-socket.js');
    expect(loaded.ClientSecureWebSocket).not.toBe(ClientSecureWebSocket);
    expect(read).toEqual([]);
    // The net has no holes.
    new loaded.ClientSecureWebSocket('wss://a/');
    expect(read).toContain('URL');
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    }
  }
});
