import { compareBytes, fromUtf8, toHex, utf8 } from '../../src/core/bytes.js';
import { decodeFrame, type Frame } from '../../src/core/frame.js';
import type { Identity } from '../../src/core/identity.js';
import { createJoin, decodeJoin } from '../../src/core/space/join-record.js';
import { entryDigest, rosterHash } from '../../src/core/space/roster.js';
import {
  decodeSpaceReport,
  encodeMulticast,
  encodeSpaceRequest,
  type Entered,
  type Entry,
  type SpaceReport,
  type Wrap,
} from '../../src/core/space/space-frame.js';
import {
  firstLogHash,
  joinedDigest,
  leftDigest,
  messageDigest,
  nextLogHash,
  viewHash,
} from '../../src/core/space/space-log.js';
import {
  decodeSpaceMessage,
  encodeHeader,
  encodeSpaceMessage,
  type MessageHeader,
} from '../../src/core/space/space-message.js';

/** What a member heard somebody say. `number`: the sender's in the roster. */
export interface Heard {
  readonly offset: number;
  readonly number: number;
  readonly sequence: number;
  readonly text: string;
  readonly wrap: string | undefined;
}

type Refused = Extract<SpaceReport, { type: 'refused' }>;

/**
 * A member of a space, as far as a relay can tell: it seals nothing, and checks all that the relay says. Whatever a relay
 * must not do makes it throw.
 */
export class SpaceFollower {
  readonly memberId: Uint8Array;
  readonly identity: Identity;
  readonly join: Uint8Array;
  readonly place: { relayKey: Uint8Array; name: string };
  membership: number;
  stay: boolean;
  /** Whether the relay has said that we are in, and not that we are out. */
  isIn = false;
  /** We have said that we leave: what comes was under way. */
  #hasLeft = false;
  /** How often it has said so. */
  entered = 0;
  resumed = 0;
  present = 0;
  /** Where the order stood when we were let in last without resuming. */
  firstOffset = 0;
  epoch = new Uint8Array(8);
  offset = 0;
  version = 0;
  number = 0;
  logHash = new Uint8Array(32);
  readonly roster = new Map<number, Entry>();
  /** Of everybody who was ever in it, by member id: its number. */
  readonly numbers = new Map<string, number>();
  readonly heard: Heard[] = [];
  readonly left: { number: number; reason: string }[] = [];
  readonly moves: { number: number; connectionId: number; away: boolean }[] = [];
  readonly refusals: Refused[] = [];
  readonly heads: number[] = [];
  readonly gaps: { from: number; to: number }[] = [];
  /** What was said and is not accepted. */
  readonly unaccepted = new Map<number, { message: Uint8Array; text: string }>();
  readonly accepted: number[] = [];
  sequence = 0;
  /** Items that were asked for again come between those that come by themselves. */
  readonly #fetched: { from: number; to: number }[] = [];
  readonly refetched: number[] = [];
  #pages: Entry[] = [];

  constructor(
    identity: Identity,
    relayKey: Uint8Array,
    name: string,
    options: { membership?: number; stay?: boolean; memberId?: Uint8Array; invitation?: Uint8Array } = {},
  ) {
    this.identity = identity;
    this.place = { relayKey, name };
    this.membership = options.membership ?? 1;
    this.stay = options.stay ?? false;
    this.memberId = options.memberId ?? identity.crypto.randomBytes(16);
    this.join = createJoin(identity, this.place, this.memberId, 1_750_000_000_000, options.invitation);
  }

  /** A frame that asks to be let in; `anew`: with everything told from the beginning. */
  enter(anew = this.entered === 0): Uint8Array {
    this.#pages = [];
    this.#hasLeft = false;
    const resume = anew ? undefined : { epoch: this.epoch, offset: this.offset };
    const { join, stay, place } = this;
    return encodeSpaceRequest(this.membership, { type: 'enter', space: place.name, join, stay, resume });
  }

  leave(): Uint8Array {
    this.isIn = false;
    this.#hasLeft = true;
    return encodeSpaceRequest(this.membership, { type: 'leave' });
  }

  who(): Uint8Array {
    return encodeSpaceRequest(this.membership, { type: 'who' });
  }

  fetch(from: number, to: number): Uint8Array {
    this.#fetched.push({ from, to });
    return encodeSpaceRequest(this.membership, { type: 'fetch', from, to });
  }

  /** A frame that says the next thing. */
  say(
    text: string,
    { wrapFor = [], ...changes }: Partial<MessageHeader> & { wrapFor?: number[] } = {},
  ): Uint8Array {
    const sequence = changes.sequence ?? (this.sequence += 1);
    const header: MessageHeader = {
      kind: wrapFor.length > 0 ? 1 : 2,
      sender: this.memberId,
      sequence,
      epoch: this.epoch,
      seen: this.offset,
      version: this.version,
      viewHash: viewHash(this.identity.crypto, this.logHash, this.#rosterHash()),
      generation: 1,
      iteration: 0,
      first: 1,
      ...changes,
    };
    // Whoever reads it, a relay does not: what a tag and a signature would be is of no meaning.
    const body = utf8(text.padEnd(16));
    const signature = header.kind === 2 ? new Uint8Array(64) : undefined;
    const message = encodeSpaceMessage(encodeHeader(header), body, signature);
    if (changes.sequence === undefined || !this.unaccepted.has(sequence)) {
      this.unaccepted.set(sequence, { message, text });
    }
    return encodeMulticast(this.membership, message, wrapFor.map(wrapOf));
  }

  /** Frames that say all again that is not accepted, as a member does that has come back. */
  sayAgain(): Uint8Array[] {
    return [...this.unaccepted]
      .sort(([a], [b]) => a - b)
      .map(([sequence, { text }]) => {
        this.unaccepted.delete(sequence);
        return this.say(text, { sequence });
      });
  }

  /** One frame of the relay. */
  receive(given: Frame | Uint8Array): SpaceReport | undefined {
    const frame = given instanceof Uint8Array ? decodeFrame(given) : given;
    if (frame.type !== 'space' || frame.membership !== this.membership || this.#hasLeft) return undefined;
    const report = decodeSpaceReport(frame.operation, frame.body);
    this.#take(report);
    return report;
  }

  #take(report: SpaceReport): void {
    switch (report.type) {
      case 'roster':
        this.#pages.push(...report.entries.map(entry => ({ ...entry, join: entry.join.slice() })));
        break;
      case 'entered':
        this.#enter(report);
        break;
      case 'present':
        this.present += 1;
        check(report.offset === this.offset, 'PRESENT is not of where the order stands');
        this.#setRoster(report);
        break;
      case 'joined':
      case 'left':
      case 'message':
      case 'accepted':
        this.#item(report);
        break;
      case 'refused':
        this.refusals.push(report);
        if (report.sequence === undefined) this.isIn = false;
        break;
      case 'moved': {
        this.moves.push({ number: report.number, connectionId: report.connectionId, away: report.away });
        const entry = this.roster.get(report.number);
        if (entry)
          this.roster.set(report.number, { ...entry, connectionId: report.connectionId, away: report.away });
        break;
      }
      case 'head':
        check(report.offset >= this.offset, 'HEAD is behind what was told');
        if (report.offset === this.offset) this.#checkHash(report.logHash);
        this.heads.push(report.offset);
        break;
      case 'unavailable':
        this.gaps.push({ from: report.from, to: report.to });
        break;
    }
  }

  #enter(entered: Entered): void {
    const { crypto } = this.identity;
    this.isIn = true;
    this.entered += 1;
    if (entered.resumed) {
      this.resumed += 1;
      check(compareBytes(entered.epoch, this.epoch) === 0, 'resumed in another epoch');
      check(this.#pages.length === 0, 'a roster before resuming');
      check(entered.number === this.number, 'resumed under another number');
      return;
    }
    if (compareBytes(entered.epoch, this.epoch) !== 0) this.numbers.clear();
    // Told anew, and perhaps in another order: what was missing in the one before is nobody's concern any more.
    this.gaps.length = this.#fetched.length = 0;
    this.epoch = entered.epoch.slice();
    this.offset = this.firstOffset = entered.offset;
    this.logHash = entered.logHash.slice();
    this.number = entered.number;
    this.#setRoster(entered);
    const own = this.roster.get(entered.number);
    check(own !== undefined && compareBytes(own.join, this.join) === 0, 'not in the roster ourselves');
    if (!entered.before) return;
    const { offset, version, number } = entered;
    const digest = joinedDigest(crypto, version, entered.rosterHash, number, this.join);
    check(
      compareBytes(nextLogHash(crypto, entered.before, offset, digest), entered.logHash) === 0,
      'the log hash before our join does not lead to the one after it',
    );
    if (offset === 1) {
      const first = firstLogHash(crypto, this.place, this.epoch);
      check(compareBytes(first, entered.before) === 0, 'the log does not begin where it must');
    }
  }

  #setRoster({ version, rosterHash: hash }: Entered): void {
    this.roster.clear();
    for (const entry of this.#pages) this.#add(entry);
    this.#pages = [];
    this.version = version;
    this.#checkRoster(hash);
  }

  #add(entry: Entry): void {
    check(!this.roster.has(entry.number), 'a number twice');
    const id = toHex(decodeJoin(entry.join).memberId);
    this.roster.set(entry.number, { ...entry, join: entry.join.slice() });
    this.numbers.set(id, entry.number);
  }

  #item(report: Extract<SpaceReport, { type: 'joined' | 'left' | 'message' | 'accepted' }>): void {
    const { crypto } = this.identity;
    const { offset } = report;
    check(this.isIn, 'an item before ENTERED, or after the end');
    if (report.type === 'accepted') {
      // Of one that was accepted before: told again, and no item.
      if (offset <= this.offset) {
        this.#accept(report.sequence);
        return;
      }
    }
    if (offset <= this.offset) {
      const isWanted = this.#fetched.some(({ from, to }) => offset >= from && offset <= to);
      check(isWanted, `item ${offset} twice`);
      this.refetched.push(offset);
      return;
    }
    check(offset === this.offset + 1, `item ${offset} after ${this.offset}`);
    this.offset = offset;
    switch (report.type) {
      case 'joined': {
        const { version, rosterHash: hash, entry } = report;
        this.#advance(joinedDigest(crypto, version, hash, entry.number, entry.join));
        this.#add(entry);
        this.version = version;
        this.#checkRoster(hash);
        break;
      }
      case 'left': {
        const { version, rosterHash: hash, number, reason } = report;
        this.#advance(leftDigest(crypto, version, hash, number, reason));
        check(this.roster.delete(number), 'somebody leaves who is not there');
        check(number !== this.number, 'our own end as an item');
        this.left.push({ number, reason });
        this.version = version;
        this.#checkRoster(hash);
        break;
      }
      case 'message': {
        this.#advance(messageDigest(crypto, report.message));
        const { header, body } = decodeSpaceMessage(report.message);
        const number = this.numbers.get(toHex(header.sender)) ?? 0;
        check(number !== 0, 'a message of a stranger');
        check(number !== this.number, 'our own message');
        const text = (fromUtf8(body) ?? '').trimEnd();
        const wrap = report.wrap && toHex(report.wrap.subarray(0, 4));
        this.heard.push({ offset, number, sequence: header.sequence, text, wrap });
        break;
      }
      case 'accepted': {
        const said = this.unaccepted.get(report.sequence);
        check(said !== undefined, `message ${report.sequence} is accepted and was not said`);
        this.#advance(messageDigest(crypto, (said as { message: Uint8Array }).message));
        this.#accept(report.sequence);
        this.accepted.push(report.sequence);
      }
    }
  }

  /** What was said before it is accepted with it. */
  #accept(sequence: number): void {
    for (const before of [...this.unaccepted.keys()]) {
      if (before <= sequence) this.unaccepted.delete(before);
    }
  }

  #advance(digest: Uint8Array): void {
    this.logHash = nextLogHash(
      this.identity.crypto,
      this.logHash,
      this.offset,
      digest,
    ) as Uint8Array<ArrayBuffer>;
  }

  #checkRoster(hash: Uint8Array): void {
    check(
      compareBytes(this.#rosterHash(), hash) === 0,
      `the roster hash of version ${this.version} is wrong`,
    );
  }

  #rosterHash(): Uint8Array {
    const { crypto } = this.identity;
    const digests = [...this.roster.values()].map(({ number, join }) => entryDigest(crypto, number, join));
    return rosterHash(crypto, this.epoch, this.version, digests);
  }

  #checkHash(hash: Uint8Array): void {
    check(compareBytes(hash, this.logHash) === 0, 'the log hash is wrong');
  }
}

/** The wrap that is said to be for a member: told apart by its first four bytes. */
export function wrapOf(number: number): Wrap {
  const wrap = new Uint8Array(48);
  wrap.set([number >>> 24, number >>> 16, number >>> 8, number]);
  return { number, wrap };
}

function check(holds: boolean, problem: string): void {
  if (!holds) throw new Error(`The relay: ${problem}.`);
}
