/** Two endpoints and a router between them, without sockets: what they say is written down, frame by frame. */
import { fromHex, fromUtf8, toHex, utf8 } from '../../src/core/bytes.js';
import type { Channel } from '../../src/core/channel.js';
import { Endpoint } from '../../src/core/endpoint.js';
import { SecureWebSocketError } from '../../src/core/errors.js';
import {
  ENVELOPE_HEADER_LENGTH,
  encodeEnvelope,
  FrameType,
  NoticeReason,
  peerAddress,
} from '../../src/core/frame.js';
import { sessionPrologue } from '../../src/core/prologue.js';
import { decodeItems, decodeRecordHeader, type Item, Opcode } from '../../src/core/record.js';
import { BodyType, decodeSealedBody } from '../../src/core/sealed-body.js';
import type { TransportKeys } from '../../src/core/transport-keys.js';
import { Router, type RouterPort } from '../../src/relay/router.js';
import { FakeConnection } from './fake-connection.js';
import { MAX_FRAME, type Party, WALL_CLOCK } from './protocol-party.js';

export interface RecordedFrame {
  readonly description: string;
  /** Type of the frame, and of the sealed body in it. */
  readonly type: string;
  readonly from: string;
  /** As the sender wrote it. */
  readonly sent: string;
  /** Who got it in the end, if anybody did. */
  readonly to?: string;
  /** As the router passed it on; absent where it did not. */
  readonly delivered?: string;
}

export interface RecordedItem {
  readonly item: string;
  readonly fin: boolean;
  /** The payload, as text where it is text, else in hex. Neither where it is left out for its length, bytes. */
  readonly text?: string;
  readonly payload?: string;
  readonly length?: number;
}

export interface RecordedRecord {
  readonly channelId: number;
  readonly sequenced: boolean;
  readonly opener: boolean;
  readonly sequenceNumber: number;
  readonly acknowledgement: number;
  readonly items: readonly RecordedItem[];
}

/** One transport message. */
export interface RecordedTransport {
  readonly description: string;
  readonly from: string;
  readonly counter: number;
  /** What the plaintext says; absent for a keepalive. */
  readonly record?: RecordedRecord;
  /** Absent, as the sealed body is, where they are left out for their size. */
  readonly plaintext?: string;
  readonly sealedBody?: string;
}

export interface RecordedSession {
  readonly description: string;
  readonly initiatorConnectionId: number;
  readonly responderConnectionId: number;
  readonly prologue: string;
  readonly initiatorEphemeralSecret: string;
  readonly responderEphemeralSecret: string;
  readonly initiatorIndex: number;
  readonly responderIndex: number;
  readonly initiationPayload: string;
  readonly responsePayload: string;
  readonly handshakeHash: string;
  readonly exporter: string;
  readonly initiatorToResponderKey: string;
  readonly responderToInitiatorKey: string;
}

export interface RelayedExchange {
  readonly session: RecordedSession;
  readonly frames: readonly RecordedFrame[];
  readonly transport: readonly RecordedTransport[];
}

export const ALICE_CONNECTION_ID = 0x0000_0a11;
export const BOB_CONNECTION_ID = 0xb0b0_0001;
/** Frames from Bob are small, so that a message of little more than 2 KiB takes three fragments. */
const BOB_MAX_FRAME = 1_200;
/** Longer payloads and records are left out, bytes. */
const MAX_PAYLOAD_SHOWN = 200;
const MAX_RECORD_SHOWN = 2_000;

const TEXTUAL: ReadonlySet<number> = new Set([
  Opcode.TEXT,
  Opcode.OPEN,
  Opcode.OPEN_ACCEPT,
  Opcode.OPEN_REFUSE,
  Opcode.RESET,
]);

/** A transport message with the plaintext that its sender sealed. */
function transportOf(
  description: string,
  from: Party,
  body: Uint8Array,
  plaintext: Uint8Array,
): RecordedTransport {
  return {
    description,
    from: from.name,
    counter: new DataView(body.buffer, body.byteOffset).getUint32(9),
    ...(plaintext.length > 0 && { record: recordOf(plaintext) }),
    ...(plaintext.length <= MAX_RECORD_SHOWN && { plaintext: toHex(plaintext), sealedBody: toHex(body) }),
  };
}

function recordOf(plaintext: Uint8Array): RecordedRecord {
  const { channelId, sequenced, opener, sequence, acknowledgement } = decodeRecordHeader(plaintext);
  const items = decodeItems(plaintext).map(item => ({
    item: nameOf(Opcode, item.opcode),
    fin: item.fin,
    ...payloadOf(item),
  }));
  return { channelId, sequenced, opener, sequenceNumber: sequence, acknowledgement, items };
}

function payloadOf({ opcode, payload }: Item): Pick<RecordedItem, 'text' | 'payload' | 'length'> {
  if (payload.length > MAX_PAYLOAD_SHOWN) return { length: payload.length };
  return TEXTUAL.has(opcode) ? { text: fromUtf8(payload) ?? '' } : { payload: toHex(payload) };
}

function nameOf(names: Readonly<Record<string, number>>, value: number | undefined): string {
  return Object.keys(names).find(name => names[name] === value) ?? '';
}

function typeOf(frame: Uint8Array): string {
  const type = nameOf(FrameType, frame[0]);
  if (type === 'NOTICE') return `NOTICE, ${nameOf(NoticeReason, frame[1])}`;
  return type === 'ENVELOPE' ? `ENVELOPE, ${nameOf(BodyType, frame[ENVELOPE_HEADER_LENGTH])}` : type;
}

function newEndpoint({ identity }: Party, connectionId: number, maxFrame = MAX_FRAME): Endpoint {
  const { crypto, keyPair } = identity;
  return new Endpoint({ crypto, keyPair, connectionId, maxFrame, wallClock: () => WALL_CLOCK });
}

export interface Client {
  readonly party: Party;
  readonly connectionId: number;
  readonly endpoint: Endpoint;
  readonly connection: FakeConnection;
  readonly port: RouterPort;
}

/** Clients of one router. */
export class Exchange {
  readonly frames: RecordedFrame[] = [];
  readonly transport: RecordedTransport[] = [];
  /** Milliseconds. */
  now = 0;
  /** What is sent gets lost. */
  isLosing = false;
  readonly #router = new Router({ randomUint32: () => 1 });
  readonly #clients: Client[] = [];

  connect(party: Party, connectionId: number, maxFrame?: number): Client {
    const connection = new FakeConnection();
    const endpoint = newEndpoint(party, connectionId, maxFrame);
    const port = this.#router.add(party.identity.publicKeyBytes, connectionId, connection);
    const client = { party, connectionId, endpoint, connection, port };
    this.#clients.push(client);
    return client;
  }

  /** Runs until nobody has anything more to say. */
  run(description: string): void {
    for (let moved = true; moved;) {
      moved = false;
      for (const client of this.#clients) {
        client.endpoint.flush(Infinity, this.now);
        for (const frame of client.endpoint.takeFrames()) {
          moved = true;
          this.#pass(client, frame, description);
        }
      }
    }
  }

  /** Lets time pass until `now`, and all happen that happens then. */
  wait(now: number, description: string): void {
    this.now = now;
    for (const { endpoint } of this.#clients) endpoint.timeout(now);
    this.run(description);
  }

  /** Hands over what the router has for its clients. */
  deliver(description: string): void {
    for (const { connection, endpoint, party } of this.#clients) {
      for (const frame of connection.sent.splice(0)) {
        if (frame[0] === FrameType.NOTICE) {
          this.frames.push({
            description,
            type: typeOf(frame),
            from: 'relay',
            to: party.name,
            sent: toHex(frame),
          });
        }
        endpoint.receive(frame, this.now);
      }
    }
  }

  #pass(from: Client, frame: Uint8Array, description: string): void {
    const sent = frame.slice();
    const body = sent.subarray(ENVELOPE_HEADER_LENGTH);
    if (!this.isLosing) from.port.receive(frame);
    const isTransport = sent[0] === FrameType.ENVELOPE && body[0] === BodyType.TRANSPORT;
    if (isTransport) {
      const sealing = from.party.nextTransport();
      this.transport.push(transportOf(description, from.party, body, sealing.plaintext));
    }
    // All transport messages look alike as frames: one will do.
    if (!isTransport || this.transport.length === 1) {
      const to = this.#clients.find(({ connection }) => connection.sent[0]?.[0] === FrameType.ENVELOPE);
      const delivered = to && { to: to.party.name, delivered: toHex(to.connection.sent[0] ?? sent) };
      const type = typeOf(sent);
      this.frames.push({ description, type, from: from.party.name, sent: toHex(sent), ...delivered });
    }
    this.deliver(description);
  }
}

/** Alice and Bob through a relay: a session, and channels in it. */
export function relayedExchange(aliceParty: Party, bobParty: Party, nobody: Uint8Array): RelayedExchange {
  for (const party of [aliceParty, bobParty]) party.forget();
  const exchange = new Exchange();
  const alice = exchange.connect(aliceParty, ALICE_CONNECTION_ID);
  const bob = exchange.connect(bobParty, BOB_CONNECTION_ID, BOB_MAX_FRAME);
  const run = exchange.run.bind(exchange);

  bob.endpoint.listen(true, 0);
  run('Bob listens at his key');
  const address = peerAddress(bobParty.identity.publicKeyBytes, 0);
  const channel = alice.endpoint.open(address, OFFER, 0);
  run('Alice dials Bob: a handshake, a keepalive that confirms its keys, OPEN');
  const theirs = incoming(bob.endpoint);
  bob.endpoint.accept(theirs, 'b');
  run('Bob accepts');
  const session = sessionOf(exchange, alice, bob, channel);

  const send = (client: Client, its: Channel, what: string, ...messages: (string | Uint8Array)[]): void => {
    for (const data of messages)
      its.send(typeof data === 'string' ? utf8(data) : data, typeof data === 'string');
    client.endpoint.wake(its);
    run(what);
  };
  send(alice, channel, 'A text message', 'grüße');
  send(bob, theirs, 'Three messages share a record', 'one', Uint8Array.of(0, 1, 255), '');
  const pattern = Uint8Array.from({ length: 2_300 }, (_, index) => index % 251);
  send(bob, theirs, 'A binary message of 2,300 bytes in three fragments; byte i is i mod 251', pattern);
  channel.ping(utf8('there?'));
  bob.endpoint.takeEvents();
  alice.endpoint.wake(channel);
  run('PING');
  theirs.pong(pingOf(bob.endpoint).slice());
  bob.endpoint.wake(theirs);
  run('PONG');
  send(alice, channel, 'A message of 524,288 zero bytes, and CREDIT in answer', new Uint8Array(524_288));
  alice.endpoint.close(channel, 0, 3000, 'bye');
  run('Alice closes the channel, Bob answers');

  const exact = peerAddress(bobParty.identity.publicKeyBytes, BOB_CONNECTION_ID);
  alice.endpoint.open(exact, { target: '/private', protocols: [] }, 0);
  run('A second channel');
  bob.endpoint.refuse(incoming(bob.endpoint), 403, 'not you', 0);
  run('Bob refuses it');
  alice.endpoint.open(exact, { target: '/', protocols: [] }, 0);
  run('A third channel');
  const third = incoming(bob.endpoint);
  bob.endpoint.accept(third, '');
  run('Bob accepts it');
  bob.endpoint.terminate(third, new SecureWebSocketError('ABORTED', ''), 0);
  run('Bob ends it without a closing handshake');

  alice.endpoint.open(peerAddress(nobody, 0), OFFER, 0);
  run('Alice dials a key at which nobody listens');
  bob.port.remove();
  exchange.deliver("Bob's connection ends");
  return { session, frames: exchange.frames, transport: exchange.transport };
}

const OFFER = { target: '/chat?x=1', protocols: ['a', 'b'], origin: 'https://app.example' };

/** What Alice and Bob agreed on when she dialled him, and the channel is carried by. */
export function sessionOf(exchange: Exchange, alice: Client, bob: Client, channel: Channel): RecordedSession {
  const bodies = exchange.frames
    .filter(({ delivered }) => delivered !== undefined)
    .map(({ sent }) => decodeSealedBody(fromHex(sent).subarray(ENVELOPE_HEADER_LENGTH)));
  const initiation = bodies.find(({ type }) => type === 'initiation');
  const response = bodies.find(({ type }) => type === 'response');
  const keys = channel.session?.current;
  if (initiation?.type !== 'initiation' || response?.type !== 'response' || !keys) {
    throw new Error('there was no handshake');
  }
  const [, initiationPayload] = alice.party.handshakePlaintexts;
  const [responsePayload] = bob.party.handshakePlaintexts;
  return {
    description: 'Noise IK. Alice is the initiator.',
    initiatorConnectionId: alice.connectionId,
    responderConnectionId: bob.connectionId,
    prologue: toHex(sessionPrologue(alice.party.identity.publicKeyBytes, bob.party.identity.publicKeyBytes)),
    initiatorEphemeralSecret: alice.party.ephemeralSecret,
    responderEphemeralSecret: bob.party.ephemeralSecret,
    initiatorIndex: initiation.senderIndex,
    responderIndex: response.senderIndex,
    initiationPayload: initiationPayload ?? '',
    responsePayload: responsePayload ?? '',
    handshakeHash: toHex(keys.handshakeHash),
    exporter: toHex(keys.exporter),
    initiatorToResponderKey: alice.party.transportKey,
    responderToInitiatorKey: bob.party.transportKey,
  };
}

/** Alice and a service at the end of her link: the keys of the registration are their first session. */
export function directExchange(
  client: Party,
  clientKeys: TransportKeys,
  server: Party,
  serverKeys: TransportKeys,
): RecordedTransport[] {
  const serverAddress = peerAddress(server.identity.publicKeyBytes, 0);
  const clientAddress = peerAddress(client.identity.publicKeyBytes, ALICE_CONNECTION_ID);
  const [here, there] = [newEndpoint(client, ALICE_CONNECTION_ID), newEndpoint(server, 0)];
  here.adopt(serverAddress, clientKeys);
  there.acceptDirect();
  there.adopt(clientAddress, serverKeys);
  for (const party of [client, server]) party.forget();

  const recorded: RecordedTransport[] = [];
  const move = (
    description: string,
    from: Endpoint,
    party: Party,
    to: Endpoint,
    source: Uint8Array,
  ): void => {
    from.flush(Infinity, 0);
    for (const frame of from.takeFrames()) {
      const body = frame.subarray(ENVELOPE_HEADER_LENGTH);
      recorded.push(transportOf(description, party, body, party.nextTransport().plaintext));
      to.receive(encodeEnvelope(source, body), 0);
    }
  };
  const channel = here.open(serverAddress, { target: '/chat?x=1', protocols: [] }, 0);
  move('OPEN', here, client, there, clientAddress);
  there.accept(incoming(there), '');
  move('OPEN_ACCEPT: the first counter is 1, as REGISTER_SUCCESS had 0', there, server, here, serverAddress);
  channel.send(utf8('hello'), true);
  here.wake(channel);
  move('A text message', here, client, there, clientAddress);
  return recorded;
}

export function incoming(endpoint: Endpoint): Channel {
  const event = endpoint.takeEvents().find(({ type }) => type === 'incoming');
  if (event?.type !== 'incoming') throw new Error('no channel came in');
  return event.channel;
}

function pingOf(endpoint: Endpoint): Uint8Array {
  const event = endpoint.takeEvents().find(({ type }) => type === 'ping');
  if (event?.type !== 'ping') throw new Error('no ping came in');
  return event.data;
}
