import type { KeyStore } from '../key-store.js';
import type { RawSocket, RawSocketListener, WebSocketConstructor } from '../raw-socket.js';

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
export interface Platform {
  readonly name: 'browser' | 'node';
  /** Dials. Never throws: what fails is told by `closed`, in a later task. */
  connect(url: string, options: ConnectOptions, listener: RawSocketListener): RawSocket;
  /** The store that is used when the application names none: IndexedDB, or a 0600 file. `name` tells roles apart. */
  defaultKeyStore(name: string): KeyStore;
  /** What relative URLs resolve against: the page's base URL. */
  baseUrl(): string | undefined;
  /** The origin of the page, sent sealed in OPEN. */
  origin(): string | undefined;
  /** The bytes as the `message` event of a `ws`-style socket carries them: a Buffer in Node, its stand-in elsewhere. */
  toMessageData(bytes: Uint8Array): Uint8Array;
  isUtf8(bytes: Uint8Array): boolean;
  /**
   * Calls back whenever there is reason to believe that the network is back or that the user looks again, perhaps more
   * than once for one reason. In Node never. Returns a function that stops it.
   */
  onWake(callback: () => void): () => void;
  /** Whether nobody can see the page. False where there is no page: in workers and in Node. */
  readonly isHidden: () => boolean;
  /** Calls back whenever that changes. Where there is no page never. Returns a function that stops it. */
  onVisibility(callback: (hidden: boolean) => void): () => void;
}
