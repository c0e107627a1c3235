/**
 * What docs/protocol-vectors.json holds, made anew by the code of src from fixed seeds, fixed clocks and random bytes
 * that only look so. `UPDATE_VECTORS=1 npx vitest run --project node test/unit/core/protocol-vectors.test.ts` writes it.
 */
import { parseAddress } from '../../src/core/address.js';
import { fromBase64Url, fromUtf8, toHex, utf8 } from '../../src/core/bytes.js';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { parseLocation } from '../../src/core/location.js';
import { registrationPrologue } from '../../src/core/prologue.js';
import { decodeItems, Opcode, RECORD_HEADER_LENGTH, RecordWriter } from '../../src/core/record.js';
import { type RegisteredClient, registrationFailure, RegistrationClient, RegistrationServer } from '../../src/core/registration.js';
import { directExchange, relayedExchange, type RecordedTransport, type RelayedExchange } from './protocol-exchange.js';
import { MAX_FRAME, RELAY_LOCATION, Party, WALL_CLOCK } from './protocol-party.js';

/** Bytes in hex. */
export type Hex = string;

export interface KeyVector {
  readonly seed: Hex;
  readonly x25519SecretKey: Hex;
  readonly x25519PublicKey: Hex;
  readonly ed25519Seed: Hex;
  readonly ed25519PublicKey: Hex;
}

export interface DeviceInformationVector {
  readonly information: string;
  readonly signedBytes: Hex;
  readonly signature: Hex;
}

export interface RegistrationVector {
  readonly description: string;
  readonly prologue: Hex;
  readonly serverEphemeralSecret: Hex;
  readonly clientEphemeralSecret: Hex;
  readonly messages: readonly { readonly text: string; readonly noise: Hex; readonly payload: string }[];
  readonly handshakeHash: Hex;
  readonly serverToClientKey: Hex;
  readonly clientToServerKey: Hex;
  readonly failure: string;
}

export interface ProtocolVectors {
  readonly description: readonly string[];
  readonly keys: { readonly relay: KeyVector; readonly alice: KeyVector; readonly bob: KeyVector };
  readonly deviceInformation: { readonly relay: DeviceInformationVector; readonly alice: DeviceInformationVector };
  readonly registration: RegistrationVector;
  readonly relayed: RelayedExchange;
  readonly direct: { readonly description: string; readonly transport: readonly RecordedTransport[] };
  readonly addresses: readonly { readonly address: string; readonly description: string; readonly refused?: string }[];
  readonly locations: readonly LocationVector[];
  readonly lengths: readonly { readonly description: string; readonly value: number; readonly bytes: Hex }[];
}

export interface LocationVector {
  readonly url: string;
  readonly serverLocation?: string;
  readonly dialled?: string;
  readonly address?: Hex;
  readonly target?: string;
  readonly refused?: string;
}

const DESCRIPTION = [
  'Test vectors of the protocol in protocol.md, version 1. A test of this project makes them and checks them.',
  'Strings are bytes in hex, except where they are JSON, URLs or descriptions. Secrets are here to be tested with: never use them.',
  `Clocks say ${String(WALL_CLOCK)}, milliseconds since 1970. The relay's location is ${RELAY_LOCATION}.`,
];

export async function generateVectors(): Promise<ProtocolVectors> {
  const [relay, alice, bob] = [await Party.create('relay'), await Party.create('alice'), await Party.create('bob')];
  const keys = { relay: keysOf(relay), alice: keysOf(alice), bob: keysOf(bob) };
  const { vector: registration, devices, server, client } = register(relay, alice);
  return {
    description: DESCRIPTION,
    keys,
    deviceInformation: devices,
    registration,
    relayed: await relayedExchange(alice, bob),
    direct: {
      description:
        'The keys of the registration above, as in direct use: there the relay would be the service, index 0 at both ends.',
      transport: directExchange(alice, client, relay, server),
    },
    addresses: addressVectors(alice.identity.publicKey),
    locations: locationVectors(alice.identity.publicKey),
    lengths: lengthVectors(),
  };
}

function keysOf(party: Party): KeyVector {
  const { identity } = party;
  const seed = identity.exportSeed();
  return {
    seed: toHex(seed),
    x25519SecretKey: toHex(identity.keyPair.secretKey),
    x25519PublicKey: identity.publicKey,
    ed25519Seed: toHex(identity.crypto.deriveKey(seed, 2, 'SWSED255')),
    ed25519PublicKey: identity.signingKey,
  };
}

interface RegistrationResult {
  readonly vector: RegistrationVector;
  readonly devices: ProtocolVectors['deviceInformation'];
  readonly server: RegisteredClient['keys'];
  readonly client: RegisteredClient['keys'];
}

/** The client's key at the relay is that of the connection id that is written here. */
const CONNECTION_ID = 0x0000_0a11;

function register(relay: Party, alice: Party): RegistrationResult {
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
  const registered = server.receive(response, WALL_CLOCK, 0);
  const success = server.success(CONNECTION_ID);
  const { keys } = client.success(success, 0);

  const [challengeNoise, responseNoise, successNoise] = [challenge, response, success].map(noiseOf) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  // e and s are in the clear, and so is what follows.
  const challengePayload = text(challengeNoise.subarray(64));
  const responsePayload = text(alice.lastSealed(true).plaintext);
  const { key: serverToClientKey, plaintext } = relay.lastSealed(false);
  // The client has sealed nothing with its key yet: an empty message tells which it is.
  keys.seal(new Uint8Array(0));
  throw new Error(`${toHex(serverToClientKey)}${text(plaintext)}${String(successNoise.length)}${challengePayload}${responsePayload}${String(registered)}`);
}

const text = (bytes: Uint8Array): string => fromUtf8(bytes) ?? '';

function noiseOf(message: string): Uint8Array {
  return fromBase64Url((JSON.parse(message) as { noise: string }).noise) ?? new Uint8Array(0);
}
