import { REPAIR_TIME } from '../constants.js';
import type { Crypto } from '../crypto.js';
import { IncomingSender, type IncomingSenderOwner } from './incoming-sender.js';
import type { SpacePlace } from './join-record.js';
import type { Packet } from './key-packet.js';
import { PartialMessages } from './partial-messages.js';
import type { Member } from './space-members.js';
import type { SpaceMessage } from './space-message.js';
import { WaitingBudget } from './waiting-messages.js';

/** So long it is known how far somebody had come who is gone: for longer than anybody keeps what was sent. */
const TRACE_TIME = REPAIR_TIME + 60_000;
const MAX_TRACES = 4_096;

export interface IncomingSendersOptions {
  readonly crypto: Crypto;
  readonly place: SpacePlace;
  readonly maxPayload: number;
  readonly owner: IncomingSenderOwner;
}

/** What comes of all other members. */
export class IncomingSenders {
  readonly #options: IncomingSendersOptions;
  readonly #senders = new Map<string, IncomingSender>();
  readonly #budget = new WaitingBudget();
  readonly #partials: PartialMessages;
  /** How far those had come who are gone. Whoever comes back as itself is not heard twice. */
  readonly #traces = new Map<string, { readonly next: number; readonly until: number }>();

  constructor(options: IncomingSendersOptions) {
    this.#options = options;
    this.#partials = new PartialMessages(options.maxPayload);
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    let at = Infinity;
    for (const { until } of this.#traces.values()) {
      at = until;
      break;
    }
    for (const sender of this.#senders.values()) at = Math.min(at, sender.wakeAt);
    return at;
  }

  /** What a member says through its channel. */
  packet(member: Member, packet: Packet, now: number): void {
    this.#of(member).packet(packet, now);
  }

  /** What a member says to all. */
  message(
    member: Member,
    message: SpaceMessage,
    wrap: Uint8Array | undefined,
    agrees: boolean,
    now: number,
  ): void {
    this.#of(member).message(message, wrap, agrees, now);
  }

  /** A member has entered again, as itself. */
  renew(member: Member): void {
    this.#senders.get(member.id)?.renew(member);
  }

  /** Something of a member may have been missed. */
  askForMore(member: Member, now: number): void {
    this.#of(member).askForMore(now);
  }

  timeout(now: number): void {
    for (const sender of this.#senders.values()) sender.timeout(now);
    for (const [name, { until }] of this.#traces) {
      if (now < until) break;
      this.#traces.delete(name);
    }
  }

  /** A member is gone. */
  departed(member: Member, now: number): void {
    const sender = this.#senders.get(member.id);
    if (!sender) return;
    this.#senders.delete(member.id);
    const { next } = sender;
    sender.end();
    if (next === undefined) return;
    this.#traces.delete(nameOf(member));
    this.#traces.set(nameOf(member), { next, until: now + TRACE_TIME });
    for (const oldest of this.#traces.keys()) {
      if (this.#traces.size <= MAX_TRACES) break;
      this.#traces.delete(oldest);
    }
  }

  /** All keys are wiped. */
  wipe(): void {
    for (const sender of this.#senders.values()) sender.wipe();
    this.#senders.clear();
    this.#traces.clear();
  }

  #of(member: Member): IncomingSender {
    let sender = this.#senders.get(member.id);
    if (sender) return sender;
    const least = this.#traces.get(nameOf(member))?.next;
    const [budget, partials] = [this.#budget, this.#partials];
    sender = new IncomingSender(member, { ...this.#options, budget, partials }, least);
    this.#senders.set(member.id, sender);
    return sender;
  }
}

/** Nobody else is taken for a member that was here: an id can be copied, a key cannot. */
function nameOf({ id, publicKey }: Member): string {
  return `${id} ${publicKey}`;
}
