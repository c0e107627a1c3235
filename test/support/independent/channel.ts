/** One end of a channel, as docs/protocol.md describes it. It throws at everything that the document forbids. */
import { EventQueue } from '../event-queue.js';
import { isData, type Item, item, OPCODE, Reader, u64, type WireRecord, writeRecord } from './wire.js';

export interface Message {
  readonly data: Buffer;
  readonly isText: boolean;
}

export interface ChannelEnd {
  readonly how: 'closed' | 'reset' | 'refused' | 'lost';
  readonly code?: number | undefined;
  readonly reason?: string | undefined;
}

export interface Offer {
  readonly target: string;
  readonly protocols: readonly string[];
  readonly origin?: string;
}

export interface ChannelOptions {
  readonly id: number;
  readonly opener: boolean;
  /** How much the peer may send at once. */
  readonly window?: number;
  /** Bytes. */
  readonly maxRecord: number;
  send(record: Buffer): void;
}

/** What each data item costs beside its payload. */
const ITEM_COST = 64;
const MIN_FRAGMENT = 1024;
/** Flags, numbers, opcode and length of a record with one item. */
const RECORD_HEADER = 4 + 1 + 8 + 8 + 1 + 8;
const DEFAULT_WINDOW = 65_536;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const isCloseCode = (code: number): boolean =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), 'utf8');

export class IndependentChannel {
  readonly messages = new EventQueue<Message>();
  readonly pongs = new EventQueue<Buffer>();
  /** Resolves with the subprotocol once the peer has accepted. */
  readonly opened: Promise<string>;
  readonly ended: Promise<ChannelEnd>;
  /** What the peer asks for, if the peer opens the channel. */
  offer: Offer | undefined;
  /** Counted for tests: CREDIT, fragments, and records that came after the end. */
  readonly seen = { credit: 0, fragments: 0, late: 0 };
  #resolveOpened!: (protocol: string) => void;
  #rejectOpened!: (error: Error) => void;
  #resolveEnded!: (end: ChannelEnd) => void;
  readonly #options: Required<ChannelOptions>;
  #nextSequence = 0;
  #expected = 0;
  #limit = 0;
  #spent = 0;
  #granted: number;
  #received = 0;
  #waiting: Item[] = [];
  #fragments: Buffer[] = [];
  #isText: boolean | undefined;
  #isOpen = false;
  #closeSent = false;
  #status: Buffer | undefined;
  #hasEnded = false;

  constructor(options: ChannelOptions) {
    this.#options = { window: DEFAULT_WINDOW, ...options, send: options.send.bind(options) };
    this.#granted = this.#options.window;
    this.opened = new Promise((resolve, reject) => {
      this.#resolveOpened = resolve;
      this.#rejectOpened = reject;
    });
    this.opened.catch(() => undefined);
    this.ended = new Promise(resolve => {
      this.#resolveEnded = resolve;
    });
  }

  get id(): number {
    return this.#options.id;
  }

  open(offer: Offer): void {
    this.#send(item(OPCODE.OPEN, json({ ...offer, window: this.#options.window })));
  }

  accept(protocol: string): void {
    this.#isOpen = true;
    this.#send(item(OPCODE.OPEN_ACCEPT, json({ protocol, window: this.#options.window })));
    this.#resolveOpened(protocol);
    this.#pump();
  }

  refuse(status: number, reason: string): void {
    this.#send(item(OPCODE.OPEN_REFUSE, json({ status, reason })));
    this.#end({ how: 'refused', code: status, reason });
  }

  /** Sends a message, in fragments of at most `fragment` bytes. */
  message(data: Uint8Array | string, fragment = Number.POSITIVE_INFINITY): void {
    const bytes = Buffer.from(data as Uint8Array);
    const size = Math.min(fragment, this.#options.maxRecord - RECORD_HEADER);
    let opcode: number = typeof data === 'string' ? OPCODE.TEXT : OPCODE.BINARY;
    for (let at = 0; ; at += size) {
      const fin = at + size >= bytes.length;
      this.#waiting.push(item(opcode, bytes.subarray(at, at + size), fin));
      opcode = OPCODE.CONTINUATION;
      if (fin) break;
    }
    this.#pump();
  }

  /** Sends small messages in one record. */
  together(...messages: string[]): void {
    const items = messages.map(text => item(OPCODE.TEXT, Buffer.from(text)));
    this.#spent += items.reduce((sum, { payload }) => sum + payload.length + ITEM_COST, 0);
    if (this.#spent > this.#limit) throw new Error('no credit');
    this.#send(...items);
  }

  /** Text that is not UTF-8. */
  invalidText(): void {
    const payload = Buffer.of(0xc3, 0x28);
    this.#spent += payload.length + ITEM_COST;
    this.#send(item(OPCODE.TEXT, payload));
  }

  ping(payload: Uint8Array): void {
    this.#send(item(OPCODE.PING, payload));
  }

  close(code?: number, reason = ''): void {
    const status = Buffer.alloc(code === undefined ? 0 : 2);
    if (code !== undefined) status.writeUInt16BE(code);
    this.#waiting.push(item(OPCODE.CLOSE, Buffer.concat([status, Buffer.from(reason)])));
    this.#pump();
  }

  reset(code: string): void {
    this.#sendBare(item(OPCODE.RESET, Buffer.from(code, 'ascii')));
    this.#end({ how: 'reset', reason: code });
  }

  lost(): void {
    this.#end({ how: 'lost' });
  }

  receive(record: WireRecord): void {
    if (record.acknowledgement > this.#nextSequence)
      throw new Error('an acknowledgement of what was not sent');
    if (!record.sequenced) {
      if (record.sequenceNumber !== this.#expected) throw new Error('a record with another number');
    } else if (record.sequenceNumber !== this.#expected++) throw new Error('a gap, or a record from before');
    // What was on its way when this end made an end of it.
    if (this.#hasEnded) {
      this.seen.late++;
      return;
    }
    const opens = record.items.some(({ opcode }) => opcode === OPCODE.OPEN);
    if (opens !== (record.sequenceNumber === 0 && record.sequenced && record.opener)) throw new Error('OPEN');
    if (opens && record.items.length !== 1) throw new Error('OPEN that is not alone in its record');
    for (const received of record.items) this.#receiveItem(received);
  }

  #receiveItem(received: Item): void {
    const { opcode, payload } = received;
    if (isData(received)) {
      this.#receiveData(received);
      return;
    }
    const reader = new Reader(payload);
    switch (opcode) {
      case OPCODE.OPEN: {
        const { window, ...offer } = JSON.parse(payload.toString()) as Offer & { window: number };
        this.offer = offer;
        this.#limit = window;
        return;
      }
      case OPCODE.OPEN_ACCEPT: {
        const { protocol, window } = JSON.parse(payload.toString()) as { protocol: string; window: number };
        this.#limit = window;
        this.#isOpen = true;
        this.#resolveOpened(protocol);
        this.#pump();
        return;
      }
      case OPCODE.OPEN_REFUSE: {
        const { status, reason } = JSON.parse(payload.toString()) as { status: number; reason: string };
        this.#end({ how: 'refused', code: status, reason });
        return;
      }
      case OPCODE.CREDIT: {
        const limit = reader.number(8);
        if (!reader.isAtEnd || limit < this.#limit) throw new Error('CREDIT that falls');
        this.seen.credit++;
        this.#limit = limit;
        this.#pump();
        return;
      }
      case OPCODE.RESET:
        this.#end({ how: 'reset', reason: payload.toString('ascii') });
        return;
      case OPCODE.PING:
        if (payload.length > 125) throw new Error('a PING that is too long');
        if (!this.#closeSent) this.#send(item(OPCODE.PONG, payload));
        return;
      case OPCODE.PONG:
        this.pongs.push(Buffer.from(payload));
        return;
      case OPCODE.CLOSE:
        this.#receiveClose(payload);
        return;
    }
  }

  #receiveData({ opcode, fin, payload }: Item): void {
    if (!this.#isOpen) throw new Error('data before OPEN_ACCEPT');
    if (this.#status) throw new Error('data after CLOSE');
    if ((opcode === OPCODE.CONTINUATION) !== (this.#isText !== undefined))
      throw new Error('a fragment amiss');
    if (!fin && payload.length < MIN_FRAGMENT) throw new Error('a fragment that is too small');
    this.#received += payload.length + ITEM_COST;
    if (this.#received > this.#granted) throw new Error('more than was granted');
    if (opcode === OPCODE.CONTINUATION || !fin) this.seen.fragments++;
    if (opcode !== OPCODE.CONTINUATION) this.#isText = opcode === OPCODE.TEXT;
    this.#fragments.push(Buffer.from(payload));
    if (fin) {
      const message = { data: Buffer.concat(this.#fragments), isText: this.#isText! };
      if (message.isText) UTF8.decode(message.data);
      this.#fragments = [];
      this.#isText = undefined;
      this.messages.push(message);
    }
    this.#grant();
  }

  /** Half a window at a time. */
  #grant(): void {
    const limit = this.#received + this.#options.window;
    if (limit - this.#granted < this.#options.window / 2) return;
    this.#granted = limit;
    this.#sendBare(item(OPCODE.CREDIT, u64(limit)));
  }

  #receiveClose(payload: Buffer): void {
    if (this.#status) throw new Error('a second CLOSE');
    if (payload.length === 1 || payload.length > 125) throw new Error('a CLOSE of another form');
    if (payload.length > 0 && !isCloseCode(payload.readUInt16BE()))
      throw new Error('a CLOSE with another code');
    this.#status = Buffer.from(payload);
    const isClosing = this.#closeSent || this.#waiting.some(({ opcode }) => opcode === OPCODE.CLOSE);
    if (!isClosing) this.#waiting.push(item(OPCODE.CLOSE, payload));
    this.#pump();
    this.#endIfClosed();
  }

  /** Sends what credit allows; a fragment is cut where the credit ends. */
  #pump(): void {
    while (this.#isOpen && this.#waiting.length > 0 && !this.#closeSent) {
      const [next] = this.#waiting as [Item];
      if (!isData(next)) {
        this.#waiting.shift();
        this.#closeSent = true;
        this.#send(next);
        this.#endIfClosed();
        continue;
      }
      const credit = this.#limit - this.#spent - ITEM_COST;
      const { payload, opcode, fin } = next;
      if (payload.length <= credit) this.#waiting.shift();
      else if (credit < MIN_FRAGMENT) return;
      else this.#waiting[0] = item(OPCODE.CONTINUATION, payload.subarray(credit), fin);
      const whole = payload.length <= credit;
      const sent = item(opcode, payload.subarray(0, credit), fin && whole);
      this.#spent += sent.payload.length + ITEM_COST;
      this.#send(sent);
    }
  }

  #endIfClosed(): void {
    if (!this.#status || !this.#closeSent) return;
    const code = this.#status.length === 0 ? undefined : this.#status.readUInt16BE();
    this.#end({ how: 'closed', code, reason: this.#status.subarray(2).toString() });
  }

  #end(end: ChannelEnd): void {
    this.#hasEnded = true;
    this.#rejectOpened(new Error(`${end.how} ${end.code ?? ''} ${end.reason ?? ''}`));
    this.#resolveEnded(end);
  }

  #send(...items: Item[]): void {
    this.#write(items, true);
    this.#nextSequence++;
  }

  #sendBare(...items: Item[]): void {
    this.#write(items, false);
  }

  #write(items: Item[], sequenced: boolean): void {
    const { id, opener, maxRecord } = this.#options;
    const record = writeRecord({
      channelId: id,
      sequenced,
      opener,
      sequenceNumber: this.#nextSequence,
      acknowledgement: this.#expected,
      items,
    });
    if (record.length > maxRecord) throw new Error('a record that fits into no frame');
    this.#options.send(record);
  }
}
