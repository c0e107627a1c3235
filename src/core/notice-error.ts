import { SecureWebSocketError } from './errors.js';
import { NoticeReason as Reason, type NoticeReason } from './frame.js';

/** What a NOTICE of the router means to whoever sent the envelope, or talked to the peer. */
export function noticeError(reason: NoticeReason): SecureWebSocketError {
  switch (reason) {
    case Reason.NOT_HERE:
      return new SecureWebSocketError('PEER_NOT_HERE', 'Nobody listens at this address on the relay.');
    case Reason.QUEUE_FULL:
      return new SecureWebSocketError(
        'PEER_QUEUE_FULL',
        'The relay dropped a message: the queue to the peer is full.',
      );
    case Reason.REFUSED:
      return new SecureWebSocketError(
        'PEER_REFUSED',
        'The relay takes no messages for this address. To reach a peer behind it, end the URL with the public key of that peer.',
      );
    case Reason.TOO_LARGE:
      return new SecureWebSocketError(
        'FRAME_TOO_LARGE',
        'The relay dropped a message: it is larger than its frame limit.',
      );
    case Reason.NOT_ALLOWED:
      return new SecureWebSocketError('PEER_NOT_ALLOWED', 'The relay does not let this key reach the peer.');
    case Reason.HANDSHAKES_LIMITED:
      return new SecureWebSocketError(
        'HANDSHAKES_LIMITED',
        'The relay dropped a handshake: too many were sent to this peer in a short time.',
      );
    case Reason.TOO_MANY_PEERS:
      return new SecureWebSocketError(
        'TOO_MANY_PEERS',
        'The relay dropped a message: this connection talks to as many peers as the relay allows.',
      );
    case Reason.PEER_GONE:
      return new SecureWebSocketError('PEER_GONE', 'The peer is no longer connected to the relay.');
  }
}
