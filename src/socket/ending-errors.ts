import { SecureWebSocketError, type ErrorCode } from '../core/errors.js';

const LOSSES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ABORTED',
  'CHANNEL_LOST',
  'CHANNEL_RESET',
  'CLOSE_TIMEOUT',
  'LINK_LOST',
  'PEER_GONE',
  'PEER_NOT_HERE',
  'REPLACED',
  'SESSION_TIMEOUT',
]);

/** Whether the connection was lost, or this side let go of it: no failure of the channel itself. */
export function isLoss(error: SecureWebSocketError): boolean {
  return LOSSES.has(error.code);
}

/** Why a socket failed whose channel ended without a closing handshake and without saying why. */
export function connectionLost(): SecureWebSocketError {
  return new SecureWebSocketError('LINK_LOST', 'The connection was lost without a closing handshake.');
}

/** Why nothing more can be sent through a socket that did not fail. */
export function notOpen(): SecureWebSocketError {
  return new SecureWebSocketError('ABORTED', 'The socket is closing or closed: nothing more can be sent.');
}
