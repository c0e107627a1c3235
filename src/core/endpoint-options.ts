import type { ChannelEvent } from './channel-event.js';
import type { Control } from './control.js';
import type { Crypto, KeyPair } from './crypto.js';
import type { SecureWebSocketError } from './errors.js';
import type { ResumableChannels } from './resumable-channels.js';

/** What the owner of an endpoint has to know of. */
export type EndpointEvent =
  | ChannelEvent
  /** Something hostile or broken was refused, without harm to any channel. For diagnosis. */
  | { readonly type: 'refused'; readonly error: SecureWebSocketError }
  /** The relay says something of the link itself. */
  | { readonly type: 'control'; readonly control: Control }
  /** The relay says something of a space, to our membership with this number. */
  | {
      readonly type: 'space';
      readonly membership: number;
      readonly operation: number;
      readonly body: Uint8Array;
    }
  /** Nothing comes over the link any more, not even what we send to ourselves: it has to be given up. */
  | { readonly type: 'dead'; readonly error: SecureWebSocketError };

export interface EndpointOptions {
  readonly crypto: Crypto;
  readonly keyPair: KeyPair;
  /** The connection id that the server gave us. */
  readonly connectionId: number;
  /** Largest frame, bytes, header included. */
  readonly maxFrame: number;
  /** Memory for one frame of so many bytes. Default: a new array. */
  readonly allocate?: ((length: number) => Uint8Array) | undefined;
  /** Largest whole message that channels accept, bytes. */
  readonly maxPayload?: number | undefined;
  /** Channels with one peer, those of both ends together; the peer's further ones are refused with 503. Default: 1,024. */
  readonly maxChannelsPerPeer?: number | undefined;
  /** Peers with whom there is a session; others get no answer to a handshake until one has gone. Default: 65,536. */
  readonly maxPeers?: number | undefined;
  /** What `Endpoint.resumables` is to begin with. */
  readonly resumables?: ResumableChannels | undefined;
  /** Milliseconds since 1970: a hint to peers, never used for anything that must hold. */
  readonly wallClock: () => number;
}
