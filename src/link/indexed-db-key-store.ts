import { utf8 } from '../core/bytes.js';
import { SecureWebSocketError } from '../core/errors.js';
import { describeError } from '../core/describe-error.js';
import type { KeyStore } from './key-store.js';
import {
  webGlobals,
  type AesGcm,
  type IdbDatabase,
  type IdbFactory,
  type IdbObjectStore,
  type IdbRequest,
  type WebCrypto,
  type WebCryptoKey,
  type WebSubtleCrypto,
} from './platform/web-globals.js';
import { copySeed, SEED_SIZE } from './seed.js';

const DATABASE_VERSION = 1;
const OBJECT_STORE = 'keys';
const RECORD_FORMAT = 1;
/** NIST SP 800-38D, section 8.2: 96 bits. Each wrapping key is used once. */
const IV_SIZE = 12;
const TAG_SIZE = 16;
const DEFAULT_OPEN_TIMEOUT = 10_000;

export interface IndexedDbKeyStoreOptions {
  /** Which of the identities of this origin. */
  readonly name: string;
  /** Default 'secure-websocket'. */
  readonly databaseName?: string | undefined;
  /** Milliseconds to wait for the database, which another tab can hold up. Default 10 000. */
  readonly openTimeout?: number | undefined;
}

/** One record of the object store, under the name of the identity. */
interface KeyRecord {
  readonly format: typeof RECORD_FORMAT;
  readonly wrappingKey: WebCryptoKey;
  readonly iv: Uint8Array;
  /** AES-256-GCM of the seed, with the name of the identity as additional data. */
  readonly wrappedSeed: Uint8Array;
}

/**
 * Keeps the seed in the IndexedDB of the page's origin, wrapped by an AES-256-GCM key of WebCrypto that cannot be
 * exported. All tabs of the origin share it.
 *
 * What the wrapping is for: a script that dumps the database finds no seed to carry away. What it is not for: a script
 * that runs in the origin can unwrap it as this class does, and a thief of the browser's profile has the wrapping key
 * as well. An application that wants the browser to keep the identity when space runs out asks for that itself
 * (`navigator.storage.persist()`).
 *
 * Why not keep an X25519 CryptoKey: WebKit does not bring one back from IndexedDB.
 */
export class IndexedDbKeyStore implements KeyStore {
  readonly name: string;
  readonly databaseName: string;
  readonly #openTimeout: number;

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when the name is empty. */
  constructor(options: IndexedDbKeyStoreOptions) {
    if (options.name === '') throw new SecureWebSocketError('INVALID_ARGUMENT', 'A kept key needs a name.');
    this.name = options.name;
    this.databaseName = options.databaseName ?? 'secure-websocket';
    this.#openTimeout = options.openTimeout ?? DEFAULT_OPEN_TIMEOUT;
  }

  /**
   * The seed, or undefined when none has been kept yet.
   *
   * @throws SecureWebSocketError `KEY_STORE_UNAVAILABLE` when this context has no IndexedDB or no WebCrypto, or IndexedDB fails;
   *   `KEY_STORE_CORRUPT` when the record was changed.
   */
  async load(): Promise<Uint8Array | undefined> {
    const { subtle, indexedDB } = facilities();
    const record = await this.#request(indexedDB, 'readonly', store => store.get(this.name));
    return record === undefined ? undefined : this.#unwrap(subtle, record);
  }

  /**
   * Keeps `seed` unless one is kept, and resolves to the one that is kept.
   *
   * @throws SecureWebSocketError `INVALID_SEED`, and what `load` throws.
   */
  async create(seed: Uint8Array): Promise<Uint8Array> {
    const copy = copySeed(seed);
    const { crypto, subtle, indexedDB } = facilities();
    // Before the transaction: it would end while it waits for WebCrypto.
    const record = await this.#wrap(crypto, subtle, copy);
    await this.#request(indexedDB, 'readwrite', store => store.add(record, this.name));
    // Ours, or that of the tab that was first. Reading it also shows whether this browser really brings keys back.
    const kept = await this.load();
    if (kept !== undefined) return kept;
    throw unavailable('what was written to IndexedDB is gone');
  }

  async #wrap(crypto: WebCrypto, subtle: WebSubtleCrypto, seed: Uint8Array): Promise<KeyRecord> {
    try {
      const iv = crypto.getRandomValues(new Uint8Array(IV_SIZE));
      const wrappingKey = await subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
        'encrypt',
        'decrypt',
      ]);
      const wrappedSeed = new Uint8Array(await subtle.encrypt(this.#algorithm(iv), wrappingKey, seed));
      return { format: RECORD_FORMAT, wrappingKey, iv, wrappedSeed };
    } catch (error) {
      throw unavailable('WebCrypto failed', error);
    } finally {
      seed.fill(0);
    }
  }

  async #unwrap(subtle: WebSubtleCrypto, record: unknown): Promise<Uint8Array> {
    let cause: unknown;
    if (isKeyRecord(record)) {
      try {
        return new Uint8Array(
          await subtle.decrypt(this.#algorithm(record.iv), record.wrappingKey, record.wrappedSeed),
        );
      } catch (error) {
        cause = error;
      }
    }
    throw new SecureWebSocketError(
      'KEY_STORE_CORRUPT',
      `The key "${this.name}" in the IndexedDB database "${this.databaseName}" cannot be used: it was changed or damaged. ` +
        "Delete that database (or this site's data), and a new key, with a new address, will be made.",
      { cause },
    );
  }

  #algorithm(iv: Uint8Array): AesGcm {
    return { name: 'AES-GCM', iv, additionalData: utf8(`secure-websocket key store 1: ${this.name}`) };
  }

  /**
   * One request in a transaction of its own, on a connection of its own. It is closed when that is over, so nobody who
   * deletes or upgrades the database waits for it, and it needs no `versionchange` handler.
   */
  async #request(
    indexedDB: IdbFactory,
    mode: 'readonly' | 'readwrite',
    ask: (store: IdbObjectStore) => IdbRequest,
  ): Promise<unknown> {
    let database: IdbDatabase | undefined;
    try {
      database = await openDatabase(indexedDB, this.databaseName, this.#openTimeout);
      return await settled(database, mode, ask);
    } catch (error) {
      throw unavailable('IndexedDB failed', error);
    } finally {
      database?.close();
    }
  }
}

/** Resolves when the transaction is complete and not before: a request that succeeded can still be rolled back. */
function settled(
  database: IdbDatabase,
  mode: 'readonly' | 'readwrite',
  ask: (store: IdbObjectStore) => IdbRequest,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(OBJECT_STORE, mode, { durability: 'strict' });
    const request = ask(transaction.objectStore(OBJECT_STORE));
    request.onerror = event => {
      // `add` found a record: another tab was first. Without this the transaction would abort.
      if (request.error?.name === 'ConstraintError') event.preventDefault();
    };
    transaction.oncomplete = () => {
      resolve(request.result);
    };
    transaction.onabort = () => {
      reject(asError(transaction.error ?? 'The transaction was aborted'));
    };
  });
}

function openDatabase(indexedDB: IdbFactory, name: string, timeout: number): Promise<IdbDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, DATABASE_VERSION);
    let givenUp = false;
    const timer = setTimeout(() => {
      givenUp = true;
      reject(new Error(`no answer for ${timeout} ms: another tab may be holding the database`));
    }, timeout);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(OBJECT_STORE);
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(asError(request.error));
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      const database = request.result;
      if (givenUp) {
        database.close();
        return;
      }
      resolve(database);
    };
  });
}

/** As far as WebCrypto does not see by itself that a key or a nonce is wrong. */
function isKeyRecord(value: unknown): value is KeyRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { format, iv, wrappedSeed } = value as Partial<Record<keyof KeyRecord, unknown>>;
  return (
    format === RECORD_FORMAT &&
    iv instanceof Uint8Array &&
    wrappedSeed instanceof Uint8Array &&
    wrappedSeed.length === SEED_SIZE + TAG_SIZE
  );
}

function facilities(): { crypto: WebCrypto; subtle: WebSubtleCrypto; indexedDB: IdbFactory } {
  const { crypto } = webGlobals();
  if (crypto?.subtle === undefined) {
    throw unavailable(
      'crypto.subtle is missing, as the page is not a secure context: serve it from https or from localhost',
    );
  }
  let indexedDB: IdbFactory | undefined;
  try {
    // In a sandboxed frame, or with site data blocked, the getter itself may throw.
    indexedDB = webGlobals().indexedDB;
  } catch (error) {
    throw unavailable('access to IndexedDB is denied', error);
  }
  if (!indexedDB) throw unavailable('IndexedDB is missing or switched off');
  return { crypto, subtle: crypto.subtle, indexedDB };
}

function unavailable(why: string, cause?: unknown): SecureWebSocketError {
  const detail = cause === undefined ? '' : ` (${describeError(cause)})`;
  return new SecureWebSocketError(
    'KEY_STORE_UNAVAILABLE',
    `No key can be kept in this browser: ${why}${detail}. To go on without, pass an identity or another keyStore.`,
    { cause },
  );
}

/** A DOMException is an Error in today's browsers; whatever else comes is made one. */
function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}
