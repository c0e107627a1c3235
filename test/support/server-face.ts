import { once } from 'node:events';
import { setImmediate as nextTask } from 'node:timers/promises';
import type { WebSocket as WsWebSocket } from 'ws';
import { describe, expect, it, vi } from 'vitest';
import type { EventQueue } from './event-queue.js';

/** What the peer saw the server-side socket do: bytes in hex. */
export type PeerEvent =
  readonly ['text' | 'binary' | 'ping' | 'pong', string] | readonly ['close', code: number, reason: string];

/** The other end of a server-side socket. It answers pings. */
export interface FacePeer {
  readonly events: EventQueue<PeerEvent>;
  text(text: string): void;
  binary(...bytes: number[]): void;
  ping(...bytes: number[]): void;
  pong(...bytes: number[]): void;
  close(code?: number, reason?: string): void;
  /** The connection is gone, without a word. */
  drop(): void;
}

/** A server-side socket as its `connection` handler gets it, in that very call, and its peer. */
export interface FacePair {
  readonly socket: WsWebSocket;
  readonly peer: FacePeer;
}

const bytes = (...values: number[]): Buffer => Buffer.from(values);

const textOf = (data: unknown): string => String(data);

/** `socket.once(event)` as a promise of the arguments. */
function next(socket: WsWebSocket, event: string): Promise<unknown[]> {
  return new Promise(resolve => {
    socket.once(event, (...args: unknown[]) => {
      resolve(args);
    });
  });
}

/**
 * What applications of `ws` rely on in a server-side socket. Runs on `ws` itself and on what stands in for it, so that
 * neither side is described from memory. `connect` calls `onConnection` from inside its `connection` handler.
 */
export function describeServerFace(
  name: string,
  connect: (onConnection: (pair: FacePair) => void) => Promise<FacePair>,
): void {
  const open = (onConnection: (pair: FacePair) => void = () => undefined): Promise<FacePair> =>
    connect(onConnection);

  describe(`the face of a server-side socket: ${name}`, () => {
    it('is open from the start, and has the constants', async () => {
      const { socket } = await open();
      expect(socket.readyState).toBe(socket.OPEN);
      expect([socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED]).toEqual([0, 1, 2, 3]);
      const { constructor } = socket as unknown as { constructor: Record<string, unknown> };
      expect([constructor.CONNECTING, constructor.OPEN, constructor.CLOSING, constructor.CLOSED]).toEqual([
        0, 1, 2, 3,
      ]);
      expect(socket.binaryType).toBe('nodebuffer');
      expect(socket.extensions).toBe('');
      expect(socket.bufferedAmount).toBe(0);
      expect(socket.isPaused).toBe(false);
      expect(socket.protocol).toBe('');
    });

    it.each<[string, unknown, object | undefined, PeerEvent]>([
      ['a string', 'grüße', undefined, ['text', 'grüße']],
      ['an empty string', '', undefined, ['text', '']],
      ['a string as binary', 'hi', { binary: true }, ['binary', '6869']],
      ['a number', 42, undefined, ['text', '42']],
      ['zero', 0, undefined, ['text', '0']],
      ['a lone surrogate', '\ud800', undefined, ['text', '\ufffd']],
      ['a Buffer', bytes(1, 2, 255), undefined, ['binary', '0102ff']],
      ['a Buffer as text', Buffer.from('hi'), { binary: false }, ['text', 'hi']],
      ['a view with an offset', new Uint8Array([9, 1, 2, 9]).subarray(1, 3), undefined, ['binary', '0102']],
      ['a DataView', new DataView(Uint8Array.of(9, 7, 8).buffer, 1), undefined, ['binary', '0708']],
      ['wider elements', new Uint16Array([0x0201]), undefined, ['binary', '0102']],
      ['an ArrayBuffer', Uint8Array.of(5, 6).buffer, undefined, ['binary', '0506']],
      ['a SharedArrayBuffer', new SharedArrayBuffer(2), undefined, ['binary', '0000']],
      ['an array', [1, 258, 3], undefined, ['binary', '010203']],
      ['an array-like', { length: 2, 0: 1, 1: 2 }, undefined, ['binary', '0102']],
      ['a String object', new String('boxed'), undefined, ['binary', '626f786564']],
      ['an object with a value', { valueOf: () => Uint8Array.of(3) }, undefined, ['binary', '03']],
      ['an object that converts', { [Symbol.toPrimitive]: () => 'p' }, undefined, ['binary', '70']],
      ['a Blob', new Blob(['blob']), undefined, ['binary', '626c6f62']],
      ['a Blob as text', new Blob(['blob']), { binary: false }, ['text', 'blob']],
      ['null', null, undefined, ['binary', '']],
      ['undefined', undefined, undefined, ['binary', '']],
      ['false', false, undefined, ['binary', '']],
    ])('sends %s', async (_what, data, options, expected) => {
      const { socket, peer } = await open();
      if (options === undefined) socket.send(data as string);
      else socket.send(data as string, options);
      expect(await peer.events.next()).toEqual(expected);
    });

    it.each<[string, unknown]>([
      ['an object', {}],
      ['true', true],
      ['a function', () => undefined],
      ['a symbol', Symbol('s')],
      ['a bigint', 1n],
    ])('throws a TypeError for %s', async (_what, data) => {
      const { socket } = await open();
      expect(() => socket.send(data as string)).toThrow(TypeError);
      if (typeof data !== 'function') expect(() => socket.ping(data)).toThrow(TypeError);
    });

    it('keeps the order, also around Blobs and fragments, and calls callbacks in that order', async () => {
      const { socket, peer } = await open();
      const called: number[] = [];
      const note = (index: number) => (error?: Error) => called.push(error ? -1 : index);
      socket.send('1', note(1));
      socket.send(new Blob(['2']), note(2));
      socket.send('3', {}, note(3));
      socket.ping('4', undefined, note(4));
      socket.send('5a', { fin: false }, note(5));
      socket.send(new Blob(['5b']), { fin: false }, note(6));
      socket.send(bytes(0x35, 0x63), { fin: true }, note(7));
      socket.send('', note(8));
      socket.ping('9', false, note(9));
      const done = new Promise<void>(resolve => {
        socket.send('last', () => {
          resolve();
        });
      });
      expect(await peer.events.take(8)).toEqual([
        ['text', '1'],
        ['binary', '32'],
        ['text', '3'],
        ['ping', '34'],
        ['text', '5a5b5c'],
        ['text', ''],
        ['ping', '39'],
        ['text', 'last'],
      ]);
      await done;
      expect(called).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    it('counts what waits, and counts what is too late', async () => {
      const { socket, peer } = await open();
      socket.send(new Blob(['12345']));
      socket.send('678');
      expect(socket.bufferedAmount).toBe(8);
      await peer.events.take(2);
      const closed = next(socket, 'close');
      socket.close();
      const before = socket.bufferedAmount;
      socket.send('too late');
      expect(socket.bufferedAmount).toBe(before + 8);
      await closed;
      const after = socket.bufferedAmount;
      socket.send(new Blob(['late']));
      socket.ping('xy');
      expect(socket.bufferedAmount).toBe(after + 6);
    });

    it('tells the callback, and throws nothing, when it is not open any more', async () => {
      const { socket } = await open();
      const closed = next(socket, 'close');
      socket.close();
      const errors = await Promise.all(
        (['send', 'ping', 'pong'] as const).map(
          method =>
            new Promise<Error | undefined>(resolve => {
              let returned = false;
              socket[method]('x', undefined as never, (error?: Error) => {
                expect(returned).toBe(true);
                resolve(error);
              });
              returned = true;
            }),
        ),
      );
      for (const error of errors) expect(error?.message).toMatch(/not open: readyState 2 \(CLOSING\)/);
      expect(() => {
        socket.send('nobody listens');
      }).not.toThrow();
      await closed;
      const late = await new Promise<Error | undefined>(resolve => {
        socket.send('x', resolve);
      });
      expect(late?.message).toMatch(/not open: readyState 3 \(CLOSED\)/);
    });

    it.each<[string, number | undefined, string | Buffer | undefined, readonly [number, string]]>([
      ['without a code', undefined, undefined, [1005, '']],
      ['with a reason but no code', undefined, 'ignored', [1005, '']],
      ['with 1000', 1000, undefined, [1000, '']],
      ['with a reason', 4321, 'bye', [4321, 'bye']],
      ['with a Buffer', 1001, Buffer.from('ädé'), [1001, 'ädé']],
      ['with the longest reason', 3000, 'x'.repeat(123), [3000, 'x'.repeat(123)]],
      ['with 1014', 1014, '', [1014, '']],
    ])('closes %s', async (_what, code, reason, expected) => {
      const { socket, peer } = await open();
      const closed = next(socket, 'close');
      socket.close(code, reason);
      expect(socket.readyState).toBe(socket.CLOSING);
      expect(await peer.events.next()).toEqual(['close', ...expected]);
      await closed;
      expect(socket.readyState).toBe(socket.CLOSED);
      expect(() => {
        socket.close(1, 'whatever');
      }).not.toThrow();
    });

    it('refuses codes and reasons that cannot be sent, and stays open', async () => {
      const { socket } = await open();
      for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, NaN, '1000', null]) {
        expect(() => socket.close(code as number), String(code)).toThrow(TypeError);
      }
      expect(() => socket.close(1000, 'x'.repeat(124))).toThrow(RangeError);
      expect(() => socket.close(1000, 'ä'.repeat(62))).toThrow(RangeError);
      expect(() => socket.close(1000, [1] as never)).toThrow(TypeError);
      expect(socket.readyState).toBe(socket.OPEN);
    });

    it('sends what was given before close, Blobs too', async () => {
      const { socket, peer } = await open();
      socket.send(new Blob(['first']));
      socket.send('second');
      socket.close(1000, 'done');
      socket.send('third');
      expect(await peer.events.take(3)).toEqual([
        ['binary', '6669727374'],
        ['text', 'second'],
        ['close', 1000, 'done'],
      ]);
    });

    it('emits close with code and reason as the peer gave them', async () => {
      const { socket, peer } = await open();
      const closed = next(socket, 'close');
      peer.close(4000, 'grüße');
      const [code, reason] = await closed;
      expect(code).toBe(4000);
      expect(Buffer.isBuffer(reason)).toBe(true);
      expect(String(reason)).toBe('grüße');
      expect(socket.readyState).toBe(socket.CLOSED);
      expect(await peer.events.next()).toEqual(['close', 4000, expect.any(String)]);
    });

    it('delivers what the peer sends before it closes, then 1005', async () => {
      const seen: unknown[] = [];
      const { socket, peer } = await open(pair => {
        pair.socket.on('message', data => seen.push(textOf(data)));
      });
      const closed = next(socket, 'close');
      peer.text('a');
      peer.text('b');
      peer.close();
      expect((await closed)[0]).toBe(1005);
      expect(seen).toEqual(['a', 'b']);
    });

    it('emits close 1006, and no error, when the connection is lost', async () => {
      const { socket, peer } = await open();
      const error = vi.fn();
      socket.on('error', error);
      const closed = next(socket, 'close');
      peer.drop();
      const [code, reason] = await closed;
      expect([code, String(reason)]).toEqual([1006, '']);
      expect(error).not.toHaveBeenCalled();
    });

    it('terminates', async () => {
      const { socket, peer } = await open();
      const error = vi.fn();
      socket.on('error', error);
      const closed = next(socket, 'close');
      socket.terminate();
      expect(socket.readyState).toBe(socket.CLOSING);
      const [code] = await closed;
      expect(code).toBe(1006);
      expect(error).not.toHaveBeenCalled();
      expect((await peer.events.next())[1]).toBe(1006);
      expect(() => socket.terminate()).not.toThrow();
    });

    it('gives messages as Buffers, with whether they are binary', async () => {
      const { socket, peer } = await open();
      const text = next(socket, 'message');
      peer.text('grüße');
      const [data, isBinary] = await text;
      expect(Buffer.isBuffer(data)).toBe(true);
      expect([textOf(data), isBinary]).toEqual(['grüße', false]);
      const binary = next(socket, 'message');
      peer.binary(1, 2, 3);
      expect(await binary).toEqual([bytes(1, 2, 3), true]);
    });

    it('gives binary messages as binaryType says, and text as a Buffer whatever it says', async () => {
      const { socket, peer } = await open();
      const receive = async (): Promise<unknown> => {
        const received = next(socket, 'message');
        peer.binary(1, 2, 3);
        return (await received)[0];
      };
      socket.binaryType = 'arraybuffer';
      const buffer = await receive();
      expect(buffer).toBeInstanceOf(ArrayBuffer);
      expect(Buffer.from(buffer as ArrayBuffer)).toEqual(bytes(1, 2, 3));
      const text = next(socket, 'message');
      peer.text('text');
      expect(Buffer.isBuffer((await text)[0])).toBe(true);
      socket.binaryType = 'fragments';
      expect(Buffer.concat((await receive()) as Buffer[])).toEqual(bytes(1, 2, 3));
      socket.binaryType = 'blob' as never;
      const blob = (await receive()) as Blob;
      expect(blob).toBeInstanceOf(Blob);
      expect(Buffer.from(await blob.arrayBuffer())).toEqual(bytes(1, 2, 3));
      socket.binaryType = 'nonsense' as never;
      expect(socket.binaryType).toBe('blob');
      socket.binaryType = 'nodebuffer';
      expect(await receive()).toEqual(bytes(1, 2, 3));
    });

    it('pings and is answered', async () => {
      const { socket, peer } = await open();
      const answered = next(socket, 'pong');
      socket.ping('are you there?');
      expect(await peer.events.next()).toEqual(['ping', Buffer.from('are you there?').toString('hex')]);
      expect(String((await answered)[0])).toBe('are you there?');
    });

    it('answers pings, and tells of them', async () => {
      const { socket, peer } = await open();
      const pinged = next(socket, 'ping');
      peer.ping(1, 2, 3);
      expect(await pinged).toEqual([bytes(1, 2, 3)]);
      expect(await peer.events.next()).toEqual(['pong', '010203']);
    });

    it('tells of pongs that nobody asked for', async () => {
      const { socket, peer } = await open();
      const ponged = next(socket, 'pong');
      peer.pong(7);
      expect(await ponged).toEqual([bytes(7)]);
    });

    it('takes the arguments of ping and pong in every order that ws does', async () => {
      const { socket, peer } = await open();
      const called: string[] = [];
      const saw = async (expected: PeerEvent): Promise<void> => {
        expect(await peer.events.next()).toEqual(expected);
      };
      socket.ping(() => called.push('only'));
      await saw(['ping', '']);
      socket.pong('a', (() => called.push('data')) as never);
      await saw(['pong', '61']);
      socket.pong(12, false, () => called.push('mask'));
      await saw(['pong', '3132']);
      socket.ping();
      await saw(['ping', '']);
      await new Promise<void>(resolve => {
        socket.ping(bytes(9), undefined, () => {
          resolve();
        });
      });
      await saw(['ping', '09']);
      expect(called).toEqual(['only', 'data', 'mask']);
    });

    it('refuses more than 125 bytes in a ping or pong', async () => {
      const { socket, peer } = await open();
      expect(() => socket.ping('x'.repeat(126))).toThrow(RangeError);
      expect(() => socket.pong(new Uint8Array(126))).toThrow(RangeError);
      socket.ping('x'.repeat(125));
      expect(await peer.events.next()).toEqual(['ping', '78'.repeat(125)]);
    });

    it('pauses and resumes', async () => {
      const { socket, peer } = await open();
      const seen: string[] = [];
      const second = new Promise<void>(resolve => {
        socket.on('message', data => {
          seen.push(textOf(data));
          if (seen.length === 2) resolve();
        });
      });
      socket.pause();
      expect(socket.isPaused).toBe(true);
      peer.text('a');
      peer.text('b');
      // Time enough for them to arrive, were they to.
      for (let turn = 0; turn < 20; turn++) await nextTask();
      expect(seen).toEqual([]);
      socket.resume();
      expect(socket.isPaused).toBe(false);
      await second;
      expect(seen).toEqual(['a', 'b']);
    });

    it('loses no message to a listener that is added in the connection handler', async () => {
      const seen: string[] = [];
      let done = (): void => undefined;
      const all = new Promise<void>(resolve => {
        done = resolve;
      });
      await open(({ socket, peer }) => {
        peer.text('at once');
        peer.text('and more');
        socket.on('message', data => {
          seen.push(textOf(data));
          if (seen.length === 2) done();
        });
      });
      await all;
      expect(seen).toEqual(['at once', 'and more']);
    });

    it('works with events.once', async () => {
      const { socket, peer } = await open();
      const message = once(socket, 'message');
      peer.text('awaited');
      expect(String((await message)[0])).toBe('awaited');
      const closed = once(socket, 'close');
      peer.close(4001, 'r');
      expect((await closed)[0]).toBe(4001);
    });

    describe('in the EventTarget style', () => {
      it('gives event objects', async () => {
        const { socket, peer } = await open();
        const event = await new Promise<Record<string, unknown>>(resolve => {
          socket.onmessage = received => {
            resolve(received as never);
          };
          peer.text('text');
        });
        expect([event.type, event.target === socket, event.data]).toEqual(['message', true, 'text']);
        const binary = await new Promise<Record<string, unknown>>(resolve => {
          socket.onmessage = received => {
            resolve(received as never);
          };
          peer.binary(1);
        });
        expect(binary.data).toEqual(bytes(1));
        const close = await new Promise<Record<string, unknown>>(resolve => {
          socket.addEventListener('close', received => {
            resolve(received as never);
          });
          peer.close(4002, 'why');
        });
        expect([close.type, close.target === socket, close.code, close.reason, close.wasClean]).toEqual([
          'close',
          true,
          4002,
          'why',
          true,
        ]);
      });

      it('says that a lost connection was not closed cleanly', async () => {
        const { socket, peer } = await open();
        const close = await new Promise<Record<string, unknown>>(resolve => {
          socket.onclose = event => {
            resolve(event as never);
          };
          peer.drop();
        });
        expect([close.code, close.wasClean]).toEqual([1006, false]);
      });

      it('keeps one attribute handler a type, among the other listeners', async () => {
        const { socket, peer } = await open();
        const seen: string[] = [];
        const first = (): void => void seen.push('replaced');
        const second = (): void => void seen.push('attribute');
        expect(socket.onmessage).toBeNull();
        socket.onmessage = first;
        socket.on('message', () => seen.push('emitter'));
        socket.onmessage = second;
        expect(socket.onmessage).toBe(second);
        expect(socket.listenerCount('message')).toBe(2);
        // An attribute is not removed like a listener, and may be both.
        socket.removeEventListener('message', second);
        socket.addEventListener('message', second);
        socket.onmessage = 'no function' as never;
        expect(socket.onmessage).toBeNull();
        socket.onmessage = second;
        const message = next(socket, 'message');
        peer.text('');
        await message;
        expect(seen).toEqual(['emitter', 'attribute', 'attribute']);
        for (const type of ['open', 'close', 'error'] as const) {
          expect(socket[`on${type}`]).toBeNull();
          const handler = (): void => undefined;
          const others = socket.listenerCount(type);
          socket[`on${type}`] = handler;
          expect(socket[`on${type}`]).toBe(handler);
          socket[`on${type}`] = null;
          expect(socket.listenerCount(type)).toBe(others);
        }
      });

      it('adds a listener once, calls one of once once, and removes them', async () => {
        const { socket, peer } = await open();
        const seen: string[] = [];
        const listener = (): void => void seen.push('function');
        const object = {
          handleEvent(event: { data: unknown }): void {
            seen.push(`object ${String(event.data)} ${String(this === object)}`);
          },
        };
        socket.addEventListener('message', listener);
        socket.addEventListener('message', listener);
        socket.addEventListener('message', object, { once: true });
        socket.addEventListener('ping' as never, listener);
        expect(socket.listenerCount('message')).toBe(2);
        expect(socket.listenerCount('ping')).toBe(0);
        let message = next(socket, 'message');
        peer.text('a');
        await message;
        expect(seen).toEqual(['function', 'object a true']);
        socket.removeEventListener('message', listener);
        message = next(socket, 'message');
        peer.text('b');
        await message;
        expect(seen).toHaveLength(2);
        expect(socket.listenerCount('message')).toBe(0);
      });
    });
  });
}
