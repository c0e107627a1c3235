/** What a Node service or relay imports. */
export { SecureWebSocketServer } from './socket/node-secure-web-socket-server.js';
export type { SecureWebSocketServerOptions, ServerRequest } from './socket/node-secure-web-socket-server.js';
export { ServerSecureWebSocket } from './socket/node-server-secure-web-socket.js';
export type { AcceptedWebSocket, AcceptOptions } from './socket/node-server-secure-web-socket.js';
export type { UnacknowledgedServerMessage } from './socket/server-messages.js';
export type { RelayedRequest } from './socket/relayed-request.js';

export { Relay } from './relay/relay.js';
export type { RelayClient, RelayEvents, RelayOptions, RelayStatistics } from './relay/relay.js';
export type {
  AuditOptions,
  AuditSink,
  DrainOptions,
  InternalOptions,
  LogLevel,
  LogOptions,
  RelayLogger,
  TlsOptions,
} from './relay/relay-options.js';
export type {
  DropReason,
  LimitName,
  RelayLimited,
  RelayRefusal,
  RelaySnapshot,
  RelaySpaceEnd,
  RelaySpaceEvent,
  Reloadable,
} from './relay/relay-observer.js';
export type { PresencePolicy } from './relay/service/presence.js';
export type { RelaySpaceMember, RelaySpaces } from './relay/spaces/relay-spaces.js';
export type { SpaceEntry, SpacesOptions } from './relay/spaces/spaces-options.js';
export type { ObservedSpaceEvent } from './relay/spaces/observed-space.js';
export type {
  AdmissionAnswer,
  AdmissionOptions,
  AdmissionRequest,
  Admitted,
  HookOptions,
  JwtOptions,
  KeyList,
  ReachOptions,
  ReachRequest,
} from './relay/admission/admission-options.js';
export type { TrafficLimiter } from './relay/limits/meter.js';
export { verifyAuditLog } from './relay/operations/audit-verify.js';
export type { VerifiedAuditLog } from './relay/operations/audit-verify.js';
export { Router } from './relay/router.js';
export type {
  HandshakeAllowance,
  ObservedEnvelope,
  PortOptions,
  PortStatistics,
  RouterOptions,
  RouterPort,
  RouterStatistics,
} from './relay/router.js';
export type { RouterConnection } from './relay/router-connection.js';

export { Identity } from './core/identity.js';
export { inviteToSpace } from './socket/invite-to-space.js';
export type { SpaceInvitation } from './socket/invite-to-space.js';
export { formatAddress, parseAddress } from './core/address.js';
export { SecureWebSocketError } from './core/errors.js';
export type { ErrorCode } from './core/errors.js';
export { FileKeyStore } from './link/file-key-store.js';
export { MemoryKeyStore } from './link/memory-key-store.js';
export type { KeyStore } from './link/key-store.js';
export type { ReconnectAttempt } from './link/channel-port.js';
export type { Reconnect, ReconnectOptions } from './link/reconnect-policy.js';
export { Resumption } from './link/resumption.js';
export type { ResumptionOptions } from './link/resumption.js';
export { FirstUseTrustStore } from './link/trust.js';
export type { ServerKey, TrustStore } from './link/trust.js';
