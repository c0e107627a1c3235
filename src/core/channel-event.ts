import type { Channel } from './channel.js';
import type { Crypto } from './crypto.js';
import type { SecureWebSocketError } from './errors.js';
import type { OpenParameters } from './open-parameters.js';
import type { Message } from './sent-records.js';

/** What happened on a channel; the endpoint hands these to whoever owns the channel, in order. */
export type ChannelEvent =
  | { readonly type: 'incoming'; readonly channel: Channel; readonly open: OpenParameters }
  | { readonly type: 'opened'; readonly channel: Channel }
  | {
      readonly type: 'message';
      readonly channel: Channel;
      readonly data: Uint8Array;
      readonly isText: boolean;
    }
  | { readonly type: 'ping' | 'pong'; readonly channel: Channel; readonly data: Uint8Array }
  | { readonly type: 'closing'; readonly channel: Channel }
  | { readonly type: 'sent'; readonly channel: Channel; readonly bytes: number }
  /** The peer is out of reach. The channel waits to be resumed. */
  | { readonly type: 'suspended'; readonly channel: Channel; readonly error: SecureWebSocketError }
  | { readonly type: 'resumed'; readonly channel: Channel }
  | ({ readonly type: 'closed'; readonly channel: Channel } & ChannelEnding);

/** How a channel ended. */
export interface ChannelEnding {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  readonly error?: SecureWebSocketError;
  /** Messages that the peer has not acknowledged, in the order in which they were given. */
  readonly unacknowledged: readonly Message[];
}

export type ChannelState =
  /** We asked to open it; the peer has not answered. */
  | 'opening'
  /** The peer asked to open it; the application has not answered. */
  | 'incoming'
  | 'open'
  /** The closing handshake is under way. */
  | 'closing'
  | 'closed';

export interface ChannelOptions {
  /** Chosen by the end that opens the channel; the two ends number theirs apart. */
  readonly id: number;
  /** True when this end opens it. */
  readonly opener: boolean;
  /** Whole messages larger than this end the channel, bytes. */
  readonly maxPayload: number;
  /** Where events go, until `emit` is set anew. */
  readonly emit: (event: ChannelEvent) => void;
  readonly crypto: Crypto;
  /** Our own public key, 32 bytes. */
  readonly ownKey: Uint8Array;
}
