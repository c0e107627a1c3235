/** One end of a channel, as docs/protocol.md describes it. It throws at everything that the document forbids. */
import { EventQueue } from '../event-queue.js';
import { Lineage, type Role } from './lineage.js';
import type { TransportKeyPair } from './noise.js';
import { type Numbered, Reliability } from './reliability.js';
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
  /** Whether the channel is to outlive its session and its link. */
  readonly resume?: boolean;
}

/** The session that carries a channel. */
export interface Carrier {
  /** Bytes. */
  readonly maxRecord: number;
  /** The keys that a record is sealed with. */
  keys(): TransportKeyPair;
  send(record: Buffer): void;
  /** The peer has given the session up, and not its channels. */
  abandoned(): void;
}

/** What a test says in place of a RESUME: it is given this, and what the other end would have to say. */
export type Forge = (own: Buffer, others: Buffer) => Buffer;

const HONEST: Forge = own => own;

export interface ChannelOptions {
  readonly id: number;
  /** Whether this end opens it. */
  readonly opener: boolean;
  /** The public key of the end that opens it. */
  readonly openerKey: Buffer;
  readonly carrier: Carrier;
  /** How much the peer may send at once. */
  readonly window?: number;
}

/** What each data item costs beside its payload. */
const ITEM_COST = 64;
const MIN_FRAGMENT = 1024;
/** Flags, numbers, opcode and length of a record with one item. */
const RECORD_HEADER = 4 + 1 + 8 + 8 + 1 + 8;
const DEFAULT_WINDOW = 65_536;
/** RESUME is sent again after so many milliseconds. */
const RESUME_RETRY = 1_000;
/** What OPEN_ACCEPT says. */
interface Accept {
  readonly protocol: string;
  readonly window: number;
  readonly session: string;
  readonly resume?: number;
}

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
  /** 'suspended' and 'resumed', as they happen. */
  readonly changes = new EventQueue<'suspended' | 'resumed'>();
  /** Counted for tests: CREDIT, fragments, RESET, and records that came after the end. */
  readonly seen = { credit: 0, fragments: 0, resets: 0, late: 0 };
  readonly reliability: Reliability;
  #resolveOpened!: (protocol: string) => void;
  #rejectOpened!: (error: Error) => void;
  #resolveEnded!: (end: ChannelEnd) => void;
  readonly #options: ChannelOptions;
  readonly #window: number;
  readonly #maxPayload: number;
  #id: number;
  /** Undefined while nothing carries it. */
  #carrier: Carrier | undefined;
  /** What it may be, until the peer says in which session OPEN has reached it. */
  readonly #lineages = new Map<string, Lineage>();
  #lineage: Lineage | undefined;
  /** Milliseconds that the acceptor keeps it. */
  #resume = 0;
  #resumeTimer: NodeJS.Timeout | undefined;
  #state: 'carried' | 'asking' | 'suspended' = 'carried';
  #limit = 0;
  #spent = 0;
  #granted: number;
  #received = 0;
  #waiting: Item[] = [];
  #fragments: Buffer[] = [];
  #isText: boolean | undefined;
  #isOpen = false;
  /** Number of the record with our CLOSE. */
  #closeNumber: number | undefined;
  #status: Buffer | undefined;
  #end: ChannelEnd | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#id = options.id;
    this.#carrier = options.carrier;
    this.#window = options.window ?? DEFAULT_WINDOW;
    this.#granted = this.#window;
    this.#maxPayload = options.carrier.maxRecord - RECORD_HEADER;
    this.reliability = new Reliability({
      isUnheard: () => options.opener && this.reliability.first === 0,
      write: record => {
        this.#write(record);
      },
    });
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
    return this.#id;
  }

  get isOpener(): boolean {
    return this.#options.opener;
  }

  /** Names the channel to the peer in another session: hex. */
  get lineageId(): string | undefined {
    return this.#lineage?.id.toString('hex');
  }

  /** Milliseconds that the acceptor keeps it; 0 when it ends with what carries it. */
  get resumeWindow(): number {
    return this.#resume;
  }

  open(offer: Offer): void {
    this.#send(item(OPCODE.OPEN, json({ ...offer, window: this.#window })));
  }

  /** `resume`: milliseconds that the channel is kept while its opener is away, if the opener wants that. */
  accept(protocol: string, resume = 0): void {
    this.#isOpen = true;
    this.#resume = this.offer?.resume === true ? resume : 0;
    const { session } = this.#lineage!;
    const accept = { protocol, window: this.#window, session, resume: this.#resume };
    this.#send(item(OPCODE.OPEN_ACCEPT, json(accept)));
    this.#resolveOpened(protocol);
    this.#pump();
  }

  refuse(status: number, reason: string): void {
    this.#send(item(OPCODE.OPEN_REFUSE, json({ status, reason })));
    this.#finish({ how: 'refused', code: status, reason });
  }

  /** Sends a message, in fragments of at most `fragment` bytes. */
  message(data: Uint8Array | string, fragment = Number.POSITIVE_INFINITY): void {
    const bytes = Buffer.from(data as Uint8Array);
    const size = Math.min(fragment, this.#maxPayload);
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
    this.reliability.report(item(OPCODE.RESET, Buffer.from(code, 'ascii')));
    this.#finish({ how: 'reset', reason: code });
  }

  /** What carried it is gone: it waits, if it can. */
  lost(): void {
    if (this.#end || this.#state === 'suspended') return;
    if (this.#resume === 0) {
      this.#finish({ how: 'lost' });
      return;
    }
    clearTimeout(this.#resumeTimer);
    this.#state = 'suspended';
    this.#carrier = undefined;
    this.reliability.suspend();
    this.changes.push('suspended');
  }

  /** Asks the peer to go on, under another id. `forge`: says something else. */
  resume(carrier: Carrier, id: number, forge = HONEST): void {
    this.#state = 'asking';
    this.#carrier = carrier;
    this.#id = id;
    const ask = (): void => {
      this.#writeResume(forge, 'opener', 'acceptor', carrier.keys());
      this.#resumeTimer = setTimeout(ask, RESUME_RETRY).unref();
    };
    ask();
  }

  /** Whether `record`, which came under `keys`, is from the end that opened the channel. */
  isProven(record: WireRecord, keys: TransportKeyPair): boolean {
    return record.items[0]!.payload.equals(this.#resumePayload('opener', keys));
  }

  /** The peer has proven that it opened the channel, and asks to go on. */
  resumed(record: WireRecord, carrier: Carrier, forge = HONEST): void {
    // It may not have heard yet that its session is gone, or the answer was lost.
    this.reliability.suspend();
    this.#carrier = carrier;
    this.#id = record.channelId;
    this.#writeResume(forge, 'acceptor', 'opener', carrier.keys());
    if (this.#end) return;
    this.#goOn(record.acknowledgement);
  }

  /** A record that came under `keys`. */
  receive(record: WireRecord, keys: TransportKeyPair): void {
    if (this.#state === 'asking') {
      this.#receiveAnswer(record, keys);
      return;
    }
    // A peer that did not hear the last of it asks once more.
    if (this.#end) {
      this.seen.late++;
      const waits = record.sequenced || record.items.some(({ opcode }) => opcode === OPCODE.PROBE);
      if (waits && this.#end.how === 'closed') this.reliability.report();
      if (waits && this.#end.how === 'refused' && !this.isOpener) this.reliability.rewind(0);
      return;
    }
    const isTaken = this.reliability.receive(record);
    if (isTaken || !record.sequenced) {
      const opens = record.items.some(({ opcode }) => opcode === OPCODE.OPEN);
      const mayOpen = record.sequenceNumber === 0 && record.sequenced && record.opener;
      if (opens !== mayOpen) throw new Error('OPEN');
      if (opens && (record.items.length !== 1 || record.acknowledgement !== 0)) {
        throw new Error('OPEN that is not alone in its record');
      }
      for (const received of record.items) this.#receiveItem(received, keys);
    }
    this.#finishIfClosed();
  }

  #receiveAnswer(record: WireRecord, keys: TransportKeyPair): void {
    for (const { opcode, payload } of record.items) {
      if (opcode === OPCODE.RESET) this.#receiveReset(payload);
      if (opcode !== OPCODE.RESUME) continue;
      if (!payload.equals(this.#resumePayload('acceptor', keys))) throw new Error('a RESUME without proof');
      this.#goOn(record.acknowledgement);
      return;
    }
  }

  #goOn(acknowledgement: number): void {
    clearTimeout(this.#resumeTimer);
    this.#state = 'carried';
    this.reliability.resume(acknowledgement);
    this.changes.push('resumed');
    this.#pump();
    this.#finishIfClosed();
  }

  #writeResume(forge: Forge, own: Role, other: Role, keys: TransportKeyPair): void {
    this.reliability.writeResume(forge(this.#resumePayload(own, keys), this.#resumePayload(other, keys)));
  }

  #resumePayload(role: Role, keys: TransportKeyPair): Buffer {
    return this.#lineage!.payload(role, keys.handshakeHash);
  }

  #receiveItem(received: Item, keys: TransportKeyPair): void {
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
        this.#lineage = this.#lineageOf(keys);
        return;
      }
      case OPCODE.OPEN_ACCEPT: {
        const { protocol, window, session, resume } = JSON.parse(payload.toString()) as Accept;
        this.#lineage = this.#lineages.get(session);
        if (!this.#lineage) throw new Error('OPEN_ACCEPT that names a session in which OPEN was not sent');
        this.#resume = resume ?? 0;
        this.#limit = window;
        this.#isOpen = true;
        this.#resolveOpened(protocol);
        this.#pump();
        return;
      }
      case OPCODE.OPEN_REFUSE: {
        const { status, reason } = JSON.parse(payload.toString()) as { status: number; reason: string };
        this.#finish({ how: 'refused', code: status, reason });
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
        this.#receiveReset(payload);
        return;
      case OPCODE.PING:
        if (payload.length > 125) throw new Error('a PING that is too long');
        if (this.#closeNumber === undefined) this.#send(item(OPCODE.PONG, payload));
        return;
      case OPCODE.PONG:
        this.pongs.push(Buffer.from(payload));
        return;
      case OPCODE.CLOSE:
        this.#receiveClose(payload);
        return;
    }
  }

  #receiveReset(payload: Buffer): void {
    this.seen.resets++;
    const code = payload.toString('ascii');
    if (code === 'SUSPENDED' && this.#resume > 0) this.#carrier?.abandoned();
    // After a CLOSE it says only that nothing more is heard.
    else if (this.#status) this.#finishWith(this.#status);
    else this.#finish({ how: 'reset', reason: code });
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
    const limit = this.#received + this.#window;
    if (limit - this.#granted < this.#window / 2) return;
    this.#granted = limit;
    this.#send(item(OPCODE.CREDIT, u64(limit)));
  }

  #receiveClose(payload: Buffer): void {
    if (this.#status) throw new Error('a second CLOSE');
    if (payload.length === 1 || payload.length > 125) throw new Error('a CLOSE of another form');
    if (payload.length > 0 && !isCloseCode(payload.readUInt16BE()))
      throw new Error('a CLOSE with another code');
    this.#status = Buffer.from(payload);
    const isClosing =
      this.#closeNumber !== undefined || this.#waiting.some(({ opcode }) => opcode === OPCODE.CLOSE);
    if (!isClosing) this.#waiting.push(item(OPCODE.CLOSE, payload));
    this.#pump();
    // The peer waits for no more than that.
    this.reliability.acknowledge();
  }

  /** Sends what credit allows; a fragment is cut where the credit ends. */
  #pump(): void {
    while (this.#isOpen && this.#waiting.length > 0 && this.#closeNumber === undefined) {
      const [next] = this.#waiting as [Item];
      if (!isData(next)) {
        this.#waiting.shift();
        this.#closeNumber = this.reliability.end;
        this.#send(next);
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

  /** Both have closed, and the peer has our CLOSE, and with it all that came before. */
  #finishIfClosed(): void {
    if (!this.#status || this.#closeNumber === undefined || this.reliability.first <= this.#closeNumber)
      return;
    if (this.#end) return;
    this.reliability.acknowledge();
    this.#finishWith(this.#status);
  }

  #finishWith(status: Buffer): void {
    const code = status.length === 0 ? undefined : status.readUInt16BE();
    this.#finish({ how: 'closed', code, reason: status.subarray(2).toString() });
  }

  #finish(end: ChannelEnd): void {
    if (this.#end) return;
    this.#end = end;
    this.#state = 'carried';
    clearTimeout(this.#resumeTimer);
    this.reliability.stop();
    this.#rejectOpened(new Error(`${end.how} ${end.code ?? ''} ${end.reason ?? ''}`));
    this.#resolveEnded(end);
  }

  #send(...items: Item[]): void {
    this.reliability.send(...items);
  }

  #write(record: Numbered): void {
    const carrier = this.#carrier;
    if (!carrier) return;
    const { opener } = this.#options;
    // OPEN may be sent in several sessions: the answer says which of them counts.
    if (record.items[0]?.opcode === OPCODE.OPEN) {
      const lineage = this.#lineageOf(carrier.keys());
      this.#lineages.set(lineage.session, lineage);
    }
    const bytes = writeRecord({ channelId: this.#id, opener, ...record });
    if (bytes.length > carrier.maxRecord) throw new Error('a record that fits into no frame');
    carrier.send(bytes);
  }

  #lineageOf(keys: TransportKeyPair): Lineage {
    return new Lineage(keys, this.#options.openerKey, this.#id);
  }
}
