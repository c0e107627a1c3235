/** What docs/protocol.md says about spaces: records, hashes, messages, frames and packets. */
import { hash, hmac, type Keys, open, openUnder, seal, sealUnder, sign, verify } from './primitives.js';
import { Reader, u32, u64, u8 } from './wire.js';

const H = (...parts: Uint8Array[]): Buffer => hash(...parts).subarray(0, 32);
const label = (name: string): Buffer => Buffer.from(`secure-websocket/1 ${name}\0`, 'ascii');

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

const named = (name: string): Buffer => {
  const bytes = Buffer.from(name, 'utf8');
  return Buffer.concat([u16(bytes.length), bytes]);
};

export interface Place {
  readonly relayKey: Uint8Array;
  readonly name: string;
}

const encoded = ({ relayKey, name }: Place): Buffer => Buffer.concat([relayKey, named(name)]);

/** Whether a space may have this name. */
export function isName(name: string): boolean {
  const length = Buffer.byteLength(name, 'utf8');
  if (length < 1 || length > 128 || name === '.' || name === '..') return false;
  // A lone surrogate is no Unicode: it does not come back from UTF-8.
  if (Buffer.from(name, 'utf8').toString('utf8') !== name || name.normalize('NFC') !== name) return false;
  return [...name].every(character => character > '\u001f' && character !== '\u007f' && character !== '/');
}

// -- Join records and invitations -------------------------------------------------------------------------------------

export function makeInvitation(admin: Keys, name: string, invited: Uint8Array, expires: number): Buffer {
  const stated = Buffer.concat([invited, u64(expires), admin.signing.publicKey]);
  return Buffer.concat([
    stated,
    sign(admin.signing.secretKey, Buffer.concat([label('invitation'), named(name), stated])),
  ]);
}

export function makeJoin(
  keys: Keys,
  place: Place,
  memberId: Uint8Array,
  time: number,
  invitation: Uint8Array,
): Buffer {
  const unsigned = Buffer.concat([
    memberId,
    keys.box.publicKey,
    keys.signing.publicKey,
    u64(time),
    u16(invitation.length),
    invitation,
  ]);
  return Buffer.concat([
    unsigned,
    sign(keys.signing.secretKey, Buffer.concat([label('join'), encoded(place), unsigned])),
  ]);
}

export interface Join {
  readonly memberId: Buffer;
  readonly boxKey: Buffer;
  readonly signingKey: Buffer;
  readonly time: number;
  readonly invitation: Buffer;
}

/** Throws unless the record is authentic. */
export function readJoin(record: Uint8Array, place: Place): Join {
  const reader = new Reader(record);
  const [memberId, boxKey, signingKey] = [reader.take(16), reader.take(32), reader.take(32)];
  const time = reader.number(8);
  const invitation = reader.take(reader.number(2));
  const signature = reader.take(64);
  if (!reader.isAtEnd || ![0, 136].includes(invitation.length))
    throw new Error('a join record of another form');
  const unsigned = record.subarray(0, record.length - 64);
  if (!verify(signingKey, Buffer.concat([label('join'), encoded(place), unsigned]), signature)) {
    throw new Error('a join record that nobody has signed');
  }
  return { memberId, boxKey, signingKey, time, invitation };
}

export function isAdmitted(join: Join, name: string, admins: readonly Uint8Array[], now: number): boolean {
  const isAdmin = (key: Uint8Array): boolean => admins.some(admin => Buffer.compare(admin, key) === 0);
  if (admins.length === 0 || isAdmin(join.signingKey)) return true;
  if (join.invitation.length === 0) return false;
  const reader = new Reader(join.invitation);
  const invited = reader.take(32);
  const expires = reader.number(8);
  const admin = reader.take(32);
  const message = Buffer.concat([label('invitation'), named(name), join.invitation.subarray(0, 72)]);
  return (
    invited.equals(join.boxKey) &&
    (expires === 0 || expires > now) &&
    isAdmin(admin) &&
    verify(admin, message, reader.rest())
  );
}

// -- The order --------------------------------------------------------------------------------------------------------

export const entryDigest = (number: number, join: Uint8Array): Buffer => H(u8(0), u32(number), join);

export const rosterHash = (epoch: Uint8Array, version: number, digests: readonly Uint8Array[]): Buffer =>
  H(label('roster'), epoch, u64(version), ...[...digests].sort((a, b) => Buffer.compare(a, b)));

export const firstLogHash = ({ relayKey, name }: Place, epoch: Uint8Array): Buffer =>
  H(label('space'), relayKey, epoch, named(name));

export const nextLogHash = (before: Uint8Array, offset: number, item: Uint8Array): Buffer =>
  H(before, u64(offset), item);

/** What a header says of the order and of the roster, both as they were at its `seen`. */
export const viewHash = (logHash: Uint8Array, rosterHash: Uint8Array): Buffer =>
  H(label('view'), logHash, rosterHash);

/** Undefined: it is no item. */
export function itemDigest(report: Report): Buffer | undefined {
  switch (report.type) {
    case 'JOINED':
      return H(u8(1), u64(report.version), report.rosterHash, u32(report.entry.number), report.entry.join);
    case 'LEFT':
      return H(u8(2), u64(report.version), report.rosterHash, u32(report.number), u8(report.reason));
    case 'MESSAGE':
      return H(u8(3), report.message.subarray(0, 97), H(report.message.subarray(101)));
    default:
      return undefined;
  }
}

// -- Messages ---------------------------------------------------------------------------------------------------------

/** Byte strings in hex. */
export interface Header {
  readonly kind: number;
  readonly sender: string;
  readonly sequence: number;
  readonly epoch: string;
  readonly seen: number;
  readonly version: number;
  readonly viewHash: string;
  readonly generation: number;
  readonly iteration: number;
  readonly first: number;
}

export const writeHeader = (header: Header): Buffer =>
  Buffer.concat([
    u8(header.kind),
    Buffer.from(header.sender, 'hex'),
    u64(header.sequence),
    Buffer.from(header.epoch, 'hex'),
    u64(header.seen),
    u64(header.version),
    Buffer.from(header.viewHash, 'hex'),
    u32(header.generation),
    u32(header.iteration),
    u64(header.first),
  ]);

export interface Message {
  readonly header: Header;
  readonly headerBytes: Buffer;
  readonly body: Buffer;
  /** Empty with kind 1. */
  readonly signature: Buffer;
}

/** Takes a message from the front of a reader. */
function takeMessage(reader: Reader): Message {
  const headerBytes = reader.take(97);
  const its = new Reader(headerBytes);
  const header: Header = {
    kind: its.number(1),
    sender: its.take(16).toString('hex'),
    sequence: its.number(8),
    epoch: its.take(8).toString('hex'),
    seen: its.number(8),
    version: its.number(8),
    viewHash: its.take(32).toString('hex'),
    generation: its.number(4),
    iteration: its.number(4),
    first: its.number(8),
  };
  if (header.kind !== 1 && header.kind !== 2) throw new Error('a message of another kind');
  const body = reader.take(reader.number(4));
  return { header, headerBytes, body, signature: reader.take(header.kind === 2 ? 64 : 0) };
}

export function readMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes);
  const message = takeMessage(reader);
  if (!reader.isAtEnd) throw new Error('a message that is too long');
  return message;
}

const together = (headerBytes: Buffer, body: Buffer, signature: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([headerBytes, u32(body.length), body, signature]);

/** X. */
const bound = (place: Place, senderKey: Uint8Array, headerBytes: Uint8Array, body: Uint8Array): Buffer =>
  Buffer.concat([encoded(place), senderKey, headerBytes, H(body)]);

export function sealWrapped(
  place: Place,
  senderKey: Uint8Array,
  header: Header,
  plaintext: Uint8Array,
  bodyKey: Uint8Array,
  wrappingKey: Uint8Array,
): { message: Buffer; wrap: Buffer } {
  const headerBytes = writeHeader(header);
  const body = seal(bodyKey, 0, headerBytes, plaintext);
  const B = hash(label('wrap'), bound(place, senderKey, headerBytes, body));
  const wrap = sealUnder(wrappingKey, B.subarray(32, 44), B.subarray(0, 32), bodyKey);
  return { message: together(headerBytes, body), wrap };
}

/** Throws when it is not authentic. */
export function openWrapped(
  place: Place,
  senderKey: Uint8Array,
  message: Uint8Array,
  wrap: Uint8Array,
  wrappingKey: Uint8Array,
): Buffer {
  const { headerBytes, body } = readMessage(message);
  const B = hash(label('wrap'), bound(place, senderKey, headerBytes, body));
  const bodyKey = openUnder(wrappingKey, B.subarray(32, 44), B.subarray(0, 32), wrap);
  return open(bodyKey, 0, headerBytes, body);
}

/** MK(i). */
export function messageKey(chainKey: Uint8Array, iteration: number): Buffer {
  let key = Buffer.from(chainKey);
  for (let i = 0; i < iteration; i++) key = Buffer.from(hmac(key, u8(2)).subarray(0, 32));
  return hmac(key, u8(1)).subarray(0, 32);
}

export function sealSigned(
  place: Place,
  senderKey: Uint8Array,
  header: Header,
  plaintext: Uint8Array,
  chainKey: Uint8Array,
  signingSeed: Uint8Array,
): Buffer {
  const headerBytes = writeHeader(header);
  const body = seal(messageKey(chainKey, header.iteration), 0, headerBytes, plaintext);
  const X = bound(place, senderKey, headerBytes, body);
  return together(headerBytes, body, sign(signingSeed, Buffer.concat([label('space message'), X])));
}

/** Throws when it is not authentic. */
export function openSigned(
  place: Place,
  senderKey: Uint8Array,
  message: Uint8Array,
  chainKey: Uint8Array,
  signingKey: Uint8Array,
): Buffer {
  const { header, headerBytes, body, signature } = readMessage(message);
  const X = bound(place, senderKey, headerBytes, body);
  if (!verify(signingKey, Buffer.concat([label('space message'), X]), signature)) {
    throw new Error('a message that its sender has not signed');
  }
  return open(messageKey(chainKey, header.iteration), 0, headerBytes, body);
}

// -- Frames -----------------------------------------------------------------------------------------------------------

export interface Entry {
  readonly number: number;
  readonly connectionId: number;
  readonly state: number;
  readonly join: Buffer;
}

export type Report =
  | { readonly type: 'ROSTER'; readonly entries: readonly Entry[] }
  | { readonly type: 'ENTERED' | 'PRESENT' | 'REFUSED'; readonly json: unknown }
  | {
      readonly type: 'JOINED';
      readonly offset: number;
      readonly version: number;
      readonly rosterHash: Buffer;
      readonly entry: Entry;
    }
  | {
      readonly type: 'LEFT';
      readonly offset: number;
      readonly version: number;
      readonly rosterHash: Buffer;
      readonly number: number;
      readonly reason: number;
    }
  | {
      readonly type: 'MESSAGE';
      readonly offset: number;
      readonly wrap: Buffer | undefined;
      readonly message: Buffer;
    }
  | { readonly type: 'ACCEPTED'; readonly sequence: number; readonly offset: number }
  | { readonly type: 'MOVED'; readonly number: number; readonly connectionId: number; readonly state: number }
  | { readonly type: 'HEAD'; readonly offset: number; readonly logHash: Buffer }
  | { readonly type: 'UNAVAILABLE'; readonly from: number; readonly to: number };

const space = (membership: number, operation: number, ...fields: Uint8Array[]): Buffer =>
  Buffer.concat([u8(0x06), u32(membership), u8(operation), ...fields]);

export function enterFrame(
  membership: number,
  name: string,
  join: Buffer,
  stay: boolean,
  resume?: { epoch: string; offset: number },
): Buffer {
  const json = { space: name, join: join.toString('base64url'), stay, ...(resume && { resume }) };
  return space(membership, 0x01, Buffer.from(JSON.stringify(json)));
}

export const leaveFrame = (membership: number): Buffer => space(membership, 0x02);
export const fetchFrame = (membership: number, from: number, to: number): Buffer =>
  space(membership, 0x03, u64(from), u64(to));
export const whoFrame = (membership: number): Buffer => space(membership, 0x04);

function takeEntry(reader: Reader): Entry {
  const [number, connectionId, state] = [reader.number(4), reader.number(4), reader.number(1)];
  return { number, connectionId, state, join: reader.take(reader.number(2)) };
}

/** A SPACE frame of a relay. */
export function readReport(frame: Uint8Array): Report & { readonly membership: number } {
  const reader = new Reader(frame);
  if (reader.number(1) !== 0x06) throw new Error('no SPACE frame');
  const membership = reader.number(4);
  const report = takeReport(reader);
  if (!reader.isAtEnd) throw new Error('a SPACE frame that is too long');
  return { membership, ...report };
}

function takeReport(reader: Reader): Report {
  const operation = reader.number(1);
  const json = (): unknown => JSON.parse(reader.rest().toString('utf8'));
  const change = () => ({ offset: reader.number(8), version: reader.number(8), rosterHash: reader.take(32) });
  switch (operation) {
    case 0x81: {
      const entries: Entry[] = [];
      while (!reader.isAtEnd) entries.push(takeEntry(reader));
      return { type: 'ROSTER', entries };
    }
    case 0x82:
      return { type: 'ENTERED', json: json() };
    case 0x83:
      return { type: 'JOINED', ...change(), entry: takeEntry(reader) };
    case 0x84:
      return { type: 'LEFT', ...change(), number: reader.number(4), reason: reader.number(1) };
    case 0x85: {
      const offset = reader.number(8);
      const wrap = reader.number(1) === 1 ? reader.take(48) : undefined;
      return { type: 'MESSAGE', offset, wrap, message: reader.rest() };
    }
    case 0x86:
      return { type: 'ACCEPTED', sequence: reader.number(8), offset: reader.number(8) };
    case 0x87:
      return { type: 'REFUSED', json: json() };
    case 0x88:
      return {
        type: 'MOVED',
        number: reader.number(4),
        connectionId: reader.number(4),
        state: reader.number(1),
      };
    case 0x89:
      return { type: 'HEAD', offset: reader.number(8), logHash: reader.take(32) };
    case 0x8a:
      return { type: 'UNAVAILABLE', from: reader.number(8), to: reader.number(8) };
    case 0x8b:
      return { type: 'PRESENT', json: json() };
    default:
      throw new Error('an operation that no relay sends');
  }
}

/** What a relay reads: the message and its wraps by number. */
export function readMulticast(frame: Uint8Array): {
  membership: number;
  message: Message;
  wraps: Map<number, Buffer>;
} {
  const reader = new Reader(frame);
  if (reader.number(1) !== 0x07) throw new Error('no MULTICAST frame');
  const membership = reader.number(4);
  const message = takeMessage(reader);
  const wraps = new Map<number, Buffer>();
  for (let count = reader.number(2), last = -1; count > 0; count--) {
    const number = reader.number(4);
    if (number <= last) throw new Error('wraps in another order');
    wraps.set((last = number), reader.take(48));
  }
  if (!reader.isAtEnd) throw new Error('a MULTICAST frame that is too long');
  return { membership, message, wraps };
}

export function multicastFrame(
  membership: number,
  message: Uint8Array,
  wraps: ReadonlyMap<number, Uint8Array>,
): Buffer {
  const sorted = [...wraps].sort(([a], [b]) => a - b);
  const behind = sorted.flatMap(([number, wrap]) => [u32(number), wrap]);
  return Buffer.concat([u8(0x07), u32(membership), message, u16(sorted.length), ...behind]);
}

// -- Packets ----------------------------------------------------------------------------------------------------------

export const wrappingKeyPacket = (generation: number, first: number, key: Uint8Array): Buffer =>
  Buffer.concat([u8(1), u8(1), u32(generation), u64(first), key]);

export const senderKeyPacket = (
  generation: number,
  first: number,
  chainKey: Uint8Array,
  signingKey: Uint8Array,
): Buffer => Buffer.concat([u8(1), u8(2), u32(generation), u64(first), chainKey, signingKey]);

export const headPacket = (sequence: number): Buffer => Buffer.concat([u8(2), u64(sequence)]);
export const wantPacket = (from: number, to: number): Buffer => Buffer.concat([u8(3), u64(from), u64(to)]);
export const missedPacket = (sequence: number, plaintext: Uint8Array): Buffer =>
  Buffer.concat([u8(4), u64(sequence), plaintext]);
export const lostPacket = (from: number, to: number): Buffer => Buffer.concat([u8(5), u64(from), u64(to)]);
