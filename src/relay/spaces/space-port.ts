import type { RelayClient } from '../relay-connection.js';

/** What spaces know of a connection: its port of the router is one. No method throws. */
export interface SpacePort {
  /** What waits to be sent to it, bytes. */
  readonly queuedBytes: number;
  /** Sends one frame; false: there is no room for it. */
  offer(frame: Uint8Array): boolean;
  /** Sends one frame of two parts, whose tail is shared: it is not changed, and not copied for each. */
  offerShared(head: Uint8Array, tail: Uint8Array): boolean;
  /** Ends the connection with an RFC 6455 status code. */
  end(code: number, reason: string): void;
}

/** One connection as its memberships see it. */
export interface SpaceClient {
  readonly port: SpacePort;
  readonly client: RelayClient;
  /** A membership of it is over. */
  forget(membership: number): void;
}
