import { expect } from 'vitest';
import { content, next, record, thrown, uniqueId, type ConformanceCase } from './conformance-case.js';

function expectSyntaxError(call: () => unknown): void {
  const error = thrown(call);
  expect(error).toBeInstanceOf(DOMException);
  expect(error).toMatchObject({ name: 'SyntaxError', code: 12 });
}

export const constructorCases: readonly ConformanceCase[] = [
  {
    name: 'needs an argument, and new',
    run: context => {
      expect(() => context.construct()).toThrow(TypeError);
      const call = context.WebSocket as unknown as (url: string) => void;
      expect(() => {
        call(context.url);
      }).toThrow(TypeError);
    },
  },
  {
    name: 'stringifies the URL',
    run: context => {
      expect(context.construct({ toString: () => `${context.url}/object` }).url).toBe(
        `${context.url}/object`,
      );
      expect(context.construct(new URL(`${context.url}/url`)).url).toBe(`${context.url}/url`);
      expect(context.construct([`${context.url}/list`]).url).toBe(`${context.url}/list`);
      expect(() => context.construct(Symbol('url'))).toThrow(TypeError);
    },
  },
  {
    name: 'resolves a relative URL against the page',
    page: true,
    run: context => {
      const resolved = (text: string): string => new URL(text, document.baseURI).href.replace(/^http/, 'ws');
      expect(context.construct('chat?x=1').url).toBe(resolved('chat?x=1'));
      expect(context.construct('/chat').url).toBe(resolved('/chat'));
      expect(context.construct(undefined).url).toBe(resolved('undefined'));
      expect(context.construct(null).url).toBe(resolved('null'));
    },
  },
  {
    name: 'resolves an empty URL to that of the page',
    page: true,
    deviating: ['firefox'],
    run: context => {
      expect(context.construct('').url).toBe(new URL('', document.baseURI).href.replace(/^http/, 'ws'));
    },
  },
  {
    name: 'takes http for ws and https for wss',
    run: context => {
      expect(context.construct(context.url.replace(/^ws/, 'http') + '/x').url).toBe(`${context.url}/x`);
      expect(context.construct('https://127.0.0.1:1/x').url).toBe('wss://127.0.0.1:1/x');
      // The default port goes with the scheme.
      expect(context.construct('http://127.0.0.1:80/x').url).toBe('ws://127.0.0.1/x');
      expect(context.construct('http://127.0.0.1:443/x').url).toBe('ws://127.0.0.1:443/x');
    },
  },
  {
    name: 'normalizes the URL',
    run: context => {
      const { url } = context;
      expect(context.construct(`  ${url}/a b\u{e9}/../c  `).url).toBe(`${url}/c`);
      expect(context.construct(`${url}/a b`).url).toBe(`${url}/a%20b`);
      expect(context.construct(`${url.replace(/^ws/, 'WS')}/Case`).url).toBe(`${url}/Case`);
      expect(context.construct('ws://127.0.0.1:80').url).toBe('ws://127.0.0.1/');
    },
  },
  {
    name: 'refuses a fragment, even an empty one',
    run: context => {
      expectSyntaxError(() => context.construct(`${context.url}/#part`));
      expectSyntaxError(() => context.construct(`${context.url}/#`));
    },
  },
  {
    name: 'refuses other schemes and what is no URL',
    run: context => {
      for (const url of [
        'ftp://127.0.0.1/',
        'mailto:a@b',
        'blob:x',
        'ws://',
        'wss://[::/',
        'ws://a:99999/',
      ]) {
        expectSyntaxError(() => context.construct(url));
      }
    },
  },
  {
    name: 'takes one subprotocol or a sequence of them',
    run: async context => {
      const chosen = async (protocols: unknown, choose: string): Promise<string> => {
        const socket = context.construct(`${context.url}/?choose=${choose}`, protocols);
        await next(socket, 'open');
        return socket.protocol;
      };
      expect(await chosen('one', 'one')).toBe('one');
      expect(await chosen(['one', 'two'], 'two')).toBe('two');
      expect(await chosen(new Set(['one', 'two']), 'two')).toBe('two');
      expect(await chosen([1, { toString: () => 'two' }], 'two')).toBe('two');
      expect(await chosen(null, 'null')).toBe('null');
      expect(await chosen({ toString: () => 'one' }, 'one')).toBe('one');
      // An object with an iterator is a sequence, even a String.
      expect(await chosen(Object('xyz'), 'y')).toBe('y');
      expect(await chosen(undefined, '')).toBe('');
      expect(await chosen([], '')).toBe('');
    },
  },
  {
    name: 'takes an object whose iterator is null for a string',
    deviating: ['firefox'],
    run: async context => {
      const protocols = { [Symbol.iterator]: null, toString: () => 'one' };
      const socket = context.construct(`${context.url}/`, protocols);
      await next(socket, 'open');
      expect(socket.protocol).toBe('one');
    },
  },
  {
    name: 'offers subprotocols of token characters only',
    run: async context => {
      const separators = [
        '(',
        ')',
        '<',
        '>',
        '@',
        ',',
        ';',
        ':',
        '\\',
        '"',
        '/',
        '[',
        ']',
        '?',
        '=',
        '{',
        '}',
        ' ',
      ];
      for (const bad of ['', ...separators, '\t', '\0', '\x7f', '\u{e9}', '\u{1f600}', {}, 'a b', 'a,b']) {
        expectSyntaxError(() => context.construct(context.url, bad));
        expectSyntaxError(() => context.construct(context.url, ['good', bad]));
      }
      const token = "!#$%&'*+-.^_`|~09azAZ";
      expect((await context.open('/', token)).protocol).toBe(token);
    },
  },
  {
    name: 'refuses a subprotocol that is given twice',
    run: context => {
      expectSyntaxError(() => context.construct(context.url, ['one', 'two', 'one']));
    },
  },
  {
    name: 'refuses subprotocols that differ in case only',
    own: true,
    run: context => {
      expectSyntaxError(() => context.construct(context.url, ['chat', 'Chat']));
    },
  },
  {
    name: 'converts every argument before it checks the first',
    run: context => {
      const mark = new Error('mark');
      const thrower = {
        toString() {
          throw mark;
        },
      };
      expect(thrown(() => context.construct(thrower))).toBe(mark);
      expect(thrown(() => context.construct('ftp://127.0.0.1/', thrower))).toBe(mark);
      expect(() => context.construct('ftp://127.0.0.1/', Symbol('protocol'))).toThrow(TypeError);
      expect(() => context.construct('ftp://127.0.0.1/', [Symbol('protocol')])).toThrow(TypeError);
      expect(() => context.construct('ftp://127.0.0.1/', { [Symbol.iterator]: 1 })).toThrow(TypeError);
    },
  },
  {
    name: 'ignores a third argument that is no object',
    run: context => {
      for (const third of [null, undefined, 5, 'text', true, () => undefined]) {
        expect(context.construct(`${context.url}/third`, [], third).url).toBe(`${context.url}/third`);
      }
    },
  },
  {
    name: 'begins in the state CONNECTING',
    run: context => {
      const socket = context.connect('/');
      expect(socket.readyState).toBe(0);
      expect(socket.bufferedAmount).toBe(0);
      expect(socket.protocol).toBe('');
      expect(socket.extensions).toBe('');
      expect(socket.binaryType).toBe('blob');
      expect([socket.onopen, socket.onmessage, socket.onerror, socket.onclose]).toEqual([
        null,
        null,
        null,
        null,
      ]);
    },
  },
  {
    name: 'opens, with an event that says nothing more',
    run: async context => {
      const socket = context.connect('/');
      const event = await next(socket, 'open');
      expect(socket.readyState).toBe(1);
      expect(Object.getPrototypeOf(event)).toBe(Event.prototype);
      expect(event).toMatchObject({ type: 'open', bubbles: false, cancelable: false, target: socket });
    },
  },
  {
    name: 'fails with error and then close 1006 when it is refused',
    run: async context => {
      const socket = context.connect('/?refuse');
      const { events, closed } = record(socket);
      const states: number[] = [];
      socket.onerror = event => {
        states.push(socket.readyState);
        expect(Object.getPrototypeOf(event)).toBe(Event.prototype);
      };
      expect(await closed).toMatchObject({ code: 1006, reason: '', wasClean: false });
      expect(events).toEqual(['error', 'close 1006']);
      expect(states).toEqual([3]);
    },
  },
  {
    name: 'fails when the server chooses none of the subprotocols',
    deviating: ['firefox', 'webkit'],
    run: async context => {
      const { events, closed } = record(context.connect('/?choose=', ['one', 'two']));
      await closed;
      expect(events).toEqual(['error', 'close 1006']);
    },
  },
  {
    name: 'serves the promises of one event before the next is fired',
    run: async context => {
      const socket = await context.open('/?greet=3');
      for (let n = 1; n <= 3; n++) {
        expect(await content((await next(socket, 'message')).data)).toBe(`greeting ${n}`);
        for (let tick = 0; tick < 10; tick++) await Promise.resolve();
      }
      const refused = context.connect('/?refuse');
      await next(refused, 'error');
      await Promise.resolve();
      expect((await next(refused, 'close')).code).toBe(1006);
    },
  },
  {
    name: 'sends path and query to the server',
    run: async context => {
      const id = uniqueId();
      const socket = await context.open(`/a/b?x=%20&id=${id}`);
      socket.close();
      expect(await context.observe(id)).toEqual({ messages: [], code: 1005, reason: '' });
    },
  },
];
