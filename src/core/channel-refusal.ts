import { SecureWebSocketError } from './errors.js';

/** `CHANNEL_REFUSED`: the peer does not want the channel, and has said so as a WebSocket server would. */
export class ChannelRefusal extends SecureWebSocketError {
  /** An HTTP status code, as far as the peer knows what that is. */
  readonly status: number;
  /** In the words of the peer. May be empty. */
  readonly reason: string;

  constructor(status: number, reason: string) {
    const why = reason === '' ? '' : `: ${reason}`;
    super('CHANNEL_REFUSED', `The peer refused the channel (${String(status)})${why}.`);
    this.status = status;
    this.reason = reason;
  }
}
