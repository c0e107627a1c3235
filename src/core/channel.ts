import type { ChannelEnding, ChannelEvent, ChannelOptions, ChannelState } from './channel-event.js';
import { ChannelRefusal } from './channel-refusal.js';
import {
  ABNORMAL,
  type CloseStatus,
  decodeClose,
  encodeClose,
  isSuspension,
  isUnknownChannel,
  resetError,
} from './close-status.js';
import { DEAD_AFTER, RESUME_PATIENCE } from './constants.js';
import type { SecureWebSocketError } from './errors.js';
import { violation } from './errors.js';
import { Inbox } from './inbox.js';
import type { Lineage } from './lineage.js';
import { decodeOpenAccept, decodeOpenRefuse, type OpenParameters } from './open-parameters.js';
import { Opening } from './opening.js';
import { Outbox } from './outbox.js';
import {
  encodeAcknowledgement,
  encodeSingleItem,
  type Item,
  itemLength,
  ItemReader,
  Opcode,
  RECORD_HEADER_LENGTH,
  type RecordHeader,
  RecordWriter,
  updateHeader,
} from './record.js';
import { Reliability } from './reliability.js';
import type { Message } from './sent-records.js';
import type { Session } from './session.js';
import type { TransportKeys } from './transport-keys.js';

export type { ChannelEnding, ChannelEvent, ChannelOptions, ChannelState };

/**
 * One channel: whole messages, once and in order, with one peer, under flow control. Sans I/O: `receive` takes a record,
 * `writeRecord` gives the next one. Keys are no part of it: what carries it may change under it.
 */
export class Channel {
  /** May change when it is resumed. */
  id: number;
  readonly opener: boolean;
  /** The session that carries it, while there is one. */
  session: Session | undefined;
  /** Public key of the peer, once it is known. */
  peerKey: Uint8Array | undefined;
  /** 36-byte address at which the peer was last known to have the channel. */
  home: Uint8Array | undefined;
  /** What the owner of the channel knows it by. */
  owner: unknown;
  /** Where events go. */
  emit: (event: ChannelEvent) => void;
  #state: ChannelState;
  #protocol = '';

  readonly #options: ChannelOptions;
  readonly #opening: Opening;
  readonly #reliability = new Reliability();
  readonly #outbox = new Outbox();
  readonly #inbox: Inbox;

  /** 'ask': RESUME has to be sent; 'asked': it was; 'answer': it has to be answered. */
  #resuming: 'ask' | 'asked' | 'answer' | undefined;

  /** Whether the silence of the peer counted when time passed last. */
  #isWatched = true;
  #failed = false;
  #abandoned: 'session' | 'channel' | undefined;
  #disowned: SecureWebSocketError | undefined;

  // Sending.
  #openItem: { opcode: Opcode; payload: Uint8Array } | undefined;
  #pong: Uint8Array | undefined;
  #closeToSend: Uint8Array | undefined;
  /** Number of the record that holds our CLOSE. */
  #closeNumber: number | undefined;

  #closeReceived: CloseStatus | undefined;
  /** How it ended, while what arrived before has still to be read. */
  #ending: ChannelEnding | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.id = options.id;
    this.opener = options.opener;
    this.emit = options.emit;
    this.#opening = new Opening(options.crypto);
    this.#inbox = new Inbox(options.maxPayload, (data, isText) => {
      this.emit({ type: 'message', channel: this, data, isText });
    });
    this.#state = options.opener ? 'opening' : 'incoming';
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Whole messages larger than this end the channel, bytes. */
  set maxPayload(bytes: number) {
    this.#inbox.maxPayload = bytes;
  }

  /** The subprotocol agreed, or ''. */
  get protocol(): string {
    return this.#protocol;
  }

  /** Payload bytes of messages that were given to `send` and are in no record yet. */
  get bufferedAmount(): number {
    return this.#outbox.bytes;
  }

  /** Bytes that it keeps: what waits, what was not acknowledged, and what was not read. */
  get bytesKept(): number {
    return this.#outbox.bytesKept + this.#reliability.sent.bytesKept + this.#inbox.bytes;
  }

  /** Handshake hash of the session in which it was opened: the same at both ends, however often keys change. */
  get handshakeHash(): Uint8Array | undefined {
    return this.#opening.lineage?.handshakeHash;
  }

  /** What names it to the peer in a session to come, once that is agreed. */
  get lineage(): Lineage | undefined {
    return this.#opening.lineage;
  }

  /** Milliseconds that it is kept while its opener is out of reach; 0 when it ends with what carries it. */
  get resumeWindow(): number {
    return this.#opening.resumeWindow;
  }

  /** Whether it can wait until its peer is in reach again. */
  get isResumable(): boolean {
    return this.#opening.resumeWindow > 0 && (this.#state === 'open' || this.#state === 'closing');
  }

  /** Whether both ends know that they have the channel, and where they stand. */
  get isSettled(): boolean {
    return this.#state !== 'opening' && this.#state !== 'incoming' && !this.isResuming;
  }

  /** Whether RESUME was not answered yet. */
  get isResuming(): boolean {
    return this.#resuming === 'ask' || this.#resuming === 'asked';
  }

  /** What the peer no longer knows, or has given up: the session that carries the channel, or what it is called there. */
  get abandoned(): 'session' | 'channel' | undefined {
    return this.#abandoned;
  }

  /** Whether both ends have said CLOSE and heard it. */
  get endedWell(): boolean {
    return this.#state === 'closed' && this.#closeReceived !== undefined && !this.#failed;
  }

  /** Whether the peer owes an answer for so long that one may wonder whether anything arrives. */
  get isDoubtful(): boolean {
    return this.#beats && this.#reliability.isDoubtful;
  }

  /** Why the peer does not go on with it, which does not know it. */
  get disowned(): SecureWebSocketError | undefined {
    return this.#disowned;
  }

  /** The status and reason that the peer closed with, once it has. */
  get closeReceived(): CloseStatus | undefined {
    return this.#closeReceived;
  }

  /** Whether CLOSE has been written: nothing but credit may follow it. */
  get closeSent(): boolean {
    return this.#closeNumber !== undefined;
  }

  /** True when the closing handshake is done, and only what arrived before it has still to be read. */
  get waitsForReader(): boolean {
    return this.#closeIsDone && !this.#inbox.isEmpty;
  }

  /** Number of the oldest record of ours that the peer has not acknowledged: a measure of progress. */
  get acknowledged(): number {
    return this.#reliability.sent.first;
  }

  /** The sequence numbers of the next record out and in. */
  get position(): { sequence: number; expected: number } {
    return { sequence: this.#reliability.sent.end, expected: this.#reliability.expected };
  }

  /** Length of the longest record that may have to be sent again. */
  get longestRecord(): number {
    return this.#reliability.sent.longest;
  }

  /** When `timeout` wants to be called, milliseconds. */
  get wakeAt(): number {
    if (this.#state === 'closed' || !this.session) return Infinity;
    const heartbeatAt =
      this.#beats && this.#isWatched ? this.#reliability.heartbeatAt(this.session.lastContact) : Infinity;
    return Math.min(this.#reliability.wakeAt, heartbeatAt);
  }

  /** Whether `writeRecord` has something to write. */
  get hasRecord(): boolean {
    if (this.#state === 'closed') return false;
    if (this.#resuming !== undefined) return this.#resuming !== 'asked';
    const { hasReport, mustAcknowledge, sent } = this.#reliability;
    return hasReport || mustAcknowledge || sent.mustRewrite || this.#hasNews;
  }

  // What the owner asks for

  /** Asks the peer to open the channel. */
  open(parameters: Omit<OpenParameters, 'window'>): void {
    this.#openItem = { opcode: Opcode.OPEN, payload: this.#opening.ask(parameters) };
  }

  /** Takes what came with the peer's OPEN. */
  offered(open: OpenParameters, lineage: Lineage): void {
    this.#opening.offered(open, lineage);
    this.#outbox.offered(open.window);
  }

  /** `resumeWindow`: milliseconds that this end will keep it while the opener, if it wants that, is out of reach. */
  accept(protocol: string, resumeWindow = 0): void {
    if (this.#state !== 'incoming') return;
    this.#openItem = { opcode: Opcode.OPEN_ACCEPT, payload: this.#opening.accept(protocol, resumeWindow) };
    this.#protocol = protocol;
    this.#state = 'open';
  }

  /** Queues one message. `data` is copied. */
  send(data: Uint8Array, isText: boolean): void {
    if (this.#state === 'open') this.#outbox.message(data, isText);
  }

  ping(data: Uint8Array): void {
    if (this.#state === 'open') this.#outbox.ping(data);
  }

  /** Of several pongs that wait only the latest is sent (RFC 6455 section 5.5.3): a flood of pings takes no memory. */
  pong(data: Uint8Array): void {
    if (this.closeSent) return;
    if (this.#state === 'open' || this.#state === 'closing') this.#pong = data;
  }

  /** Starts the closing handshake, after all that was queued. */
  close(code?: number, reason?: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#closeToSend = encodeClose(code, reason);
    this.emit({ type: 'closing', channel: this });
  }

  pause(): void {
    this.#inbox.pause();
  }

  resume(): void {
    if (!this.#inbox.resume()) return;
    this.#tellEnding();
    // A CLOSE that waited behind unread messages takes effect now.
    this.#finishClose();
  }

  /**
   * Ends the channel at once. The caller tells the peer. What has been acknowledged is still handed over, be it after
   * `resume`, unless `discard` says that nobody wants it.
   */
  fail(error: SecureWebSocketError, discard = false): void {
    if (discard) this.#inbox.discard();
    if (this.#state === 'closed') {
      this.#tellEnding();
      return;
    }
    const unacknowledged = this.#unacknowledged();
    // Both have said their last word, and all that was said arrived: what is missing is no more than the proof.
    const isClean = this.#closeReceived !== undefined && this.closeSent && unacknowledged.length === 0;
    if (isClean && this.#closeReceived) this.#end({ ...this.#closeReceived, wasClean: true, unacknowledged });
    // The status is that of the first CLOSE received, whatever happens then (RFC 6455 section 7.1.5).
    else {
      const status = this.#closeReceived ?? { code: ABNORMAL, reason: '' };
      this.#end({ ...status, wasClean: false, error, unacknowledged });
    }
  }

  // Time and what carries it

  /** The peer is out of reach. The channel keeps what it has. */
  suspend(error: SecureWebSocketError): void {
    this.session = undefined;
    this.#abandoned = undefined;
    this.#disowned = undefined;
    this.#resuming = undefined;
    this.#isWatched = true;
    this.#reliability.suspend();
    this.#outbox.rest();
    this.emit({ type: 'suspended', channel: this, error });
  }

  /** Asks the peer, in the session that carries the channel from now on, to go on where it stopped. */
  askToResume(): void {
    this.#resuming = 'ask';
  }

  /**
   * The peer, which has proven that the channel is its own, asks to go on. It may ask `again`, over the same session.
   * @throws SecureWebSocketError `PROTOCOL_VIOLATION`
   */
  resumeAsAsked(header: RecordHeader, now: number, again = false): void {
    this.#resuming = 'answer';
    if (!again) this.#reliability.suspend();
    this.#reliability.resume(header.acknowledgement, now);
    this.#finishClose();
  }

  /** The peer was silent while nobody could have heard it. */
  forgive(now: number): void {
    this.#isWatched = true;
    this.#reliability.forgive(now);
  }

  /** Time has passed. False when the peer has to be taken for gone. `watch`: whether its silence counts. */
  timeout(now: number, watch: boolean): boolean {
    const { session } = this;
    if (this.#state === 'closed' || !session) return true;
    this.#isWatched = watch;
    const isUnheard = this.#state === 'opening' && this.#reliability.sent.first === 0;
    if (this.#reliability.timeout(now, !isUnheard && !this.isResuming)) {
      // A peer that does not know the channel yet cannot be asked about it.
      if (isUnheard) this.#reliability.rewind(0, now);
      if (this.#resuming === 'asked') this.#resuming = 'ask';
    }
    if (!watch || !this.#beats) return true;
    if (now >= this.#reliability.heartbeatAt(session.lastContact)) this.#reliability.probe(now);
    // A peer that answers handshakes and not RESUME has lost the keys: it is quicker to agree on others.
    return !this.#reliability.isDead(session.heardAt, now, this.isResuming ? RESUME_PATIENCE : DEAD_AFTER);
  }

  // The wire

  /** The next record, of at most `capacity` bytes, for a session with these keys. Undefined when there is nothing to say. */
  writeRecord(capacity: number, keys: TransportKeys, now: number): Uint8Array | undefined {
    if (!this.hasRecord) return undefined;
    const record = this.#write(capacity, keys, now);
    this.#reliability.acknowledged();
    return record;
  }

  #write(capacity: number, keys: TransportKeys, now: number): Uint8Array {
    const { sent, hasReport } = this.#reliability;
    if (this.#resuming !== undefined) return this.#writeResume(keys, now);
    if (hasReport) return this.#writeReport(now);
    const old = sent.rewrite();
    if (old) {
      this.#noteOpen(sent.next - 1, keys);
      updateHeader(old, this.id, this.#reliability.expected);
      this.#reliability.armed(now);
      return old;
    }
    if (!this.#hasNews) return encodeAcknowledgement(this.#header(false));
    this.#noteOpen(sent.next, keys);
    return this.#writeNews(capacity, now);
  }

  #noteOpen(sequence: number, keys: TransportKeys): void {
    if (this.#state === 'opening' && sequence === 0)
      this.#opening.sealed(keys, this.#options.ownKey, this.id);
  }

  /** What a peer that asks to resume is told when the closing handshake is done already. */
  farewell(id: number, keys: TransportKeys): Uint8Array {
    this.id = id;
    return encodeSingleItem(
      this.#header(false),
      Opcode.RESUME,
      this.lineage?.encode('acceptor', keys.handshakeHash) ?? EMPTY,
    );
  }

  #header(sequenced: boolean): RecordHeader {
    const { sent, expected } = this.#reliability;
    // Of a record without a number the field tells which would come next: what is missing before it was lost.
    const sequence = sequenced ? sent.end : sent.next;
    return { channelId: this.id, sequenced, opener: this.opener, sequence, acknowledgement: expected };
  }

  #writeResume(keys: TransportKeys, now: number): Uint8Array {
    const payload = this.lineage?.encode(this.opener ? 'opener' : 'acceptor', keys.handshakeHash);
    if (this.#resuming === 'ask') {
      this.#resuming = 'asked';
      this.#reliability.probe(now);
    } else {
      this.#resuming = undefined;
    }
    return encodeSingleItem(this.#header(false), Opcode.RESUME, payload ?? EMPTY);
  }

  #writeReport(now: number): Uint8Array {
    const { gap, answer, probe } = this.#reliability.takeReport(now);
    const writer = new RecordWriter(RECORD_HEADER_LENGTH + CONTROL_ROOM);
    if (gap) writer.item(Opcode.GAP, true, EMPTY);
    if (answer) writer.item(Opcode.PROBE_ANSWER, true, answer);
    if (probe) {
      writer.item(Opcode.PROBE, true, probe);
      if (this.session) this.session.probedAt = now;
    }
    return writer.finish(this.#header(false));
  }

  #writeNews(capacity: number, now: number): Uint8Array {
    const isOpen = this.#state === 'open' || this.#state === 'closing';
    // What goes first must not come behind messages, and what must not wait needs room.
    const reserve =
      (this.#pong ? itemLength(this.#pong.length) : 0) + (this.#inbox.owesCredit ? CREDIT_LENGTH : 0);
    const batch = isOpen && !this.#openItem ? this.#outbox.takeBatch(capacity, reserve) : undefined;
    const writer = batch?.writer ?? new RecordWriter(capacity, this.#estimate());
    const { sent } = this.#reliability;
    const number = sent.end;
    let bytes = batch?.bytes ?? 0;
    let hasData = batch !== undefined;
    if (this.#openItem) {
      writer.item(this.#openItem.opcode, true, this.#openItem.payload);
      this.#openItem = undefined;
    }
    if (this.#pong && writer.space >= itemLength(this.#pong.length)) {
      writer.item(Opcode.PONG, true, this.#pong);
      this.#pong = undefined;
    }
    if (isOpen) {
      if (this.#inbox.owesCredit && writer.space >= CREDIT_LENGTH)
        writer.item(Opcode.CREDIT, true, this.#inbox.takeCredit());
      while (this.#outbox.isReady) {
        const written = this.#outbox.write(writer);
        if (!written) break;
        bytes += written.bytes;
        if (written.spanning) sent.addSpanning(written.spanning, number);
        hasData = true;
      }
      if (this.#canSendClose() && this.#closeToSend && writer.space >= itemLength(this.#closeToSend.length)) {
        writer.item(Opcode.CLOSE, true, this.#closeToSend);
        this.#closeNumber = number;
      }
    }
    const record = writer.finish(this.#header(true));
    sent.add(record, now);
    this.#reliability.armed(now);
    if (hasData) this.emit({ type: 'sent', channel: this, bytes });
    return record;
  }

  /**
   * Takes a record of this channel, which came under `keys`.
   * @throws SecureWebSocketError when the peer broke the protocol: the channel must be failed with it.
   */
  receive(header: RecordHeader, record: Uint8Array, keys: TransportKeys, now: number): void {
    if (this.#state === 'closed') return;
    const items = new ItemReader(record);
    if (!header.sequenced && items.hasSequenced) {
      violation('sent data in a record without a sequence number');
    }
    if (header.sequenced && items.hasUnsequenced) {
      violation('sent what stands outside of the sequence in a record with a sequence number');
    }
    if (this.isResuming) {
      // Nothing else can be made sense of before it is known where the peer stands.
      while (items.next()) {
        if (items.opcode === Opcode.RESET) return this.#reset(items.payload);
        if (items.opcode === Opcode.RESUME) return this.#resumeAnswered(header, items.payload, keys, now);
      }
      return;
    }
    this.#reliability.heard(header.acknowledgement, now);
    const isNext = this.#reliability.accept(header.sequenced, header.sequence, now);
    if (isNext || !header.sequenced) {
      while (items.next()) {
        if (header.sequenced) this.#receiveItem(items);
        else this.#receiveReport(items, header, now);
        // An item may end the channel; the compiler cannot see that.
        if ((this.#state as ChannelState) === 'closed') return;
      }
    }
    this.#finishClose();
  }

  #receiveReport(item: Item, header: RecordHeader, now: number): void {
    switch (item.opcode) {
      case Opcode.PROBE:
        return this.#reliability.asked(item.payload);
      case Opcode.PROBE_ANSWER:
        return this.#reliability.answered(item.payload, header.acknowledgement, now);
      case Opcode.GAP:
        return this.#reliability.gap(header.acknowledgement, now);
      case Opcode.RESET:
        return this.#reset(item.payload);
      default:
      // The answer to a RESUME that was repeated.
    }
  }

  #reset(payload: Uint8Array): void {
    const error = resetError(payload);
    if (this.isResumable && isSuspension(payload)) this.#abandoned = 'session';
    // It is to be asked by the name that the channel has in every session.
    else if (this.isResumable && !this.isResuming && isUnknownChannel(payload)) this.#abandoned = 'channel';
    // Whether another end of the same key may know more is for the owner to decide.
    else if (this.isResuming && error.code === 'CHANNEL_LOST') this.#disowned = error;
    // Whoever closes and then hears more answers with RESET: its CLOSE was its last word all the same.
    else if (this.#closeReceived) {
      const unacknowledged = this.#unacknowledged();
      this.#end({ ...this.#closeReceived, wasClean: true, unacknowledged });
    } else this.fail(error);
  }

  #receiveItem(item: Item): void {
    if (!item.fin && item.opcode > Opcode.BINARY) violation('fragmented a control item');
    if (this.#closeReceived && item.opcode !== Opcode.CREDIT) violation('sent more after CLOSE');
    switch (item.opcode) {
      case Opcode.OPEN:
        // The one that opened the channel is taken by whoever made it.
        return violation('opened a channel twice');
      case Opcode.OPEN_ACCEPT:
        return this.#opened(item.payload);
      case Opcode.OPEN_REFUSE:
        return this.#refused(item.payload);
      case Opcode.CREDIT:
        return this.#outbox.credit(item.payload);
      default:
        if (this.#state === 'opening' || this.#state === 'incoming')
          violation('sent data before the channel was accepted');
    }
    switch (item.opcode) {
      case Opcode.CLOSE:
        return this.#peerCloses(item.payload);
      case Opcode.PING:
      case Opcode.PONG:
        if (item.payload.length > 125) violation('sent a control item of more than 125 bytes');
        return this.emit({
          type: item.opcode === Opcode.PING ? 'ping' : 'pong',
          channel: this,
          data: item.payload,
        });
      default:
        return this.#inbox.add(item);
    }
  }

  #opened(payload: Uint8Array): void {
    if (this.#state !== 'opening') violation('accepted a channel that is open');
    const accept = decodeOpenAccept(payload);
    this.#opening.accepted(accept);
    this.#protocol = accept.protocol;
    this.#outbox.offered(accept.window);
    this.#state = 'open';
    this.emit({ type: 'opened', channel: this });
  }

  #refused(payload: Uint8Array): void {
    if (this.#state !== 'opening') violation('refused a channel that is open');
    const { status, reason } = decodeOpenRefuse(payload);
    this.refusalStatus = status;
    // Nothing that would steer a terminal.
    this.fail(new ChannelRefusal(status, reason.slice(0, 200).replace(/\p{C}/gu, ' ')));
  }

  /** The HTTP status with which the peer refused the channel, if it did. */
  refusalStatus: number | undefined;

  #resumeAnswered(header: RecordHeader, payload: Uint8Array, keys: TransportKeys, now: number): void {
    const role = this.opener ? 'acceptor' : 'opener';
    if (!this.lineage?.isProven(role, keys.handshakeHash, payload)) {
      violation('could not prove that it knows the channel');
    }
    this.#resuming = undefined;
    this.#reliability.resume(header.acknowledgement, now);
    this.emit({ type: 'resumed', channel: this });
    this.#finishClose();
  }

  #peerCloses(payload: Uint8Array): void {
    this.#closeReceived = decodeClose(payload);
    // The peer waits for no more than that.
    this.#reliability.acknowledgeNow();
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    // RFC 6455 section 5.5.1: the answer echoes the status.
    this.#closeToSend = payload.slice();
    this.emit({ type: 'closing', channel: this });
  }

  /** Both ends have closed, and the peer has all that we said. */
  get #closeIsDone(): boolean {
    const number = this.#closeNumber;
    return this.#closeReceived !== undefined && number !== undefined && this.#reliability.sent.first > number;
  }

  #finishClose(): void {
    if (this.#closeReceived && this.#closeIsDone && this.#inbox.isEmpty && this.#state !== 'closed') {
      this.#end({ ...this.#closeReceived, wasClean: true, unacknowledged: [] });
    }
  }

  #end(ending: ChannelEnding): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#failed = !ending.wasClean;
    this.#outbox.clear();
    this.#reliability.sent.clear();
    this.#inbox.end();
    // The end that is asked to resume may be asked once more, by a peer that did not hear the last of it.
    if (this.opener || !ending.wasClean || this.resumeWindow === 0) this.#opening.wipe();
    this.#ending = ending;
    this.#tellEnding();
  }

  /** How it ended is told once, when everything that arrived before has been read. */
  #tellEnding(): void {
    const ending = this.#ending;
    if (!ending || !this.#inbox.isEmpty) return;
    this.#ending = undefined;
    this.emit({ type: 'closed', channel: this, ...ending });
  }

  #unacknowledged(): Message[] {
    const messages = [...this.#reliability.sent.unacknowledged(), ...this.#outbox.messages()];
    // They are for the application: in memory of their own.
    return messages.map(message =>
      message.data.buffer.byteLength === message.data.length
        ? message
        : { ...message, data: message.data.slice() },
    );
  }

  /** Whether silence of the peer is to be noticed: a channel that would end with its link waits as a WebSocket does. */
  get #beats(): boolean {
    return this.isResumable || this.isResuming;
  }

  /** Whether there is something to say that has not been said before. */
  get #hasNews(): boolean {
    if (this.#reliability.sent.isFull) return false;
    if (this.#openItem || this.#pong) return true;
    if (this.#state === 'incoming' || this.#state === 'opening') return false;
    return this.#inbox.owesCredit || this.#outbox.isReady || this.#canSendClose();
  }

  #canSendClose(): boolean {
    return this.#closeToSend !== undefined && !this.closeSent && this.#outbox.isEmpty;
  }

  /** No less than the next record takes, so that a small one takes little memory. */
  #estimate(): number {
    const control = (this.#openItem?.payload.length ?? 0) + CONTROL_ROOM;
    return RECORD_HEADER_LENGTH + control + this.#outbox.estimate;
  }
}

const EMPTY = new Uint8Array(0);

const CREDIT_LENGTH = itemLength(8);

/** Room for one of each control item, the largest possible. */
const CONTROL_ROOM = 512;
