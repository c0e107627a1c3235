import type { RelayClient } from './relay-connection.js';

/** Limits of a relay, as metrics, logs and the audit log name them. */
export const LIMITS = [
  'connections',
  'connections_per_ip',
  'connections_per_key',
  'accept_rate',
  'unregistered',
  'unregistered_per_ip',
  'registration_time',
  'frames',
  'bytes',
  'key_frames',
  'key_bytes',
  'handshakes',
  'frame_size',
  'queue',
  'peers',
  'spaces',
  'spaces_per_client',
  'space_members',
  'space_enters',
  'space_messages',
  'space_window',
] as const;
export type LimitName = (typeof LIMITS)[number];

/** Why an envelope was not forwarded. */
export const DROP_REASONS = [
  'not_here',
  'queue_full',
  'refused',
  'too_large',
  'not_allowed',
  'handshakes_limited',
  'too_many_peers',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** What is read again while a relay runs. */
export type Reloadable = 'certificate' | 'allow' | 'deny' | 'jwt' | 'reach';

/** A client that was turned away before it was registered. */
export interface RelayRefusal {
  readonly remoteAddress: string | undefined;
  /** The key, where it was proven. */
  readonly publicKey?: string | undefined;
  /** An error code of registration, `TOO_MANY_CONNECTIONS`, or `LINK_LOST` when the client went away by itself. */
  readonly code: string;
  readonly message: string;
}

/** A member of a space who has come, or gone. */
export interface RelaySpaceEvent {
  readonly space: string;
  /** 64 hex digits. */
  readonly publicKey: string;
  /** Of the connection that it has, or had. */
  readonly connectionId: number;
  readonly userId: string | undefined;
  readonly deviceId: string | undefined;
  /** 32 hex digits: one for each entry of a client. */
  readonly memberId: string;
}

/** Why a member has left a space: by itself, its connection was lost for too long, or the operator has put it out. */
export type RelaySpaceEnd = 'left' | 'gone' | 'removed';

/** A client that was not let into a space. */
export interface RelaySpaceRefusal {
  readonly space: string;
  readonly publicKey: string;
  readonly remoteAddress: string | undefined;
  /** `SPACE_NOT_ALLOWED`, `SPACE_FULL`, `TOO_MANY_SPACES`, `JOIN_INVALID` or `UNAVAILABLE`. */
  readonly code: string;
  readonly message: string;
}

/** What somebody ran into. */
export interface RelayLimited {
  readonly limit: LimitName;
  readonly publicKey?: string | undefined;
  readonly remoteAddress?: string | undefined;
}

/** In this order, once each. `draining` may be left out. */
export type RelayState = 'listening' | 'draining' | 'closed';

/** Somebody who is told what happens in a relay, when it happens. Called in the hot path of nothing. Must not throw. */
export interface RelayObserver {
  /** `seconds`: how long registration took, from the upgrade on. */
  registered?(client: RelayClient, seconds: number): void;
  /** `code`: the status of RFC 6455 that the connection ended with. `seconds`: how long it was registered. */
  disconnected?(client: RelayClient, code: number, seconds: number): void;
  refused?(refusal: RelayRefusal): void;
  /** A limit was hit. Told at most once per connection and limit, where it could be hit again and again. */
  limited?(limited: RelayLimited): void;
  /**
   * Whoever decides on admission or reach was asked: how long that took, and what came of it; with `unavailable`, why.
   */
  asked?(
    about: 'admission' | 'reach' | 'space',
    seconds: number,
    outcome: 'yes' | 'no' | 'unavailable',
    error?: Error,
  ): void;
  /** Something was read again; with an error what was there before is still in use. */
  reloaded?(what: Reloadable, error?: Error): void;
  /** Somebody has become a member of a space. Not told when it only comes back to its place. */
  spaceEntered?(entered: RelaySpaceEvent): void;
  spaceLeft?(left: RelaySpaceEvent, reason: RelaySpaceEnd): void;
  /** Somebody has asked to be let into a space in vain. Not told of those that ask too often. */
  spaceRefused?(refusal: RelaySpaceRefusal): void;
  /** What an operator did: `disconnect`, `reload`, `drain`, `remove_from_space`. */
  administered?(action: string, detail: Readonly<Record<string, string | number>>): void;
  state?(state: RelayState): void;
}

/** What a relay can say of itself at any moment. Sums are since it began to listen. */
export interface RelaySnapshot {
  readonly state: 'starting' | RelayState;
  readonly publicKey: string;
  /** Seconds since 1970. */
  readonly startedAt: number;
  /** Registered connections, and those that are not yet. */
  readonly connections: number;
  readonly unregistered: number;
  readonly listeningKeys: number;
  /** Envelopes forwarded, and their bytes. */
  readonly envelopes: number;
  readonly bytes: number;
  readonly drops: Readonly<Record<DropReason, number>>;
  /** Bytes that wait in the relay's queues, overhead included, and the most that may. */
  readonly queuedBytes: number;
  readonly maxTotalQueueBytes: number;
  readonly maxConnections: number;
  /** Spaces, their members, and how many of these are away. */
  readonly spaces: number;
  readonly spaceMembers: number;
  readonly spaceMembersAway: number;
  /** Messages that were said in spaces, and how often one was handed to a member who was there. */
  readonly spaceMessages: number;
  readonly spaceDeliveries: number;
  /** Bytes that are kept of spaces for those who were away, and the most that may be. */
  readonly spaceHistoryBytes: number;
  readonly maxTotalHistoryBytes: number;
  /** Events of the relay's service that were handed to connections, those that found no room or no client, and the bytes that wait. */
  readonly serverEvents: number;
  readonly serverEventDrops: number;
  readonly serverEventBytes: number;
  /** Keys that clients watch for whether they are present, each as often as it is. */
  readonly watchedKeys: number;
  /** Connections whose traffic is being held back at the moment. */
  readonly throttled: number;
  /** When the certificate expires, seconds since 1970, if there is one. */
  readonly certificateExpiresAt: number | undefined;
}
