import { encodeSpaceReport, type LeaveReason } from '../../core/space/space-frame.js';
import { ITEM_OVERHEAD, type SpaceHistory } from './space-history.js';
import type { SpaceMember } from './space-member.js';

/** What stands in front of a report: the type of the frame, and the number of the membership. */
export const REPORT_HEAD = 5;

/** What an item of the order says. */
export type ItemContent =
  | {
      readonly type: 'joined';
      readonly version: number;
      readonly rosterHash: Uint8Array;
      readonly member: SpaceMember;
    }
  | {
      readonly type: 'left';
      readonly version: number;
      readonly rosterHash: Uint8Array;
      readonly number: number;
      readonly reason: LeaveReason;
    }
  | {
      readonly type: 'message';
      /** Number of the sender, and the message's number in its own order. */
      readonly sender: number;
      readonly sequence: number;
      /** The one copy of it. */
      readonly message: Uint8Array;
      readonly wrapFor: (number: number) => Uint8Array | undefined;
      /** Bytes of memory that it keeps: the message and its wraps. */
      readonly bytes: number;
    };

/** One item of the order of a space. */
export class SpaceItem {
  readonly history: SpaceHistory;
  readonly offset: number;
  /** When it came, milliseconds of a clock that only goes forward. */
  readonly at: number;
  readonly content: ItemContent;
  /** Bytes that it is counted for. */
  readonly cost: number;
  /** Those that came before and after it, in any space: see `HistoryBudget`. */
  older: SpaceItem | undefined;
  newer: SpaceItem | undefined;

  constructor(history: SpaceHistory, at: number, content: ItemContent) {
    this.history = history;
    this.offset = history.last + 1;
    this.at = at;
    this.content = content;
    const bytes =
      content.type === 'message' ? content.bytes : content.type === 'joined' ? content.member.join.length : 0;
    this.cost = ITEM_OVERHEAD + bytes;
  }

  /** 0: it is no message. */
  get sender(): number {
    return this.content.type === 'message' ? this.content.sender : 0;
  }

  get sequence(): number {
    return this.content.type === 'message' ? this.content.sequence : 0;
  }

  /** Of JOINED and LEFT: the frame behind `REPORT_HEAD`, which is the same for all. Whoever joined is where it is now. */
  tail(): Uint8Array {
    const { content, offset } = this;
    switch (content.type) {
      case 'joined': {
        const { version, rosterHash, member } = content;
        const { entry } = member;
        return behindHead(encodeSpaceReport(0, { type: 'joined', offset, version, rosterHash, entry }));
      }
      case 'left': {
        const { version, rosterHash, number, reason } = content;
        return behindHead(
          encodeSpaceReport(0, { type: 'left', offset, version, rosterHash, number, reason }),
        );
      }
      case 'message':
        throw new Error('A message is not the same for all.');
    }
  }
}

/** What is the same for all of a report that was encoded for anybody. */
export function behindHead(frame: Uint8Array): Uint8Array {
  return frame.subarray(REPORT_HEAD);
}
