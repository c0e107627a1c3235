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
    about: 'admission' | 'reach',
    seconds: number,
    outcome: 'yes' | 'no' | 'unavailable',
    error?: Error,
  ): void;
  /** Something was read again; with an error what was there before is still in use. */
  reloaded?(what: Reloadable, error?: Error): void;
  /** What an operator did: `disconnect`, `reload`, `drain`. */
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
  /** Connections whose traffic is being held back at the moment. */
  readonly throttled: number;
  /** When the certificate expires, seconds since 1970, if there is one. */
  readonly certificateExpiresAt: number | undefined;
}
