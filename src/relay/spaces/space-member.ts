import { toHex, writeUint32 } from '../../core/bytes.js';
import { FrameType } from '../../core/frame.js';
import type { JoinRecord } from '../../core/space/join-record.js';
import {
  encodeEntry,
  encodeMessageHead,
  encodeSpaceReport,
  type Entry,
  type SpaceRefusal,
  type SpaceReport,
} from '../../core/space/space-frame.js';
import type { TokenBucket } from '../limits/token-bucket.js';
import { REPORT_HEAD, type SpaceItem } from './space-item.js';
import type { SpaceClient, SpacePort } from './space-port.js';

/** One entry into one space: as long as it is in the roster, with its connection or without. */
export class SpaceMember {
  /** Its number in this epoch of the space. */
  readonly number: number;
  /** 32 hex digits. */
  readonly id: string;
  /** 64 hex digits. */
  readonly publicKey: string;
  readonly signingKey: Uint8Array;
  /** The join record with which it came first: it is part of every hash of the roster. */
  readonly join: Uint8Array;
  /** What stands for it in the roster. */
  readonly digest: Uint8Array;
  /** Offset of its own item JOINED: nothing before it is for this member. */
  readonly joinedAt: number;
  /** The hash of the order before that, until the member was told. */
  before: Uint8Array | undefined;

  /** Where it is, or was last. */
  #client: SpaceClient;
  #isAway = false;
  /** The number of the membership on its connection. */
  #membership = 0;
  #entryBytes: Uint8Array | undefined;
  /** What its reports begin with, where nothing else differs from member to member. */
  readonly #head = new Uint8Array(REPORT_HEAD);
  /** Whether its place is kept when its connection is lost. */
  stays = false;
  /** Until when, once it is away. */
  awayUntil = Infinity;
  /** The count of moves in the space when it came to its connection: it knows where all were then. */
  cameAt = 0;
  /** The same when it moved last itself. */
  movedAt = 0;

  /** Offset of the last item that was put on its connection. */
  through: number;
  /** It could not be told of items that it asked for: it has to enter anew, and hears of none until then. */
  isLost = false;
  /** It was slow for too long: nobody waits for it. */
  isLagging = false;
  /** Since when others wait for it; undefined: they do not. */
  slowSince: number | undefined;
  /** Nobody waits for it again before. */
  impatientUntil = -Infinity;
  /** Items that it has asked for again, first and last. */
  wanted: { from: number; to: number } | undefined;
  /** It has not been told that it is in, which comes before everything else. */
  owesEntered = false;
  /** It asked for the roster, or missed where others went. */
  owesRoster = false;
  /** A refusal that found no room. */
  refusal: SpaceReport | undefined;

  /** The number that its next message must have. Undefined: any, as there was none in this epoch. */
  nextSequence: number | undefined;
  /** The number of its last message that is in the order. 0: there is none. */
  lastSequence = 0;
  /** Its messages that wait for their place in the order, and their bytes. */
  heldMessages = 0;
  heldBytes = 0;
  /** How many messages it may send. */
  readonly rate: TokenBucket | undefined;

  constructor(
    number: number,
    join: JoinRecord,
    digest: Uint8Array,
    {
      joinedAt,
      before,
      client,
      rate,
    }: { joinedAt: number; before: Uint8Array; client: SpaceClient; rate: TokenBucket | undefined },
  ) {
    this.number = number;
    this.id = toHex(join.memberId);
    this.publicKey = toHex(join.boxKey);
    this.signingKey = join.signingKey;
    this.join = join.bytes;
    this.digest = digest;
    this.joinedAt = joinedAt;
    this.before = before;
    this.through = joinedAt;
    this.rate = rate;
    this.#client = client;
  }

  get client(): SpaceClient {
    return this.#client;
  }

  get connectionId(): number {
    return this.#client.client.connectionId;
  }

  get membership(): number {
    return this.#membership;
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** Bytes that wait in its connection. */
  get queuedBytes(): number {
    return this.#client.port.queuedBytes;
  }

  /** The entry as it stands in a page of the roster. Made once as long as it is the same. */
  get entryBytes(): Uint8Array {
    return (this.#entryBytes ??= encodeEntry(this.entry));
  }

  get entry(): Entry {
    const { number, connectionId, isAway: away, join } = this;
    return { number, connectionId, away, join };
  }

  /** It is on this connection from now on, and has missed nothing there. */
  attach(client: SpaceClient, membership: number, stays: boolean, moves: number): void {
    this.#client = client;
    this.#membership = membership;
    this.#isAway = false;
    this.#entryBytes = undefined;
    this.#head[0] = FrameType.SPACE;
    writeUint32(this.#head, 1, membership);
    this.stays = stays;
    this.awayUntil = Infinity;
    this.cameAt = moves;
    this.isLost = this.isLagging = this.owesEntered = this.owesRoster = false;
    this.slowSince = this.wanted = this.refusal = undefined;
  }

  /** It is on no connection. Until then it may come back to its place. */
  detach(until = -Infinity): void {
    this.#isAway = true;
    this.#entryBytes = undefined;
    // Whoever keeps this member, as histories do, must not keep the connection.
    this.#client = { port: NOWHERE, client: this.#client.client, forget: () => undefined };
    this.awayUntil = until;
    this.slowSince = this.wanted = this.refusal = undefined;
    this.owesEntered = this.owesRoster = false;
  }

  /** It wants these items again. Those from before its time it does not get. */
  want(from: number, to: number): void {
    const first = Math.max(from, this.joinedAt);
    if (first > to) return;
    const { wanted } = this;
    this.wanted = wanted
      ? { from: Math.min(wanted.from, first), to: Math.max(wanted.to, to) }
      : { from: first, to };
  }

  /** Puts an item on its connection; false: there is no room. Its own message is the word that it is in the order. */
  put(item: SpaceItem, tail?: Uint8Array): boolean {
    const { content, offset } = item;
    const { port } = this.#client;
    if (content.type !== 'message') return port.offerShared(this.#head, tail ?? item.tail());
    if (content.sender === this.number) {
      return this.tell({ type: 'accepted', sequence: content.sequence, offset });
    }
    const head = encodeMessageHead(this.#membership, offset, content.wrapFor(this.number));
    return port.offerShared(head, content.message);
  }

  /** Says something that is the same for all, without its head. */
  offer(tail: Uint8Array): boolean {
    return this.#client.port.offerShared(this.#head, tail);
  }

  tell(report: SpaceReport): boolean {
    return this.#client.port.offer(encodeSpaceReport(this.#membership, report));
  }

  /** One of its messages is not in the order. Told later, where there is no room now. */
  refuse(reason: SpaceRefusal, message: string, sequence: number, retryAfter?: number): void {
    const refusal: SpaceReport = { type: 'refused', reason, message, sequence, retryAfter };
    // The first one counts: those behind it have to be sent again after it, anyway.
    if (this.refusal === undefined && !this.#isAway && !this.tell(refusal)) this.refusal = refusal;
  }
}

/** Where a member is that is nowhere. */
const NOWHERE: SpacePort = {
  queuedBytes: 0,
  offer: () => false,
  offerShared: () => false,
  end: () => undefined,
};
