import { fromHex, toHex } from '../../src/core/bytes.js';
import type { Crypto } from '../../src/core/crypto.js';
import { Opcode, RecordWriter } from '../../src/core/record.js';
import { createInvitation } from '../../src/core/space/invitation.js';
import { createJoin } from '../../src/core/space/join-record.js';
import { encodePacket } from '../../src/core/space/key-packet.js';
import { entryDigest, rosterHash } from '../../src/core/space/roster.js';
import { SenderChain } from '../../src/core/space/sender-key.js';
import {
  encodeEntry,
  encodeMulticast,
  encodeRoster,
  encodeSpaceReport,
  encodeSpaceRequest,
  type Entry,
  type SpaceReport,
  type SpaceRequest,
} from '../../src/core/space/space-frame.js';
import {
  firstLogHash,
  joinedDigest,
  leftDigest,
  messageDigest,
  nextLogHash,
  viewHash,
} from '../../src/core/space/space-log.js';
import type { MessageHeader } from '../../src/core/space/space-message.js';
import { sealWrapped } from '../../src/core/space/wrap.js';
import { type Party, WALL_CLOCK } from './protocol-party.js';
import { seededCrypto } from './virtual-network.js';

export interface InvitationVector {
  readonly admin: string;
  readonly invited: string;
  readonly expires: number;
  readonly invitation: string;
}

export interface JoinVector {
  readonly member: string;
  readonly memberId: string;
  readonly time: number;
  readonly record: string;
}

/** One item of the order: what came, and what became of the hashes. */
export interface LogVector {
  readonly item: string;
  readonly offset: number;
  readonly frame: string;
  readonly itemDigest: string;
  readonly logHash: string;
}

/** The numbers of a header; byte strings in hex. */
export interface HeaderVector {
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

export interface WrappedVector {
  readonly header: HeaderVector;
  readonly plaintext: string;
  readonly bodyKey: string;
  readonly wrappingKey: string;
  readonly message: string;
  readonly wrap: string;
  readonly multicast: string;
}

export interface SenderKeyVector {
  readonly header: HeaderVector;
  readonly plaintext: string;
  readonly chainKey: string;
  readonly signingSeed: string;
  readonly signingKey: string;
  readonly message: string;
}

export interface FrameVector {
  readonly operation: string;
  readonly frame: string;
}

export interface SpaceVectors {
  readonly description: string;
  readonly name: string;
  readonly epoch: string;
  readonly invitation: InvitationVector;
  readonly joins: readonly JoinVector[];
  readonly roster: {
    readonly version: number;
    readonly entries: readonly { readonly number: number; readonly digest: string }[];
    readonly hash: string;
    readonly frame: string;
  };
  readonly firstLogHash: string;
  readonly log: readonly LogVector[];
  readonly wrapped: WrappedVector;
  readonly senderKey: SenderKeyVector;
  readonly requests: readonly FrameVector[];
  readonly reports: readonly FrameVector[];
  readonly packets: readonly { readonly packet: string; readonly bytes: string }[];
}

const MEMBERSHIP = 7;
const CONNECTION_IDS = [0x0a11, 0xb0b0_0001];

/** A space whose admin Bob is, into which he has invited Alice: both enter, she says something in either way, and leaves. */
export function spaceVectors(relay: Party, alice: Party, bob: Party): SpaceVectors {
  const drawn: Uint8Array[] = [];
  const seeded = seededCrypto('a space');
  const crypto: Crypto = {
    ...seeded,
    randomBytes: length => {
      const bytes = seeded.randomBytes(length);
      drawn.push(bytes.slice());
      return bytes;
    },
  };
  const draw = (length: number): Uint8Array => crypto.randomBytes(length).slice();
  const place = { relayKey: relay.identity.publicKeyBytes, name: 'grüße' };
  const epoch = draw(8);
  const aliceKey = alice.identity.publicKeyBytes;
  const expires = WALL_CLOCK + 86_400_000;
  const invitation = createInvitation(bob.identity, place.name, aliceKey, expires);
  const ids = [draw(16), draw(16)] as const;
  const records = [
    createJoin(bob.identity, place, ids[0], WALL_CLOCK - 1_000),
    createJoin(alice.identity, place, ids[1], WALL_CLOCK, invitation),
  ];
  const entries = records.map((join, i): Entry => ({
    number: i + 1,
    connectionId: CONNECTION_IDS[1 - i] ?? 0,
    away: false,
    join,
  }));
  const digests = entries.map(({ number, join }) => entryDigest(crypto, number, join));
  const hashOf = (version: number, present: Uint8Array[]) => rosterHash(crypto, epoch, version, present);

  const log: LogVector[] = [];
  let logHash = firstLogHash(crypto, place, epoch);
  const first = logHash;
  const append = (item: string, itemDigest: Uint8Array, report: SpaceReport): void => {
    const offset = log.length + 1;
    logHash = nextLogHash(crypto, logHash, offset, itemDigest);
    const frame = toHex(encodeSpaceReport(MEMBERSHIP, report));
    log.push({ item, offset, frame, itemDigest: toHex(itemDigest), logHash: toHex(logHash) });
  };
  for (const [i, entry] of entries.entries()) {
    const version = i + 1;
    const hash = hashOf(version, digests.slice(0, version));
    append('JOINED', joinedDigest(crypto, version, hash, entry.number, entry.join), {
      type: 'joined',
      offset: version,
      version,
      rosterHash: hash,
      entry,
    });
  }
  const entered = { epoch, offset: 2, version: 2, rosterHash: hashOf(2, digests), logHash };

  const headerOf = (kind: 1 | 2, sequence: number): MessageHeader => ({
    kind,
    sender: ids[1],
    sequence,
    epoch,
    seen: 2,
    version: 2,
    viewHash: viewHash(crypto, entered.logHash, entered.rosterHash),
    generation: sequence,
    iteration: kind - 1,
    first: sequence,
  });
  const wrappingKey = draw(32);
  drawn.length = 0;
  const wrappedText = plaintextOf(1, 'wrapped');
  const { message: wrapped, wraps } = sealWrapped(crypto, place, aliceKey, headerOf(1, 1), wrappedText, [
    { number: 1, key: wrappingKey },
  ]);
  const [bodyKey] = drawn;
  append('MESSAGE', messageDigest(crypto, wrapped), {
    type: 'message',
    offset: 3,
    wrap: wraps[0]?.wrap,
    message: wrapped,
  });

  drawn.length = 0;
  const chain = new SenderChain(crypto);
  const { chainKey } = chain;
  const [, signingSeed] = drawn;
  const signedText = plaintextOf(2, 'under sender keys');
  // The first message of the chain is another one.
  chain.seal(place, aliceKey, headerOf(2, 2), plaintextOf(2, 'something else'));
  const signed = chain.seal(place, aliceKey, headerOf(2, 2), signedText);
  append('MESSAGE', messageDigest(crypto, signed), {
    type: 'message',
    offset: 4,
    wrap: undefined,
    message: signed,
  });
  const lastHash = hashOf(3, digests.slice(0, 1));
  append('LEFT', leftDigest(crypto, 3, lastHash, 2, 'left'), {
    type: 'left',
    offset: 5,
    version: 3,
    rosterHash: lastHash,
    number: 2,
    reason: 'left',
  });

  const join = records[1] ?? new Uint8Array(0);
  const before = fromHex(log[0]?.logHash ?? '');
  const requests: SpaceRequest[] = [
    { type: 'enter', space: place.name, join, stay: true },
    { type: 'enter', space: place.name, join, stay: true, resume: { epoch, offset: 3 } },
    { type: 'leave' },
    { type: 'fetch', from: 3, to: 4 },
    { type: 'who' },
  ];
  const reports: SpaceReport[] = [
    { type: 'entered', ...entered, number: 2, resumed: false, before },
    { type: 'present', ...entered, number: 2, resumed: false },
    { type: 'accepted', sequence: 1, offset: 3 },
    { type: 'refused', reason: 'RATE', message: 'Slower.', sequence: 3, retryAfter: 250 },
    { type: 'moved', number: 1, connectionId: CONNECTION_IDS[1] ?? 0, away: true },
    { type: 'head', offset: 5, logHash },
    { type: 'unavailable', from: 1, to: 2 },
  ];
  const packets: [string, Uint8Array][] = [
    ['KEY, kind 1', encodePacket({ type: 'key', kind: 1, generation: 1, first: 1, key: wrappingKey })],
    [
      'KEY, kind 2',
      encodePacket({
        type: 'key',
        kind: 2,
        generation: 2,
        first: 2,
        key: chainKey,
        signingKey: chain.signingKey,
      }),
    ],
    ['HEAD', encodePacket({ type: 'head', sequence: 2 })],
    ['WANT', encodePacket({ type: 'want', from: 1, to: 2 })],
    ['MISSED', encodePacket({ type: 'missed', sequence: 1, plaintext: wrappedText })],
    ['LOST', encodePacket({ type: 'lost', from: 1, to: 2 })],
  ];
  return {
    description: `Bob is the admin, and member 1; Alice is member 2, who sends both messages. Every frame is of membership ${String(MEMBERSHIP)}.`,
    name: place.name,
    epoch: toHex(epoch),
    invitation: { admin: 'bob', invited: 'alice', expires, invitation: toHex(invitation) },
    joins: [
      {
        member: 'bob',
        memberId: toHex(ids[0]),
        time: WALL_CLOCK - 1_000,
        record: toHex(entries[0]?.join ?? join),
      },
      { member: 'alice', memberId: toHex(ids[1]), time: WALL_CLOCK, record: toHex(join) },
    ],
    roster: {
      version: 2,
      entries: digests.map((digest, i) => ({ number: i + 1, digest: toHex(digest) })),
      hash: toHex(entered.rosterHash),
      frame: encodeRoster(MEMBERSHIP, entries.map(encodeEntry)).map(toHex).join(),
    },
    firstLogHash: toHex(first),
    log,
    wrapped: {
      header: shown(headerOf(1, 1)),
      plaintext: toHex(wrappedText),
      bodyKey: toHex(bodyKey ?? new Uint8Array(0)),
      wrappingKey: toHex(wrappingKey),
      message: toHex(wrapped),
      wrap: wraps.map(({ wrap }) => toHex(wrap)).join(),
      multicast: toHex(encodeMulticast(MEMBERSHIP, wrapped, wraps)),
    },
    senderKey: {
      header: shown(headerOf(2, 2)),
      plaintext: toHex(signedText),
      chainKey: toHex(chainKey),
      signingSeed: toHex(signingSeed ?? new Uint8Array(0)),
      signingKey: toHex(chain.signingKey),
      message: toHex(signed),
    },
    requests: requests.map(request => ({
      operation: request.type.toUpperCase(),
      frame: toHex(encodeSpaceRequest(MEMBERSHIP, request)),
    })),
    reports: reports.map(report => ({
      operation: report.type.toUpperCase(),
      frame: toHex(encodeSpaceReport(MEMBERSHIP, report)),
    })),
    packets: packets.map(([packet, bytes]) => ({ packet, bytes: toHex(bytes) })),
  };
}

/** One record with one text message. */
function plaintextOf(sequence: number, text: string): Uint8Array {
  const writer = new RecordWriter(256);
  writer.item(Opcode.TEXT, true, Buffer.from(text));
  return writer.finish({ channelId: 0, sequenced: true, opener: false, sequence, acknowledgement: 0 });
}

function shown(header: MessageHeader): HeaderVector {
  const { sender, epoch } = header;
  return { ...header, sender: toHex(sender), epoch: toHex(epoch), viewHash: toHex(header.viewHash) };
}
