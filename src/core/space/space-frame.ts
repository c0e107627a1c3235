import {
  concat,
  fromBase64Url,
  fromHex,
  fromUtf8,
  toBase64Url,
  toHex,
  utf8,
  writeUint32,
  writeUint64,
} from '../bytes.js';
import { MAX_ROSTER_PAGE, MAX_SPACE_JSON } from '../constants.js';
import { SecureWebSocketError } from '../errors.js';
import { FrameType } from '../frame.js';
import { FieldReader, uint32, uint64, uint8 } from './byte-fields.js';
import { isJoinLength } from './join-record.js';
import { MessageKind, spaceMessageLength } from './space-message.js';
import { DIGEST_LENGTH } from './space-place.js';
import { WRAP_LENGTH } from './wrap.js';

/**
 * What members and relay tell each other of a space: SPACE and MULTICAST frames (docs/protocol.md, "Spaces").
 *
 * ```
 * SPACE:     0x06 | membership (u32) | operation (u8) | body
 * MULTICAST: 0x07 | membership (u32) | space message | count (u16) | count × (number (u32) | wrap (48))
 * ```
 */
export const SpaceOperation = {
  // From members.
  ENTER: 0x01,
  LEAVE: 0x02,
  FETCH: 0x03,
  WHO: 0x04,
  // From relays.
  ROSTER: 0x81,
  ENTERED: 0x82,
  JOINED: 0x83,
  LEFT: 0x84,
  MESSAGE: 0x85,
  ACCEPTED: 0x86,
  REFUSED: 0x87,
  MOVED: 0x88,
  HEAD: 0x89,
  UNAVAILABLE: 0x8a,
  PRESENT: 0x8b,
} as const;

/** Why a relay refuses to let somebody in, or to put a message into the order. */
export const SPACE_REFUSALS = [
  // Of the membership: it has ended, or does not begin.
  'SPACE_NOT_ALLOWED',
  'SPACE_FULL',
  'TOO_MANY_SPACES',
  'SPACE_NAME_INVALID',
  'JOIN_INVALID',
  'SPACES_DISABLED',
  'REMOVED',
  'UNAVAILABLE',
  // Of the membership, or of one message.
  'RATE',
  // Of one message.
  'STALE_VIEW',
  'TOO_LARGE',
] as const;
export type SpaceRefusal = (typeof SPACE_REFUSALS)[number];

/** Type byte, membership and operation. */
const HEAD_LENGTH = 6;
const EPOCH_LENGTH = 8;
/** Number (u32), connection id (u32), state (u8), length of the join record (u16). */
const ENTRY_HEAD_LENGTH = 11;
/** Number (u32) and wrap. */
const WRAP_ENTRY_LENGTH = 4 + WRAP_LENGTH;
const MAX_WRAPS = 0xffff;
/** A sentence for people is cut to so many characters. */
const MAX_SENTENCE = 300;

export interface Enter {
  /** The name of the space, as it came: it may be no name. */
  readonly space: string;
  /** A join record, as it came: it may be none. */
  readonly join: Uint8Array;
  /** Keep my place for a while when my connection is lost. */
  readonly stay: boolean;
  /** What I have seen of the space: its epoch, 8 bytes, and the offset of the last item. */
  readonly resume?: { readonly epoch: Uint8Array; readonly offset: number } | undefined;
}

/** Where the space stands. */
export interface Entered {
  /** 8 bytes. */
  readonly epoch: Uint8Array;
  readonly offset: number;
  readonly version: number;
  readonly rosterHash: Uint8Array;
  readonly logHash: Uint8Array;
  /** Our own number in the roster. */
  readonly number: number;
  /** True: no roster came before; the items after the offset that we named follow. */
  readonly resumed: boolean;
  /** The log hash before our own join, when we have just joined. */
  readonly before?: Uint8Array | undefined;
}

/** One member in a roster. */
export interface Entry {
  /** Given by the relay, in this epoch to nobody else. */
  readonly number: number;
  /** Where the member is: with its key, its peer address. */
  readonly connectionId: number;
  /** Its connection is lost; its place is kept for a while. */
  readonly away: boolean;
  readonly join: Uint8Array;
}

export type LeaveReason = 'left' | 'gone' | 'removed';

const LEAVE_REASONS = ['left', 'gone', 'removed'] as const;

/** How items LEFT tell the reason: 1, 2 or 3. */
export function leaveReasonCode(reason: LeaveReason): number {
  return 1 + LEAVE_REASONS.indexOf(reason);
}

/** What a relay reads. */
export type SpaceRequest =
  | ({ readonly type: 'enter' } & Enter)
  | { readonly type: 'leave' }
  /** Send these items again; `to` is the last of them. */
  | { readonly type: 'fetch'; readonly from: number; readonly to: number }
  /** Send the roster again. */
  | { readonly type: 'who' };

/** What a member reads. */
export type SpaceReport =
  | { readonly type: 'roster'; readonly entries: readonly Entry[] }
  | ({ readonly type: 'entered' | 'present' } & Entered)
  | {
      readonly type: 'joined';
      readonly offset: number;
      readonly version: number;
      readonly rosterHash: Uint8Array;
      readonly entry: Entry;
    }
  | {
      readonly type: 'left';
      readonly offset: number;
      readonly version: number;
      readonly rosterHash: Uint8Array;
      readonly number: number;
      readonly reason: LeaveReason;
    }
  | {
      readonly type: 'message';
      readonly offset: number;
      /** Ours; undefined when the message has none for us. */
      readonly wrap: Uint8Array | undefined;
      /** A space message, not looked at. */
      readonly message: Uint8Array;
    }
  | { readonly type: 'accepted'; readonly sequence: number; readonly offset: number }
  | {
      readonly type: 'refused';
      /** One of {@link SPACE_REFUSALS}, unless the relay is of a later version. */
      readonly reason: string;
      /** A sentence for people, by the relay. */
      readonly message: string;
      /** The message that is refused; undefined: the membership itself. */
      readonly sequence?: number | undefined;
      /** Milliseconds. */
      readonly retryAfter?: number | undefined;
    }
  | { readonly type: 'moved'; readonly number: number; readonly connectionId: number; readonly away: boolean }
  | { readonly type: 'head'; readonly offset: number; readonly logHash: Uint8Array }
  /** These items are not kept any more. */
  | { readonly type: 'unavailable'; readonly from: number; readonly to: number };

/** A whole SPACE frame. */
export function encodeSpaceRequest(membership: number, request: SpaceRequest): Uint8Array {
  switch (request.type) {
    case 'enter': {
      const { space, join, stay, resume } = request;
      const body = {
        space,
        join: toBase64Url(join),
        stay,
        // Members that are undefined are left out.
        resume: resume && { epoch: toHex(resume.epoch), offset: resume.offset },
      };
      return frame(membership, SpaceOperation.ENTER, utf8(JSON.stringify(body)));
    }
    case 'leave':
      return frame(membership, SpaceOperation.LEAVE);
    case 'fetch':
      return frame(membership, SpaceOperation.FETCH, uint64(request.from), uint64(request.to));
    case 'who':
      return frame(membership, SpaceOperation.WHO);
  }
}

/**
 * Reads what a member asks for.
 * @throws SecureWebSocketError `FRAME_MALFORMED`
 */
export function decodeSpaceRequest(operation: number, body: Uint8Array): SpaceRequest {
  const reader = new FieldReader(body, 'a SPACE frame');
  const request = readRequest(operation, reader);
  reader.end();
  return request;
}

function readRequest(operation: number, reader: FieldReader): SpaceRequest {
  switch (operation) {
    case SpaceOperation.ENTER:
      return readEnter(reader);
    case SpaceOperation.LEAVE:
      return { type: 'leave' };
    case SpaceOperation.FETCH:
      return { type: 'fetch', ...readRange(reader) };
    case SpaceOperation.WHO:
      return { type: 'who' };
    default:
      throw reader.malformed(`has the operation ${String(operation)}, which no member asks for`);
  }
}

function readEnter(reader: FieldReader): SpaceRequest {
  const { space, join: text, stay, resume } = readJson(reader);
  const join = typeof text === 'string' ? fromBase64Url(text) : undefined;
  if (typeof space !== 'string' || !join || typeof stay !== 'boolean') {
    throw reader.malformed('does not say who enters what');
  }
  if (resume === undefined) return { type: 'enter', space, join, stay };
  const { epoch, offset } = (resume ?? {}) as Record<string, unknown>;
  if (!isHex(epoch, EPOCH_LENGTH) || !isCount(offset))
    throw reader.malformed('does not say where it resumes');
  return { type: 'enter', space, join, stay, resume: { epoch: fromHex(epoch), offset } };
}

/** A whole SPACE frame. */
export function encodeSpaceReport(membership: number, report: SpaceReport): Uint8Array {
  switch (report.type) {
    case 'roster':
      return frame(membership, SpaceOperation.ROSTER, ...report.entries.map(encodeEntry));
    case 'entered':
      return frame(membership, SpaceOperation.ENTERED, encodeEntered(report));
    case 'present':
      return frame(membership, SpaceOperation.PRESENT, encodeEntered(report));
    case 'joined': {
      const { offset, version, rosterHash, entry } = report;
      const fields = [uint64(offset), uint64(version), rosterHash, encodeEntry(entry)];
      return frame(membership, SpaceOperation.JOINED, ...fields);
    }
    case 'left': {
      const { offset, version, rosterHash, number, reason } = report;
      const code = uint8(leaveReasonCode(reason));
      const fields = [uint64(offset), uint64(version), rosterHash, uint32(number), code];
      return frame(membership, SpaceOperation.LEFT, ...fields);
    }
    case 'message':
      return concat(encodeMessageHead(membership, report.offset, report.wrap), report.message);
    case 'accepted':
      return frame(membership, SpaceOperation.ACCEPTED, uint64(report.sequence), uint64(report.offset));
    case 'refused': {
      const { reason, sequence, retryAfter } = report;
      const body = { reason, message: report.message.slice(0, MAX_SENTENCE), sequence, retryAfter };
      return frame(membership, SpaceOperation.REFUSED, utf8(JSON.stringify(body)));
    }
    case 'moved': {
      const { number, connectionId, away } = report;
      return frame(
        membership,
        SpaceOperation.MOVED,
        uint32(number),
        uint32(connectionId),
        uint8(away ? 1 : 0),
      );
    }
    case 'head':
      return frame(membership, SpaceOperation.HEAD, uint64(report.offset), report.logHash);
    case 'unavailable':
      return frame(membership, SpaceOperation.UNAVAILABLE, uint64(report.from), uint64(report.to));
  }
}

/** A whole roster as SPACE frames of at most 32 KiB each, in the order of `entries`: see `encodeEntry`. None for an empty one. */
export function encodeRoster(membership: number, entries: Iterable<Uint8Array>): Uint8Array[] {
  const pages: Uint8Array[] = [];
  let page: Uint8Array[] = [];
  let length = HEAD_LENGTH;
  const turn = (): void => {
    if (page.length > 0) pages.push(frame(membership, SpaceOperation.ROSTER, ...page));
    page = [];
    length = HEAD_LENGTH;
  };
  for (const entry of entries) {
    if (length + entry.length > MAX_ROSTER_PAGE) turn();
    page.push(entry);
    length += entry.length;
  }
  turn();
  return pages;
}

/**
 * Reads what a relay tells a member. Byte strings of the result are views of `body`, but those of JSON.
 * @throws SecureWebSocketError `FRAME_MALFORMED`
 */
export function decodeSpaceReport(operation: number, body: Uint8Array): SpaceReport {
  const reader = new FieldReader(body, 'a SPACE frame');
  const report = readReport(operation, reader);
  reader.end();
  return report;
}

function readReport(operation: number, reader: FieldReader): SpaceReport {
  switch (operation) {
    case SpaceOperation.ROSTER: {
      if (reader.left > MAX_ROSTER_PAGE - HEAD_LENGTH) throw reader.malformed('holds too much of a roster');
      const entries: Entry[] = [];
      while (reader.left > 0) entries.push(readEntry(reader));
      return { type: 'roster', entries };
    }
    case SpaceOperation.ENTERED:
      return { type: 'entered', ...readEntered(reader) };
    case SpaceOperation.PRESENT:
      return { type: 'present', ...readEntered(reader) };
    case SpaceOperation.JOINED:
      return { type: 'joined', ...readRosterItem(reader), entry: readEntry(reader) };
    case SpaceOperation.LEFT:
      return { type: 'left', ...readRosterItem(reader), number: reader.uint32(), reason: readReason(reader) };
    case SpaceOperation.MESSAGE: {
      const offset = readOffset(reader);
      const wrap = readFlag(reader) ? reader.take(WRAP_LENGTH) : undefined;
      return { type: 'message', offset, wrap, message: reader.rest() };
    }
    case SpaceOperation.ACCEPTED:
      return { type: 'accepted', sequence: readOffset(reader), offset: reader.uint64() };
    case SpaceOperation.REFUSED:
      return readRefused(reader);
    case SpaceOperation.MOVED:
      return {
        type: 'moved',
        number: reader.uint32(),
        connectionId: reader.uint32(),
        away: readFlag(reader),
      };
    case SpaceOperation.HEAD:
      return { type: 'head', offset: reader.uint64(), logHash: reader.take(DIGEST_LENGTH) };
    case SpaceOperation.UNAVAILABLE:
      return { type: 'unavailable', ...readRange(reader) };
    default:
      throw reader.malformed(`has the operation ${String(operation)}, which no relay sends`);
  }
}

/**
 * The beginning of an item MESSAGE as a whole SPACE frame: the space message comes behind it, the same for all members.
 * @param wrap the recipient's own, or undefined
 */
export function encodeMessageHead(
  membership: number,
  offset: number,
  wrap: Uint8Array | undefined,
): Uint8Array {
  const bytes = new Uint8Array(HEAD_LENGTH + 9 + (wrap?.length ?? 0));
  writeHead(bytes, membership, SpaceOperation.MESSAGE);
  writeUint64(bytes, HEAD_LENGTH, offset);
  if (wrap === undefined) return bytes;
  bytes[HEAD_LENGTH + 8] = 1;
  bytes.set(wrap, HEAD_LENGTH + 9);
  return bytes;
}

/** The key of one message, wrapped for the member with this number. */
export interface Wrap {
  readonly number: number;
  /** 48 bytes. */
  readonly wrap: Uint8Array;
}

/** Bytes that a MULTICAST frame has beside the space message. */
export function multicastOverhead(wraps: number): number {
  return 1 + 4 + 2 + wraps * WRAP_ENTRY_LENGTH;
}

/**
 * A whole MULTICAST frame. `wraps` may come in any order.
 * @throws SecureWebSocketError `INVALID_ARGUMENT` for more than 65,535 wraps, or two for the same number
 */
export function encodeMulticast(membership: number, message: Uint8Array, wraps: readonly Wrap[]): Uint8Array {
  const sorted = [...wraps].sort((a, b) => a.number - b.number);
  if (sorted.length > MAX_WRAPS || sorted.some(({ number }, i) => number === sorted[i + 1]?.number)) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      'A message has one wrap for each member, and not too many.',
    );
  }
  const bytes = new Uint8Array(message.length + multicastOverhead(sorted.length));
  bytes[0] = FrameType.MULTICAST;
  writeUint32(bytes, 1, membership);
  bytes.set(message, 5);
  let offset = 5 + message.length;
  bytes[offset++] = sorted.length >> 8;
  bytes[offset++] = sorted.length;
  for (const { number, wrap } of sorted) {
    writeUint32(bytes, offset, number);
    bytes.set(wrap, offset + 4);
    offset += WRAP_ENTRY_LENGTH;
  }
  return bytes;
}

/** A MULTICAST frame taken apart. All are views of it. */
export interface Multicast {
  /** A space message: its length is right, all else of it was not looked at. */
  readonly message: Uint8Array;
  /** How many wraps there are. */
  readonly wraps: number;
  /** The wrap for the member with this number, if there is one. */
  wrapFor(number: number): Uint8Array | undefined;
}

/**
 * Takes the body of a MULTICAST frame apart.
 * @throws SecureWebSocketError `FRAME_MALFORMED`
 */
export function decodeMulticast(body: Uint8Array): Multicast {
  const length = spaceMessageLength(body);
  const message = body.subarray(0, length);
  const reader = new FieldReader(body.subarray(length), 'a MULTICAST frame');
  const wraps = reader.uint16();
  if (wraps > 0 && message[0] === MessageKind.SENDER_KEY) {
    throw reader.malformed('has wraps where nothing is wrapped');
  }
  const entries = reader.take(wraps * WRAP_ENTRY_LENGTH);
  reader.end();
  const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
  const numberAt = (i: number): number => view.getUint32(i * WRAP_ENTRY_LENGTH);
  for (let i = 1; i < wraps; i++) {
    if (numberAt(i) <= numberAt(i - 1))
      throw reader.malformed('has wraps that are not in the order of their numbers');
  }
  return {
    message,
    wraps,
    wrapFor(number) {
      let low = 0;
      let high = wraps;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (numberAt(middle) < number) low = middle + 1;
        else high = middle;
      }
      if (low === wraps || numberAt(low) !== number) return undefined;
      const at = low * WRAP_ENTRY_LENGTH + 4;
      return entries.subarray(at, at + WRAP_LENGTH);
    },
  };
}

function frame(membership: number, operation: number, ...fields: Uint8Array[]): Uint8Array {
  const head = new Uint8Array(HEAD_LENGTH);
  writeHead(head, membership, operation);
  return concat(head, ...fields);
}

function writeHead(bytes: Uint8Array, membership: number, operation: number): void {
  bytes[0] = FrameType.SPACE;
  writeUint32(bytes, 1, membership);
  bytes[5] = operation;
}

/** An entry as it stands in ROSTER and JOINED. */
export function encodeEntry({ number, connectionId, away, join }: Entry): Uint8Array {
  const head = new Uint8Array(ENTRY_HEAD_LENGTH);
  writeUint32(head, 0, number);
  writeUint32(head, 4, connectionId);
  head[8] = away ? 1 : 0;
  head[9] = join.length >> 8;
  head[10] = join.length;
  return concat(head, join);
}

function readEntry(reader: FieldReader): Entry {
  const number = reader.uint32();
  const connectionId = reader.uint32();
  const away = readFlag(reader);
  const length = reader.uint16();
  if (!isJoinLength(length)) throw reader.malformed('holds a join record of another length');
  return { number, connectionId, away, join: reader.take(length) };
}

function encodeEntered({
  epoch,
  offset,
  version,
  rosterHash,
  logHash,
  number,
  resumed,
  before,
}: Entered): Uint8Array {
  const body = {
    epoch: toHex(epoch),
    offset,
    version,
    rosterHash: toHex(rosterHash),
    logHash: toHex(logHash),
    number,
    resumed,
    before: before && toHex(before),
  };
  return utf8(JSON.stringify(body));
}

function readEntered(reader: FieldReader): Entered {
  const { epoch, offset, version, rosterHash, logHash, number, resumed, before } = readJson(reader);
  if (
    !isHex(epoch, EPOCH_LENGTH) ||
    !isCount(offset) ||
    !isCount(version) ||
    !isHex(rosterHash, DIGEST_LENGTH) ||
    !isHex(logHash, DIGEST_LENGTH) ||
    !isCount(number) ||
    number > 0xffff_ffff ||
    typeof resumed !== 'boolean' ||
    (before !== undefined && !isHex(before, DIGEST_LENGTH))
  ) {
    throw reader.malformed('does not say where the space stands');
  }
  return {
    epoch: fromHex(epoch),
    offset,
    version,
    rosterHash: fromHex(rosterHash),
    logHash: fromHex(logHash),
    number,
    resumed,
    before: before === undefined ? undefined : fromHex(before),
  };
}

function readRefused(reader: FieldReader): SpaceReport {
  const { reason, message, sequence, retryAfter } = readJson(reader);
  if (typeof reason !== 'string' || typeof message !== 'string') throw reader.malformed('does not say why');
  if (sequence !== undefined && !isCount(sequence)) throw reader.malformed('refuses no message');
  if (retryAfter !== undefined && !isCount(retryAfter))
    throw reader.malformed('does not say how long to wait');
  return { type: 'refused', reason, message: message.slice(0, MAX_SENTENCE), sequence, retryAfter };
}

function readRosterItem(reader: FieldReader): { offset: number; version: number; rosterHash: Uint8Array } {
  return { offset: readOffset(reader), version: readOffset(reader), rosterHash: reader.take(DIGEST_LENGTH) };
}

function readReason(reader: FieldReader): LeaveReason {
  const code = reader.uint8();
  const reason = LEAVE_REASONS[code - 1];
  if (reason === undefined) throw reader.malformed(`has the unknown reason ${String(code)}`);
  return reason;
}

/** Offsets, versions and sequences begin with 1. */
function readOffset(reader: FieldReader): number {
  const offset = reader.uint64();
  if (offset === 0) throw reader.malformed('counts from 0');
  return offset;
}

function readRange(reader: FieldReader): { from: number; to: number } {
  const from = readOffset(reader);
  const to = reader.uint64();
  if (to < from) throw reader.malformed('names items from the last to the first');
  return { from, to };
}

function readFlag(reader: FieldReader): boolean {
  const flag = reader.uint8();
  if (flag > 1) throw reader.malformed('has a flag that is neither 0 nor 1');
  return flag === 1;
}

function readJson(reader: FieldReader): Record<string, unknown> {
  if (reader.left > MAX_SPACE_JSON) throw reader.malformed('holds too much JSON');
  try {
    const value: unknown = JSON.parse(fromUtf8(reader.rest()) ?? '');
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw reader.malformed('holds no JSON object');
}

function isHex(value: unknown, length: number): value is string {
  return typeof value === 'string' && value.length === 2 * length && /^[0-9a-f]*$/.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
