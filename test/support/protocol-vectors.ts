/**
 * What docs/protocol-vectors.json holds, made anew by the code of src from fixed seeds, fixed clocks and random bytes
 * that only look so. This writes it:
 * `UPDATE_VECTORS=1 npx vitest run --project node test/unit/core/protocol-vectors.test.ts`
 */
import { parseAddress } from '../../src/core/address.js';
import { fromBase64Url, fromUtf8, toHex } from '../../src/core/bytes.js';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { parseLocation } from '../../src/core/location.js';
import { registrationPrologue } from '../../src/core/prologue.js';
import {
  decodeItems,
  Opcode,
  RECORD_HEADER_LENGTH,
  type RecordHeader,
  RecordWriter,
} from '../../src/core/record.js';
import { registrationFailure, RegistrationClient, RegistrationServer } from '../../src/core/registration.js';
import type { TransportKeys } from '../../src/core/transport-keys.js';
import {
  ALICE_CONNECTION_ID,
  directExchange,
  type RecordedTransport,
  relayedExchange,
  type RelayedExchange,
} from './protocol-exchange.js';
import { type ResumedExchange, resumedExchange } from './protocol-resumption.js';
import { MAX_FRAME, Party, RELAY_LOCATION, WALL_CLOCK } from './protocol-party.js';
import { spaceVectors, type SpaceVectors } from './protocol-spaces.js';

export interface KeyVector {
  readonly seed: string;
  readonly x25519SecretKey: string;
  readonly x25519PublicKey: string;
  readonly ed25519Seed: string;
  readonly ed25519PublicKey: string;
}

export interface DeviceInformationVector {
  readonly information: string;
  readonly signedBytes: string;
  readonly signature: string;
}

export interface RegistrationMessageVector {
  readonly message: string;
  readonly noise: string;
  readonly payload: string;
}

export interface RegistrationVector {
  readonly description: string;
  readonly prologue: string;
  readonly serverEphemeralSecret: string;
  readonly clientEphemeralSecret: string;
  readonly challenge: RegistrationMessageVector;
  readonly challengeResponse: RegistrationMessageVector;
  readonly registerSuccess: RegistrationMessageVector;
  readonly handshakeHash: string;
  readonly serverToClientKey: string;
  readonly clientToServerKey: string;
  readonly registerFailure: string;
}

export interface AddressVector {
  readonly description: string;
  readonly address: string;
  /** Why it is no address; absent when it is one. */
  readonly refused?: string;
}

export type LocationVector =
  | { readonly url: string; readonly refused: string }
  | {
      readonly url: string;
      readonly serverLocation: string;
      readonly dialled: string;
      /** Absent for direct URLs and spaces. */
      readonly address?: string;
      /** The name of the space, where one is meant. */
      readonly space?: string;
      readonly target: string;
    };

export interface LengthVector {
  readonly description: string;
  readonly value: number;
  readonly bytes: string;
}

export interface ProtocolVectors {
  readonly description: readonly string[];
  readonly keys: { readonly relay: KeyVector; readonly alice: KeyVector; readonly bob: KeyVector };
  readonly deviceInformation: {
    readonly relay: DeviceInformationVector;
    readonly alice: DeviceInformationVector;
  };
  readonly registration: RegistrationVector;
  readonly relayed: RelayedExchange;
  readonly resumed: ResumedExchange;
  readonly space: SpaceVectors;
  readonly direct: { readonly description: string; readonly transport: readonly RecordedTransport[] };
  readonly addresses: readonly AddressVector[];
  readonly locations: readonly LocationVector[];
  readonly lengths: readonly LengthVector[];
}

const DESCRIPTION = [
  'Test vectors for protocol.md, version 1. A test of this project makes them and checks them.',
  'Strings are bytes in hex, except where they are JSON, URLs, names or descriptions. The secrets are public: never use them.',
  `Every clock says ${String(WALL_CLOCK)}, milliseconds since 1970. The location of the relay is ${RELAY_LOCATION}.`,
];

export async function generateVectors(): Promise<ProtocolVectors> {
  const [relay, alice, bob, carol] = await Promise.all(
    (['relay', 'alice', 'bob', 'carol'] as const).map(name => Party.create(name)),
  );
  if (!relay || !alice || !bob || !carol) throw new Error('somebody is missing');
  const { clientKeys, serverKeys, ...registered } = register(relay, alice);
  const serverToClientKey = relay.transportKey;
  const transport = directExchange(alice, clientKeys, relay, serverKeys);
  const clientToServerKey = alice.transportKey;
  return {
    description: DESCRIPTION,
    keys: { relay: keysOf(relay), alice: keysOf(alice), bob: keysOf(bob) },
    deviceInformation: {
      relay: deviceOf(registered.challenge),
      alice: deviceOf(registered.challengeResponse),
    },
    registration: {
      description: 'Noise IX. The relay is the initiator, Alice registers with it.',
      prologue: toHex(registrationPrologue()),
      ...registered,
      serverToClientKey,
      clientToServerKey,
      registerFailure: registrationFailure(
        new SecureWebSocketError('REGISTRATION_TIMEOUT', 'The client did not register within 10 s.'),
      ),
    },
    direct: {
      description:
        'Under the keys of the registration, as if the relay were a service that Alice uses directly.',
      transport,
    },
    relayed: relayedExchange(alice, bob, carol.identity.publicKeyBytes),
    resumed: resumedExchange(alice, bob),
    space: spaceVectors(relay, alice, bob),
    addresses: addressVectors(alice.identity.publicKey),
    locations: locationVectors(alice.identity.publicKey),
    lengths: lengthVectors(),
  };
}

function keysOf({ identity }: Party): KeyVector {
  const seed = identity.exportSeed();
  return {
    seed: toHex(seed),
    x25519SecretKey: toHex(identity.keyPair.secretKey),
    x25519PublicKey: identity.publicKey,
    ed25519Seed: toHex(identity.crypto.deriveKey(seed, 2, 'SWSED255')),
    ed25519PublicKey: identity.signingKey,
  };
}

type RegisteredVectors = Pick<
  RegistrationVector,
  | 'serverEphemeralSecret'
  | 'clientEphemeralSecret'
  | 'challenge'
  | 'challengeResponse'
  | 'registerSuccess'
  | 'handshakeHash'
>;

function register(
  relay: Party,
  alice: Party,
): RegisteredVectors & { clientKeys: TransportKeys; serverKeys: TransportKeys } {
  const server = new RegistrationServer(
    { identity: relay.identity, userId: 'relay', now: WALL_CLOCK },
    { addresses: [RELAY_LOCATION, 'ws://127.0.0.1:8080'], maxFrame: MAX_FRAME },
  );
  const client = new RegistrationClient(
    { identity: alice.identity, userId: 'alice', deviceId: 'laptop', now: WALL_CLOCK },
    RELAY_LOCATION,
  );
  const challenge = server.challenge();
  client.challenge(challenge, WALL_CLOCK);
  const response = client.response(WALL_CLOCK);
  const { keys: serverKeys, handshakeHash } = server.receive(response, WALL_CLOCK, 0);
  const success = server.success(ALICE_CONNECTION_ID);
  const { keys: clientKeys } = client.success(success, 0);
  const [, responsePayload] = alice.handshakePlaintexts;
  return {
    serverEphemeralSecret: relay.ephemeralSecret,
    clientEphemeralSecret: alice.ephemeralSecret,
    // The payload follows e and s, all of them in the clear.
    challenge: messageOf(challenge, noiseOf(challenge).subarray(64)),
    challengeResponse: messageOf(response, Buffer.from(responsePayload ?? '', 'hex')),
    registerSuccess: messageOf(success, relay.nextTransport().plaintext),
    handshakeHash: toHex(handshakeHash),
    clientKeys,
    serverKeys,
  };
}

function messageOf(message: string, payload: Uint8Array): RegistrationMessageVector {
  return { message, noise: toHex(noiseOf(message)), payload: fromUtf8(payload) ?? '' };
}

function noiseOf(message: string): Uint8Array {
  return bytesOf((JSON.parse(message) as { noise: string }).noise);
}

function bytesOf(base64Url: string): Uint8Array {
  const bytes = fromBase64Url(base64Url);
  if (!bytes) throw new Error('not base64url');
  return bytes;
}

/** The signed device information in the payload of a registration message. */
function deviceOf({ payload }: RegistrationMessageVector): DeviceInformationVector {
  const { device } = JSON.parse(payload) as { device: { information: string; signature: string } };
  const information = bytesOf(device.information);
  const label = Buffer.from('secure-websocket/1 device information\0', 'ascii');
  return {
    information: fromUtf8(information) ?? '',
    signedBytes: toHex(Buffer.concat([label, information])),
    signature: toHex(bytesOf(device.signature)),
  };
}

/** The code of the error that `action` throws, if it throws one. */
function refusalOf(action: () => unknown): { refused?: string } {
  try {
    action();
    return {};
  } catch (error) {
    if (error instanceof SecureWebSocketError) return { refused: error.code };
    throw error;
  }
}

function addressVectors(valid: string): AddressVector[] {
  const key = (first: string, middle: string, last: string): string => first + middle.repeat(30) + last;
  const examples: [description: string, address: string][] = [
    ['an address', valid],
    ['upper case', valid.toUpperCase()],
    ['one byte less', valid.slice(2)],
    ['one byte more', `${valid}00`],
    ['another character', `${valid.slice(0, -1)}g`],
    ['p - 2, the highest that is accepted', key('eb', 'ff', '7f')],
    ['p', key('ed', 'ff', '7f')],
    ['p + 2', key('ef', 'ff', '7f')],
    ['2^255 - 1', key('ff', 'ff', '7f')],
    ['2^255 + 9: the base point with the top bit set', key('09', '00', '80')],
    ['0', key('00', '00', '00')],
    ['1', key('01', '00', '00')],
    ['p - 1', key('ec', 'ff', '7f')],
    ['of order 8', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    ['of order 8', '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'],
  ];
  return examples.map(([description, address]) => ({
    description,
    address,
    ...refusalOf(() => parseAddress(address)),
  }));
}

function locationVectors(address: string): LocationVector[] {
  return [
    `wss://relay.example/${address}/chat?x=1`,
    `wss://relay.example/${address}`,
    `wss://relay.example/${address}/`,
    `ws://relay.example:8080/base/${address}?x=1`,
    `wss://relay.example/${address}/${'0'.repeat(64)}`,
    `wss://RELAY.example:443/%7Euser/?q`,
    'wss://api.example/chat?x=1',
    'ws://[::1]:80',
    `wss://relay.example/${address.slice(1)}/chat`,
    `wss://relay.example/${address.toUpperCase()}/chat`,
    `wss://relay.example/${'0'.repeat(64)}/chat`,
    'wss://relay.example/base/space/gr%C3%BC%C3%9Fe%20%2B%3F',
    `wss://relay.example/${address}/space/lobby`,
    'wss://relay.example/space/lobby/',
    'wss://relay.example/space/a%2Fb',
    'wss://relay.example/space/gru%CC%88n',
    'wss://relay.example/space/%FF',
    'wss://relay.example/space/lobby?x=1',
    `wss://relay.example/space/${'x'.repeat(129)}`,
  ].map(url => {
    const { refused } = refusalOf(() => parseLocation(new URL(url)));
    if (refused !== undefined) return { url, refused };
    const { origin, dialled, peerKey, target, space } = parseLocation(new URL(url));
    return {
      url,
      serverLocation: origin,
      dialled,
      ...(peerKey && { address: toHex(peerKey) }),
      ...(space !== undefined && { space }),
      target,
    };
  });
}

const EMPTY_HEADER: RecordHeader = {
  channelId: 1,
  sequenced: true,
  opener: true,
  sequence: 0,
  acknowledgement: 0,
};

/** Lengths of items: as they are written, and as they may be read too. */
function lengthVectors(): LengthVector[] {
  const written = [0, 37, 63, 64, 15_293, 16_383, 16_384, 1_000_000].map(value => {
    const writer = new RecordWriter(RECORD_HEADER_LENGTH + 16 + value);
    writer.item(Opcode.BINARY, true, new Uint8Array(value));
    const record = writer.finish(EMPTY_HEADER);
    const end = record.length - value;
    return { description: 'as written', value, bytes: toHex(record.subarray(RECORD_HEADER_LENGTH + 1, end)) };
  });
  const read = ['4025', '80000025', 'c000000000000025'].map(bytes => {
    const header = new RecordWriter(RECORD_HEADER_LENGTH).finish(EMPTY_HEADER);
    const item = Buffer.from(`82${bytes}${'00'.repeat(0x25)}`, 'hex');
    const [decoded] = decodeItems(Buffer.concat([header, item]));
    return { description: 'accepted too', value: decoded?.payload.length ?? 0, bytes };
  });
  return [...written, ...read];
}
