import { platform } from '#platform';
import { afterEach, describe, expect, inject, it, vi } from 'vitest';
import { IndexedDbKeyStore } from '../../src/link/indexed-db-key-store.js';
import type { ConnectOptions } from '../../src/link/platform/platform.js';
import { RecordingListener } from '../support/recording-listener.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

const { plainEcho } = inject('services');
const aTask = () => new Promise(resolve => setTimeout(resolve, 0));

function dial(url = plainEcho, options: Partial<ConnectOptions> = {}) {
  const listener = new RecordingListener();
  const socket = platform.connect(url, { maxPayload: 1_000_000, ...options }, listener);
  return { socket, listener };
}

async function dialled() {
  const all = dial();
  await all.listener.opened();
  return all;
}

describe('connect in a browser', () => {
  it('carries messages both ways', async () => {
    const { socket, listener } = await dialled();
    socket.send('grüß dich ✓');
    socket.send(Uint8Array.of(0, 1, 2, 3).subarray(1));
    socket.send('');
    await listener.until(() => listener.texts.length + listener.binaries.length === 3);
    expect(listener.events).toEqual(['open', 'text', 'binary', 'text']);
    expect(listener.texts).toEqual(['grüß dich ✓', '']);
    expect(listener.binaries).toEqual([Uint8Array.of(1, 2, 3)]);
    // The receiver may write into it.
    listener.binaries[0]!.fill(9);
    socket.terminate();
  });

  it('tells what is buffered, as it cannot tell when it has left', async () => {
    const { socket, listener } = await dialled();
    expect(socket.tellsDrained).toBe(false);
    expect(socket.bufferedAmount).toBe(0);
    socket.send(new Uint8Array(100_000));
    expect(socket.bufferedAmount).toBe(100_000);
    await listener.until(() => listener.binaries.length === 1);
    expect(socket.bufferedAmount).toBe(0);
    socket.terminate();
  });

  it('closes with a code, once', async () => {
    const { socket, listener } = await dialled();
    socket.close(4000, 'bye');
    socket.close(4001, 'again');
    expect(await listener.end()).toEqual({ code: 4000, reason: 'bye', detail: undefined });
    socket.close();
    socket.terminate();
    socket.send('nothing');
    await aTask();
    expect(listener.events).toEqual(['open', 'closed']);
  });

  it('closes without a code where the browser allows none', async () => {
    const { socket, listener } = await dialled();
    socket.close(1002, 'protocol');
    expect(await listener.end()).toMatchObject({ code: 1005, reason: '' });
  });

  it('terminate ends it in a later task and silences it', async () => {
    const { socket, listener } = await dialled();
    socket.send('an answer to this comes too late');
    socket.terminate();
    socket.terminate();
    expect(listener.ends).toEqual([]);
    expect(await listener.end()).toEqual({ code: 1006, reason: '', detail: undefined });
    expect(socket.bufferedAmount).toBe(0);
    // By then the first socket would have had its answer.
    const other = await dialled();
    other.socket.send('ping');
    await other.listener.until(() => other.listener.texts.length === 1);
    other.socket.terminate();
    expect(listener.events).toEqual(['open', 'closed']);
  });

  it('terminate ends an attempt', async () => {
    const { socket, listener } = dial();
    socket.terminate();
    expect((await listener.end()).code).toBe(1006);
    expect(listener.events).toEqual(['closed']);
  });

  describe('tells a failure once, in a later task, without throwing:', () => {
    it.each([
      ['a server that is not there', 'ws://127.0.0.1:9'],
      ['a port that browsers block', 'ws://127.0.0.1:1'],
      ['another scheme', 'ftp://127.0.0.1'],
      ['no URL', 'ws://'],
    ])('%s', async (_, url) => {
      const { socket, listener } = dial(url);
      await Promise.resolve();
      expect(listener.events).toEqual([]);
      expect((await listener.end()).code).toBe(1006);
      socket.close();
      socket.terminate();
      await aTask();
      expect(listener.events).toEqual(['closed']);
    });

    it('a WebSocket class that throws', async () => {
      const Throws = function () {
        throw new DOMException('mixed content', 'SecurityError');
      };
      vi.stubGlobal('WebSocket', Throws);
      expect(await dial().listener.end()).toEqual({ code: 1006, reason: '', detail: 'mixed content' });
    });

    it('a runtime without WebSocket', async () => {
      vi.stubGlobal('WebSocket', undefined);
      expect((await dial().listener.end()).detail).toContain('no WebSocket');
    });
  });

  it('uses the WebSocket class of the options rather than the global', async () => {
    const actual = globalThis.WebSocket;
    const urls: string[] = [];
    class Counting extends actual {
      constructor(url: string) {
        super(url);
        urls.push(url);
      }
    }
    vi.stubGlobal('WebSocket', undefined);
    const { socket, listener } = dial(plainEcho, { WebSocket: Counting });
    await listener.opened();
    expect(urls).toEqual([plainEcho]);
    socket.terminate();
  });
});

describe('the rest of the platform in a browser', () => {
  it('is chosen by the condition "browser"', () => {
    expect(platform.name).toBe('browser');
  });

  it('keeps keys in IndexedDB by default', () => {
    const store = platform.defaultKeyStore('client');
    expect(store).toBeInstanceOf(IndexedDbKeyStore);
    expect(store).toMatchObject({ name: 'client', databaseName: 'secure-websocket' });
  });

  it('knows the page', () => {
    expect(platform.origin()).toBe(location.origin);
    expect(platform.baseUrl()).toBe(document.baseURI);
    const base = document.createElement('base');
    base.href = 'https://example.org/a/';
    document.head.prepend(base);
    expect(platform.baseUrl()).toBe('https://example.org/a/');
    base.remove();
  });

  it('gives message data that reads as text, over the same bytes', () => {
    const bytes = new TextEncoder().encode('-grüß-').subarray(1, 7);
    const data = platform.toMessageData(bytes);
    expect(data.toString()).toBe('grüß');
    bytes[0] = 0x47;
    expect(String(data)).toBe('Grüß');
  });

  it('knows UTF-8', () => {
    expect(platform.isUtf8(new TextEncoder().encode('grüß ✓ 😀'))).toBe(true);
    expect(platform.isUtf8(Uint8Array.of(0xef, 0xbb, 0xbf))).toBe(true);
    expect(platform.isUtf8(Uint8Array.of(0xc3))).toBe(false);
    expect(platform.isUtf8(Uint8Array.of(0xed, 0xa0, 0x80))).toBe(false);
  });
});
