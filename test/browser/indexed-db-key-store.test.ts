import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IndexedDbKeyStore } from '../../src/link/indexed-db-key-store.js';
import { itKeepsOneSeed, seedOf } from '../support/key-store-contract.js';

interface KeyRecord {
  format: number;
  wrappingKey: CryptoKey;
  iv: Uint8Array<ArrayBuffer>;
  wrappedSeed: Uint8Array<ArrayBuffer>;
}

let databaseName: string;
beforeEach(() => {
  databaseName = `test-${crypto.randomUUID()}`;
});
afterEach(async () => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  await done(indexedDB.deleteDatabase(databaseName));
});

const storeOf = (name = 'client', openTimeout?: number) =>
  new IndexedDbKeyStore({ name, databaseName, openTimeout });

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('failed'));
  });
}

/** What the database really holds, and a way to change it. */
async function withRecords<T>(use: (records: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await done(indexedDB.open(databaseName));
  const result = await done(use(database.transaction('keys', 'readwrite').objectStore('keys')));
  database.close();
  return result;
}

const recordOf = (name: string) => withRecords(records => records.get(name) as IDBRequest<KeyRecord>);

const failure = async (promise: Promise<unknown>) => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error as { code: string; message: string; cause: unknown };
};

async function expectUnavailable(promise: Promise<unknown>, why: string | RegExp): Promise<void> {
  const error = await failure(promise);
  expect(error.code).toBe('KEY_STORE_UNAVAILABLE');
  expect(error.message).toMatch(why);
  expect(error.message).toContain('pass an identity or another keyStore');
}

describe('IndexedDbKeyStore', () => {
  itKeepsOneSeed(() => storeOf());

  it('has a database by default and needs a name', () => {
    expect(new IndexedDbKeyStore({ name: 'a' }).databaseName).toBe('secure-websocket');
    expect(() => new IndexedDbKeyStore({ name: '' })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it('keeps one seed for each name', async () => {
    await storeOf('a').create(seedOf(1));
    await storeOf('b').create(seedOf(2));
    expect(await storeOf('a').load()).toEqual(seedOf(1));
    expect(await storeOf('b').load()).toEqual(seedOf(2));
  });

  it('gives all workers and the page the same seed when they start at once', async () => {
    const workers = [1, 2, 3].map(
      () => new Worker(new URL('./indexed-db-key-store.worker.ts', import.meta.url), { type: 'module' }),
    );
    const ask = (worker: Worker, round: string, fill: number) =>
      new Promise<Uint8Array>((resolve, reject) => {
        worker.onmessage = ({ data }: MessageEvent<Uint8Array | string>) =>
          typeof data === 'string' ? reject(new Error(data)) : resolve(data);
        worker.onerror = event => reject(new Error(event.message));
        worker.postMessage({ databaseName, name: round, fill });
      });
    // The first round also waits for the workers to load.
    for (let round = 0; round < 8; round++) {
      const name = `round ${round}`;
      const seeds = await Promise.all([
        ...workers.map((worker, i) => ask(worker, name, i + 1)),
        storeOf(name).create(seedOf(9)),
      ]);
      expect(new Set(seeds.map(String)).size).toBe(1);
      expect(await storeOf(name).load()).toEqual(seeds[0]);
    }
    for (const worker of workers) worker.terminate();
  });

  it('keeps the seed wrapped by a key that cannot be exported', async () => {
    await storeOf().create(seedOf(7));
    const record = await recordOf('client');
    expect(Object.keys(record).sort()).toEqual(['format', 'iv', 'wrappedSeed', 'wrappingKey']);
    expect(record.wrappingKey.extractable).toBe(false);
    expect(record.wrappingKey.algorithm).toEqual({ name: 'AES-GCM', length: 256 });
    await expect(crypto.subtle.exportKey('raw', record.wrappingKey)).rejects.toThrow();
    expect(record.wrappedSeed.length).toBe(48);
    expect(String(record.wrappedSeed)).not.toContain('7,7,7,7');
  });

  it('wraps with another key and nonce each time', async () => {
    await storeOf('a').create(seedOf(7));
    await storeOf('b').create(seedOf(7));
    const [a, b] = [await recordOf('a'), await recordOf('b')];
    expect(a.iv).not.toEqual(b.iv);
    await expect(
      crypto.subtle.decrypt(
        {
          name: 'AES-GCM',
          iv: a.iv,
          additionalData: new TextEncoder().encode('secure-websocket key store 1: a'),
        },
        b.wrappingKey,
        a.wrappedSeed,
      ),
    ).rejects.toThrow();
  });

  describe('refuses a record that was changed, and leaves it as it is', () => {
    it.each<[string, (record: KeyRecord) => unknown]>([
      [
        'the wrapped seed',
        record => ({
          ...record,
          wrappedSeed: record.wrappedSeed.map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
        }),
      ],
      [
        'the tag',
        record => ({
          ...record,
          wrappedSeed: record.wrappedSeed.map((byte, i) => (i === 47 ? byte ^ 1 : byte)),
        }),
      ],
      ['the nonce', record => ({ ...record, iv: record.iv.map(byte => byte ^ 1) })],
      ['the format', record => ({ ...record, format: 2 })],
      ['a key that did not survive', record => ({ ...record, wrappingKey: null })],
      ['a key that is none', record => ({ ...record, wrappingKey: {} })],
      ['a shorter wrapped seed', record => ({ ...record, wrappedSeed: record.wrappedSeed.slice(1) })],
      ['a longer nonce', record => ({ ...record, iv: new Uint8Array(16) })],
      ['text for bytes', record => ({ ...record, wrappedSeed: 'x'.repeat(48) })],
      ['a number', () => 5],
      ['null', () => null],
    ])('%s', async (_, change) => {
      await storeOf().create(seedOf(1));
      const changed = change(await recordOf('client'));
      await withRecords(records => records.put(changed, 'client'));
      for (const attempt of [storeOf().load(), storeOf().create(seedOf(2))]) {
        const error = await failure(attempt);
        expect(error.code).toBe('KEY_STORE_CORRUPT');
        expect(error.message).toContain(databaseName);
      }
      expect(await recordOf('client')).toEqual(changed);
    });

    it('the name', async () => {
      await storeOf('a').create(seedOf(1));
      const record = await recordOf('a');
      await withRecords(records => records.put(record, 'b'));
      expect((await failure(storeOf('b').load())).code).toBe('KEY_STORE_CORRUPT');
      expect(await storeOf('a').load()).toEqual(seedOf(1));
    });
  });

  describe('says why no key can be kept', () => {
    it('without WebCrypto, as in an insecure context', async () => {
      vi.spyOn(Crypto.prototype, 'subtle', 'get').mockReturnValue(undefined as never);
      await expectUnavailable(storeOf().load(), /crypto\.subtle.*secure context.*https/);
      await expectUnavailable(storeOf().create(seedOf(1)), /crypto\.subtle/);
    });

    it('when WebCrypto fails', async () => {
      vi.spyOn(crypto.subtle, 'generateKey').mockRejectedValue(new DOMException('no', 'OperationError'));
      await expectUnavailable(storeOf().create(seedOf(1)), /WebCrypto failed \(no\)/);
    });

    it('without IndexedDB', async () => {
      for (const missing of [undefined, null]) {
        vi.stubGlobal('indexedDB', missing);
        await expectUnavailable(storeOf().load(), /IndexedDB is missing/);
        await expectUnavailable(storeOf().create(seedOf(1)), /IndexedDB is missing/);
        vi.unstubAllGlobals();
      }
    });

    it('when access to IndexedDB is denied by the getter', async () => {
      const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'indexedDB')!;
      Object.defineProperty(globalThis, 'indexedDB', {
        configurable: true,
        get() {
          throw new DOMException('blocked', 'SecurityError');
        },
      });
      try {
        await expectUnavailable(storeOf().load(), /denied \(blocked\)/);
      } finally {
        Object.defineProperty(globalThis, 'indexedDB', descriptor);
      }
    });

    it('when access to IndexedDB is denied by open', async () => {
      vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(() => {
        throw new DOMException('opaque origin', 'SecurityError');
      });
      await expectUnavailable(storeOf().load(), /IndexedDB failed \(opaque origin\)/);
    });

    it('when a newer version of the database is there', async () => {
      (await done(indexedDB.open(databaseName, 2))).close();
      const error = await failure(storeOf().load());
      expect(error.code).toBe('KEY_STORE_UNAVAILABLE');
      expect((error.cause as DOMException).name).toBe('VersionError');
    });

    it('when the database is that of another program', async () => {
      (await done(indexedDB.open(databaseName, 1))).close();
      const error = await failure(storeOf().load());
      expect(error.code).toBe('KEY_STORE_UNAVAILABLE');
      expect((error.cause as DOMException).name).toBe('NotFoundError');
    });

    it('when the browser does not keep keys', async () => {
      vi.spyOn(IDBObjectStore.prototype, 'add').mockImplementation(() => {
        throw new DOMException('a CryptoKey', 'DataCloneError');
      });
      await expectUnavailable(storeOf().create(seedOf(1)), /a CryptoKey/);
      vi.restoreAllMocks();
      expect(await storeOf().load()).toBeUndefined();
    });

    it('when the transaction is aborted, as with a full disk', async () => {
      const add = Object.getOwnPropertyDescriptor(IDBObjectStore.prototype, 'add')!
        .value as IDBObjectStore['add'];
      vi.spyOn(IDBObjectStore.prototype, 'add').mockImplementation(function (
        this: IDBObjectStore,
        value,
        key,
      ) {
        const request = add.call(this, value, key);
        // After the request has succeeded and before it is complete.
        request.addEventListener('success', () => this.transaction.abort());
        return request;
      });
      await expectUnavailable(storeOf().create(seedOf(1)), /aborted/);
      vi.restoreAllMocks();
      expect(await storeOf().load()).toBeUndefined();
    });

    it('when what was written is gone', async () => {
      vi.spyOn(IDBObjectStore.prototype, 'add').mockImplementation(function (this: IDBObjectStore) {
        return this.get('nothing') as IDBRequest<IDBValidKey>;
      });
      await expectUnavailable(storeOf().create(seedOf(1)), /gone/);
    });

    it('when another tab holds the database up, and recovers when it lets go', async () => {
      await storeOf().create(seedOf(1));
      const held = await done(indexedDB.open(databaseName));
      // This waits for `held`, and whoever opens the database waits for this.
      const deleting = indexedDB.deleteDatabase(databaseName);
      await new Promise(resolve => (deleting.onblocked = resolve));
      await expectUnavailable(storeOf('client', 50).load(), /50 ms.*another tab/);
      held.close();
      await done(deleting);
      // The connection that came too late is closed: else this would be blocked.
      const again = indexedDB.deleteDatabase(databaseName);
      const blocked = vi.fn();
      again.onblocked = blocked;
      await done(again);
      expect(blocked).not.toHaveBeenCalled();
      expect(await storeOf().create(seedOf(2))).toEqual(seedOf(2));
    });
  });

  it('holds no connection afterwards', async () => {
    await storeOf().create(seedOf(1));
    await storeOf().load();
    await withRecords(records => records.put(0, 'client'));
    await failure(storeOf().load());
    const deleting = indexedDB.deleteDatabase(databaseName);
    const blocked = vi.fn();
    deleting.onblocked = blocked;
    await done(deleting);
    expect(blocked).not.toHaveBeenCalled();
  });

  it('is not in the way of a tab that deletes the database meanwhile', async () => {
    await storeOf().create(seedOf(1));
    const loading = Array.from({ length: 5 }, () => storeOf().load());
    const deleting = done(indexedDB.deleteDatabase(databaseName));
    const seeds = await Promise.all(loading);
    await deleting;
    expect(seeds).toEqual(Array(5).fill(seedOf(1)));
    expect(await storeOf().load()).toBeUndefined();
  });
});
