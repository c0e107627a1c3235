import type { IncomingChannel } from '../link/channel-port.js';

/**
 * What stands for the HTTP request when a client comes through a relay: there is none. It has the parts of Node's
 * `http.IncomingMessage` that handlers of `ws` read. All of it came inside the encryption, from the peer.
 */
export interface RelayedRequest {
  readonly method: 'GET';
  /** Path with query, as the client dialled it behind the key: '/chat?x=1'. */
  readonly url: string;
  readonly httpVersion: '1.1';
  /**
   * `host` is that of the relay; `origin` and `sec-websocket-protocol` are there if the client sent them. An origin is
   * what the client claims: where a browser stands behind that claim in a direct connection, here nobody does.
   */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** No address is known: the socket is the relay's. */
  readonly socket: {
    readonly remoteAddress: undefined;
    readonly remotePort: undefined;
    readonly remoteFamily: undefined;
    readonly encrypted: true;
  };
  /** Our own address. */
  readonly publicKey: string;
  /** The address that the client has proven to hold. */
  readonly peerPublicKey: string;
}

/** Describes `incoming`, which came through the relay at `host`. */
export function relayedRequest(incoming: IncomingChannel, host: string): RelayedRequest {
  return {
    method: 'GET',
    url: incoming.target,
    httpVersion: '1.1',
    headers: {
      host,
      upgrade: 'websocket',
      connection: 'Upgrade',
      ...(incoming.origin !== undefined && { origin: incoming.origin }),
      ...(incoming.protocols.length > 0 && { 'sec-websocket-protocol': incoming.protocols.join(', ') }),
    },
    socket: { remoteAddress: undefined, remotePort: undefined, remoteFamily: undefined, encrypted: true },
    publicKey: incoming.publicKey,
    peerPublicKey: incoming.peerPublicKey,
  };
}
