import type { SecureWebSocketError } from '../errors.js';
import type { LossReason } from './incoming-sender.js';
import type { LeaveReason } from './space-frame.js';
import type { MemberInformation } from './space-members.js';
import type { PairOutput } from './space-pairs.js';

/** What a membership tells its owner. */
export type MembershipEvent =
  /** The relay has let us in; again after each time that the link was lost. `resumed`: nothing was missed. */
  | { readonly type: 'entered'; readonly resumed: boolean }
  | {
      readonly type: 'message';
      readonly data: Uint8Array;
      readonly isText: boolean;
      /** Public key of the sender, hex. */
      readonly from: string;
      /** Its member id, hex. */
      readonly member: string;
    }
  | { readonly type: 'joined' | 'moved'; readonly member: MemberInformation }
  | { readonly type: 'left'; readonly member: MemberInformation; readonly reason: LeaveReason }
  /** The keys of a member who is gone were wiped. */
  | { readonly type: 'wiped'; readonly member: MemberInformation; readonly reason: LeaveReason | 'absent' }
  | {
      readonly type: 'lost';
      readonly member: MemberInformation;
      readonly count: number;
      readonly reason: LossReason;
    }
  /** So many payload bytes were handed on. */
  | { readonly type: 'sent'; readonly bytes: number }
  /** What `who` has asked for has come. */
  | { readonly type: 'present' }
  /** The relay does not let us in, or has put us out. `retry`: it may, later. */
  | { readonly type: 'refused'; readonly error: SecureWebSocketError; readonly retry: boolean }
  | { readonly type: 'failed'; readonly error: SecureWebSocketError }
  /** We have left. */
  | { readonly type: 'closed' };

/** What one member is to be told, or, without packets, that a channel to it is wanted. */
export interface PeerOutput extends PairOutput {
  /** Where it is: 36 bytes. */
  readonly address: Uint8Array;
  /** What to open there. */
  readonly target: string;
}
