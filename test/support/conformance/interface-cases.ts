import { expect } from 'vitest';
import { content, next, type ConformanceCase } from './conformance-case.js';

const CONSTANTS = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };
const READ_ONLY = ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol'];
const OWN_READ_ONLY = [
  ...['publicKey', 'peerPublicKey', 'serverPublicKey', 'handshakeHash'],
  ...['drained', 'readable', 'writable'],
  ...['space', 'memberId', 'members'],
];
const OWN_HANDLERS = [
  ...['onreconnecting', 'onreconnected', 'onthrottled', 'onserverevent'],
  ...['onmemberjoin', 'onmemberchange', 'onmemberleave', 'onkeyswiped', 'onmessageslost'],
];
const WRITABLE = ['onopen', 'onmessage', 'onerror', 'onclose', 'binaryType'];

export const interfaceCases: readonly ConformanceCase[] = [
  {
    name: 'has constants that cannot be changed',
    run: context => {
      const { WebSocket } = context;
      for (const [name, value] of Object.entries(CONSTANTS)) {
        for (const object of [WebSocket, WebSocket.prototype]) {
          expect(Object.getOwnPropertyDescriptor(object, name)).toEqual({
            value,
            writable: false,
            enumerable: true,
            configurable: false,
          });
        }
        const socket = context.connect('/');
        expect(Reflect.get(socket, name)).toBe(value);
        expect(Reflect.set(socket, name, 9)).toBe(false);
      }
    },
  },
  {
    name: 'has attributes and operations that can be enumerated',
    run: context => {
      const { prototype } = context.WebSocket;
      const own = (name: string): PropertyDescriptor | undefined =>
        Object.getOwnPropertyDescriptor(prototype, name);
      for (const name of READ_ONLY) {
        expect(own(name)).toMatchObject({ enumerable: true, configurable: true, set: undefined });
      }
      for (const name of WRITABLE) {
        expect(own(name)).toMatchObject({ enumerable: true, configurable: true });
        expect(Reflect.get(own(name) ?? {}, 'set')).toBeTypeOf('function');
      }
      for (const name of ['send', 'close']) {
        expect(own(name)).toMatchObject({ writable: true, enumerable: true, configurable: true });
      }
      const names: string[] = [];
      for (const name in context.connect('/')) names.push(name);
      expect(names).toEqual(
        expect.arrayContaining([...READ_ONLY, ...WRITABLE, 'send', 'close', ...Object.keys(CONSTANTS)]),
      );
    },
  },
  {
    name: 'has members of its own that are like the others',
    own: true,
    run: context => {
      const { prototype } = context.WebSocket;
      const own = (name: string): PropertyDescriptor | undefined =>
        Object.getOwnPropertyDescriptor(prototype, name);
      const socket = context.connect('/');
      for (const name of OWN_READ_ONLY) {
        expect(own(name)).toMatchObject({ enumerable: true, configurable: true, set: undefined });
        expect(Reflect.set(socket, name, 'other')).toBe(false);
      }
      for (const name of OWN_HANDLERS) {
        expect(own(name)).toMatchObject({ enumerable: true, configurable: true });
        expect(Reflect.get(socket, name)).toBe(null);
        const handler = (): void => undefined;
        expect(Reflect.set(socket, name, handler)).toBe(true);
        expect(Reflect.get(socket, name)).toBe(handler);
      }
      const known = new Set([
        ...Object.keys(CONSTANTS),
        ...[...READ_ONLY, ...WRITABLE, ...OWN_READ_ONLY, ...OWN_HANDLERS, 'send', 'close', 'refreshMembers'],
      ]);
      // Whatever is added is to be added here as well.
      expect(new Set(Object.keys(prototype))).toEqual(known);
    },
  },
  {
    name: 'has the lengths, the tag and the base of the interface',
    run: context => {
      const { WebSocket } = context;
      expect(WebSocket).toHaveLength(1);
      expect(Reflect.get(WebSocket.prototype, 'send')).toHaveLength(1);
      expect(Reflect.get(WebSocket.prototype, 'close')).toHaveLength(0);
      expect(Object.getOwnPropertyDescriptor(WebSocket.prototype, Symbol.toStringTag)).toEqual({
        value: 'WebSocket',
        writable: false,
        enumerable: false,
        configurable: true,
      });
      const socket = context.connect('/');
      expect(Object.prototype.toString.call(socket)).toBe('[object WebSocket]');
      expect(socket).toBeInstanceOf(WebSocket);
      expect(socket).toBeInstanceOf(EventTarget);
      expect(Object.keys(socket)).toEqual([]);
    },
  },
  {
    name: 'refuses to be used on other objects, and to be assigned to',
    run: context => {
      const { prototype } = context.WebSocket;
      expect(() => prototype.url).toThrow(TypeError);
      expect(() => {
        prototype.close.call({} as WebSocket);
      }).toThrow(TypeError);
      const socket = context.connect('/');
      for (const name of READ_ONLY) expect(Reflect.set(socket, name, 'other')).toBe(false);
    },
  },
  {
    name: 'takes no other binaryType',
    run: context => {
      const socket = context.connect('/');
      socket.binaryType = 'arraybuffer';
      for (const other of ['Blob', 'nodebuffer', '', undefined, null]) {
        expect(Reflect.set(socket, 'binaryType', other)).toBe(true);
        expect(socket.binaryType).toBe('arraybuffer');
      }
      expect(Reflect.set(socket, 'binaryType', { toString: () => 'blob' })).toBe(true);
      expect(socket.binaryType).toBe('blob');
      expect(() => Reflect.set(socket, 'binaryType', Symbol('type'))).toThrow(TypeError);
    },
  },
  {
    name: 'delivers binary messages as binaryType says at that time',
    run: async context => {
      const socket = await context.open();
      const echo = async (): Promise<unknown> => {
        const message = next(socket, 'message');
        socket.send(Uint8Array.from([1, 2, 3]));
        return (await message).data as unknown;
      };
      const blob = (await echo()) as Blob;
      expect(blob).toBeInstanceOf(Blob);
      expect(blob).toMatchObject({ size: 3, type: '' });
      expect(await content(blob)).toEqual([1, 2, 3]);
      socket.binaryType = 'arraybuffer';
      const buffer = (await echo()) as ArrayBuffer;
      expect(Object.prototype.toString.call(buffer)).toBe('[object ArrayBuffer]');
      // The message and nothing else.
      expect([...new Uint8Array(buffer)]).toEqual([1, 2, 3]);
    },
  },
  {
    name: 'fires a MessageEvent',
    run: async context => {
      const socket = await context.open();
      const message = next(socket, 'message');
      socket.send('text');
      const event = await message;
      expect(event).toBeInstanceOf(MessageEvent);
      expect(event).toMatchObject({
        type: 'message',
        data: 'text',
        origin: new URL(context.url).origin,
        lastEventId: '',
        source: null,
        bubbles: false,
        cancelable: false,
        target: socket,
      });
      expect(event.ports).toHaveLength(0);
    },
  },
  {
    name: 'keeps event handlers as the HTML standard says',
    run: context => {
      const socket = context.connect('/');
      const handler = (): void => undefined;
      const object = {};
      for (const name of ['onopen', 'onmessage', 'onerror', 'onclose']) {
        const assign = (value: unknown): unknown => {
          Reflect.set(socket, name, value);
          return Reflect.get(socket, name);
        };
        expect(assign(handler)).toBe(handler);
        // Objects are kept although they cannot be called; anything else is null.
        expect(assign(object)).toBe(object);
        for (const nothing of [null, undefined, 5, 'text', Symbol('handler')]) {
          assign(handler);
          expect(assign(nothing)).toBe(null);
        }
      }
    },
  },
  {
    name: 'calls event handlers in the order of their activation',
    run: context => {
      const socket = context.connect('/');
      const calls: string[] = [];
      const fire = (): string[] => {
        calls.length = 0;
        socket.dispatchEvent(new Event('message'));
        return [...calls];
      };
      socket.addEventListener('message', () => calls.push('listener 1'));
      socket.onmessage = () => calls.push('handler 1');
      socket.addEventListener('message', () => calls.push('listener 2'));
      expect(fire()).toEqual(['listener 1', 'handler 1', 'listener 2']);
      socket.onmessage = () => calls.push('handler 2');
      expect(fire()).toEqual(['listener 1', 'handler 2', 'listener 2']);
      Reflect.set(socket, 'onmessage', { handleEvent: () => calls.push('never') });
      expect(fire()).toEqual(['listener 1', 'listener 2']);
      socket.onmessage = () => calls.push('handler 3');
      expect(fire()).toEqual(['listener 1', 'handler 3', 'listener 2']);
      socket.onmessage = null;
      expect(fire()).toEqual(['listener 1', 'listener 2']);
      socket.onmessage = () => calls.push('handler 4');
      expect(fire()).toEqual(['listener 1', 'listener 2', 'handler 4']);
    },
  },
  {
    name: 'calls event handlers with the socket as this, and heeds false',
    run: async context => {
      const socket = context.connect('/');
      const event = await new Promise<Event>((resolve, reject) => {
        socket.onopen = function (given) {
          if (this === socket) resolve(given);
          else reject(new Error('"this" is another object'));
        };
      });
      expect(event.type).toBe('open');
      socket.onopen = () => false;
      expect(socket.dispatchEvent(new Event('open', { cancelable: true }))).toBe(false);
      socket.onopen = () => undefined;
      expect(socket.dispatchEvent(new Event('open', { cancelable: true }))).toBe(true);
    },
  },
  {
    name: 'has listeners like any other EventTarget',
    run: async context => {
      const socket = await context.open();
      const calls: string[] = [];
      const twice = (): void => {
        calls.push('twice');
      };
      socket.addEventListener('message', twice);
      socket.addEventListener('message', twice);
      socket.addEventListener('message', () => calls.push('once'), { once: true });
      socket.addEventListener('message', { handleEvent: event => calls.push(`object ${event.type}`) });
      const abort = new AbortController();
      socket.addEventListener('message', () => calls.push('aborted'), { signal: abort.signal });
      abort.abort();
      await context.echo(socket, 'x');
      socket.removeEventListener('message', twice);
      await context.echo(socket, 'y');
      expect(calls).toEqual(['twice', 'once', 'object message', 'object message']);
    },
  },
];
