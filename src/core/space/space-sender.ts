import { SENDER_KEY_MEMBERS, SENDER_KEY_RATE, SENDER_KEY_RATE_TIME } from '../constants.js';
import { writeUint32 } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import type { SpacePlace } from './join-record.js';
import type { Packet } from './key-packet.js';
import { RepairAllowance } from './repair-allowance.js';
import { RetainedMessages } from './retained-messages.js';
import { SendingGeneration } from './sending-generation.js';
import { SentWindow, type Unaccepted } from './sent-window.js';
import { messageDigest } from './space-log.js';
import type { SpaceMembers } from './space-members.js';
import { BODY_OFFSET, MESSAGE_SIGNATURE_LENGTH, type MessageHeader, MessageKind } from './space-message.js';
import { type SentMessage, SpaceOutbox } from './space-outbox.js';

/** What a space message adds to its plaintext: header, length, tag and signature. */
const MESSAGE_OVERHEAD = BODY_OFFSET + 16 + MESSAGE_SIGNATURE_LENGTH;
/** What a frame has before and behind the message, wraps not counted, on its way up or down: whichever is more. */
const FRAME_OVERHEAD = 64;
/** A wrap and whom it is for. */
const WRAP_LENGTH = 52;
/** How far back from what was sent last it is looked for what somebody misses: there is nothing further back. */
const MAX_REPAIR_RANGE = 512;

/** The point of the order at which a message is sealed. */
export type View = Pick<MessageHeader, 'epoch' | 'seen' | 'viewHash'>;

export interface SpaceSenderOptions {
  readonly crypto: Crypto;
  readonly place: SpacePlace;
  readonly senderKey: Uint8Array;
  readonly memberId: Uint8Array;
  readonly members: SpaceMembers;
  readonly senderKeyMembers?: number | undefined;
  readonly senderKeyRate?: number | undefined;
  /** Members who may come back, and read what is sent meanwhile then. Another array after each change. */
  readonly absent: () => readonly string[];
  /** A member has to be given this. */
  readonly give: (member: string, packet: Packet) => void;
  /** Payload bytes were handed on. */
  readonly sent: (bytes: number) => void;
}

/** What this end sends to its space. */
export class SpaceSender {
  readonly #options: SpaceSenderOptions;
  readonly #outbox = new SpaceOutbox();
  readonly #window = new SentWindow();
  readonly #retained = new RetainedMessages();
  readonly #allowance = new RepairAllowance();
  #generation: SendingGeneration | undefined;
  #generations = 0;
  #sequence = 0;
  /** Where what we say begins for each of the others, and whether it was told. */
  readonly #starts = new Map<string, { readonly first: number; isTold: boolean }>();
  /** When the latest messages were sent, as far as they tell whether we are busy. */
  #times: number[] = [];
  #readers:
    { generation: SendingGeneration; absent: readonly string[]; ids: ReadonlySet<string> } | undefined;
  /** Something is sealed again, for which the keys that it was sealed with must not serve. */
  #renew = false;
  /** Somebody has to be given keys although there is nothing to send. */
  #owesKeys = false;

  constructor(options: SpaceSenderOptions) {
    this.#options = options;
  }

  get bufferedAmount(): number {
    return this.#outbox.bytes;
  }

  /** Whether everything that was given to `send` is in the order. */
  get isIdle(): boolean {
    return this.#outbox.isEmpty && this.#window.size === 0;
  }

  /** The latest sequence number that was used. */
  get sequence(): number {
    return this.#sequence;
  }

  /** What is not in the order, in the order in which it was given. */
  get unsent(): SentMessage[] {
    return [...[...this.#window].flatMap(each => each.ended), ...this.#outbox.messages];
  }

  /** When `timeout` wants to be called, or Infinity. `maySend`: whether anything can be sent. */
  wakeAt(maySend: boolean): number {
    return maySend ? Math.min(this.#retained.wakeAt, this.#window.wakeAt) : this.#retained.wakeAt;
  }

  /** Whether `write` would have something to do. */
  canWrite(now: number): boolean {
    for (const { todo, at } of this.#window) if (todo !== 'wait') return now >= at;
    return this.#owesKeys || (!this.#outbox.isEmpty && this.#window.hasRoom);
  }

  send(data: Uint8Array, isText: boolean): void {
    this.#outbox.add(data, isText);
  }

  /**
   * Seals what may be sent now, up to about `budget` bytes.
   * @throws SecureWebSocketError `ROSTER_MISMATCH`, `FRAME_TOO_LARGE`
   */
  write(membership: number, view: View, maxFrame: number, budget: number, now: number): Uint8Array[] {
    const frames: Uint8Array[] = [];
    const { members, absent, sent } = this.#options;
    for (const each of this.#window) {
      if (each.todo === 'wait') continue;
      // Messages enter the order one after the other: what is behind this one waits, too.
      if (now < each.at || budget <= 0) return frames;
      if (each.todo === 'anew') {
        const generation = this.#seal(each, membership, view, maxFrame, now);
        this.#retained.setReaders(each.sequence, this.#readerIds(generation));
      } else {
        writeUint32(each.frame, 1, membership);
      }
      this.#window.repeated(each, now);
      budget -= each.frame.length;
      // The connection may change what it is given.
      frames.push(each.frame.slice());
    }
    while (budget > 0 && !this.#outbox.isEmpty && this.#window.hasRoom) {
      const readers = members.readers;
      // Nobody is there, or nobody would believe us.
      if (!members.isAdmitted || (readers.length === 0 && absent().length === 0)) {
        sent(this.#outbox.drop());
        break;
      }
      const isWrapped = this.#kindFor(readers.length, 0, maxFrame, now) === MessageKind.WRAPPED;
      const wraps = isWrapped ? readers.length * WRAP_LENGTH : 0;
      const sequence = ++this.#sequence;
      const capacity = maxFrame - MESSAGE_OVERHEAD - 2 * FRAME_OVERHEAD - wraps;
      const { record, bytes, ended } = this.#outbox.take(capacity, sequence);
      const state = { todo: 'wait', at: now, refusals: 0, isRepeated: false } as const;
      const each: Unaccepted = {
        sequence,
        plaintext: record,
        ended,
        frame: record,
        digest: record,
        ...state,
      };
      const generation = this.#seal(each, membership, view, maxFrame, now);
      this.#window.add(each);
      this.#retained.add(sequence, record, this.#readerIds(generation), now);
      for (const id of absent()) this.#begins(id, sequence, false);
      this.#times.push(now);
      if (this.#times.length > this.#busyAt + 1) this.#times.shift();
      budget -= each.frame.length;
      frames.push(each.frame.slice());
      sent(bytes);
    }
    if (this.#owesKeys && members.readers.length > 0)
      this.#generationFor(this.#sequence + 1, 0, maxFrame, now);
    this.#owesKeys = false;
    return frames;
  }

  /** The relay has put a message into the order. Gives its digest; undefined when it waits for none such. */
  accepted(sequence: number): Uint8Array | undefined {
    return this.#window.accepted(sequence)?.digest;
  }

  /**
   * The relay has put a message into the order in a place that we have passed. False: it cannot have, as the message, or
   * one before it, was sent once only, and is not there.
   */
  settled(sequence: number): boolean {
    return this.#window.settled(sequence);
  }

  /** Digest of a message that waits to be accepted. */
  digestOf(sequence: number): Uint8Array | undefined {
    return this.#window.get(sequence)?.digest;
  }

  /** The relay has not: it has to be sent again, at `at`. `isStale`: sealed again. */
  refused(sequence: number, isStale: boolean, at: number, now: number): void {
    if (this.#window.refused(sequence, isStale, at, now)) this.#renew = true;
  }

  /** What the relay has not told of has to be told again: there is another link. `anew`: and another order. */
  repeat(anew: boolean): void {
    if (anew && this.#window.size > 0) this.#renew = true;
    this.#window.repeat(anew);
  }

  /** Others are in the space than those for whom the keys are: the next message is sealed with new ones. */
  rosterChanged(): void {
    this.#generation?.wipe();
    this.#generation = undefined;
  }

  /** A member has come back after the relay has started anew: what it misses was in an order that is no more. */
  returned(member: string): void {
    if (this.#retained.isEmpty || !this.#options.members.isAdmitted) return;
    this.#giveHead(member);
    // It can make nothing of that before it knows where we begin.
    if (this.#starts.get(member)?.isTold === false) this.#owesKeys = true;
  }

  /** What a member was given may not have reached it. */
  giveAgain(member: string): void {
    this.#giveKeys(member);
    if (!this.#retained.isEmpty) this.#giveHead(member);
  }

  /** A member is gone. */
  departed(member: string): void {
    this.#starts.delete(member);
    this.#allowance.forget(member);
  }

  /** A member misses these, or has no keys. */
  wanted(member: string, from: number, to: number, now: number): void {
    const { give } = this.#options;
    if (!this.#allowance.takeQuestion(member, now)) return;
    // In the beginning, as nothing can be read without.
    if (this.#allowance.takeKeys(member, now) && !this.#giveKeys(member)) this.#owesKeys = true;
    const last = Math.min(to, this.#sequence);
    let lostFrom = from;
    for (let sequence = Math.max(from, this.#sequence - MAX_REPAIR_RANGE); sequence <= last; sequence++) {
      const plaintext = this.#retained.take(sequence, member, now);
      if (!plaintext) continue;
      if (lostFrom < sequence) give(member, { type: 'lost', from: lostFrom, to: sequence - 1 });
      if (plaintext !== 'later') give(member, { type: 'missed', sequence, plaintext });
      lostFrom = sequence + 1;
    }
    if (lostFrom <= last) give(member, { type: 'lost', from: lostFrom, to: last });
    if (to > last) this.#giveHead(member);
  }

  timeout(now: number, maySend: boolean): void {
    this.#retained.expire(now);
    if (maySend) this.#window.timeout(now);
  }

  wipe(): void {
    this.rosterChanged();
    this.#retained.clear();
    this.#starts.clear();
  }

  /** What is under way may get into the order where this member does not see it. */
  #giveHead(member: string): void {
    this.#options.give(member, { type: 'head', sequence: this.#sequence });
  }

  /** False: there are none for it. */
  #giveKeys(member: string): boolean {
    const start = this.#starts.get(member);
    const packet = start && this.#generation?.packetFor(member, start.first);
    if (packet) this.#options.give(member, packet);
    return packet !== undefined;
  }

  #begins(member: string, first: number, isTold: boolean): number {
    let start = this.#starts.get(member);
    if (!start) this.#starts.set(member, (start = { first, isTold }));
    start.isTold ||= isTold;
    return start.first;
  }

  #seal(each: Unaccepted, membership: number, view: View, maxFrame: number, now: number): SendingGeneration {
    const { crypto, memberId: sender } = this.#options;
    const { sequence, plaintext } = each;
    const generation = this.#generationFor(sequence, plaintext.length, maxFrame, now);
    const { frame, message } = generation.seal(membership, { ...view, sender, sequence }, plaintext);
    if (frame.length + FRAME_OVERHEAD > maxFrame) {
      throw new SecureWebSocketError(
        'FRAME_TOO_LARGE',
        'What was sent before does not fit through the new link: its frames are smaller than those of the link before.',
      );
    }
    each.frame = frame;
    each.digest = messageDigest(crypto, message);
    return generation;
  }

  /** `length`: bytes of what is to be sealed. */
  #generationFor(sequence: number, length: number, maxFrame: number, now: number): SendingGeneration {
    const { crypto, place, senderKey, members, give } = this.#options;
    const current = this.#generation;
    const readers = members.readers;
    const kind = this.#kindFor(readers.length, length, maxFrame, now);
    const serves =
      !this.#renew &&
      current?.version === members.version &&
      current.serves(sequence, now) &&
      // Once it was busy, it may go on so until there are new keys anyway.
      (current.kind === kind || current.kind === MessageKind.SENDER_KEY) &&
      current.readers.length === readers.length;
    if (current && serves) return current;
    members.check();
    current?.wipe();
    this.#renew = false;
    const generation = new SendingGeneration({
      crypto,
      place,
      senderKey,
      number: ++this.#generations,
      kind,
      version: members.version,
      readers,
      first: sequence,
      createdAt: now,
    });
    this.#generation = generation;
    for (const { id } of readers) {
      const packet = generation.packetFor(id, this.#begins(id, sequence, true));
      if (packet) give(id, packet);
    }
    return generation;
  }

  /** Those who may read what is sent now, those who are absent included. One set for as long as they are the same. */
  #readerIds(generation: SendingGeneration): ReadonlySet<string> {
    const absent = this.#options.absent();
    if (absent.length === 0) return generation.readerIds;
    const known = this.#readers;
    if (known?.generation === generation && known.absent === absent) return known.ids;
    const ids = new Set([...generation.readerIds, ...absent]);
    this.#readers = { generation, absent, ids };
    return ids;
  }

  #kindFor(readers: number, length: number, maxFrame: number, now: number): MessageKind {
    const wraps = readers * WRAP_LENGTH;
    const isLarge =
      readers + 1 >= (this.#options.senderKeyMembers ?? SENDER_KEY_MEMBERS) ||
      wraps > maxFrame / 4 ||
      // What is sealed again may be for more readers than it was cut for.
      length + MESSAGE_OVERHEAD + 2 * FRAME_OVERHEAD + wraps > maxFrame;
    return isLarge || this.#messagesLately(now) > this.#busyAt ? MessageKind.SENDER_KEY : MessageKind.WRAPPED;
  }

  /** More messages than this in `SENDER_KEY_RATE_TIME` are many. */
  get #busyAt(): number {
    return ((this.#options.senderKeyRate ?? SENDER_KEY_RATE) * SENDER_KEY_RATE_TIME) / 1_000;
  }

  #messagesLately(now: number): number {
    const first = this.#times.findIndex(time => time > now - SENDER_KEY_RATE_TIME);
    if (first < 0) this.#times = [];
    else if (first > 0) this.#times.splice(0, first);
    return this.#times.length;
  }
}
