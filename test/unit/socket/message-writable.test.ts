import { afterEach, describe, expect, it, vi } from 'vitest';
import { DRAIN_MARK } from '../../../src/socket/drain-watch.js';
import { information, settle } from '../../support/scripted-socket.js';
import { lost, stateOf, streamedSockets } from '../../support/streamed-sockets.js';

vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

afterEach(() => {
  vi.unstubAllGlobals();
});

describe.each(streamedSockets)('writable of a %s', (_name, open) => {
  it('is one stream, and sends what send takes', async () => {
    const { socket, channel } = await open();
    const { writable } = socket;
    expect(writable).toBeInstanceOf(WritableStream);
    expect(socket.writable).toBe(writable);
    const writer = writable.getWriter();
    await writer.write('text');
    await writer.write(Uint8Array.of(1, 2));
    await writer.write(new Blob(['x']));
    await settle();
    expect(channel.calls).toEqual(['text text', 'binary 0102', 'binary 78']);
  });

  it('is done with a write when the network has taken nearly all', async () => {
    const { socket, channel } = await open();
    const writer = socket.writable.getWriter();
    const first = writer.write(new Uint8Array(DRAIN_MARK + 1));
    const second = writer.write('second');
    expect(await stateOf(first)).toBe('pending');
    expect(channel.calls).toHaveLength(1);
    channel.flush(1);
    expect(await stateOf(first)).toBe('resolved');
    // Six bytes too many wait now.
    expect(await stateOf(second)).toBe('pending');
    expect(channel.calls[1]).toBe('text second');
    channel.flush(6);
    expect(await stateOf(second)).toBe('resolved');
  });

  it('sends nothing while the peer cannot be reached', async () => {
    const { socket, channel } = await open();
    const writer = socket.writable.getWriter();
    channel.listener.suspended?.({ error: lost });
    const writing = writer.write('x');
    expect(await stateOf(writing)).toBe('pending');
    expect(channel.calls).toEqual([]);
    channel.listener.resumed?.({ ...information, resumed: true, unacknowledged: [] });
    expect(await stateOf(writing)).toBe('resolved');
    expect(channel.calls).toEqual(['text x']);
  });

  it('can be piped into', async () => {
    const { socket, channel } = await open();
    const source = new ReadableStream<string>({
      start(controller) {
        for (const chunk of ['a', 'b', 'c']) controller.enqueue(chunk);
        controller.close();
      },
    });
    await source.pipeTo(socket.writable);
    expect(channel.calls).toEqual(['text a', 'text b', 'text c', 'close']);
    expect(socket.readyState).toBe(3);
  });

  it('closes the socket behind what was written, and waits for the peer', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const writer = socket.writable.getWriter();
    const writing = writer.write(new Uint8Array(DRAIN_MARK + 1));
    const closing = writer.close();
    await settle();
    expect(channel.calls).toHaveLength(1);
    channel.flush();
    await writing;
    expect(await stateOf(closing)).toBe('pending');
    expect(channel.calls.slice(1)).toEqual(['close']);
    channel.end({ code: 1005, wasClean: true });
    expect(await stateOf(closing)).toBe('resolved');
    expect(await stateOf(writer.closed)).toBe('resolved');
  });

  it('ends well when its own readable is piped into it and the peer closes', async () => {
    const { socket, channel } = await open();
    const echo = socket.readable.pipeTo(socket.writable);
    channel.text('x');
    await settle();
    channel.end({ code: 1000, wasClean: true });
    expect(await stateOf(echo)).toBe('resolved');
    expect(channel.calls).toEqual(['text x']);
  });

  it('says when the closing handshake fails', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const writer = socket.writable.getWriter();
    const closing = writer.close();
    await settle();
    channel.end({ error: lost });
    expect(await stateOf(closing)).toBe(lost);
    expect(await stateOf(writer.closed)).toBe(lost);
  });

  it('closes a socket that the peer closes at the same time', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    channel.listener.suspended?.({ error: lost });
    const closing = socket.writable.close();
    await settle();
    channel.end({ code: 1000, wasClean: true });
    expect(await stateOf(closing)).toBe('resolved');
  });

  it.each<[string, unknown, string]>([
    ['an error', new Error('enough'), 'close'],
    ['a WebSocketError', { closeCode: 4000, reason: 'enough' }, 'close 4000 enough'],
  ])('closes the socket when it is aborted with %s', async (_what, reason, call) => {
    const { socket, channel } = await open();
    await socket.writable.abort(reason);
    expect(channel.calls).toEqual([call]);
    await settle();
    expect(socket.readyState).toBe(3);
  });

  it('closes the socket at once also while a write waits', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const writer = socket.writable.getWriter();
    channel.listener.suspended?.({ error: lost });
    const writing = writer.write('never sent');
    await settle();
    const aborting = writer.abort({ closeCode: 4000, reason: 'enough' });
    expect(channel.calls).toEqual(['close 4000 enough']);
    channel.end({ code: 4000, wasClean: true });
    expect(await stateOf(writing)).toMatchObject({ code: 'ABORTED' });
    expect(await stateOf(aborting)).toBe('resolved');
    expect(channel.calls).toEqual(['close 4000 enough']);
  });

  it('needs no signal for that, only longer', async () => {
    const WholeWritableStream = WritableStream;
    const withoutSignal = function (sink: UnderlyingSink): WritableStream {
      const start = (controller: WritableStreamDefaultController): void => {
        const error = (reason?: unknown): void => {
          controller.error(reason);
        };
        sink.start?.({ error } as WritableStreamDefaultController);
      };
      return new WholeWritableStream({ ...sink, start });
    };
    vi.stubGlobal('WritableStream', withoutSignal);
    const { socket, channel } = await open();
    await socket.writable.abort({ closeCode: 4000 });
    expect(channel.calls).toEqual(['close 4000']);
  });

  it('fails with the connection', async () => {
    const { socket, channel } = await open();
    const writer = socket.writable.getWriter();
    channel.end({ error: lost });
    expect(await stateOf(writer.closed)).toBe(lost);
    expect(await stateOf(writer.write('x'))).toBe(lost);
    expect(channel.calls).toEqual([]);
  });

  it('fails when the socket is closed by somebody else', async () => {
    const { socket, channel } = await open();
    channel.manual = true;
    const writer = socket.writable.getWriter();
    socket.close();
    expect(await stateOf(writer.write('x'))).toMatchObject({ code: 'ABORTED' });
    expect(channel.calls).toEqual(['close']);
    const other = await open();
    const idle = other.socket.writable.getWriter();
    other.channel.end({ code: 1000, wasClean: true });
    expect(await stateOf(idle.closed)).toMatchObject({ code: 'ABORTED' });
  });

  it('has failed when the socket has, before it was asked for', async () => {
    const { socket, channel } = await open();
    channel.end({ error: lost });
    await settle();
    expect(await stateOf(socket.writable.getWriter().closed)).toBe(lost);
  });

  it('fails for what cannot be sent, and the socket stays open', async () => {
    const { socket } = await open();
    const writer = socket.writable.getWriter();
    expect(await stateOf(writer.write(Symbol('x') as unknown as string))).toBeInstanceOf(TypeError);
    expect(socket.readyState).toBe(1);
  });
});
