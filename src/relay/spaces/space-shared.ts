import type { Crypto } from '../../core/crypto.js';
import type { LeaveReason } from '../../core/space/space-frame.js';
import type { ObservedSpaceEvent } from './observed-space.js';
import type { HistoryBudget } from './space-history.js';
import type { SpaceMember } from './space-member.js';
import type { SpaceClient } from './space-port.js';
import type { SpaceLimits } from './spaces-options.js';

/** Limits that a member runs into with what it says. */
export type SayLimit = 'space_messages' | 'space_window' | 'frame_size';

/** What the spaces of a relay have in common, and whom they tell. */
export interface SpaceShared {
  readonly crypto: Crypto;
  /** Public key of the relay, 32 bytes. */
  readonly relayKey: Uint8Array;
  readonly limits: SpaceLimits;
  /** Bytes. */
  readonly maxFrame: number;
  /** Bytes that may wait for one connection. */
  readonly maxQueueBytes: number;
  readonly budget: HistoryBudget;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  readonly observe: ((event: ObservedSpaceEvent) => void) | undefined;
  readonly limited: (limit: SayLimit, client: SpaceClient) => void;
  /** Whether the place of a member may be kept whose connection is lost. */
  readonly mayKeepPlace: (member: SpaceMember) => boolean;
  /** A member is in a space, or no longer. */
  readonly joined: (space: string, member: SpaceMember) => void;
  readonly left: (space: string, member: SpaceMember, reason: LeaveReason) => void;
  /** A member is away, or not any more. */
  readonly away: (member: SpaceMember, isAway: boolean) => void;
  /** A message is in the order, and was handed to so many at once. */
  readonly sent: (recipients: number) => void;
}
