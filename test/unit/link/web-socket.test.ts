import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { connectWebSocket } from '../../../src/link/platform/web-socket.js';
import { RecordingListener } from '../../support/recording-listener.js';

/** A WHATWG WebSocket without a network: the test plays the other end. */
class FakeWebSocket extends EventTarget {
  static last: FakeWebSocket;
  binaryType = 'blob';
  bufferedAmount = 0;
  readyState = 0;
  readonly sent: (string | Uint8Array)[] = [];
  readonly closes: unknown[][] = [];

  constructor(readonly url: string) {
    super();
    FakeWebSocket.last = this;
  }

  send(data: string | Uint8Array): void {
    if (this.readyState === 0) throw new DOMException('still connecting', 'InvalidStateError');
    this.sent.push(data);
  }

  close(...args: unknown[]): void {
    this.closes.push(args);
    this.readyState = 2;
  }

  fire(type: string, properties: object = {}): void {
    this.dispatchEvent(Object.assign(new Event(type), properties));
  }

  fireOpen(): void {
    this.readyState = 1;
    this.fire('open');
  }

  fireClose(code: number, reason = ''): void {
    this.readyState = 3;
    this.fire('close', { code, reason });
  }
}

function dial() {
  const listener = new RecordingListener();
  const socket = connectWebSocket(FakeWebSocket, 'ws://a/b', listener);
  return { socket, listener, native: FakeWebSocket.last };
}

function dialled() {
  const all = dial();
  all.native.fireOpen();
  return all;
}

describe('a RawSocket over a WHATWG WebSocket', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('dials the URL and asks for ArrayBuffers', () => {
    const { native, socket } = dial();
    expect(native.url).toBe('ws://a/b');
    expect(native.binaryType).toBe('arraybuffer');
    expect(socket.tellsDrained).toBe(false);
  });

  it('delivers text, ArrayBuffers of any realm and views', () => {
    const { listener, native } = dialled();
    native.fire('message', { data: 'text' });
    native.fire('message', { data: Uint8Array.of(1, 2).buffer });
    native.fire('message', { data: Uint8Array.of(0, 3, 4, 0).subarray(1, 3) });
    const foreign = Uint8Array.of(5).buffer;
    Object.setPrototypeOf(foreign, { [Symbol.toStringTag]: 'ArrayBuffer' });
    expect(foreign instanceof ArrayBuffer).toBe(false);
    native.fire('message', { data: foreign });
    expect(listener.events).toEqual(['open', 'text', 'binary', 'binary', 'binary']);
    expect(listener.binaries).toEqual([Uint8Array.of(1, 2), Uint8Array.of(3, 4), Uint8Array.of(5)]);
  });

  it.each([[new Blob(['a'])], [undefined], [[Uint8Array.of(1)]]])('ends when the class delivers %o', data => {
    const { listener, native } = dialled();
    native.fire('message', { data });
    expect(native.closes).toEqual([[]]);
    vi.runAllTimers();
    expect(listener.ends).toEqual([
      { code: 1006, reason: '', detail: expect.stringContaining('ArrayBuffer') as string },
    ]);
  });

  it('sends while it is open, and is silent before and after', () => {
    const { socket, native } = dial();
    socket.send('too early');
    native.fireOpen();
    socket.send('now');
    socket.send(Uint8Array.of(1));
    socket.close();
    socket.send('too late');
    expect(native.sent).toEqual(['now', Uint8Array.of(1)]);
  });

  it('tells what is buffered until the end', () => {
    const { socket, native } = dialled();
    native.bufferedAmount = 7;
    expect(socket.bufferedAmount).toBe(7);
    native.fireClose(1006);
    expect(socket.bufferedAmount).toBe(0);
  });

  it('closes with the codes that WHATWG allows and without any other', () => {
    for (const code of [1000, 3000, 4999]) {
      const { socket, native } = dialled();
      socket.close(code, 'why');
      socket.close(code, 'again');
      expect(native.closes).toEqual([[code, 'why']]);
    }
    for (const code of [undefined, 1001, 1002, 1005, 2999, 5000]) {
      const { socket, native } = dialled();
      socket.close(code, 'why');
      expect(native.closes).toEqual([[]]);
    }
  });

  it('tells the close event once', () => {
    const { socket, listener, native } = dialled();
    native.fireClose(4000, 'done');
    native.fireClose(4001, 'again');
    socket.terminate();
    socket.close();
    vi.runAllTimers();
    expect(listener.ends).toEqual([{ code: 4000, reason: 'done', detail: undefined }]);
    expect(native.closes).toEqual([]);
  });

  it('tells the message of the error event where the class has one', () => {
    const { listener, native } = dial();
    native.fire('error', { message: 'server answered 404' });
    native.fireClose(1006);
    vi.runAllTimers();
    expect(listener.ends).toEqual([{ code: 1006, reason: '', detail: 'server answered 404' }]);
  });

  it.each([[{}], [{ message: '' }], [{ message: 5 }]])(
    'takes an error event with %o for the end, later',
    properties => {
      const { listener, native } = dialled();
      native.fire('error', properties);
      expect(listener.ends).toEqual([]);
      native.fire('message', { data: 'late' });
      vi.runAllTimers();
      // Without any close event.
      expect(listener.ends).toEqual([{ code: 1006, reason: '', detail: undefined }]);
      native.fireClose(1006);
      vi.runAllTimers();
      expect(listener.events).toEqual(['open', 'closed']);
      expect(native.closes).toEqual([[]]);
    },
  );

  it('terminate does not wait for the socket, and nothing of the socket is heard after it', () => {
    const { socket, listener, native } = dialled();
    socket.terminate();
    socket.terminate();
    expect(native.closes).toEqual([[]]);
    expect(listener.ends).toEqual([]);
    native.fire('message', { data: 'late' });
    native.fire('error');
    native.fireClose(1000, 'late');
    vi.runAllTimers();
    expect(listener.events).toEqual(['open', 'closed']);
    expect(listener.ends).toEqual([{ code: 1006, reason: '', detail: undefined }]);
  });

  it('terminate before the socket is open', () => {
    const { socket, listener, native } = dial();
    socket.terminate();
    native.fireOpen();
    vi.runAllTimers();
    expect(listener.events).toEqual(['closed']);
  });

  it('terminate copes with a class whose close throws', () => {
    const { socket, listener, native } = dialled();
    native.close = () => {
      throw new Error('broken');
    };
    socket.terminate();
    socket.close();
    vi.runAllTimers();
    expect(listener.events).toEqual(['open', 'closed']);
  });

  it('pause and resume are harmless', () => {
    const { socket, listener, native } = dialled();
    socket.pause();
    native.fire('message', { data: 'still' });
    socket.resume();
    expect(listener.texts).toEqual(['still']);
  });
});
