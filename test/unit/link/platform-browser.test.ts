import { afterEach, describe, expect, it, vi } from 'vitest';
import { IndexedDbKeyStore } from '../../../src/link/indexed-db-key-store.js';
import { platform } from '../../../src/link/platform/browser.js';
import { RecordingListener } from '../../support/recording-listener.js';

// What needs a real browser is in test/browser/platform.test.ts. This is about runtimes where something is missing.
afterEach(() => {
  vi.unstubAllGlobals();
});

describe('the browser platform', () => {
  it('in a worker resolves URLs against the place of its script', () => {
    vi.stubGlobal('location', { href: 'https://a.example/worker.js' });
    expect(platform.baseUrl()).toBe('https://a.example/worker.js');
    vi.stubGlobal('document', { baseURI: 'https://a.example/page/' });
    expect(platform.baseUrl()).toBe('https://a.example/page/');
  });

  it('without any place has no base URL and no origin', () => {
    vi.stubGlobal('location', undefined);
    expect(platform.baseUrl()).toBeUndefined();
    expect(platform.origin()).toBeUndefined();
  });

  it('tells the origin, also an opaque one, unless a script has put something else there', () => {
    for (const origin of ['https://a.example', 'null']) {
      vi.stubGlobal('origin', origin);
      expect(platform.origin()).toBe(origin);
    }
    vi.stubGlobal('origin', { x: 1 });
    expect(platform.origin()).toBeUndefined();
  });

  it('without WebSocket fails later', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const listener = new RecordingListener();
    platform.connect('ws://a', { maxPayload: 1 }, listener);
    expect(listener.ends).toEqual([]);
    expect(await listener.end()).toMatchObject({
      code: 1006,
      detail: expect.stringContaining('WebSocket') as string,
    });
  });

  it('without IndexedDB says so when a key is asked for, not before', async () => {
    const store = platform.defaultKeyStore('client');
    expect(store).toBeInstanceOf(IndexedDbKeyStore);
    await expect(store.load()).rejects.toMatchObject({
      code: 'KEY_STORE_UNAVAILABLE',
      message: expect.stringContaining('IndexedDB is missing') as string,
    });
  });
});
