import type { KeyStore } from '../key-store.js';
import type { RawSocket, RawSocketListener, WebSocketConstructor } from '../../websocket/raw-socket.js';
import type { Page } from './page.js';

export interface ConnectOptions {
  /** A WebSocket class to use instead of the platform's own. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** HTTP headers of the opening handshake. Node only; ignored with `WebSocket` and in browsers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Options of `tls.connect` such as `ca`. Node only. */
  readonly tls?: Readonly<Record<string, unknown>> | undefined;
  /** Largest message accepted, bytes. Only where the runtime can limit it. */
  readonly maxPayload: number;
}

/** All that differs between a browser and Node. One half is chosen when the package is built (`#platform`). */
export interface Platform extends Page {
  readonly name: 'browser' | 'node';
  /** Dials. Never throws: what fails is told by `closed`, in a later task. */
  connect(url: string, options: ConnectOptions, listener: RawSocketListener): RawSocket;
  /** The store that is used when the application names none: IndexedDB, or a 0600 file. `name` tells roles apart. */
  defaultKeyStore(name: string): KeyStore;
  /** The bytes as the `message` event of a `ws`-style socket carries them: a Buffer in Node, its stand-in elsewhere. */
  toMessageData(bytes: Uint8Array): Uint8Array;
  isUtf8(bytes: Uint8Array): boolean;
}
