import { fromUtf8 } from '../../core/bytes.js';
import { IndexedDbKeyStore } from '../indexed-db-key-store.js';
import { FailedSocket } from './failed-socket.js';
import { MessageData } from './message-data.js';
import type { Platform } from './platform.js';
import { type WebEvent, type WebEvents, webGlobals } from './web-globals.js';
import { connectWebSocket } from './web-socket.js';

/** Browsers, and other runtimes with the web's globals: their own WebSocket for connections, IndexedDB for keys. */
export const platform: Platform = {
  name: 'browser',

  connect(url, options, listener) {
    const WebSocket = options.WebSocket ?? webGlobals().WebSocket;
    if (WebSocket) return connectWebSocket(WebSocket, url, listener);
    return new FailedSocket(listener, 'this runtime has no WebSocket: pass one as the option WebSocket');
  },

  defaultKeyStore: name => new IndexedDbKeyStore({ name }),

  baseUrl() {
    const { document, location } = webGlobals();
    return document?.baseURI ?? location?.href;
  },

  origin() {
    const { origin } = webGlobals();
    return typeof origin === 'string' ? origin : undefined;
  },

  toMessageData: bytes => new MessageData(bytes.buffer, bytes.byteOffset, bytes.byteLength),

  isUtf8: bytes => fromUtf8(bytes) !== undefined,

  onWake(callback) {
    const globals = webGlobals();
    const stops = [
      listenTo(globals, 'online', () => {
        callback();
      }),
      // Out of the back/forward cache: connections were closed when the page went in, and nothing told of it.
      listenTo(globals, 'pageshow', event => {
        if (event.persisted) callback();
      }),
      onVisibility(hidden => {
        if (!hidden) callback();
      }),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  },

  isHidden,
  onVisibility,
};

function isHidden(): boolean {
  return webGlobals().document?.visibilityState === 'hidden';
}

function onVisibility(callback: (hidden: boolean) => void): () => void {
  return listenTo(webGlobals().document, 'visibilitychange', () => {
    callback(isHidden());
  });
}

/** Returns what stops it: at the same target, whatever has become of the global meanwhile. */
function listenTo(
  target: WebEvents | undefined,
  type: string,
  listener: (event: WebEvent) => void,
): () => void {
  target?.addEventListener?.(type, listener);
  return () => {
    target?.removeEventListener?.(type, listener);
  };
}
