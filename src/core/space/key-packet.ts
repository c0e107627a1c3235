import { concat } from '../bytes.js';
import { SecureWebSocketError } from '../errors.js';
import { FieldReader, uint32, uint64, uint8 } from './byte-fields.js';
import { MessageKind } from './space-message.js';

/**
 * Pairwise packets: what two members of a space tell each other alone, each a binary message of a channel between them
 * (docs/protocol.md, "Spaces").
 */
export type Packet =
  /** The keys of the sender's generation, for this receiver. */
  | {
      readonly type: 'key';
      readonly kind: MessageKind;
      readonly generation: number;
      /** The sequence of its first message. */
      readonly first: number;
      /** 32 bytes: the wrapping key for this receiver (kind 1), or the chain key (kind 2). */
      readonly key: Uint8Array;
      /** Ed25519 public key, 32 bytes: with kind 2. */
      readonly signingKey?: Uint8Array | undefined;
    }
  /** The latest message that the sender of this has sent; 0 when there was none. */
  | { readonly type: 'head'; readonly sequence: number }
  /** Messages of the receiver of this that the relay does not have any more; `to` is the last of them. */
  | { readonly type: 'want'; readonly from: number; readonly to: number }
  /** One of them. */
  | { readonly type: 'missed'; readonly sequence: number; readonly plaintext: Uint8Array }
  /** They are not kept any more. */
  | { readonly type: 'lost'; readonly from: number; readonly to: number };

const PacketType = { KEY: 0x01, HEAD: 0x02, WANT: 0x03, MISSED: 0x04, LOST: 0x05 } as const;
const KEY_LENGTH = 32;

/** @throws SecureWebSocketError `INVALID_ARGUMENT` for keys that the kind does not have */
export function encodePacket(packet: Packet): Uint8Array {
  switch (packet.type) {
    case 'key': {
      const { kind, generation, first, key, signingKey = EMPTY } = packet;
      const signingLength = kind === MessageKind.SENDER_KEY ? KEY_LENGTH : 0;
      if (key.length !== KEY_LENGTH || signingKey.length !== signingLength) {
        throw new SecureWebSocketError('INVALID_ARGUMENT', 'A KEY packet has exactly the keys of its kind.');
      }
      return concat(Uint8Array.of(PacketType.KEY, kind), uint32(generation), uint64(first), key, signingKey);
    }
    case 'head':
      return concat(uint8(PacketType.HEAD), uint64(packet.sequence));
    case 'want':
      return concat(uint8(PacketType.WANT), uint64(packet.from), uint64(packet.to));
    case 'missed':
      return concat(uint8(PacketType.MISSED), uint64(packet.sequence), packet.plaintext);
    case 'lost':
      return concat(uint8(PacketType.LOST), uint64(packet.from), uint64(packet.to));
  }
}

/**
 * Reads one packet. Byte strings of the result are views of `bytes`.
 * @throws SecureWebSocketError `FRAME_MALFORMED`
 */
export function decodePacket(bytes: Uint8Array): Packet {
  const reader = new FieldReader(bytes, 'a packet of a member');
  const packet = readPacket(reader);
  reader.end();
  return packet;
}

function readPacket(reader: FieldReader): Packet {
  const type = reader.uint8();
  switch (type) {
    case PacketType.KEY:
      return readKey(reader);
    case PacketType.HEAD:
      return { type: 'head', sequence: reader.uint64() };
    case PacketType.WANT:
      return { type: 'want', ...readRange(reader) };
    case PacketType.MISSED:
      return { type: 'missed', sequence: readSequence(reader), plaintext: reader.rest() };
    case PacketType.LOST:
      return { type: 'lost', ...readRange(reader) };
    default:
      throw reader.malformed(`is of the unknown type ${String(type)}`);
  }
}

function readKey(reader: FieldReader): Packet {
  const kind = reader.uint8();
  if (kind !== MessageKind.WRAPPED && kind !== MessageKind.SENDER_KEY) {
    throw reader.malformed(`has keys of the unknown kind ${String(kind)}`);
  }
  const generation = reader.uint32();
  if (generation === 0) throw reader.malformed('has keys of generation 0');
  const first = readSequence(reader);
  const key = reader.take(KEY_LENGTH);
  if (kind === MessageKind.WRAPPED) return { type: 'key', kind, generation, first, key };
  return { type: 'key', kind, generation, first, key, signingKey: reader.take(KEY_LENGTH) };
}

function readSequence(reader: FieldReader): number {
  const sequence = reader.uint64();
  if (sequence === 0) throw reader.malformed('names the message 0: they begin with 1');
  return sequence;
}

function readRange(reader: FieldReader): { from: number; to: number } {
  const from = readSequence(reader);
  const to = reader.uint64();
  if (to < from) throw reader.malformed('names messages from the last to the first');
  return { from, to };
}

const EMPTY = new Uint8Array(0);
