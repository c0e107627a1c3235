import { fromUtf8 } from '../../core/bytes.js';
import { IndexedDbKeyStore } from '../indexed-db-key-store.js';
import { page } from './browser-page.js';
import { FailedSocket } from './failed-socket.js';
import { MessageData } from './message-data.js';
import type { Platform } from './platform.js';
import { webGlobals } from './web-globals.js';
import { connectWebSocket } from './web-socket.js';

/** Browsers, and other runtimes with the web's globals: their own WebSocket for connections, IndexedDB for keys. */
export const platform: Platform = {
  ...page,
  name: 'browser',

  connect(url, options, listener) {
    const WebSocket = options.WebSocket ?? webGlobals().WebSocket;
    if (WebSocket) return connectWebSocket(WebSocket, url, listener);
    return new FailedSocket(listener, 'this runtime has no WebSocket: pass one as the option WebSocket');
  },

  defaultKeyStore: name => new IndexedDbKeyStore({ name }),

  toMessageData: bytes => new MessageData(bytes.buffer, bytes.byteOffset, bytes.byteLength),

  isUtf8: bytes => fromUtf8(bytes) !== undefined,
};
