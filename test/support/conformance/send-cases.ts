import { expect } from 'vitest';
import { content, next, nextTask, thrown, uniqueId, type ConformanceCase } from './conformance-case.js';

/** A buffer whose bytes have been given away. */
function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(4);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

function shared(): SharedArrayBuffer {
  // Pages that are not isolated lack the constructor.
  return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
    .buffer as unknown as SharedArrayBuffer;
}

const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];

const send = (socket: WebSocket, ...given: unknown[]): void => {
  Reflect.apply(socket.send.bind(socket), undefined, given);
};

export const sendCases: readonly ConformanceCase[] = [
  {
    name: 'send() needs an argument, whatever the state',
    run: async context => {
      const socket = context.connect('/');
      expect(() => send(socket)).toThrow(TypeError);
      await next(socket, 'open');
      expect(() => send(socket)).toThrow(TypeError);
      socket.close();
      expect(() => send(socket)).toThrow(TypeError);
    },
  },
  {
    name: 'send() throws InvalidStateError while CONNECTING, after conversion',
    run: context => {
      const socket = context.connect('/');
      for (const data of ['text', new ArrayBuffer(1), new Blob(['x'])]) {
        const error = thrown(() => send(socket, data));
        expect(error).toBeInstanceOf(DOMException);
        expect(error).toMatchObject({ name: 'InvalidStateError', code: 11 });
      }
      expect(() => send(socket, Symbol('data'))).toThrow(TypeError);
      const mark = new Error('mark');
      const thrower = {
        toString() {
          throw mark;
        },
      };
      expect(thrown(() => send(socket, thrower))).toBe(mark);
      expect(socket.bufferedAmount).toBe(0);
    },
  },
  {
    name: 'sends text, and the string of anything that is no data',
    run: async context => {
      const socket = await context.open();
      for (const text of ['', 'text', 'h\u{e9}llo \u{1f600}', '\u{feff}mark', '\0']) {
        expect(await context.echo(socket, text)).toBe(text);
      }
      expect(await context.echo(socket, undefined)).toBe('undefined');
      expect(await context.echo(socket, null)).toBe('null');
      expect(await context.echo(socket, 5)).toBe('5');
      expect(await context.echo(socket, [1, 2])).toBe('1,2');
      expect(await context.echo(socket, {})).toBe('[object Object]');
      expect(() => send(socket, Symbol('data'))).toThrow(TypeError);
    },
  },
  {
    name: 'sends U+FFFD for lone surrogates',
    run: async context => {
      const socket = await context.open();
      expect(await context.echo(socket, 'a\u{d800}b\u{dc00}')).toBe('a\u{fffd}b\u{fffd}');
    },
  },
  {
    name: 'sends buffers and views of them',
    run: async context => {
      const socket = await context.open();
      const bytes = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 255]);
      expect(await context.echo(socket, bytes.buffer)).toEqual([0, 1, 2, 3, 4, 5, 6, 255]);
      expect(await context.echo(socket, bytes)).toEqual([0, 1, 2, 3, 4, 5, 6, 255]);
      expect(await context.echo(socket, bytes.subarray(2, 5))).toEqual([2, 3, 4]);
      expect(await context.echo(socket, new DataView(bytes.buffer, 1, 2))).toEqual([1, 2]);
      expect(await context.echo(socket, new Uint16Array(bytes.buffer, 6, 1))).toEqual([6, 255]);
      expect(await context.echo(socket, new Float64Array(bytes.buffer))).toEqual([0, 1, 2, 3, 4, 5, 6, 255]);
      expect(await context.echo(socket, new ArrayBuffer(0))).toEqual([]);
      expect(await context.echo(socket, bytes.subarray(3, 3))).toEqual([]);
    },
  },
  {
    name: 'sends nothing for a detached buffer, and refuses shared and resizable ones',
    run: async context => {
      const socket = await context.open();
      expect(await context.echo(socket, detached())).toEqual([]);
      const view = new Uint8Array(4);
      structuredClone(view.buffer, { transfer: [view.buffer] });
      expect(await context.echo(socket, view)).toEqual([]);
      const memory = shared();
      expect(Object.prototype.toString.call(memory)).toBe('[object SharedArrayBuffer]');
      expect(() => send(socket, memory)).toThrow(TypeError);
      expect(() => send(socket, new Uint8Array(memory, 0, 4))).toThrow(TypeError);
      const Resizable = ArrayBuffer as unknown as new (size: number, options: object) => ArrayBuffer;
      const resizable = new Resizable(4, { maxByteLength: 8 });
      expect(() => send(socket, resizable)).toThrow(TypeError);
      expect(() => send(socket, new Uint8Array(resizable))).toThrow(TypeError);
      expect(socket.bufferedAmount).toBe(0);
    },
  },
  {
    name: 'copies bytes before send() returns',
    run: async context => {
      const socket = await context.open();
      const bytes = Uint8Array.from([1, 2, 3]);
      const message = next(socket, 'message');
      socket.send(bytes);
      bytes.fill(9);
      expect(await content((await message).data)).toEqual([1, 2, 3]);
    },
  },
  {
    name: 'sends Blobs, in their place among the others',
    run: async context => {
      const socket = await context.open('/');
      socket.binaryType = 'arraybuffer';
      const messages: Promise<string | number[]>[] = [];
      const all = new Promise<void>(resolve => {
        socket.onmessage = ({ data }) => {
          if (messages.push(content(data)) === 6) resolve();
        };
      });
      socket.send('first');
      socket.send(new Blob(['second']));
      socket.send('third');
      socket.send(new Blob([]));
      socket.send(new Uint8Array([5]));
      // A File is a Blob too.
      socket.send(new File(['sixth'], 'name'));
      await all;
      expect(await Promise.all(messages)).toEqual([
        'first',
        bytes('second'),
        'third',
        [],
        [5],
        bytes('sixth'),
      ]);
    },
  },
  {
    name: 'sends a Blob that was given to it before close()',
    deviating: ['webkit'],
    run: async context => {
      const id = uniqueId();
      const socket = await context.open(`/?id=${id}`);
      socket.send(new Blob(['first']));
      socket.send('second');
      socket.close(3000, 'last');
      expect(await context.observe(id)).toEqual({
        messages: [bytes('first'), 'second'],
        code: 3000,
        reason: 'last',
      });
    },
  },
  {
    name: 'bufferedAmount rises at once and falls in a later task',
    run: async context => {
      const socket = await context.open();
      socket.send('h\u{e9}llo');
      expect(socket.bufferedAmount).toBe(6);
      socket.send(new Uint8Array(10));
      expect(socket.bufferedAmount).toBe(16);
      socket.send(new Blob(['abc']));
      expect(socket.bufferedAmount).toBe(19);
      for (let tick = 0; tick < 10; tick++) await Promise.resolve();
      expect(socket.bufferedAmount).toBe(19);
      while (socket.bufferedAmount > 0) await nextTask();
    },
  },
  {
    name: 'counts what is sent after close(), and drops it',
    run: async context => {
      const id = uniqueId();
      const socket = await context.open(`/?id=${id}`);
      const closed = next(socket, 'close');
      socket.close();
      socket.send('abc');
      // Some engines count framing as well from here on.
      const closing = socket.bufferedAmount;
      expect(closing).toBeGreaterThanOrEqual(3);
      socket.send(new Blob(['defg']));
      expect(socket.bufferedAmount).toBeGreaterThanOrEqual(closing + 4);
      await closed;
      const after = socket.bufferedAmount;
      expect(after).toBeGreaterThanOrEqual(7);
      socket.send(new Uint8Array(5));
      expect(socket.bufferedAmount).toBeGreaterThanOrEqual(after + 5);
      expect((await context.observe(id)).messages).toEqual([]);
    },
  },
  {
    name: 'counts nothing but payload',
    own: true,
    run: async context => {
      const socket = await context.open();
      const closed = next(socket, 'close');
      socket.close();
      socket.send('abc');
      await closed;
      socket.send(new Blob(['defg']));
      expect(socket.bufferedAmount).toBe(7);
    },
  },
  {
    name: 'carries a message that needs many frames',
    run: async context => {
      const socket = await context.open();
      socket.binaryType = 'arraybuffer';
      const bytes = Uint8Array.from({ length: 1_000_003 }, (_, index) => index * 7);
      const message = next(socket, 'message');
      socket.send(bytes);
      const back = new Uint8Array((await message).data as ArrayBuffer);
      expect(back.length).toBe(bytes.length);
      expect(back.every((byte, index) => byte === bytes[index])).toBe(true);
    },
  },
];
