import { readUint64, writeUint64 } from './bytes.js';
import { ABNORMAL, type CloseStatus, decodeClose, encodeClose, resetError } from './close-status.js';
import { ITEM_OVERHEAD, MIN_FRAGMENT, RECEIVE_WINDOW } from './constants.js';
import { SecureWebSocketError } from './errors.js';
import { compact, MessageAssembler } from './message-assembler.js';
import { decodeOpenAccept, decodeOpenRefuse, encodeOpen, type OpenParameters } from './open-parameters.js';
import {
  decodeItems,
  type Item,
  itemLength,
  Opcode,
  payloadThatFits,
  RECORD_HEADER_LENGTH,
  type RecordHeader,
  RecordWriter,
} from './record.js';
import type { Session } from './session.js';

/** What happened on a channel; the endpoint hands these to whoever owns the channel, in order. */
export type ChannelEvent =
  | { readonly type: 'incoming'; readonly channel: Channel; readonly open: OpenParameters }
  | { readonly type: 'opened'; readonly channel: Channel }
  | {
      readonly type: 'message';
      readonly channel: Channel;
      readonly data: Uint8Array;
      readonly isText: boolean;
    }
  | { readonly type: 'ping' | 'pong'; readonly channel: Channel; readonly data: Uint8Array }
  | { readonly type: 'closing'; readonly channel: Channel }
  | { readonly type: 'sent'; readonly channel: Channel; readonly bytes: number }
  | {
      readonly type: 'closed';
      readonly channel: Channel;
      readonly code: number;
      readonly reason: string;
      readonly wasClean: boolean;
      readonly error?: SecureWebSocketError;
    };

export type ChannelState =
  /** We asked to open it; the peer has not answered. */
  | 'opening'
  /** The peer asked to open it; the application has not answered. */
  | 'incoming'
  | 'open'
  /** The closing handshake is under way. */
  | 'closing'
  | 'closed';

interface Outgoing {
  readonly opcode: Opcode;
  readonly data: Uint8Array;
  /** Bytes of `data` that have been written into records. */
  offset: number;
}

export interface ChannelOptions {
  /** Chosen by the end that opens the channel; the two ends number theirs apart. */
  readonly id: number;
  /** True when this end opens it. */
  readonly opener: boolean;
  /** Whole messages larger than this end the channel, bytes. */
  readonly maxPayload: number;
  /** Where events go. */
  readonly emit: (event: ChannelEvent) => void;
}

const EMPTY = new Uint8Array(0);

/**
 * One channel: whole messages, in order, with one peer, under flow control. Sans I/O: `receive` takes a record,
 * `writeRecord` gives the next one. It knows nothing of keys: the session that carries it may change under it.
 */
export class Channel {
  readonly id: number;
  readonly opener: boolean;
  /** The session that carries it, once there is one. */
  session: Session | undefined;
  /** Handshake hash of the keys that sealed its OPEN: the same at both ends, however often keys change. */
  handshakeHash: Uint8Array | undefined;
  #state: ChannelState;
  #protocol = '';

  readonly #emit: (event: ChannelEvent) => void;
  readonly #assembler: MessageAssembler;

  // Sending. `#queue` from `#head` on waits for credit and for room in the network.
  #queue: Outgoing[] = [];
  #head = 0;
  #queuedBytes = 0;
  #sequence = 0;
  #creditLeft = 0;
  #creditGranted = 0;
  #openItem: { opcode: Opcode; payload: Uint8Array } | undefined;
  #pong: Uint8Array | undefined;
  #closeToSend: Uint8Array | undefined;
  #closeSent = false;

  // Receiving.
  #expected = 0;
  #closeReceived: CloseStatus | undefined;
  #paused = false;
  /** What arrived since `pause`, and what it counts for. */
  #inbox: { data: Uint8Array; isText: boolean }[] = [];
  #consumed = 0;
  #owed = 0;
  #limitTold = RECEIVE_WINDOW;

  constructor(options: ChannelOptions) {
    this.id = options.id;
    this.opener = options.opener;
    this.#emit = options.emit;
    this.#assembler = new MessageAssembler(options.maxPayload);
    this.#state = options.opener ? 'opening' : 'incoming';
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** The subprotocol agreed, or ''. */
  get protocol(): string {
    return this.#protocol;
  }

  /** Payload bytes of messages that were given to `send` and are in no record yet. */
  get bufferedAmount(): number {
    return this.#queuedBytes;
  }

  /** Whether CLOSE has been written: nothing but credit may follow it. */
  get closeSent(): boolean {
    return this.#closeSent;
  }

  /** True when the closing handshake is done, and only what arrived before it has still to be read. */
  get waitsForReader(): boolean {
    return this.#closeSent && this.#closeReceived !== undefined && this.#inbox.length > 0;
  }

  /** Whether `writeRecord` has something to write. */
  get hasRecord(): boolean {
    if (this.#state === 'closed') return false;
    if (this.#openItem || this.#pong) return true;
    if (this.#state === 'incoming' || this.#state === 'opening') return false;
    return this.#owesCredit() || this.#canSendData() || this.#canSendClose();
  }

  // What the owner asks for

  /** Asks the peer to open the channel. */
  open(parameters: Omit<OpenParameters, 'window'>): void {
    this.#openItem = { opcode: Opcode.OPEN, payload: encodeOpen({ ...parameters, window: RECEIVE_WINDOW }) };
  }

  /** The sequence numbers of the next record out and in. */
  get position(): { sequence: number; expected: number } {
    return { sequence: this.#sequence, expected: this.#expected };
  }

  /** The credit that came with the peer's OPEN. */
  offered(window: number): void {
    this.#creditGranted = window;
    this.#creditLeft = window;
  }

  accept(protocol: string): void {
    if (this.#state !== 'incoming') return;
    this.#openItem = {
      opcode: Opcode.OPEN_ACCEPT,
      payload: encodeOpen({ protocol, window: RECEIVE_WINDOW }),
    };
    this.#protocol = protocol;
    this.#state = 'open';
  }

  /** Queues one message. `data` must not change afterwards. */
  send(data: Uint8Array, isText: boolean): void {
    if (this.#state !== 'open') return;
    this.#enqueue(isText ? Opcode.TEXT : Opcode.BINARY, data);
    this.#queuedBytes += data.length;
  }

  ping(data: Uint8Array): void {
    if (this.#state === 'open') this.#enqueue(Opcode.PING, data);
  }

  /** Of several pongs that wait only the latest is sent (RFC 6455 section 5.5.3): a flood of pings takes no memory. */
  pong(data: Uint8Array): void {
    if (this.#closeSent) return;
    if (this.#state === 'open' || this.#state === 'closing') this.#pong = data;
  }

  /** Starts the closing handshake, after all that was queued. */
  close(code?: number, reason?: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#closeToSend = encodeClose(code, reason);
    this.#emit({ type: 'closing', channel: this });
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const message of inbox) this.#emit({ type: 'message', channel: this, ...message });
    this.#consumed += this.#owed;
    this.#owed = 0;
    // A CLOSE that waited behind unread messages takes effect now.
    this.#finishClose();
  }

  /** Ends the channel at once. The caller tells the peer. */
  fail(error: SecureWebSocketError): void {
    this.#end({ code: ABNORMAL, reason: '', wasClean: false, error });
  }

  // The wire

  /** The next record, of at most `capacity` bytes. Undefined when there is nothing to say. */
  writeRecord(capacity: number): Uint8Array | undefined {
    if (!this.hasRecord) return undefined;
    const writer = new RecordWriter(Math.min(capacity, this.#estimate()));
    let sequenced = false;
    let payloadBytes = 0;
    let hasData = false;
    if (this.#openItem) {
      writer.item(this.#openItem.opcode, true, this.#openItem.payload);
      this.#openItem = undefined;
      sequenced = true;
    }
    if (this.#pong) {
      writer.item(Opcode.PONG, true, this.#pong);
      this.#pong = undefined;
      sequenced = true;
    }
    if (this.#state === 'open' || this.#state === 'closing') {
      if (this.#owesCredit()) this.#writeCredit(writer);
      while (this.#canSendData()) {
        const written = this.#writeData(writer);
        if (written < 0) break;
        payloadBytes += written;
        hasData = sequenced = true;
      }
      if (this.#canSendClose() && this.#closeToSend && writer.space >= itemLength(this.#closeToSend.length)) {
        writer.item(Opcode.CLOSE, true, this.#closeToSend);
        this.#closeSent = true;
        sequenced = true;
      }
    }
    const record = writer.finish({
      channelId: this.id,
      sequenced,
      opener: this.opener,
      sequence: this.#sequence,
      acknowledgement: this.#expected,
    });
    if (sequenced) this.#sequence++;
    this.#queuedBytes -= payloadBytes;
    if (hasData) this.#emit({ type: 'sent', channel: this, bytes: payloadBytes });
    this.#finishClose();
    return record;
  }

  /**
   * Takes a record of this channel.
   * @throws SecureWebSocketError when the peer broke the protocol, or a record was lost on the way: the channel must
   *   be failed with it.
   */
  receive(header: RecordHeader, record: Uint8Array): void {
    if (this.#state === 'closed') return;
    if (header.acknowledgement > this.#sequence) {
      throw new SecureWebSocketError(
        'PROTOCOL_VIOLATION',
        'The peer acknowledged a record that was never sent.',
      );
    }
    if (header.sequence > this.#expected) {
      throw new SecureWebSocketError('RECORD_GAP', 'A record from the peer was lost on the way.');
    }
    const items = decodeItems(record);
    if (header.sequenced) {
      if (header.sequence < this.#expected) return;
      this.#expected++;
    } else if (items.some(item => item.opcode !== Opcode.CREDIT && item.opcode !== Opcode.RESET)) {
      throw new SecureWebSocketError(
        'PROTOCOL_VIOLATION',
        'The peer sent data in a record without a sequence number.',
      );
    }
    for (const item of items) {
      // An item may end the channel; the compiler cannot see that.
      if ((this.#state as ChannelState) === 'closed') return;
      this.#receiveItem(item);
    }
  }

  #receiveItem(item: Item): void {
    if (!item.fin && item.opcode > Opcode.BINARY) violation('fragmented a control item');
    if (this.#closeReceived && item.opcode !== Opcode.CREDIT && item.opcode !== Opcode.RESET) {
      violation('sent more after CLOSE');
    }
    switch (item.opcode) {
      case Opcode.OPEN:
        return violation('opened a channel twice');
      case Opcode.OPEN_ACCEPT:
        return this.#opened(item.payload);
      case Opcode.OPEN_REFUSE:
        return this.#refused(item.payload);
      case Opcode.CREDIT:
        return this.#credit(item.payload);
      case Opcode.RESET:
        // Whoever closes and then hears more answers with RESET: its CLOSE was its last word all the same.
        if (this.#closeReceived) return this.#end({ ...this.#closeReceived, wasClean: true });
        return this.fail(resetError(item.payload));
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
        return this.#emit({
          type: item.opcode === Opcode.PING ? 'ping' : 'pong',
          channel: this,
          data: item.payload,
        });
      default:
        return this.#data(item);
    }
  }

  #opened(payload: Uint8Array): void {
    if (this.#state !== 'opening') violation('accepted a channel that is open');
    const { protocol, window } = decodeOpenAccept(payload);
    this.#protocol = protocol;
    this.offered(window);
    this.#state = 'open';
    this.#emit({ type: 'opened', channel: this });
  }

  #refused(payload: Uint8Array): void {
    if (this.#state !== 'opening') violation('refused a channel that is open');
    const { status, reason } = decodeOpenRefuse(payload);
    // Nothing that would steer a terminal.
    const why = reason === '' ? '' : `: ${reason.slice(0, 200).replace(/\p{C}/gu, ' ')}`;
    this.fail(
      new SecureWebSocketError('CHANNEL_REFUSED', `The peer refused the channel (${String(status)})${why}.`),
    );
  }

  #credit(payload: Uint8Array): void {
    if (payload.length !== 8) violation('sent a CREDIT that is not 8 bytes');
    const limit = readUint64(payload, 0);
    if (limit > Number.MAX_SAFE_INTEGER) violation('sent a CREDIT above 2^53');
    if (limit > this.#creditGranted) {
      this.#creditLeft += limit - this.#creditGranted;
      this.#creditGranted = limit;
    }
  }

  #data(item: Item): void {
    const cost = item.payload.length + ITEM_OVERHEAD;
    this.#owed += cost;
    if (this.#consumed + this.#owed > this.#limitTold)
      violation('sent more than it had credit for', 'FLOW_CONTROL');
    const message = this.#assembler.add(item);
    if (!this.#paused) {
      this.#consumed += this.#owed;
      this.#owed = 0;
    }
    if (!message) return;
    if (this.#paused) this.#inbox.push({ ...message, data: compact(message.data) });
    else this.#emit({ type: 'message', channel: this, ...message });
  }

  #peerCloses(payload: Uint8Array): void {
    this.#closeReceived = decodeClose(payload);
    if (this.#state === 'open') {
      this.#state = 'closing';
      // RFC 6455 section 5.5.1: the answer echoes the status.
      this.#closeToSend = payload.slice();
      this.#emit({ type: 'closing', channel: this });
    }
    this.#finishClose();
  }

  #finishClose(): void {
    if (this.#closeReceived && this.#closeSent && this.#inbox.length === 0) {
      this.#end({ ...this.#closeReceived, wasClean: true });
    }
  }

  #end(end: { code: number; reason: string; wasClean: boolean; error?: SecureWebSocketError }): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#queue = [];
    this.#inbox = [];
    this.#assembler.clear();
    this.#emit({ type: 'closed', channel: this, ...end });
  }

  #enqueue(opcode: Opcode, data: Uint8Array): void {
    this.#queue.push({ opcode, data, offset: 0 });
  }

  #canSendData(): boolean {
    const next = this.#queue[this.#head];
    if (!next) return false;
    if (next.opcode === Opcode.PING) return true;
    return this.#creditLeft - ITEM_OVERHEAD >= Math.min(next.data.length - next.offset, MIN_FRAGMENT);
  }

  #canSendClose(): boolean {
    return this.#closeToSend !== undefined && !this.#closeSent && this.#head >= this.#queue.length;
  }

  /** Credit is told in large steps: a quarter of the window at least. */
  #owesCredit(): boolean {
    return this.#consumed + RECEIVE_WINDOW - this.#limitTold >= RECEIVE_WINDOW / 4;
  }

  #writeCredit(writer: RecordWriter): void {
    this.#limitTold = this.#consumed + RECEIVE_WINDOW;
    const payload = new Uint8Array(8);
    writeUint64(payload, 0, this.#limitTold);
    writer.item(Opcode.CREDIT, true, payload);
  }

  /** Writes the next message, or as much of it as fits. Payload bytes written, or -1 when nothing fits any more. */
  #writeData(writer: RecordWriter): number {
    const next = this.#queue[this.#head];
    if (!next) return -1;
    const isControl = next.opcode === Opcode.PING;
    const rest = next.data.length - next.offset;
    const room = payloadThatFits(writer.space);
    const length = isControl ? rest : Math.min(rest, room, this.#creditLeft - ITEM_OVERHEAD);
    // What does not fit here goes into the next record, rather than a sliver of it.
    if (length > room || length < Math.min(rest, MIN_FRAGMENT)) return -1;
    const fin = length === rest;
    const opcode = next.offset === 0 ? next.opcode : Opcode.CONTINUATION;
    writer.item(opcode, fin, next.data.subarray(next.offset, next.offset + length));
    next.offset += length;
    if (fin) this.#dequeue();
    if (isControl) return 0;
    this.#creditLeft -= length + ITEM_OVERHEAD;
    return length;
  }

  #dequeue(): void {
    this.#queue[this.#head++] = FINISHED;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head >= 1_024 && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  /** No less than the next record takes, so that a small one takes little memory. */
  #estimate(): number {
    const control = (this.#openItem?.payload.length ?? 0) + CONTROL_ROOM;
    return RECORD_HEADER_LENGTH + control + this.#queuedBytes + 16 * (this.#queue.length - this.#head);
  }
}

/** Room for one of each control item, the largest possible. */
const CONTROL_ROOM = 512;

const FINISHED: Outgoing = { opcode: Opcode.BINARY, data: EMPTY, offset: 0 };

function violation(what: string, code: 'PROTOCOL_VIOLATION' | 'FLOW_CONTROL' = 'PROTOCOL_VIOLATION'): never {
  throw new SecureWebSocketError(code, `The peer ${what}.`);
}
