import type { LeaveReason } from '../../core/space/space-frame.js';

interface ObservedMember {
  readonly space: string;
  /** 64 hex digits. */
  readonly publicKey: string;
  /** 32 hex digits. */
  readonly memberId: string;
}

/** What a relay sees of spaces. */
export type ObservedSpaceEvent =
  | (ObservedMember & {
      readonly type: 'entered';
      readonly number: number;
      /** How many there are with it. */
      readonly members: number;
      /** It has come back. */
      readonly resumed: boolean;
    })
  | (ObservedMember & {
      readonly type: 'left';
      readonly number: number;
      /** How many there are without it. */
      readonly members: number;
      readonly reason: LeaveReason;
    })
  | (ObservedMember & {
      readonly type: 'multicast';
      /** Bytes of the frame in which it came. */
      readonly size: number;
      /** The space message: header and ciphertext. Good only during the call, and not to be changed. */
      readonly message: Uint8Array;
      /** Wrapped keys that came with it. */
      readonly wraps: number;
      /** To how many it was handed at once. */
      readonly recipients: number;
    });
