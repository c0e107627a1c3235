import { describe, expect, it, vi } from 'vitest';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { next } from '../../support/conformance/conformance-case.js';
import { dialChannel, lastDialled } from '../../support/scripted-dial.js';
import { information } from '../../support/scripted-socket.js';

vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

/** What the socket that was made last gives its channel to ask. */
const ask = (): Promise<URL> => {
  const { url } = lastDialled() as { readonly url: unknown };
  return (url as () => Promise<URL>)();
};

describe('a URL that is a function', () => {
  it('is asked at each attempt, and not before', async () => {
    let count = 0;
    const source = vi.fn(() => `https://Relay.example/a/../${++count}`);
    const socket = new ClientSecureWebSocket(source);
    expect(source).not.toHaveBeenCalled();
    expect(socket.url).toBe('');
    expect((await ask()).href).toBe('wss://relay.example/1');
    expect(socket.url).toBe('wss://relay.example/1');
    expect((await ask()).href).toBe('wss://relay.example/2');
    expect(socket.url).toBe('wss://relay.example/2');
  });

  it.each<[string, () => string | URL | Promise<string | URL>]>([
    ['a string', () => 'wss://a/x'],
    ['a URL', () => new URL('wss://a/x')],
    ['a promise of a string', () => Promise.resolve('wss://a/x')],
    ['a promise of a URL', () => Promise.resolve(new URL('wss://a/x'))],
  ])('may give %s', async (_what, source) => {
    const socket = new ClientSecureWebSocket(source);
    expect((await ask()).href).toBe('wss://a/x');
    expect(socket.url).toBe('wss://a/x');
  });

  it('may throw and reject: its error is why the attempt fails', async () => {
    const error = new RangeError('No token.');
    for (const source of [
      () => {
        throw error;
      },
      () => Promise.reject(error),
    ]) {
      const socket = new ClientSecureWebSocket(source);
      await expect(ask()).rejects.toBe(error);
      expect(socket.url).toBe('');
    }
  });

  it.each([['ftp://a/'], ['no url'], ['wss://a/#x'], [Symbol('url')]])(
    'fails the attempt when it gives %s',
    async given => {
      let answer: unknown = 'wss://a/good';
      const socket = new ClientSecureWebSocket(() => answer as string);
      await ask();
      answer = given;
      const error: unknown = await ask().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SecureWebSocketError);
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
      const { cause, message } = error as Error;
      if (typeof given === 'string') expect(cause).toMatchObject({ name: 'SyntaxError', code: 12 });
      else expect(cause).toBeInstanceOf(TypeError);
      expect(message).toContain((cause as Error).message);
      // What was dialled last is what it says.
      expect(socket.url).toBe('wss://a/good');
    },
  );

  it('does not keep the other arguments from being checked at once', () => {
    dialChannel.mockClear();
    expect(() => new ClientSecureWebSocket(() => 'wss://a/', ['x', 'x'])).toThrow(DOMException);
    expect(dialChannel).not.toHaveBeenCalled();
  });

  it('gives messages their origin', async () => {
    const socket = new ClientSecureWebSocket(() => 'https://user@relay.example:443/chat');
    await ask();
    const { channel } = lastDialled();
    channel.listener.opened?.(information);
    const message = next(socket, 'message');
    channel.text('x');
    expect((await message).origin).toBe('wss://relay.example');
  });
});
