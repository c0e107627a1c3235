import { compareBytes, toHex } from '../../core/bytes.js';
import { MAX_VIEW_AGE } from '../../core/constants.js';
import { violation } from '../../core/errors.js';
import type { SpaceRefusal } from '../../core/space/space-frame.js';
import { HeldMessages, type UploadedMessage } from './held-messages.js';
import type { SpaceDelivery } from './space-delivery.js';
import type { SpaceMember } from './space-member.js';
import type { SpaceOrder } from './space-order.js';
import type { SpaceRoster } from './space-roster.js';
import type { SpaceShared } from './space-shared.js';

/** What an item MESSAGE has beside the space message, bytes: what comes before it, and a wrap. */
const ITEM_HEAD = 15;
const ITEM_WRAP = 48;
/** A message for which there is no room is welcome again in so long, milliseconds. */
const RETRY_AFTER = 1_000;

/** What one space consists of, as far as messages have to do with it. */
export interface SpaceParts {
  readonly name: string;
  /** 8 bytes. */
  readonly epoch: Uint8Array;
  readonly roster: SpaceRoster;
  readonly order: SpaceOrder;
  readonly delivery: SpaceDelivery;
}

/** What members of one space say: it is checked as far as a relay can, and put into the order. */
export class SpaceMessages {
  readonly #shared: SpaceShared;
  readonly #space: SpaceParts;
  readonly #held: HeldMessages;

  constructor(shared: SpaceShared, space: SpaceParts) {
    this.#shared = shared;
    this.#space = space;
    this.#held = new HeldMessages(shared.budget, shared.limits.historyBytes, shared.maxFrame);
  }

  /**
   * A member says something.
   * @throws SecureWebSocketError `PROTOCOL_VIOLATION` when it speaks in another one's name
   */
  say(upload: UploadedMessage): void {
    const { member, header, multicast, size } = upload;
    const { sequence } = header;
    if (toHex(header.sender) !== member.id) violation('speaks in the name of another member');
    const { maxFrame, limits, limited, now } = this.#shared;
    const longest = ITEM_HEAD + (multicast.wraps > 0 ? ITEM_WRAP : 0) + multicast.message.length;
    if (size > maxFrame || longest > maxFrame) {
      this.#refuse(upload, 'TOO_LARGE', `A frame has at most ${String(maxFrame)} bytes.`);
      limited('frame_size', member.client);
      return;
    }
    const { nextSequence = sequence } = member;
    if (sequence > nextSequence) {
      this.#refuse(upload, 'STALE_VIEW', 'A message before this one is missing.');
      return;
    }
    if (sequence < nextSequence) {
      // It comes again because its sender does not know that it is in the order; or it waits for that.
      if (sequence > member.lastSequence) return;
      const offset = this.#space.order.history.find(member.number, sequence) ?? 0;
      member.tell({ type: 'accepted', sequence, offset });
      return;
    }
    if (member.rate?.take(1, now()) === false) {
      const perSecond = limits.messagesPerSecond as number;
      const retryAfter = Math.ceil(1_000 / perSecond);
      this.#refuse(upload, 'RATE', `A member may send ${String(perSecond)} messages per second.`, retryAfter);
      limited('space_messages', member.client);
      return;
    }
    if (!this.#space.delivery.isHeld && this.#held.size === 0) {
      this.#place(upload);
    } else if (this.#held.add(upload)) {
      member.nextSequence = sequence + 1;
    } else {
      this.#refuse(upload, 'RATE', 'Others do not read as fast, and too much waits for them.', RETRY_AFTER);
      limited('space_window', member.client);
    }
  }

  /** Nobody is waited for any more, or somebody is again after some of what waits. */
  placeHeld(): void {
    while (!this.#space.delivery.isHeld) {
      const upload = this.#held.take();
      if (upload === undefined) return;
      this.#place(upload);
    }
  }

  /** Forgets what a member has said that is not in the order. */
  drop(member: SpaceMember): void {
    this.#held.drop(member);
  }

  clear(): void {
    this.#held.clear();
  }

  /** Puts a message into the order, if its sender has seen enough of that. */
  #place(upload: UploadedMessage): void {
    const { member, header, multicast, bytes, size } = upload;
    const { sequence, epoch, seen } = header;
    const { name: space, epoch: present, order, delivery, roster } = this.#space;
    const isInView = seen <= order.last && seen >= order.last - MAX_VIEW_AGE && seen >= member.joinedAt;
    if (!isInView || compareBytes(epoch, present) !== 0) {
      // What waits behind it comes again after it.
      this.#held.drop(member);
      member.nextSequence = sequence;
      this.#refuse(upload, 'STALE_VIEW', 'The sender has not seen what happened lately.');
      return;
    }
    // Others may be waiting behind it.
    member.nextSequence = Math.max(member.nextSequence ?? 0, sequence + 1);
    member.lastSequence = sequence;
    const { number: sender, publicKey, id: memberId } = member;
    const { message, wraps } = multicast;
    const now = this.#shared.now();
    const wrapFor = (number: number) => multicast.wrapFor(number);
    const item = order.append({ type: 'message', sender, sequence, message, wrapFor, bytes }, now);
    const recipients = delivery.send(item, roster.members, now);
    this.#shared.sent(recipients);
    this.#shared.observe?.({
      type: 'multicast',
      space,
      publicKey,
      memberId,
      size,
      message,
      wraps,
      recipients,
    });
  }

  #refuse(upload: UploadedMessage, reason: SpaceRefusal, message: string, retryAfter?: number): void {
    const { member, header } = upload;
    // None that is behind it is taken before.
    member.nextSequence ??= header.sequence;
    member.refuse(reason, message, header.sequence, retryAfter);
    if (member.refusal !== undefined) this.#space.delivery.ask(member, this.#shared.now());
  }
}
