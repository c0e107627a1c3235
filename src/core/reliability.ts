import { readUint64, writeUint64 } from './bytes.js';
import { ACK_DELAY, ACK_EVERY, DEAD_AFTER, HEARTBEAT_INTERVAL } from './constants.js';
import { violation } from './errors.js';
import { RoundTrip } from './round-trip.js';
import { SentRecords } from './sent-records.js';

/** Questions that may be under way at once; of more the oldest are forgotten. */
const MAX_PROBES = 8;
/** Milliseconds. A peer that reports gaps must not make us send everything again and again. */
const LEAST_ROUND_TRIP = 20;
/** A timer that is so late was stopped meanwhile, as those of a machine that slept: nobody was given the chance to answer. */
const OVERSLEPT = 5_000;

/** One question whether all has arrived, and where we were when it was put. */
interface Probe {
  readonly number: number;
  /** Number of the record that came next when it was put: all before it had been sent. */
  readonly next: number;
  readonly at: number;
}

/**
 * The two counters of a channel and all that is done about records that get lost: acknowledgements, reports of gaps,
 * questions about a tail that may have been lost (docs/protocol.md, "Reliability").
 *
 * The path delivers in order or not at all: a session's counters strictly rise, so whatever is overtaken is dropped. An
 * answer therefore tells for certain what became of everything that was sent before the question, and nothing is ever
 * sent again on a guess.
 */
export class Reliability {
  readonly sent = new SentRecords();
  readonly #roundTrip = new RoundTrip();

  // Receiving.
  #expected = 0;
  #unacknowledged = 0;
  #ackAt = Infinity;
  #ackDue = false;
  /** What was reported missing, and the number last seen beyond it: a lower one means that the peer has begun anew. */
  #reported = -1;
  #lastBeyond = 0;
  #gapDue = false;
  #answer: Uint8Array | undefined;

  // Sending.
  #probes: Probe[] = [];
  #probeNumber = 0;
  #probeDue = false;
  #retryAt = Infinity;
  /** Since when questions have not been answered. */
  #askedAt = Infinity;
  #asked = 0;
  #lastRewind = { to: -1, at: 0 };

  /** Number of the record that must come next. */
  get expected(): number {
    return this.#expected;
  }

  /** Whether there is something to say about records, apart from sending them. */
  get hasReport(): boolean {
    return this.#gapDue || this.#answer !== undefined || this.#probeDue;
  }

  get mustAcknowledge(): boolean {
    return this.#ackDue;
  }

  /** When `timeout` wants to be called. */
  get wakeAt(): number {
    return Math.min(this.#ackDue ? Infinity : this.#ackAt, this.#retryAt);
  }

  // Receiving

  /**
   * Looks at the number of a record. True when it is the next one, and has to be taken.
   * @param now milliseconds
   */
  accept(sequenced: boolean, sequence: number, now: number): boolean {
    if (sequence > this.#expected) {
      // One report for each time that the peer sends what lies beyond.
      if (this.#reported !== this.#expected || sequence < this.#lastBeyond) this.#gapDue = true;
      this.#reported = this.#expected;
      this.#lastBeyond = sequence;
      // The report may be lost, too; and the peer should not take us for gone meanwhile.
      if (this.#ackAt === Infinity) this.#ackAt = now + ACK_DELAY;
      return false;
    }
    if (!sequenced) return false;
    if (sequence < this.#expected) {
      // It was not heard that we have it.
      this.#ackDue = true;
      return false;
    }
    this.#expected++;
    this.#reported = -1;
    this.#unacknowledged++;
    if (this.#unacknowledged >= ACK_EVERY) this.#ackDue = true;
    else if (this.#ackAt === Infinity) this.#ackAt = now + ACK_DELAY;
    return true;
  }

  /** What has arrived is acknowledged without delay. */
  acknowledgeNow(): void {
    this.#ackDue = true;
  }

  /** A record that goes out has told what has arrived. */
  acknowledged(): void {
    this.#unacknowledged = 0;
    this.#ackAt = Infinity;
    this.#ackDue = false;
  }

  /** The peer asks whether all has arrived. Of several questions the latest is answered. */
  asked(payload: Uint8Array): void {
    if (payload.length !== 8) violation('sent a PROBE that is not 8 bytes');
    this.#answer = payload.slice();
  }

  // Sending

  /**
   * The peer has everything before number `upTo`.
   * @throws SecureWebSocketError `PROTOCOL_VIOLATION` when that was never sent
   */
  heard(upTo: number, now: number): void {
    if (upTo > this.sent.end) violation('acknowledged a record that was never sent');
    if (upTo <= this.sent.first) return;
    const writtenAt = this.sent.acknowledge(upTo);
    if (writtenAt !== undefined) this.#roundTrip.sample(now - writtenAt);
    this.#progress();
    this.#arm(now, true);
  }

  /** The peer misses what comes after what it acknowledges. */
  gap(from: number, now: number): void {
    this.#rewindOnce(from, now, true);
  }

  /** Everything from number `from` on is sent again, unless that was just done. */
  #rewindOnce(from: number, now: number, wasLost: boolean): void {
    // Nothing that was sent since the last report can have been answered in less than a round trip.
    const recently =
      now - this.#lastRewind.at < Math.max(LEAST_ROUND_TRIP, this.#roundTrip.smoothed ?? 0) / 2;
    // A number below all that is kept means the same as the first that is.
    const to = Math.max(from, this.sent.first);
    if (to === this.#lastRewind.to && recently) return;
    this.rewind(to, now, wasLost);
  }

  /** Everything from number `from` on is sent again. */
  rewind(from: number, now: number, wasLost = false): void {
    this.#lastRewind = { to: from, at: now };
    this.#probes = [];
    this.sent.rewind(from, wasLost);
  }

  /** The answer to a question of ours: what had been sent before it and is not acknowledged now was lost. */
  answered(payload: Uint8Array, acknowledgement: number, now: number): void {
    const number = payload.length === 8 ? readUint64(payload, 0) : -1;
    const index = this.#probes.findIndex(probe => probe.number === number);
    const probe = this.#probes[index];
    if (!probe) return;
    this.#roundTrip.sample(now - probe.at);
    this.#probes = this.#probes.slice(index + 1);
    this.#progress();
    if (acknowledgement < probe.next) this.rewind(acknowledgement, now, true);
    this.#arm(now, true);
  }

  /** The payloads of what is to be reported, each once. A question is noted as put. */
  takeReport(now: number): { gap: boolean; answer: Uint8Array | undefined; probe: Uint8Array | undefined } {
    const report = {
      gap: this.#gapDue,
      answer: this.#answer,
      probe: this.#probeDue ? this.#ask(now) : undefined,
    };
    this.#gapDue = this.#probeDue = false;
    this.#answer = undefined;
    return report;
  }

  /** Something was sent that has to be answered. */
  armed(now: number): void {
    this.#arm(now, false);
  }

  /** Asks whether the peer is there. */
  probe(now: number): void {
    this.#probeDue = true;
    this.#arm(now, false);
  }

  /** Whether a question is under way. */
  get isAsking(): boolean {
    return this.#probeDue || this.#probes.length > 0;
  }

  /**
   * Time has passed. True when what was sent last has not been answered in time.
   * `ask`: whether that is to be asked after with PROBE.
   */
  timeout(now: number, ask: boolean): boolean {
    if (now >= this.#ackAt) this.#ackDue = true;
    if (now < this.#retryAt) return false;
    if (now - this.#retryAt > OVERSLEPT || this.#askedAt === Infinity) {
      this.#askedAt = now;
      this.#asked = 0;
    }
    this.#asked++;
    this.#roundTrip.expired();
    this.#retryAt = now + this.#roundTrip.timeout;
    if (ask) this.#probeDue = true;
    return true;
  }

  /** Whether a peer that was heard at `heardAt` last must be taken for gone. */
  isDead(heardAt: number, now: number, patience = DEAD_AFTER): boolean {
    return this.#asked >= 2 && now - Math.max(heardAt, this.#askedAt) >= patience;
  }

  /** Whether more than one question was left unanswered. */
  get isDoubtful(): boolean {
    return this.#asked >= 2;
  }

  /** Nobody was given the chance to answer until now. */
  forgive(now: number): void {
    if (this.#askedAt !== Infinity) this.#askedAt = now;
  }

  /** When the peer should be asked whether it is there, if nothing is heard of it. */
  heartbeatAt(heardAt: number): number {
    return this.isAsking || !this.sent.isEmpty ? Infinity : heardAt + HEARTBEAT_INTERVAL;
  }

  /** The peer is out of reach: nothing is waited for. */
  suspend(): void {
    this.sent.forgetPath();
    this.#probes = [];
    this.#probeDue = this.#gapDue = false;
    this.#answer = undefined;
    this.#retryAt = this.#askedAt = Infinity;
    this.#asked = 0;
    this.#reported = -1;
    this.#lastRewind = { to: -1, at: 0 };
    // RESUME says what has arrived.
    this.acknowledged();
  }

  /** The peer is reached again and has everything before number `upTo`. */
  resume(upTo: number, now: number): void {
    this.#roundTrip.answered();
    this.heard(upTo, now);
    this.#rewindOnce(upTo, now, false);
    this.#arm(now, true);
  }

  #progress(): void {
    this.#roundTrip.answered();
    this.#askedAt = Infinity;
    this.#asked = 0;
  }

  #ask(now: number): Uint8Array {
    const number = ++this.#probeNumber;
    this.#probes.push({ number, next: this.sent.next, at: now });
    if (this.#probes.length > MAX_PROBES) this.#probes.shift();
    const payload = new Uint8Array(8);
    writeUint64(payload, 0, number);
    return payload;
  }

  #arm(now: number, anew: boolean): void {
    if (this.sent.isEmpty && !this.isAsking) this.#retryAt = Infinity;
    else if (anew || this.#retryAt === Infinity) this.#retryAt = now + this.#roundTrip.timeout;
  }
}
