import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ConnectionEnd, EndListener } from '../../../../src/cli/bridge/bridge-end.js';
import { openSpace, type SpaceSocket, type SpaceSocketEvents } from '../../../../src/cli/bridge/space-end.js';
import { SecureWebSocketError } from '../../../../src/core/errors.js';
import type { SpaceMember } from '../../../../src/link/channel-port.js';

const member = (id: string): SpaceMember => ({
  id,
  publicKey: `key of ${id}`,
  isSelf: id === 'us',
  admitted: true,
  away: false,
  joined: 1,
});

/** A socket in a space, whose events the test fires. */
class FakeSpaceSocket implements SpaceSocket {
  binaryType = 'blob';
  bufferedAmount = 0;
  readonly publicKey = 'our key';
  readonly space = 'kitchen';
  readonly memberId = 'us';
  members = [member('us')];
  readonly sent: (string | Uint8Array)[] = [];
  readonly closed: unknown[] = [];
  drained = Promise.resolve();
  sendError: Error | undefined;
  readonly #listeners = new Map<string, ((event: never) => void)[]>();

  refreshMembers(): Promise<readonly SpaceMember[]> {
    return Promise.resolve(this.members);
  }

  send(data: string | Uint8Array): void {
    if (this.sendError) throw this.sendError;
    this.sent.push(data);
  }

  close(...args: readonly unknown[]): void {
    this.closed.push(args);
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  fire<Type extends keyof SpaceSocketEvents>(type: Type, event: SpaceSocketEvents[Type]): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}

/** A space that is open, and all that its end tells. */
async function opened(isFramed: boolean) {
  const socket = new FakeSpaceSocket();
  const opening = openSpace(socket, isFramed, new AbortController().signal);
  socket.fire('open', {});
  const { end, protocol } = await opening;
  const told: unknown[] = [];
  const ended: ConnectionEnd[] = [];
  const listener: EndListener = {
    message: (data, isText) =>
      told.push(
        isText
          ? isFramed
            ? JSON.parse(Buffer.from(data).toString())
            : Buffer.from(data).toString()
          : [...data],
      ),
    ping: () => expect.unreachable(),
    pong: data => told.push(['pong', Buffer.from(data).toString()]),
    progress: () => told.push('progress'),
    suspended: error => told.push(['suspended', error.message]),
    resumed: () => told.push('resumed'),
    closed: each => ended.push(each),
  };
  return { socket, end, protocol, listener, told, ended };
}

const text = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

describe('without the subprotocol', () => {
  it('messages pass as they are', async () => {
    const { socket, end, protocol, listener, told } = await opened(false);
    expect(protocol).toBe('');
    end.start(listener);
    socket.fire('message', { data: 'hello', from: 'key of a', member: 'a' });
    socket.fire('message', { data: new Uint8Array([1, 2]).buffer, from: 'key of a', member: 'a' });
    socket.fire('memberjoin', { member: member('b') });
    expect(told).toEqual(['hello', [1, 2]]);
    end.send(text('{"type":"members"}'), true);
    end.send(new Uint8Array([3]), false);
    expect(socket.sent).toEqual(['{"type":"members"}', new Uint8Array([3])]);
    expect(socket.binaryType).toBe('arraybuffer');
  });
});

describe('with the subprotocol', () => {
  it('the first message says who is there, and where; then whatever has happened since', async () => {
    const { socket, end, protocol, listener, told } = await opened(true);
    expect(protocol).toBe('secure-websocket.space.v1+json');
    socket.fire('message', { data: 'early', from: 'key of a', member: 'a' });
    end.start(listener);
    socket.fire('message', { data: 'late', from: 'key of a', member: 'a' });
    expect(told).toEqual([
      { type: 'open', space: 'kitchen', id: 'us', publicKey: 'our key', members: [member('us')] },
      { type: 'message', from: 'key of a', member: 'a', data: 'early' },
      { type: 'message', from: 'key of a', member: 'a', data: 'late' },
    ]);
  });

  it('everything that happens is told', async () => {
    const { socket, end, listener, told } = await opened(true);
    end.start(listener);
    told.length = 0;
    const a = member('a');
    socket.fire('message', { data: new Uint8Array([0, 255]).buffer, from: 'key of a', member: 'a' });
    socket.fire('memberjoin', { member: a });
    socket.fire('memberchange', { member: { ...a, away: true } });
    socket.fire('memberleave', { member: a, reason: 'left' });
    socket.fire('keyswiped', { member: a, reason: 'absent' });
    socket.fire('messageslost', { member: a, count: 3, reason: 'repair' });
    socket.fire('serverevent', { data: 'news', space: 'kitchen' });
    const error = new SecureWebSocketError('LINK_LOST', 'The connection was lost.');
    socket.fire('reconnecting', { attempt: 1, delay: 12.7, error });
    socket.fire('reconnecting', { attempt: 2, delay: 30, error });
    socket.members = [member('us'), a];
    socket.fire('reconnected', { resumed: true });
    const away = { code: 'LINK_LOST', message: 'The connection was lost.' };
    expect(told).toEqual([
      { type: 'message', from: 'key of a', member: 'a', base64: 'AP8=' },
      { type: 'memberjoin', member: a },
      { type: 'memberchange', member: { ...a, away: true } },
      { type: 'memberleave', member: a, reason: 'left' },
      { type: 'keyswiped', member: a, reason: 'absent' },
      { type: 'messageslost', member: a, count: 3, reason: 'repair' },
      { type: 'serverevent', space: 'kitchen', data: 'news' },
      ['suspended', 'The connection was lost.'],
      { type: 'reconnecting', attempt: 1, delay: 13, ...away },
      { type: 'reconnecting', attempt: 2, delay: 30, ...away },
      { type: 'reconnected', resumed: true, members: [member('us'), a] },
      'resumed',
    ]);
  });

  it('messages and questions are understood', async () => {
    const { socket, end, listener, told } = await opened(true);
    end.start(listener);
    told.length = 0;
    end.send(text({ type: 'message', data: 'hello' }), true);
    end.send(text({ type: 'message', base64: 'AP8=' }), true);
    end.send(new Uint8Array([7]), false);
    expect(socket.sent).toEqual(['hello', Buffer.from([0, 255]), new Uint8Array([7])]);
    await turn();
    expect(told).toEqual(['progress']);
    end.send(text({ type: 'members' }), true);
    await turn();
    expect(told).toEqual(['progress', { type: 'members', members: [member('us')] }]);
  });

  it('anything else ends the connection', async () => {
    const { socket, end, listener, ended } = await opened(true);
    end.start(listener);
    end.send(text('hello'), true);
    expect(ended).toEqual([{ code: 1007, reason: 'Message not understood: not JSON.' }]);
    expect(socket.closed).toEqual([[]]);
    socket.fire('close', { code: 1005, reason: '' });
    expect(ended).toHaveLength(1);
  });
});

describe('the end', () => {
  it('is what the socket says', async () => {
    const { socket, end, listener, ended } = await opened(false);
    end.start(listener);
    const error = new Error('lost');
    socket.fire('error', { error });
    socket.fire('close', { code: 1006, reason: '' });
    expect(ended).toEqual([{ code: 1006, reason: '', error }]);
  });

  it('before it was started is not lost', async () => {
    const { socket, end, listener, ended } = await opened(true);
    socket.fire('close', { code: 1001, reason: 'gone' });
    end.start(listener);
    expect(ended).toEqual([{ code: 1001, reason: 'gone', error: undefined }]);
  });

  it('of the client is leaving', async () => {
    const { socket, end } = await opened(false);
    end.close(undefined, '');
    end.close(1001, 'going down');
    end.close(4000, 'bye');
    end.abort(undefined);
    expect(socket.closed).toEqual([[], [], [4000, 'bye'], []]);
  });

  it('sudden, is told at once', async () => {
    const { end, listener, ended } = await opened(false);
    end.start(listener);
    end.terminate();
    expect(ended).toEqual([{ code: 1006, reason: '' }]);
  });

  it('comes when a message cannot be sent', async () => {
    const { socket, end, listener, ended } = await opened(false);
    end.start(listener);
    socket.sendError = new Error('too much');
    end.send(text('hello'), true);
    expect(ended).toEqual([{ code: 1007, reason: 'too much' }]);
  });
});

describe('a space that cannot be joined', () => {
  const opening = (): { socket: FakeSpaceSocket; result: Promise<unknown>; abort: AbortController } => {
    const socket = new FakeSpaceSocket();
    const abort = new AbortController();
    return { socket, abort, result: openSpace(socket, true, abort.signal).catch((error: unknown) => error) };
  };
  const error = new SecureWebSocketError('LINK_FAILED', 'no');

  it('is told with the reason', async () => {
    const { socket, result } = opening();
    socket.fire('error', { error });
    socket.fire('close', { code: 1006, reason: '' });
    expect(await result).toBe(error);
  });

  it('is not tried again', async () => {
    const { socket, result } = opening();
    socket.fire('reconnecting', { attempt: 1, delay: 1, error });
    expect(await result).toBe(error);
    expect(socket.closed).toHaveLength(1);
  });

  it('is given up when nobody wants it any more', async () => {
    const { socket, result, abort } = opening();
    abort.abort();
    expect(socket.closed).toHaveLength(1);
    socket.fire('close', { code: 1006, reason: '' });
    expect(await result).toMatchObject({ code: 'LINK_LOST' });
  });
});

it('pings are answered, as there is nobody to be asked', async () => {
  const { end, listener, told } = await opened(false);
  end.start(listener);
  end.ping(text('ping'));
  end.pong(text('pong'));
  expect(told).toEqual([['pong', 'ping']]);
});
