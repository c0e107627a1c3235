import type { WebSocketConstructor } from '../../websocket/raw-socket.js';

/**
 * The web's globals that this library uses, and no more of them than it uses: the package compiles without the types
 * of the DOM. Any of them can be missing.
 */
export interface WebGlobals extends WebEvents {
  readonly WebSocket?: WebSocketConstructor;
  readonly indexedDB?: IdbFactory;
  readonly crypto?: WebCrypto;
  /** The origin of the page or worker, 'null' when it is opaque. */
  readonly origin?: unknown;
  /** Not in workers. */
  readonly document?: WebDocument;
  readonly location?: { readonly href: string };
}

export interface WebDocument extends WebEvents {
  readonly baseURI: string;
  /** 'visible' or 'hidden'. */
  readonly visibilityState?: string;
}

/** The part of EventTarget that is used. Runtimes that only resemble a browser may be without it. */
export interface WebEvents {
  addEventListener?(type: string, listener: (event: WebEvent) => void): void;
  removeEventListener?(type: string, listener: (event: WebEvent) => void): void;
}

export interface WebEvent {
  /** Of `pageshow`: the page comes out of the back/forward cache. */
  readonly persisted?: boolean;
}

/** Looked up at every call: nothing is read when the module is loaded, and tests may replace them. */
export function webGlobals(): WebGlobals {
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-assertion -- necessary where the types of the DOM are known
  return globalThis as unknown as WebGlobals;
}

// IndexedDB (https://w3c.github.io/IndexedDB/)

export interface IdbFactory {
  open(name: string, version: number): IdbOpenRequest;
}

export interface IdbRequest<T = unknown> {
  readonly result: T;
  readonly error: { readonly name: string } | null;
  onsuccess: (() => void) | null;
  onerror: ((event: { preventDefault(): void }) => void) | null;
}

export interface IdbOpenRequest extends IdbRequest<IdbDatabase> {
  onupgradeneeded: (() => void) | null;
}

export interface IdbDatabase {
  createObjectStore(name: string): unknown;
  transaction(
    storeName: string,
    mode: 'readonly' | 'readwrite',
    options: { durability: 'strict' },
  ): IdbTransaction;
  close(): void;
}

export interface IdbTransaction {
  objectStore(name: string): IdbObjectStore;
  readonly error: unknown;
  oncomplete: (() => void) | null;
  onabort: (() => void) | null;
}

export interface IdbObjectStore {
  get(key: string): IdbRequest;
  add(value: unknown, key: string): IdbRequest;
}

// Web Cryptography (https://www.w3.org/TR/webcrypto/)

export interface WebCrypto {
  getRandomValues<T extends Uint8Array>(array: T): T;
  /** Missing where the context is not secure. */
  readonly subtle?: WebSubtleCrypto;
}

export interface WebSubtleCrypto {
  generateKey(
    algorithm: { name: 'AES-GCM'; length: 256 },
    extractable: boolean,
    usages: ('encrypt' | 'decrypt')[],
  ): Promise<WebCryptoKey>;
  encrypt(algorithm: AesGcm, key: WebCryptoKey, data: Uint8Array): Promise<ArrayBuffer>;
  decrypt(algorithm: AesGcm, key: WebCryptoKey, data: Uint8Array): Promise<ArrayBuffer>;
}

export interface AesGcm {
  readonly name: 'AES-GCM';
  readonly iv: Uint8Array;
  readonly additionalData: Uint8Array;
}

export interface WebCryptoKey {
  readonly extractable: boolean;
}
