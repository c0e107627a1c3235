import { fromUtf8, toHex, utf8 } from '../../src/core/bytes.js';
import type { Crypto } from '../../src/core/crypto.js';
import { decodeFrame } from '../../src/core/frame.js';
import { decodePacket, type Packet } from '../../src/core/space/key-packet.js';
import { createInvitation } from '../../src/core/space/invitation.js';
import type { MemberInformation, MembershipEvent } from '../../src/core/space/membership.js';
import { ReceivedChain } from '../../src/core/space/sender-key.js';
import { decodeMulticast, decodeSpaceReport, SpaceOperation } from '../../src/core/space/space-frame.js';
import { decodeSpaceMessage } from '../../src/core/space/space-message.js';
import { openWrapped } from '../../src/core/space/wrap.js';
import { type EndOptions, ModelRelay, RELAY_KEY, SPACE, SpaceEnd } from '../support/space-world.js';
import { seededCrypto } from '../support/virtual-network.js';
import { Random } from './random.js';
import { Timeline } from './timeline.js';

/** Is in every message, and in nothing that the relay sees. */
const MARKER = 'plaintext marker';
/** So long faults happen, and so long everything is given to come to rest: more than anybody keeps or waits for anything. */
const FAULTS = 40_000;
const REST = 460_000;
/** Whoever hears only then that somebody has gone does not remember it at the end. */
const FAREWELL = 220_000;
const AWAY_TIME = 30_000;

/** Frames that may come late, twice or not at all without the connection being lost: a relay skips who is slow. */
const ITEMS: ReadonlySet<number> = new Set([
  SpaceOperation.JOINED,
  SpaceOperation.LEFT,
  SpaceOperation.MESSAGE,
  SpaceOperation.ACCEPTED,
]);

/** What becomes of one run. */
export interface SpaceRunResult {
  readonly delivered: number;
  readonly lost: number;
  readonly hash: number;
}

interface Channel {
  readonly ends: readonly [Party, Party];
  isOpen: boolean;
  /** Packets on their way. */
  underWay: number;
}

/** One member with an application that notes what it sends and gets; and an attacker who keeps whatever passes it. */
class Party {
  readonly name: string;
  readonly end: SpaceEnd;
  /** Counts connections: what is under way on an earlier one is lost. */
  connection = 0;
  isOver = false;
  hasLeft = false;
  awaySince: number | undefined;
  readonly sent: string[] = [];
  /** Who was in the space for the sender at the time of each, and has not been told to be gone since. */
  readonly owed: Set<string>[] = [];
  /** By member id. */
  readonly got = new Map<string, number[]>();
  readonly lostFrom = new Map<string, number>();
  /** Member ids of those whose leaving it was told of. */
  readonly parted = new Set<string>();
  /** Keys that were given to it, by the member id of who gave them. */
  readonly keys: { from: string; packet: Packet & { type: 'key' } }[] = [];
  readonly repaired: { from: string; sequence: number }[] = [];

  constructor(name: string, end: SpaceEnd) {
    this.name = name;
    this.end = end;
  }

  get id(): string {
    return this.end.membership.id;
  }
}

interface Upload {
  readonly party: Party;
  readonly message: Uint8Array;
  readonly wraps: readonly Uint8Array[];
}

/** Members of one space, their relay, and whatever can go wrong between them, all of it chosen by a seed. */
export class SpaceRun {
  readonly log: string[] = [];
  readonly #seed: number;
  readonly #random: Random;
  readonly #timeline = new Timeline();
  readonly #relay = new ModelRelay();
  readonly #parties: Party[] = [];
  readonly #channels = new Set<Channel>();
  readonly #uploads: Upload[] = [];
  readonly #seals = new Set<string>();
  readonly #options: EndOptions;
  readonly #admin: SpaceEnd | undefined;
  readonly #faults: { drop: number; twice: number; late: number; refuse: number; channel: number };
  readonly #wakes = new Map<Party, number>();
  readonly #maxFrame: number;
  readonly #isTracing: boolean;
  #hash = 0;
  #delivered = 0;
  #isCalm = false;

  constructor(seed: number, isTracing = false) {
    this.#seed = seed;
    this.#isTracing = isTracing;
    const random = (this.#random = new Random(seed));
    const isLarge = random.chance(0.3);
    this.#maxFrame = random.pick([32_768, 65_536, 262_144]);
    this.#faults = {
      drop: random.pick([0, 0.02, 0.2]),
      twice: random.pick([0, 0.1]),
      late: random.pick([0, 0.1]),
      refuse: random.pick([0, 0.05, 0.3]),
      channel: random.pick([0, 0.1, 0.5]),
    };
    this.#options = {
      senderKeyMembers: random.pick([1, 3, 5, 1_000]),
      senderKeyRate: random.pick([1, 8, 1_000]),
    };
    if (random.chance(0.2)) {
      this.#admin = new SpaceEnd(200, 'admin');
      this.#options = { ...this.#options, admins: new Set([this.#admin.identity.signingKey]) };
    }
    const members = random.integer(2, isLarge ? 9 : 5);
    for (let i = 0; i < members; i++) this.#after(random.between(0, 5_000), () => this.#join());
    this.#relay.uploaded = (end, message, wraps) => {
      const party = this.#parties.find(each => each.end === end);
      if (party) this.#uploads.push({ party, message, wraps });
    };
    this.#relay.refuse = () => {
      if (this.#isCalm || !random.chance(this.#faults.refuse)) return undefined;
      return random.pick(['STALE_VIEW', 'RATE']);
    };
  }

  run(): SpaceRunResult {
    const random = this.#random;
    for (let at = 0; at < FAULTS; at += random.between(1, 800)) this.#after(at, () => this.#act());
    this.#after(FAULTS, () => this.#calm());
    this.#after(FAULTS + REST - FAREWELL, () => {
      this.#relay.tellHead();
      for (const party of this.#parties) this.#deliverInbox(party);
    });
    while (this.#timeline.step(FAULTS + REST)) {
      if (this.#timeline.steps > 400_000) {
        const busy = this.#parties.filter(
          ({ end: { membership } }) =>
            membership.hasOutput(this.#timeline.now) || membership.wakeAt <= this.#timeline.now,
        );
        this.#wrong(
          `it goes on and on: ${busy.map(({ name, end: { membership: m } }) => `${name} ${m.hasOutput(this.#timeline.now)} ${m.wakeAt}`).join()}`,
        );
      }
    }
    this.#check();
    let lost = 0;
    for (const { lostFrom } of this.#parties) for (const count of lostFrom.values()) lost += count;
    return { delivered: this.#delivered, lost, hash: this.#hash >>> 0 };
  }

  // What happens

  #join(): void {
    const random = this.#random;
    const index = this.#parties.length;
    const key = random.chance(0.2) && index > 0 ? random.integer(1, index) : index + 1;
    const isInvited = random.chance(0.7);
    const name = `p${String(index)}`;
    const invitation = this.#admin && isInvited ? invite(this.#admin, key) : undefined;
    const crypto = this.#watched(seededCrypto(`${String(this.#seed)} ${name}`));
    const end = new SpaceEnd(key, name, { ...this.#options, invitation, crypto, wallClock: () => 1_000_000 });
    const party = new Party(name, end);
    this.#parties.push(party);
    this.#trace(`${name} ${party.id.slice(0, 4)} joins`);
    this.#attach(party);
  }

  #act(): void {
    if (this.#isCalm) return;
    const random = this.#random;
    const there = this.#parties.filter(party => !party.isOver && !party.hasLeft);
    if (there.length === 0) return;
    const party = random.pick(there);
    const what = random.integer(0, 99);
    if (what < 60) {
      for (let n = random.pick([1, 1, 1, 2, 5, 20]); n > 0; n--) this.#send(party);
    } else if (what < 72) {
      if (party.end.isAttached) this.#cut(party);
    } else if (what < 78) {
      if (this.#parties.length < 12) this.#join();
    } else if (what < 83) {
      this.#trace(`${party.name} leaves`);
      party.hasLeft = true;
      party.end.membership.close(this.#timeline.now);
      this.#pump(party);
    } else if (what < 86) {
      this.#restart();
    } else if (what < 90) {
      this.#relay.forget(this.#relay.offset + 1 - random.integer(0, 6));
    } else if (what < 95) {
      for (const channel of this.#channels) if (random.chance(0.5)) this.#breakChannel(channel, false);
    } else if (what < 97) {
      party.end.membership.who();
      this.#pump(party);
    } else {
      this.#relay.tellHead();
      for (const each of this.#parties) this.#deliverInbox(each);
    }
  }

  #calm(): void {
    this.#isCalm = true;
    this.#trace('calm');
    for (const party of this.#parties) if (!party.end.isAttached && !party.isOver) this.#attach(party);
  }

  #send(party: Party): void {
    const { membership } = party.end;
    if (membership.isOver || party.sent.length >= 120) return;
    const random = this.#random;
    const index = party.sent.length;
    const size = random.chance(0.03) ? random.integer(10_000, 150_000) : random.integer(0, 200);
    const text = `${party.name} ${String(index)} ${MARKER} `.padEnd(size, '.');
    party.sent.push(text);
    // Those who must get it: they see each other. Whoever is not told of another is owed nothing.
    const readers = membership.members.filter(member => !member.isSelf && member.admitted);
    party.owed.push(new Set(readers.map(({ id }) => id)));
    membership.send(utf8(text), true);
    this.#pump(party);
  }

  #cut(party: Party): void {
    this.#trace(`${party.name} is cut off`);
    this.#disconnect(party);
    this.#relay.lost(party.end);
    for (const each of this.#parties) this.#deliverInbox(each);
    party.awaySince = this.#timeline.now;
    const { connection } = party;
    this.#after(AWAY_TIME, () => {
      if (party.connection !== connection || party.end.isAttached) return;
      this.#trace(`${party.name} is given up`);
      this.#relay.leave(party.id, 'gone');
      for (const each of this.#parties) this.#deliverInbox(each);
    });
    this.#after(this.#random.pick([10, 1_000, 20_000, 35_000]), () => {
      if (party.connection === connection && !party.end.isAttached && !party.isOver) this.#attach(party);
    });
  }

  #restart(): void {
    this.#trace('the relay starts anew');
    for (const party of this.#parties) if (party.end.isAttached) this.#disconnect(party);
    this.#relay.restart();
    for (const party of this.#parties) {
      if (party.isOver) continue;
      const { connection } = party;
      this.#after(this.#random.pick([10, 500, 5_000, 40_000]), () => {
        if (party.connection === connection && !party.end.isAttached && !party.isOver) this.#attach(party);
      });
    }
  }

  #disconnect(party: Party): void {
    party.connection++;
    party.end.isAttached = false;
    party.end.inbox = [];
    party.end.membership.detach();
    for (const channel of this.#channels)
      if (channel.ends.includes(party)) this.#breakChannel(channel, false);
  }

  #attach(party: Party): void {
    this.#trace(`${party.name} is connected`);
    party.connection++;
    party.end.isAttached = true;
    party.end.membership.attach(party.connection, this.#maxFrame, this.#timeline.now);
    this.#pump(party);
  }

  // What is under way

  #pump(party: Party): void {
    const { end } = party;
    const { membership } = end;
    const { now } = this.#timeline;
    membership.flush(now, this.#random.pick([1, 10_000, Infinity]));
    this.#takeEvents(party);
    for (const { member, packets } of membership.takePackets(now)) this.#pair(party, member, packets);
    const { connection } = party;
    for (const frame of membership.takeFrames()) {
      this.#checkSecret(frame);
      // Also what is sent at last arrives.
      this.#after(LATENCY, () => {
        if (party.connection !== connection) return;
        if (this.#isTracing) this.#trace(`  ${party.name} > ${describeUp(frame)}`);
        this.#relay.receive(end, frame);
        for (const each of this.#parties) this.#deliverInbox(each);
      });
    }
    if (membership.hasOutput(now)) this.#after(0, () => this.#pump(party));
    const at = membership.wakeAt;
    if (at === this.#wakes.get(party)) return;
    this.#wakes.set(party, at);
    this.#timeline.at(Math.max(at, now + 0.001), () => {
      if (this.#wakes.get(party) === at) this.#wakes.delete(party);
      if (membership.wakeAt <= this.#timeline.now) {
        membership.timeout(this.#timeline.now);
        this.#pump(party);
      } else {
        this.#pump(party);
      }
    });
  }

  #deliverInbox(party: Party): void {
    const { end, connection } = party;
    const inbox = end.inbox;
    end.inbox = [];
    for (const bytes of inbox) {
      this.#checkSecret(bytes);
      const isItem = ITEMS.has(bytes[5] as number);
      const mayFail = isItem || bytes[5] === SpaceOperation.REFUSED;
      const { drop, twice, late } = this.#faults;
      if (!this.#isCalm && mayFail && this.#random.chance(drop)) continue;
      const times = !this.#isCalm && isItem && this.#random.chance(twice) ? 2 : 1;
      for (let n = 0; n < times; n++) {
        const mayBeLate = isItem && bytes[5] !== SpaceOperation.JOINED;
        const delay =
          !this.#isCalm && mayBeLate && this.#random.chance(late) ? this.#random.between(1, 200) : 0;
        this.#after(LATENCY + delay, () => {
          if (party.connection !== connection || !end.isAttached) return;
          const frame = decodeFrame(bytes.slice());
          if (frame.type !== 'space') throw new Error('no frame of a space');
          if (this.#isTracing) this.#trace(`  ${party.name} < ${describe(frame.operation, frame.body)}`);
          end.membership.receive(frame.operation, frame.body, this.#timeline.now);
          this.#pump(party);
        });
      }
    }
  }

  #pair(party: Party, member: string, packets: readonly Uint8Array[]): void {
    const peer = this.#parties.find(each => each.id === member);
    const channel = [...this.#channels].find(
      ({ ends, isOpen }) => isOpen && ends.includes(party) && peer && ends.includes(peer),
    );
    if (packets.length > 0) {
      if (!channel || !peer) this.#wrong(`${party.name} has packets for whom there is no channel`);
      for (const packet of packets) {
        channel.underWay++;
        this.#after(LATENCY * 2, () => {
          channel.underWay--;
          if (!channel.isOpen) return;
          this.#keep(peer, party.id, packet);
          peer.end.membership.peerMessage(party.id, packet.slice(), this.#timeline.now);
          this.#pump(peer);
        });
      }
      return;
    }
    const { connection } = party;
    const peerConnection = peer?.connection;
    this.#after(LATENCY * 3, () => {
      if (party.connection !== connection) return;
      const isThere = peer?.end.isAttached === true && peer.connection === peerConnection && peer !== party;
      const fails = !this.#isCalm && this.#random.chance(this.#faults.channel);
      const isExpected =
        isThere && peer.end.membership.expects(party.end.identity.publicKey, party.id) === 'yes';
      if (!isThere || fails || !isExpected) {
        party.end.membership.peerLost(member, this.#timeline.now, false);
      } else {
        const opened: Channel = { ends: [party, peer], isOpen: true, underWay: 0 };
        this.#channels.add(opened);
        party.end.membership.peerOpened(peer.id);
        peer.end.membership.peerOpened(party.id);
        this.#after(30_000, () => {
          if (opened.underWay === 0) this.#breakChannel(opened, true);
        });
        this.#pump(peer);
      }
      this.#pump(party);
    });
  }

  #breakChannel(channel: Channel, isClean: boolean): void {
    if (!channel.isOpen) return;
    channel.isOpen = false;
    this.#channels.delete(channel);
    const [one, other] = channel.ends;
    for (const [party, peer] of [
      [one, other],
      [other, one],
    ] as const) {
      const hasAnother = [...this.#channels].some(({ ends }) => ends.includes(one) && ends.includes(other));
      party.end.membership.peerLost(peer.id, this.#timeline.now, isClean);
      if (hasAnother) party.end.membership.peerOpened(peer.id);
      this.#after(0, () => this.#pump(party));
    }
  }

  // What is noted

  #takeEvents(party: Party): void {
    for (const event of party.end.membership.takeEvents()) this.#note(party, event);
  }

  #note(party: Party, event: MembershipEvent): void {
    switch (event.type) {
      case 'message': {
        const sender = this.#parties.find(({ id }) => id === event.member);
        const [, index = ''] = (fromUtf8(event.data) ?? '').split(' ', 2);
        const got = party.got.get(event.member) ?? [];
        party.got.set(event.member, got);
        if (sender?.sent[Number(index)] !== fromUtf8(event.data))
          this.#wrong(`${party.name} got another text`);
        if (Number(index) <= (got.at(-1) ?? -1)) {
          this.#wrong(`${party.name} got ${sender?.name ?? '?'} ${index} after ${String(got.at(-1))}`);
        }
        got.push(Number(index));
        this.#delivered++;
        this.#trace(`${party.name} got ${sender?.name ?? '?'} ${index}`);
        return;
      }
      case 'lost': {
        const { member, count, reason } = event;
        party.lostFrom.set(member.id, (party.lostFrom.get(member.id) ?? 0) + count);
        this.#trace(`${party.name} lost ${String(count)} of ${member.id.slice(0, 4)}: ${reason}`);
        if (reason === 'view') this.#wrong(`${party.name} and ${member.id} do not see the same`);
        return;
      }
      case 'left':
        party.parted.add(event.member.id);
        this.#trace(`${party.name} sees ${event.member.id.slice(0, 4)} ${event.reason}`);
        return;
      case 'failed':
        this.#wrong(`${party.name} failed: ${event.error.code} ${event.error.message}`);
        return;
      case 'refused':
      case 'closed':
        this.#trace(`${party.name} ${event.type}`);
        party.isOver = true;
        return;
      default:
        this.#trace(`${party.name} ${event.type}`);
    }
  }

  #keep(party: Party, from: string, bytes: Uint8Array): void {
    const packet = decodePacket(bytes.slice());
    if (packet.type === 'key') party.keys.push({ from, packet });
    if (packet.type === 'missed') party.repaired.push({ from, sequence: packet.sequence });
    this.#trace(`${party.name} told ${packet.type} by ${from.slice(0, 4)}`);
  }

  #watched(crypto: Crypto): Crypto {
    return new Proxy(crypto, {
      get: (target, name, receiver) => {
        const its: unknown = Reflect.get(target, name, receiver);
        if (name !== 'aeadEncrypt') return its;
        return (key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array) => {
          const seal = `${toHex(key)} ${toHex(nonce)}`;
          if (this.#seals.has(seal)) this.#wrong('a nonce was used twice with one key');
          this.#seals.add(seal);
          return target.aeadEncrypt(key, nonce, ad, plaintext);
        };
      },
    });
  }

  #checkSecret(frame: Uint8Array): void {
    if (Buffer.from(frame.buffer, frame.byteOffset, frame.length).includes(MARKER)) {
      this.#wrong('the relay sees plaintext');
    }
  }

  // What must hold in the end

  #check(): void {
    const there = this.#parties.filter(({ isOver }) => !isOver);
    const expected = [...this.#relay.places.keys()].sort().join();
    for (const party of there) {
      const { membership } = party.end;
      const members = membership.members.map(({ id }: MemberInformation) => id);
      if (members.sort().join() !== expected) this.#wrong(`${party.name} sees other members than there are`);
      if (membership.members.some(({ away }) => away)) this.#wrong(`${party.name} waits for somebody`);
      if (membership.bufferedAmount > 0 || membership.unsent().length > 0) {
        this.#wrong(`${party.name} has not sent all`);
      }
      const untold = membership.takePackets(Infinity).map(({ member }) => member.slice(0, 4));
      if (untold.length > 0) this.#wrong(`${party.name} has something to tell to ${untold.join()}`);
      if (membership.wakeAt < Infinity) this.#wrong(`${party.name} wakes up for nothing`);
    }
    for (const sender of this.#parties) this.#checkDelivery(sender);
    this.#checkReaders();
  }

  #checkDelivery(sender: Party): void {
    for (const [index, readers] of sender.owed.entries()) {
      for (const id of readers) {
        const reader = this.#parties.find(party => party.id === id);
        if (!reader || reader.isOver || sender.isOver) continue;
        const isOwed = !sender.parted.has(id) && !reader.parted.has(sender.id);
        const isAdmitted = reader.end.membership.members.find(each => each.id === sender.id)?.admitted;
        const got = reader.got.get(sender.id) ?? [];
        if (isOwed && isAdmitted === true && !got.includes(index)) {
          this.#wrong(`${reader.name} never got ${sender.name} ${String(index)}`);
        }
      }
    }
    // Nothing is missing in silence: between those who never parted nothing is lost.
    for (const reader of this.#parties) {
      const lost = reader.lostFrom.get(sender.id) ?? 0;
      const isWhole = !sender.parted.has(reader.id) && !reader.parted.has(sender.id);
      if (lost > 0 && isWhole && !sender.isOver && !reader.isOver) {
        this.#wrong(`${reader.name} lost ${String(lost)} of ${sender.name}`);
      }
    }
  }

  /**
   * A modified client that keeps every key, and to which the relay hands everything that anybody has ever uploaded: it
   * reads only what was sealed for a roster with it.
   */
  #checkReaders(): void {
    const crypto = seededCrypto('attacker');
    const place = { relayKey: RELAY_KEY, name: SPACE };
    for (const { party: sender, message, wraps } of this.#uploads) {
      const decoded = decodeSpaceMessage(message);
      const { epoch, version, generation } = decoded.header;
      const roster = this.#relay.rosters.get(`${toHex(epoch)} ${String(version)}`);
      const senderKey = sender.end.identity.publicKeyBytes;
      for (const party of this.#parties) {
        const may = roster?.has(party.id) === true && isAdmitted(sender, party);
        for (const { from, packet } of party.keys) {
          if (from !== sender.id || packet.generation !== generation) continue;
          const opened = packet.signingKey
            ? new ReceivedChain(crypto, packet.key, packet.signingKey).open(place, senderKey, decoded)
            : wraps.find(wrap => openWrapped(crypto, place, senderKey, decoded, wrap, packet.key));
          if (opened && !may) {
            this.#wrong(`${party.name} can read ${sender.name} ${String(decoded.header.sequence)}`);
          }
        }
      }
    }
    // What was told to one alone was said to it before, too.
    for (const party of this.#parties) {
      for (const { from, sequence } of party.repaired) {
        const copies = this.#uploads.filter(
          ({ party: sender, message }) =>
            sender.id === from && decodeSpaceMessage(message).header.sequence === sequence,
        );
        const rosters = [...this.#relay.rosters.values()].filter(roster => roster.has(party.id));
        if (copies.length === 0 || rosters.length === 0) this.#wrong(`${party.name} was told too much`);
      }
    }
  }

  #after(delay: number, run: () => void): void {
    this.#timeline.after(delay, run);
  }

  #trace(what: string): void {
    for (let i = 0; i < what.length; i++) {
      this.#hash = Math.imul(this.#hash ^ what.charCodeAt(i), 0x01000193);
    }
    if (this.#isTracing) this.log.push(`${this.#timeline.now.toFixed(1).padStart(10)} ${what}`);
  }

  #wrong(what: string): never {
    this.#trace(`WRONG: ${what}`);
    const seed = String(this.#seed);
    throw new Error(
      `seed ${seed}, at ${this.#timeline.now.toFixed(1)} ms: ${what}. Again: npm run simulate -- --spaces --from ${seed} --trace`,
    );
  }
}

const LATENCY = 7;

function describe(operation: number, body: Uint8Array): string {
  const report = decodeSpaceReport(operation, body);
  if (report.type === 'message') {
    const { header } = decodeSpaceMessage(report.message);
    return `message ${String(report.offset)} of ${toHex(header.sender).slice(0, 4)} ${String(header.sequence)}`;
  }
  const { type, ...rest } = report as unknown as Record<string, unknown>;
  return `${String(type)} ${JSON.stringify(rest, (_, value: unknown) => (value instanceof Uint8Array ? toHex(value).slice(0, 8) : value))}`;
}

function describeUp(bytes: Uint8Array): string {
  const frame = decodeFrame(bytes);
  if (frame.type === 'space') return `operation ${String(frame.operation)}`;
  if (frame.type !== 'multicast') return frame.type;
  const { header } = decodeSpaceMessage(decodeMulticast(frame.body).message);
  return `multicast ${String(header.sequence)} generation ${String(header.generation)} seen ${String(header.seen)}`;
}

function isAdmitted(sender: Party, reader: Party): boolean {
  const known = sender.end.membership.members.find(({ id }) => id === reader.id);
  return known?.admitted ?? true;
}

function invite(admin: SpaceEnd, key: number): Uint8Array {
  const invited = new SpaceEnd(key, 'invited').identity.publicKeyBytes;
  return createInvitation(admin.identity, SPACE, invited, 0);
}
