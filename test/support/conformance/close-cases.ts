import { expect } from 'vitest';
import {
  next,
  record,
  thrown,
  uniqueId,
  type ConformanceCase,
  type ConformanceContext,
  type Observation,
} from './conformance-case.js';

const close = (socket: WebSocket, ...given: unknown[]): void => {
  Reflect.apply(socket.close.bind(socket), undefined, given);
};

interface Closed {
  readonly event: CloseEvent;
  readonly seen: Observation;
}

/** Opens a socket and closes it: what the event tells, and what the server saw. */
async function closeWith(context: ConformanceContext, ...given: unknown[]): Promise<Closed> {
  const id = uniqueId();
  const socket = await context.open(`/?id=${id}`);
  close(socket, ...given);
  expect(socket.readyState).toBe(2);
  const event = await next(socket, 'close');
  expect(socket.readyState).toBe(3);
  return { event, seen: await context.observe(id) };
}

function expectRefused(name: string, call: () => unknown): void {
  const error = thrown(call);
  expect(error).toBeInstanceOf(DOMException);
  expect(error).toMatchObject({ name });
}

export const closeCases: readonly ConformanceCase[] = [
  {
    name: 'close() without a code shows as 1005 at both ends',
    run: async context => {
      for (const given of [[], [undefined], [undefined, undefined]]) {
        const { event, seen } = await closeWith(context, ...given);
        expect(event).toMatchObject({ code: 1005, reason: '', wasClean: true });
        expect(seen).toMatchObject({ code: 1005, reason: '' });
      }
    },
  },
  {
    name: 'close() takes 1000 and 3000 to 4999, and a reason',
    run: async context => {
      for (const [code, reason] of [
        [1000, ''],
        [3000, 'why'],
        [4999, 'h\u{e9}'],
        [4000, 'x'.repeat(123)],
      ] as const) {
        const { event, seen } = await closeWith(context, code, reason);
        expect(event).toMatchObject({ code, reason, wasClean: true });
        expect(seen).toMatchObject({ code, reason });
      }
    },
  },
  {
    name: 'close() converts its arguments',
    run: async context => {
      expect((await closeWith(context, '3000', 5)).seen).toMatchObject({ code: 3000, reason: '5' });
      expect((await closeWith(context, { valueOf: () => 1000 }, null)).seen).toMatchObject({
        reason: 'null',
      });
      expect((await closeWith(context, 3000, 'a\u{d800}')).seen).toMatchObject({ reason: 'a\u{fffd}' });
      // Half-way between two integers goes to the even one.
      expect((await closeWith(context, 1000.5)).seen).toMatchObject({ code: 1000 });
    },
  },
  {
    name: 'close() rounds a code rather than cutting it off',
    deviating: ['chromium', 'webkit'],
    run: async context => {
      expect((await closeWith(context, 999.6)).seen).toMatchObject({ code: 1000 });
      expect((await closeWith(context, 2999.5)).seen).toMatchObject({ code: 3000 });
    },
  },
  {
    name: 'close() drops a reason that has no code',
    deviating: ['chromium'],
    run: async context => {
      const { event, seen } = await closeWith(context, undefined, 'why');
      expect(event).toMatchObject({ code: 1005, reason: '', wasClean: true });
      expect(seen).toMatchObject({ code: 1005, reason: '' });
    },
  },
  {
    name: 'close() refuses other codes with InvalidAccessError, in every state',
    run: async context => {
      const socket = context.connect('/');
      const check = (): void => {
        // 66536 would be 1000 if it were cut to 16 bits; null is 0.
        for (const code of [
          0,
          999,
          1001,
          1005,
          1006,
          2999,
          5000,
          65_535,
          66_536,
          -1,
          NaN,
          null,
          'text',
          Infinity,
        ]) {
          expectRefused('InvalidAccessError', () => close(socket, code));
        }
        expectRefused('InvalidAccessError', () => close(socket, 1001, 'x'.repeat(124)));
        for (const code of [Symbol('code'), 1000n]) expect(() => close(socket, code)).toThrow(TypeError);
      };
      check();
      await next(socket, 'open');
      check();
      expect(socket.readyState).toBe(1);
      socket.close();
      check();
      await next(socket, 'close');
      check();
    },
  },
  {
    name: 'close() refuses a reason of more than 123 bytes with SyntaxError',
    run: async context => {
      const socket = await context.open();
      expectRefused('SyntaxError', () => close(socket, 1000, 'x'.repeat(124)));
      expectRefused('SyntaxError', () => close(socket, 1000, '\u{e9}'.repeat(62)));
      expect(() => close(socket, 1000, Symbol('reason'))).toThrow(TypeError);
      expect(socket.readyState).toBe(1);
    },
  },
  {
    name: 'close() refuses a reason that is too long, even without a code',
    deviating: ['chromium', 'webkit'],
    run: async context => {
      const socket = await context.open();
      expectRefused('SyntaxError', () => close(socket, undefined, 'x'.repeat(124)));
    },
  },
  {
    name: 'close() while CONNECTING fails the attempt, later and once',
    run: async context => {
      const socket = context.connect('/');
      const { events, closed } = record(socket);
      const states: number[] = [];
      socket.addEventListener('error', () => states.push(socket.readyState));
      socket.close(3000, 'why');
      expect(socket.readyState).toBe(2);
      socket.close();
      expect(events).toEqual([]);
      expect(await closed).toMatchObject({ code: 1006, reason: '', wasClean: false });
      // What else there is to come has come when another connection has been opened and closed.
      await closeWith(context);
      expect(events).toEqual(['error', 'close 1006']);
      expect(states).toEqual([3]);
      expect(socket.readyState).toBe(3);
    },
  },
  {
    name: 'close() counts once',
    run: async context => {
      const id = uniqueId();
      const socket = await context.open(`/?id=${id}`);
      const { events, closed } = record(socket);
      socket.close(3001, 'first');
      socket.close(3002, 'second');
      await closed;
      socket.close(3003, 'third');
      expect(await context.observe(id)).toMatchObject({ code: 3001, reason: 'first' });
      expect(events).toEqual(['close 3001']);
    },
  },
  {
    name: 'close() delivers what was sent before it',
    run: async context => {
      const id = uniqueId();
      const socket = await context.open(`/?id=${id}`);
      for (let n = 0; n < 100; n++) socket.send(String(n));
      socket.close();
      expect((await context.observe(id)).messages).toHaveLength(100);
    },
  },
  {
    name: 'delivers no message after close()',
    run: async context => {
      const id = uniqueId();
      const socket = await context.open(`/?id=${id}`);
      const { events, closed } = record(socket);
      socket.send('comes back too late');
      socket.close(1000);
      await closed;
      expect((await context.observe(id)).messages).toHaveLength(1);
      expect(events).toEqual(['close 1000']);
    },
  },
  {
    name: 'tells the code and the reason of the server',
    run: async context => {
      const { events, closed } = record(context.connect('/?greet=2&close=4001&reason=h%C3%A9'));
      const event = await closed;
      expect(event).toMatchObject({ code: 4001, reason: 'h\u{e9}', wasClean: true });
      expect(events).toEqual(['open', 'message greeting 1', 'message greeting 2', 'close 4001']);
    },
  },
  {
    name: 'shows 1005 when the server gave no code',
    run: async context => {
      const { events, closed } = record(context.connect('/?close='));
      expect(await closed).toMatchObject({ code: 1005, reason: '', wasClean: true });
      expect(events).toEqual(['open', 'close 1005']);
    },
  },
  {
    name: 'fires a CloseEvent',
    run: async context => {
      const socket = await context.open('/?close=1000');
      const event = await next(socket, 'close');
      expect(Object.prototype.toString.call(event)).toBe('[object CloseEvent]');
      expect(event).toBeInstanceOf(Event);
      if (typeof CloseEvent === 'function') expect(event).toBeInstanceOf(CloseEvent);
      expect(event).toMatchObject({ type: 'close', bubbles: false, cancelable: false, target: socket });
    },
  },
  {
    name: 'fails with error and then close 1006 when the connection is lost',
    own: true,
    run: async context => {
      const { events, closed } = record(context.connect('/?drop'));
      expect(await closed).toMatchObject({ code: 1006, reason: '', wasClean: false });
      expect(events.filter(event => event !== 'open')).toEqual(['error', 'close 1006']);
    },
  },
  {
    name: 'says why it failed',
    own: true,
    run: async context => {
      for (const target of ['/?refuse', '/?drop']) {
        const event = await next(context.connect(target), 'error');
        const { error, message } = event as Event & { error?: Error & { code?: string }; message?: string };
        expect(Object.getPrototypeOf(event)).toBe(Event.prototype);
        expect(error).toBeInstanceOf(Error);
        expect(error?.code).toMatch(/^[A-Z_]+$/);
        expect(message).toBe(error?.message);
        expect(message).not.toBe('');
      }
    },
  },
];
