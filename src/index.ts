/**
 * What a client imports, in browsers and in Node. In both, `SecureWebSocketServer` is here too: listening at a public
 * key behind a relay needs no port. For servers with ports, and for relays, see `secure-websocket/server`.
 */
export {
  ClientSecureWebSocket,
  FirstUseTrustStore,
  formatAddress,
  parseAddress,
  SecureWebSocketError,
} from './client.js';
export { Identity, inviteToSpace } from './identity.js';
export { IndexedDbKeyStore, MemoryKeyStore } from './key-stores.js';
export { watchPresence } from './presence.js';
export { SecureWebSocketServer, ServerSecureWebSocket } from './service.js';

export type { ClientSecureWebSocketEventMap } from './socket/client-secure-web-socket.js';
export type {
  ClientSecureWebSocketOptions,
  SpaceOptions,
} from './socket/client-secure-web-socket-options.js';
export type { ClientUrlSource } from './socket/client-url.js';
export type {
  SecureWebSocketCloseEvent,
  SecureWebSocketErrorEvent,
  SecureWebSocketReconnectedEvent,
  SecureWebSocketReconnectingEvent,
  SecureWebSocketServerEvent,
  SecureWebSocketThrottledEvent,
  ThrottledDetails,
  UnacknowledgedData,
} from './socket/events.js';
export type { SpaceInvitation } from './socket/invite-to-space.js';
export type {
  PresenceCloseEvent,
  PresenceEvent,
  PresenceOptions,
  PresenceState,
  PresenceWatch,
  PresenceWatchEventMap,
} from './socket/presence-watch.js';
export type { SecureWebSocketServerOptions } from './socket/secure-web-socket-server.js';
export type { UnacknowledgedServerMessage } from './socket/server-messages.js';
export type { RelayedRequest } from './socket/relayed-request.js';

export type { ErrorCode } from './core/errors.js';

export type { KeyStore } from './link/key-store.js';
export type {
  KeysWipedReason,
  MemberLeaveReason,
  MessagesLostReason,
  ReconnectAttempt,
  SpaceMember,
} from './link/channel-port.js';
export type { Provided } from './link/dial-options.js';
export type { Reconnect, ReconnectOptions } from './link/reconnect-policy.js';
export type { ResumptionOptions } from './link/resumption.js';
export type { ServerKey, TrustStore } from './link/trust.js';
export type { WebSocketConstructor, WebSocketLike } from './websocket/raw-socket.js';
