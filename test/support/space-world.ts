import { concat, fromUtf8, toHex, utf8 } from '../../src/core/bytes.js';
import type { Crypto } from '../../src/core/crypto.js';
import { decodeFrame } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { decodeJoin, isJoinAuthentic } from '../../src/core/space/join-record.js';
import { Membership, type MembershipEvent, type MembershipOptions } from '../../src/core/space/membership.js';
import { entryDigest, rosterHash } from '../../src/core/space/roster.js';
import {
  decodeMulticast,
  decodeSpaceRequest,
  encodeMessageHead,
  encodeSpaceReport,
  type Entered,
  type Entry,
  type LeaveReason,
  type SpaceReport,
} from '../../src/core/space/space-frame.js';
import {
  firstLogHash,
  joinedDigest,
  leftDigest,
  messageDigest,
  nextLogHash,
} from '../../src/core/space/space-log.js';
import { decodeSpaceMessage } from '../../src/core/space/space-message.js';
import { seededCrypto } from './virtual-network.js';

export const RELAY_KEY = new Uint8Array(32).fill(7);
export const SPACE = 'room';

interface Place {
  readonly entry: Entry & { connectionId: number; away: boolean };
  end: SpaceEnd;
  readonly joinedAt: number;
  /** Of its latest message that is in the order. */
  lastSequence: number | undefined;
  /** Of the message that is to come next, once there was one. */
  nextSequence: number | undefined;
}

type Item =
  | { readonly kind: 'report'; readonly report: SpaceReport & { offset: number } }
  | {
      readonly kind: 'message';
      readonly offset: number;
      readonly from: Place;
      readonly sequence: number;
      readonly message: Uint8Array;
      readonly wraps: ReadonlyMap<number, Uint8Array>;
    };

/** What a relay that does as it should keeps of one space: written for tests, from the protocol. */
export class ModelRelay {
  readonly #crypto: Crypto = seededCrypto('model relay');
  epoch: Uint8Array = new Uint8Array(8);
  offset = 0;
  version = 0;
  logHash: Uint8Array = new Uint8Array(32);
  readonly places = new Map<string, Place>();
  items: Item[] = [];
  #numbers = 0;
  #connections = 0;
  /** Changes, drops or adds what goes to a member; by default nothing. */
  toMember: (end: SpaceEnd, frame: Uint8Array) => Uint8Array[] = (_, frame) => [frame];
  /** Ways in which it does what it should not. */
  refuse: ((sequence: number, end: SpaceEnd) => string | undefined) | undefined;
  /** Who is in the space, by epoch and version of the roster: member ids. */
  readonly rosters = new Map<string, ReadonlySet<string>>();
  /** Whatever is uploaded. */
  uploaded: (end: SpaceEnd, message: Uint8Array, wraps: readonly Uint8Array[]) => void = () => undefined;

  constructor() {
    this.restart();
  }

  /** Everything is forgotten, as in a new process. */
  restart(): void {
    this.epoch = this.#crypto.randomBytes(8).slice();
    this.offset = this.version = this.#numbers = 0;
    this.places.clear();
    this.items = [];
    this.logHash = firstLogHash(this.#crypto, { relayKey: RELAY_KEY, name: SPACE }, this.epoch);
  }

  get rosterHash(): Uint8Array {
    const digests = [...this.places.values()].map(({ entry }) =>
      entryDigest(this.#crypto, entry.number, entry.join),
    );
    return rosterHash(this.#crypto, this.epoch, this.version, digests);
  }

  receive(end: SpaceEnd, bytes: Uint8Array): void {
    const frame = decodeFrame(bytes);
    if (frame.type === 'multicast') {
      this.#multicast(end, frame.body.slice());
      return;
    }
    if (frame.type !== 'space') throw new Error('no frame of a space');
    const request = decodeSpaceRequest(frame.operation, frame.body);
    const place = this.places.get(end.membership.id);
    if (request.type === 'enter') this.#enter(end, request);
    else if (!place) return;
    else if (request.type === 'leave') this.leave(end.membership.id, 'left');
    else if (request.type === 'who') {
      this.#tell(end, { type: 'roster', entries: this.#entries });
      this.#tell(end, { type: 'present', ...this.#state(place.entry.number, false) });
    } else {
      const first = this.items[0];
      const kept = first ? offsetOf(first) : this.offset + 1;
      if (kept > request.from) {
        this.#tell(end, { type: 'unavailable', from: request.from, to: kept - 1 });
      } else {
        for (const item of this.items) {
          if (offsetOf(item) >= request.from && offsetOf(item) <= request.to) this.#give(place, item);
        }
      }
    }
  }

  /** The member's connection is lost. */
  lost(end: SpaceEnd): void {
    const place = this.places.get(end.membership.id);
    if (!place) return;
    if (!end.stays) this.leave(end.membership.id, 'gone');
    else {
      place.entry.away = true;
      this.#tellMoved(place);
    }
  }

  /** Enters somebody with a record that it signed once, without its knowing. */
  enterAgain(end: SpaceEnd, join: Uint8Array): void {
    this.#enter(end, { join });
  }

  /** Puts a message into the order that it should not take. */
  place(end: SpaceEnd, message: Uint8Array): void {
    const from = this.places.get(end.membership.id);
    if (!from) return;
    const { sequence } = decodeSpaceMessage(message).header;
    from.lastSequence = sequence;
    from.nextSequence = sequence + 1;
    const offset = this.#advance(messageDigest(this.#crypto, message));
    this.#order({ kind: 'message', offset, from, sequence, message, wraps: new Map() }, end);
  }

  /** Items before this offset are not kept any more. */
  forget(before: number): void {
    this.items = this.items.filter(item => offsetOf(item) >= before);
  }

  /** Tells all where the order stands. */
  tellHead(): void {
    const { offset, logHash } = this;
    for (const { end, entry } of this.places.values()) {
      if (!entry.away) this.#tell(end, { type: 'head', offset, logHash });
    }
  }

  leave(id: string, reason: LeaveReason): void {
    const place = this.places.get(id);
    if (!place) return;
    this.places.delete(id);
    this.#countRoster();
    const { number } = place.entry;
    const { version, rosterHash: hash } = this;
    const offset = this.#advance(leftDigest(this.#crypto, version, hash, number, reason));
    const report = { type: 'left', offset, version, rosterHash: hash, number, reason } as const;
    this.#order({ kind: 'report', report });
  }

  get #entries(): Entry[] {
    return [...this.places.values()].map(({ entry }) => ({ ...entry }));
  }

  #enter(
    end: SpaceEnd,
    request: { join: Uint8Array; resume?: { epoch: Uint8Array; offset: number } | undefined },
  ) {
    const join = decodeJoin(request.join.slice());
    if (!isJoinAuthentic(this.#crypto, { relayKey: RELAY_KEY, name: SPACE }, join))
      throw new Error('a forged join');
    const known = this.places.get(toHex(join.memberId));
    const connectionId = ++this.#connections;
    if (known) {
      known.entry.connectionId = connectionId;
      known.entry.away = false;
      known.end = end;
      const { resume } = request;
      const first = this.items[0];
      const canResume =
        resume !== undefined &&
        toHex(resume.epoch) === toHex(this.epoch) &&
        (resume.offset === this.offset || (first !== undefined && offsetOf(first) <= resume.offset + 1));
      if (!canResume) this.#tell(end, { type: 'roster', entries: this.#entries });
      this.#tell(end, { type: 'entered', ...this.#state(known.entry.number, canResume) });
      if (canResume) {
        // Where the others went meanwhile.
        for (const { number, connectionId: at, away } of this.#entries) {
          this.#tell(end, { type: 'moved', number, connectionId: at, away });
        }
        for (const item of this.items) if (offsetOf(item) > resume.offset) this.#give(known, item);
      }
      this.#tellMoved(known);
      return;
    }
    const entry = { number: ++this.#numbers, connectionId, away: false, join: join.bytes.slice() };
    const place: Place = {
      entry,
      end,
      joinedAt: this.offset + 1,
      lastSequence: undefined,
      nextSequence: undefined,
    };
    this.places.set(end.membership.id, place);
    this.#countRoster();
    const before = this.logHash;
    const { version, rosterHash: hash } = this;
    const offset = this.#advance(joinedDigest(this.#crypto, version, hash, entry.number, entry.join));
    const report = { type: 'joined', offset, version, rosterHash: hash, entry: { ...entry } } as const;
    this.#order({ kind: 'report', report }, end);
    this.#tell(end, { type: 'roster', entries: this.#entries });
    this.#tell(end, { type: 'entered', ...this.#state(entry.number, false), before });
  }

  #countRoster(): void {
    this.version++;
    this.rosters.set(`${toHex(this.epoch)} ${String(this.version)}`, new Set(this.places.keys()));
  }

  #state(number: number, resumed: boolean): Entered {
    const { epoch, offset, version, rosterHash: hash, logHash } = this;
    return { epoch, offset, version, rosterHash: hash, logHash, number, resumed };
  }

  #multicast(end: SpaceEnd, body: Uint8Array): void {
    const from = this.places.get(end.membership.id);
    if (!from) return;
    const multicast = decodeMulticast(body);
    const { message } = multicast;
    const { header } = decodeSpaceMessage(message);
    const { sequence } = header;
    const numbers = Array.from({ length: this.#numbers }, (_, index) => index + 1);
    this.uploaded(
      end,
      message.slice(),
      numbers.flatMap(number => multicast.wrapFor(number)?.slice() ?? []),
    );
    if (from.lastSequence !== undefined && sequence <= from.lastSequence) {
      const item = this.items.find(
        each => each.kind === 'message' && each.from === from && each.sequence === sequence,
      );
      this.#tell(end, { type: 'accepted', sequence, offset: item ? offsetOf(item) : 0 });
      return;
    }
    const isGap = from.nextSequence !== undefined && sequence !== from.nextSequence;
    from.nextSequence ??= sequence;
    const isStale =
      toHex(header.epoch) !== toHex(this.epoch) ||
      header.seen > this.offset ||
      header.seen < this.offset - 512 ||
      header.seen < from.joinedAt;
    const reason = isGap
      ? 'STALE_VIEW'
      : (this.refuse?.(sequence, end) ?? (isStale ? 'STALE_VIEW' : undefined));
    if (reason !== undefined) {
      this.#tell(end, { type: 'refused', reason, message: '', sequence, retryAfter: 100 });
      return;
    }
    from.lastSequence = sequence;
    from.nextSequence = sequence + 1;
    const offset = this.#advance(messageDigest(this.#crypto, message));
    const wraps = new Map<number, Uint8Array>();
    for (const { entry } of this.places.values()) {
      const wrap = multicast.wrapFor(entry.number);
      if (wrap) wraps.set(entry.number, wrap.slice());
    }
    this.#order({ kind: 'message', offset, from, sequence, message: message.slice(), wraps });
  }

  #advance(digest: Uint8Array): number {
    this.offset++;
    this.logHash = nextLogHash(this.#crypto, this.logHash, this.offset, digest);
    return this.offset;
  }

  #order(item: Item, except?: SpaceEnd): void {
    this.items.push(item);
    for (const place of this.places.values()) {
      if (place.end !== except && !place.entry.away) this.#give(place, item);
    }
  }

  #give(place: Place, item: Item): void {
    const { end, entry } = place;
    if (item.kind === 'report') {
      const { report } = item;
      const joined = report.type === 'joined' ? this.#numbered(report.entry.number) : undefined;
      // Whoever has joined is where it is now.
      this.#tell(end, report.type === 'joined' && joined ? { ...report, entry: { ...joined } } : report);
    } else if (item.from === place) {
      this.#tell(end, { type: 'accepted', sequence: item.sequence, offset: item.offset });
    } else {
      const wrap = item.wraps.get(entry.number);
      this.send(end, concat(encodeMessageHead(end.membership.number, item.offset, wrap), item.message));
    }
  }

  #numbered(number: number): Entry | undefined {
    return this.#entries.find(entry => entry.number === number);
  }

  #tell(end: SpaceEnd, report: SpaceReport): void {
    this.send(end, encodeSpaceReport(end.membership.number, report));
  }

  #tellMoved(moved: Place): void {
    const { number, connectionId, away } = moved.entry;
    for (const { end, entry } of this.places.values()) {
      if (!entry.away) this.#tell(end, { type: 'moved', number, connectionId, away });
    }
  }

  send(end: SpaceEnd, frame: Uint8Array): void {
    for (const each of this.toMember(end, frame)) end.inbox.push(each);
  }
}

function offsetOf(item: Item): number {
  return item.kind === 'report' ? item.report.offset : item.offset;
}

export type EndOptions = Partial<Omit<MembershipOptions, 'signer' | 'relayKey'>>;

/** One member, with all that it was told. */
export class SpaceEnd {
  readonly membership: Membership;
  readonly identity: Identity;
  readonly stays: boolean;
  /** Frames of the relay that have not come yet. */
  inbox: Uint8Array[] = [];
  readonly events: MembershipEvent[] = [];
  /** Channels with other members that are open. */
  readonly channels = new Set<SpaceEnd>();
  isAttached = false;

  constructor(identity: number, name: string, options: EndOptions = {}) {
    const { crypto = seededCrypto(name) } = options;
    this.stays = options.stay ?? true;
    this.identity = new Identity(crypto, new Uint8Array(32).fill(identity));
    this.membership = new Membership({
      signer: this.identity,
      relayKey: RELAY_KEY,
      space: SPACE,
      stay: this.stays,
      maxPayload: 1_048_576,
      wallClock: () => 1_000_000,
      ...options,
      crypto,
    });
  }

  /** Texts that came: `<first byte of the sender's key>:<text>`. */
  get texts(): string[] {
    return this.events.flatMap(event =>
      event.type === 'message' ? [`${event.member.slice(0, 4)}:${fromUtf8(event.data) ?? ''}`] : [],
    );
  }

  of<Type extends MembershipEvent['type']>(type: Type): Extract<MembershipEvent, { type: Type }>[] {
    return this.events.filter(
      (event): event is Extract<MembershipEvent, { type: Type }> => event.type === type,
    );
  }

  /** What begins the texts of this one elsewhere. */
  get tag(): string {
    return this.membership.id.slice(0, 4);
  }

  send(text: string): void {
    this.membership.send(utf8(text), true);
  }
}

/** Members of one space, their relay, and what is between them: all of it moves when `settle` is called. */
export class SpaceWorld {
  readonly relay = new ModelRelay();
  readonly ends: SpaceEnd[] = [];
  now = 0;
  maxFrame = 262_144;
  /** Whether a channel between two members can be made, and carries anything. */
  connects: (from: SpaceEnd, to: SpaceEnd) => boolean = () => true;
  #numbers = 0;

  /** A new member, which has entered when this returns. */
  join(identity: number, options?: EndOptions): SpaceEnd {
    const end = new SpaceEnd(identity, `end ${String(this.ends.length)}`, options);
    this.ends.push(end);
    this.attach(end);
    this.settle();
    return end;
  }

  attach(end: SpaceEnd): void {
    end.isAttached = true;
    end.membership.attach(++this.#numbers, this.maxFrame, this.now);
  }

  /** The member loses its connection, and all that is on its way. */
  cut(end: SpaceEnd): void {
    end.isAttached = false;
    end.inbox = [];
    for (const other of end.channels) {
      other.channels.delete(end);
      other.membership.peerLost(end.membership.id, this.now, false);
    }
    end.channels.clear();
    end.membership.detach();
    this.relay.lost(end);
  }

  leave(end: SpaceEnd): void {
    end.membership.close(this.now);
    this.settle();
  }

  /** The time goes on, in steps in which timers are due. */
  wait(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (;;) {
      const at = Math.min(...this.ends.map(({ membership }) => Math.max(membership.wakeAt, this.now + 1)));
      if (at > until) break;
      this.now = at;
      for (const { membership } of this.ends) if (membership.wakeAt <= this.now) membership.timeout(this.now);
      this.settle();
    }
    this.now = until;
  }

  /** Everything that is on its way arrives. */
  settle(): void {
    for (let rounds = 0; this.#round(); rounds++) {
      if (rounds > 10_000) throw new Error('The space does not come to rest.');
    }
  }

  #round(): boolean {
    let moved = false;
    for (const end of this.ends) {
      const inbox = end.inbox;
      end.inbox = [];
      for (const bytes of inbox) {
        const frame = decodeFrame(bytes.slice());
        if (frame.type !== 'space') throw new Error('no frame of a space');
        if (end.isAttached && frame.membership === end.membership.number)
          end.membership.receive(frame.operation, frame.body, this.now);
        moved = true;
      }
      end.membership.flush(this.now);
      end.events.push(...end.membership.takeEvents());
      for (const { member, packets } of end.membership.takePackets(this.now)) {
        moved = true;
        this.#pair(end, member, packets);
      }
      for (const frame of end.membership.takeFrames()) {
        moved = true;
        if (end.isAttached) this.relay.receive(end, frame);
      }
      end.events.push(...end.membership.takeEvents());
    }
    return moved;
  }

  #pair(end: SpaceEnd, member: string, packets: readonly Uint8Array[]): void {
    const peer = this.ends.find(({ membership }) => membership.id === member);
    const isThere = peer?.isAttached === true && this.connects(end, peer);
    if (packets.length > 0) {
      if (!peer || !end.channels.has(peer)) throw new Error('packets without a channel');
      if (isThere)
        for (const packet of packets) peer.membership.peerMessage(end.membership.id, packet, this.now);
    } else if (
      peer &&
      isThere &&
      peer.membership.expects(end.identity.publicKey, end.membership.id) === 'yes'
    ) {
      end.channels.add(peer);
      peer.channels.add(end);
      end.membership.peerOpened(member);
      peer.membership.peerOpened(end.membership.id);
    } else {
      end.membership.peerLost(member, this.now, false);
    }
  }
}
