import { Opcode } from '../../src/core/record.js';
import {
  decodeItems,
  decodeRecordHeader,
  encodeAcknowledgement,
  type RecordHeader,
  updateHeader,
} from '../../src/core/record.js';
import { Reliability } from '../../src/core/reliability.js';
import { encodeRecord, type RawItem } from './raw-peer.js';

/** One end of a channel that has nothing but its counters: texts that wait, and texts that came. */
export class ReliableEnd {
  readonly reliability = new Reliability();
  readonly received: string[] = [];
  /** Records that came again after they had been taken. */
  repeated = 0;
  /** Texts that are in no record yet. */
  readonly waiting: string[] = [];
  /** Numbers of the records that were written again. */
  readonly rewritten: number[] = [];

  /** The next record, if there is something to say: reports first, then what is sent again, then what is new. */
  write(now: number): Uint8Array | undefined {
    const record = this.#write(now);
    if (record) this.reliability.acknowledged();
    return record;
  }

  receive(record: Uint8Array, now: number): void {
    const header = decodeRecordHeader(record);
    if (header.sequenced && header.sequence < this.reliability.expected) this.repeated++;
    this.reliability.heard(header.acknowledgement, now);
    const isNext = this.reliability.accept(header.sequenced, header.sequence, now);
    if (header.sequenced && !isNext) return;
    for (const { opcode, payload } of decodeItems(record)) {
      if (opcode === Opcode.TEXT) this.received.push(Buffer.from(payload).toString());
      else if (opcode === Opcode.PROBE) this.reliability.asked(payload);
      else if (opcode === Opcode.PROBE_ANSWER) {
        this.reliability.answered(payload, header.acknowledgement, now);
      } else if (opcode === Opcode.GAP) this.reliability.gap(header.acknowledgement, now);
    }
  }

  #write(now: number): Uint8Array | undefined {
    const { reliability } = this;
    const { sent } = reliability;
    if (reliability.hasReport) {
      const { gap, answer, probe } = reliability.takeReport(now);
      const items: RawItem[] = [];
      if (gap) items.push([Opcode.GAP]);
      if (answer) items.push([Opcode.PROBE_ANSWER, answer]);
      if (probe) items.push([Opcode.PROBE, probe]);
      return encodeRecord(items, this.#header(false));
    }
    const old = sent.rewrite();
    if (old) {
      this.rewritten.push(sent.next - 1);
      updateHeader(old, 1, reliability.expected);
      reliability.armed(now);
      return old;
    }
    if (this.waiting.length > 0 && !sent.isFull) {
      const record = encodeRecord([[Opcode.TEXT, this.waiting.shift() ?? '']], this.#header(true));
      sent.add(record, now);
      reliability.armed(now);
      return record;
    }
    return reliability.mustAcknowledge ? encodeAcknowledgement(this.#header(false)) : undefined;
  }

  #header(sequenced: boolean): RecordHeader {
    const { sent, expected } = this.reliability;
    const sequence = sequenced ? sent.end : sent.next;
    return { channelId: 1, opener: true, sequenced, sequence, acknowledgement: expected };
  }
}

/** Which records get lost: asked for each, in the order in which they are sent. */
export type Loss = (record: Uint8Array, toB: boolean) => boolean;

/** Two ends and a path that delivers in order or not at all, `latency` milliseconds later; with a clock of its own. */
export class ReliablePath {
  readonly a = new ReliableEnd();
  readonly b = new ReliableEnd();
  now = 1_000_000;
  frames = 0;
  lost = 0;
  readonly #latency: number;
  readonly #loses: Loss;
  #flight: { readonly at: number; readonly to: ReliableEnd; readonly record: Uint8Array }[] = [];

  constructor(latency: number, loses: Loss) {
    this.#latency = latency;
    this.#loses = loses;
  }

  /** Lets everything happen that happens within `milliseconds`. */
  advance(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (;;) {
      this.#collect(this.a, this.b);
      this.#collect(this.b, this.a);
      const timers = [this.a, this.b].map(({ reliability }) => reliability.wakeAt);
      const next = Math.min(this.#flight[0]?.at ?? Infinity, ...timers);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      const [packet] = this.#flight;
      if (packet && packet.at <= this.now) {
        this.#flight.shift();
        packet.to.receive(packet.record, this.now);
      } else {
        for (const end of [this.a, this.b]) end.reliability.timeout(this.now, true);
      }
    }
    this.now = until;
  }

  #collect(from: ReliableEnd, to: ReliableEnd): void {
    for (let record = from.write(this.now); record; record = from.write(this.now)) {
      this.frames++;
      if (this.frames > 100_000) throw new Error('The two ends do not come to rest.');
      if (this.#loses(record, to === this.b)) this.lost++;
      else this.#flight.push({ at: this.now + this.#latency, to, record: record.slice() });
    }
  }
}
