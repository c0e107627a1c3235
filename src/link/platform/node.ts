import { isUtf8 } from 'node:buffer';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { SecureWebSocketError } from '../../core/errors.js';
import { describeError } from '../../core/describe-error.js';
import { dialWebSocket } from '../../websocket/dial-web-socket.js';
import { FileKeyStore } from '../file-key-store.js';
import { FailedSocket } from './failed-socket.js';
import { page } from './node-page.js';
import type { Platform } from './platform.js';
import { connectWebSocket } from './web-socket.js';

/** Node: our own end of a WebSocket for connections, files for keys. */
export const platform: Platform = {
  ...page,
  name: 'node',

  connect(url, options, listener) {
    if (options.WebSocket) return connectWebSocket(options.WebSocket, url, listener);
    try {
      return dialWebSocket(url, options, listener);
    } catch (error) {
      return new FailedSocket(listener, describeError(error));
    }
  },

  /**
   * A file `<name>.key` in `$SECURE_WEBSOCKET_HOME`, else in `secure-websocket` under the user's directory for
   * configuration: `$XDG_CONFIG_HOME`, else `~/.config`; in Windows `%APPDATA%`.
   */
  defaultKeyStore(name) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        'The name of a key may hold letters, digits, ".", "_" and "-", and starts with a letter or digit: it becomes a file name.',
      );
    }
    return new FileKeyStore(join(keyDirectory(), `${name}.key`));
  },

  toMessageData: bytes => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),

  isUtf8,
};

function keyDirectory(): string {
  const { SECURE_WEBSOCKET_HOME: own } = process.env;
  return own ? own : join(configurationDirectory(), 'secure-websocket');
}

function configurationDirectory(): string {
  if (process.platform === 'win32') {
    const { APPDATA: roaming } = process.env;
    return roaming ? roaming : join(home(), 'AppData', 'Roaming');
  }
  const { XDG_CONFIG_HOME: configuration } = process.env;
  // A relative one is to be ignored (XDG Base Directory Specification).
  return configuration && isAbsolute(configuration) ? configuration : join(home(), '.config');
}

function home(): string {
  try {
    return homedir();
  } catch (error) {
    throw new SecureWebSocketError(
      'KEY_STORE_UNAVAILABLE',
      `This user has no home directory to keep a key in (${describeError(error)}): set SECURE_WEBSOCKET_HOME to a directory for it.`,
      { cause: error },
    );
  }
}
