import { REPAIR_TIME } from '../constants.js';
import type { Crypto } from '../crypto.js';
import { compact, MessageAssembler } from '../message-assembler.js';
import { decodeItems, decodeRecordHeader, type Item, Opcode } from '../record.js';
import type { SpacePlace } from './join-record.js';
import type { Packet } from './key-packet.js';
import type { PartialMessages, PartialOwner } from './partial-messages.js';
import { ReceivedKeys } from './received-keys.js';
import type { Member } from './space-members.js';
import type { SpaceMessage } from './space-message.js';
import { type WaitingBudget, type WaitingMessage, WaitingMessages } from './waiting-messages.js';

/** A key that has not come is not waited for any longer: the sender is asked for the message itself. */
const KEY_PATIENCE = 5_000;
/** It is asked again after this. */
const WANT_INTERVAL = 5_000;
/** And not more often than this, where it is not known whether anything is missing. */
const MAX_QUESTIONS = 24;
/** What does not come in this time, or cannot be read by then, never will be: the sender does not keep it for longer. */
const PATIENCE = REPAIR_TIME + 30_000;

/** Why messages are not delivered. */
export type LossReason =
  /** The sender does not keep them any more. */
  | 'repair'
  /** The sender saw another space than we do: the relay shows different things to different members, or the sender lies. */
  | 'view'
  /** No key came for them, or they are malformed. */
  | 'unreadable';

/** What one sender is told of. */
export interface IncomingSenderOwner {
  message(sender: Member, data: Uint8Array, isText: boolean): void;
  lost(sender: Member, count: number, reason: LossReason): void;
  ask(sender: Member, packet: Packet): void;
}

export interface IncomingSenderOptions {
  readonly crypto: Crypto;
  readonly place: SpacePlace;
  readonly maxPayload: number;
  readonly owner: IncomingSenderOwner;
  readonly budget: WaitingBudget;
  readonly partials: PartialMessages;
}

/** What comes of one member: its keys, and its messages, each once and in the order in which they were sent. */
export class IncomingSender implements PartialOwner {
  member: Member;
  readonly #options: IncomingSenderOptions;
  readonly #assembler: MessageAssembler;
  readonly #keys: ReceivedKeys;
  readonly #waiting: WaitingMessages;
  /** Sequence number of the next message; unknown until the first keys come. */
  #next: number | undefined;
  /** What it was when the member was here before: what came then does not come again. */
  readonly #least: number;
  /** The latest that the sender says it has sent. */
  #latest = 0;
  /** How often it is still to be asked whether there is more. */
  #questions = 0;
  /** It was asked for all up to here, and is asked again then. */
  #askedTo = 0;
  #askAgainAt = 0;
  /** Since when the next one is missing. */
  #missingSince: number | undefined;
  /** Whether a message has begun and not ended. */
  #isWithin = false;

  constructor(member: Member, options: IncomingSenderOptions, least = 1) {
    const { crypto, place, maxPayload, budget } = options;
    this.member = member;
    this.#options = options;
    this.#least = least;
    this.#assembler = new MessageAssembler(maxPayload);
    this.#keys = new ReceivedKeys(crypto, place);
    this.#waiting = new WaitingMessages(budget);
  }

  /** Sequence number of the next message, once anything was for us. */
  get next(): number | undefined {
    return this.#next;
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    const missing = this.#missing;
    if (!missing) return Infinity;
    const { to, since } = missing;
    const askAt = to > this.#askedTo ? since : Math.max(since, this.#askAgainAt);
    return Math.min(askAt, this.#giveUpAt(since));
  }

  /** The member has entered again, as itself. */
  renew(member: Member): void {
    this.member = member;
  }

  /** What the sender itself says. */
  packet(packet: Packet, now: number): void {
    if (packet.type === 'key') this.#takeKeys(packet);
    else if (packet.type === 'head') this.#takeHead(packet.sequence);
    else if (packet.type === 'missed') this.#takeMissed(packet.sequence, packet.plaintext, now);
    else if (packet.type === 'lost') this.#takeLost(packet.from, packet.to);
    this.#deliver(now);
  }

  /** A message, in the place that it has in the order. `agrees`: its sender has seen the same as we. */
  message(message: SpaceMessage, wrap: Uint8Array | undefined, agrees: boolean, now: number): void {
    const { sequence } = message.header;
    if (this.#next !== undefined && sequence < this.#next) return;
    const waiting = { message, wrap, plaintext: undefined, agrees, since: now };
    const isReadable = sequence === this.#next && this.#keys.decides(message);
    // What has no place is asked for when it is its turn.
    if (!this.#waiting.add(sequence, waiting, isReadable)) this.#questions = MAX_QUESTIONS;
    this.#deliver(now);
  }

  /** Something may have been missed, and nobody here knows what. It is asked for as soon as there are keys. */
  askForMore(now: number): void {
    this.#questions = MAX_QUESTIONS;
    this.#askedTo = 0;
    this.#ask(now);
  }

  timeout(now: number): void {
    if (now >= this.wakeAt) this.#ask(now);
  }

  /** The member is gone: what cannot be read now never will be. Keys are wiped. */
  end(): void {
    const missing = this.#next === undefined ? 0 : this.#latest + 1 - this.#next;
    const count = Math.max(missing, this.#waiting.size);
    if (count > 0) this.#options.owner.lost(this.member, count, 'unreadable');
    this.wipe();
  }

  wipe(): void {
    this.#keys.wipe();
    this.#waiting.clear();
    this.#forgetPartial();
    this.#questions = this.#latest = 0;
  }

  dropPartial(): void {
    this.#assembler.clear();
    this.#isWithin = false;
    this.#options.owner.lost(this.member, 1, 'unreadable');
  }

  // What the sender itself says

  #takeKeys(packet: Packet & { type: 'key' }): void {
    this.#keys.add(packet);
    if (this.#next !== undefined) return;
    this.#next = Math.max(packet.first, this.#least);
    this.#waiting.removeBefore(this.#next);
    this.#askedTo = 0;
  }

  #takeHead(sequence: number): void {
    this.#latest = Math.max(this.#latest, sequence);
    // What was said before we asked is no answer.
    if (this.#questions < MAX_QUESTIONS) this.#questions = 0;
    this.#askedTo = Math.min(this.#askedTo, sequence);
  }

  #takeMissed(sequence: number, plaintext: Uint8Array, now: number): void {
    if (this.#next !== undefined && sequence < this.#next) return;
    this.#waiting.remove(sequence);
    const waiting = { message: undefined, wrap: undefined, agrees: true, since: now };
    this.#waiting.add(sequence, { ...waiting, plaintext: plaintext.slice() }, sequence === this.#next);
  }

  /** The sender does not keep these any more. */
  #takeLost(from: number, to: number): void {
    const next = this.#next;
    if (next === undefined || from > next || to < next) return;
    // What came by the relay, and can be read, is not lost.
    let end = Math.min(to, Number.MAX_SAFE_INTEGER - 1) + 1;
    for (const sequence of this.#waiting.sequences) {
      if (sequence < end && this.#canOpen(sequence)) end = Math.max(next, sequence);
    }
    if (end > next) this.#skipTo(end, end - next, 'repair');
  }

  // What comes of it

  #deliver(now: number): void {
    while (this.#next !== undefined) {
      const sequence = this.#next;
      if (!this.#canOpen(sequence)) break;
      const waiting = this.#waiting.get(sequence) as WaitingMessage;
      const plaintext = this.#open(waiting);
      this.#waiting.remove(sequence);
      if (plaintext === undefined) {
        // Not what the sender has sent: that is still missing, if there is any such.
        this.#questions = MAX_QUESTIONS;
        break;
      }
      this.#next++;
      this.#missingSince = undefined;
      if (waiting.message) this.#keys.reached(waiting.message.header.generation);
      this.#read(waiting.agrees, sequence, plaintext);
    }
    this.#ask(now);
  }

  #read(agrees: boolean, sequence: number, plaintext: Uint8Array): void {
    const { owner } = this.#options;
    if (!agrees) {
      this.#forgetPartial();
      owner.lost(this.member, 1, 'view');
      return;
    }
    for (const item of itemsOf(plaintext, sequence) ?? [undefined]) {
      try {
        if (!item) throw new Error('no record of a space');
        this.#take(item);
      } catch {
        this.#forgetPartial();
        owner.lost(this.member, 1, 'unreadable');
      }
    }
  }

  /** @throws whatever the assembler throws */
  #take(item: Item): void {
    const { owner, partials } = this.#options;
    const continues = item.opcode === Opcode.CONTINUATION;
    // It was begun before our time, or its beginning is lost, which was told.
    if (continues && !this.#isWithin) return;
    if (!continues && this.#isWithin) {
      // The sender has given up what it had begun: nobody was there for a while.
      this.#forgetPartial();
      owner.lost(this.member, 1, 'unreadable');
    }
    const message = this.#assembler.add(item);
    this.#isWithin = !item.fin;
    partials.set(this, item.fin ? 0 : this.#assembler.length);
    if (message) owner.message(this.member, compact(message.data), message.isText);
  }

  #open({ message, wrap, plaintext }: WaitingMessage): Uint8Array | undefined {
    return plaintext ?? (message && this.#keys.open(this.member.join.boxKey, message, wrap));
  }

  /** Whether the message is there, and it can be told whether it is authentic. */
  #canOpen(sequence: number): boolean {
    const waiting = this.#waiting.get(sequence);
    if (!waiting) return false;
    return waiting.plaintext !== undefined || !waiting.message || this.#keys.decides(waiting.message);
  }

  #skipTo(sequence: number, count: number, reason: LossReason): void {
    this.#waiting.removeBefore(sequence);
    this.#next = sequence;
    this.#missingSince = undefined;
    this.#forgetPartial();
    this.#options.owner.lost(this.member, count, reason);
  }

  #forgetPartial(): void {
    this.#assembler.clear();
    this.#isWithin = false;
    this.#options.partials.set(this, 0);
  }

  // What is missing

  /** What the sender has to be asked for, first and last, and from when on. */
  get #missing(): { from: number; to: number; since: number } | undefined {
    const waiting = this.#waiting;
    const next = this.#next;
    const { first, since } = waiting;
    if (first !== undefined && since !== undefined && next === undefined) {
      return { from: first, to: Number.MAX_SAFE_INTEGER, since: since + KEY_PATIENCE };
    }
    if (next === undefined) return undefined;
    if (this.#questions > 0) return { from: next, to: Number.MAX_SAFE_INTEGER, since: -Infinity };
    const held = waiting.get(next);
    // Keys may be on their way.
    if (held) return { from: next, to: waiting.sequences.at(-1) ?? next, since: held.since + KEY_PATIENCE };
    const to = first === undefined ? this.#latest : first - 1;
    return to < next ? undefined : { from: next, to, since: -Infinity };
  }

  #ask(now: number): void {
    const missing = this.#missing;
    if (!missing) {
      this.#missingSince = undefined;
      return;
    }
    const { from, to, since } = missing;
    this.#missingSince ??= now;
    if (now >= this.#giveUpAt(since)) {
      this.#giveUp(now);
      return;
    }
    if (now < since || (to <= this.#askedTo && now < this.#askAgainAt)) return;
    this.#askedTo = to;
    this.#askAgainAt = now + WANT_INTERVAL;
    this.#questions = Math.max(0, this.#questions - 1);
    this.#options.owner.ask(this.member, { type: 'want', from, to });
  }

  /** `since`: as in `#missing`. */
  #giveUpAt(since: number): number {
    return Math.max(this.#missingSince ?? Infinity, since - KEY_PATIENCE) + PATIENCE;
  }

  /** Nobody has told of what is missing for long: it goes on without. Nothing is believed but what is authentic. */
  #giveUp(now: number): void {
    const { owner } = this.#options;
    const next = this.#next;
    this.#questions = this.#askedTo = 0;
    this.#missingSince = undefined;
    let unreadable = 0;
    for (const sequence of next === undefined ? [] : this.#waiting.sequences) {
      const waiting = this.#waiting.get(sequence) as WaitingMessage;
      const plaintext = this.#open(waiting);
      this.#waiting.remove(sequence);
      if (plaintext !== undefined) {
        this.#waiting.add(sequence, { ...waiting, plaintext }, true);
        break;
      }
      unreadable++;
    }
    const end = this.#waiting.first ?? this.#latest + 1;
    if (next !== undefined && end > next) {
      this.#skipTo(end, end - next, 'unreadable');
      this.#deliver(now);
      return;
    }
    unreadable += next === undefined ? this.#waiting.size : 0;
    if (next === undefined) this.#waiting.clear();
    if (unreadable > 0) owner.lost(this.member, unreadable, 'unreadable');
  }
}

/** The items of a record of a space; undefined when it is none, or another one. */
function itemsOf(plaintext: Uint8Array, sequence: number): Item[] | undefined {
  try {
    const items = decodeItems(plaintext);
    const isOfSpace = items.every(({ opcode }) => opcode <= Opcode.BINARY);
    return isOfSpace && decodeRecordHeader(plaintext).sequence === sequence ? items : undefined;
  } catch {
    return undefined;
  }
}
