import type { SecureWebSocketError } from '../core/errors.js';
import type { MessageBytes, MessageData } from './server-messages.js';

/** The events of a server-side socket, as in `ws`, and two more. */
export interface ServerSocketEvents {
  /** Never seen: as in `ws`, a server-side socket is open before anybody can listen. */
  open: [];
  message: [data: MessageData, isBinary: boolean];
  /** `reason` is UTF-8 (`String(reason)` decodes it). */
  close: [code: number, reason: MessageBytes];
  error: [error: Error];
  ping: [data: MessageBytes];
  pong: [data: MessageBytes];
  /**
   * The client cannot be reached, because of `error`. The socket stays OPEN and keeps what is sent: `resumed` follows
   * when the client is back, or `close` when it does not come back in time.
   */
  suspended: [error: SecureWebSocketError];
  /** After `suspended`: the client is back, and neither end has lost a message. */
  resumed: [];
}
