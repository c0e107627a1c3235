import type { WebSocket } from 'ws';
import { utf8 } from '../../src/core/bytes.js';
import { RECEIVE_WINDOW } from '../../src/core/constants.js';
import { decodeFrame, encodeEnvelope, encodeListen, peerAddress } from '../../src/core/frame.js';
import { encodeInitiationPayload, encodeResponsePayload } from '../../src/core/handshake-payload.js';
import type { Identity } from '../../src/core/identity.js';
import { Lineage } from '../../src/core/lineage.js';
import { HandshakeState } from '../../src/core/noise/handshake-state.js';
import { sessionName } from '../../src/core/open-parameters.js';
import { sessionPrologue } from '../../src/core/prologue.js';
import {
  decodeItems,
  decodeRecordHeader,
  encodeAcknowledgement,
  type Item,
  Opcode,
  type RecordHeader,
  RecordWriter,
} from '../../src/core/record.js';
import { decodeSealedBody, encodeInitiation, encodeResponse } from '../../src/core/sealed-body.js';
import { TransportKeys } from '../../src/core/transport-keys.js';
import { EventQueue } from './event-queue.js';
import { RelayClient } from './relay-client.js';
import { transportMessage } from './transport-message.js';

/** What a peer sent on a channel. */
export interface ReceivedRecord {
  readonly header: RecordHeader;
  readonly items: readonly Item[];
}

export const item = (opcode: Opcode, payload: Uint8Array | string = '', fin = true): Item => ({
  opcode,
  fin,
  payload: typeof payload === 'string' ? utf8(payload) : payload,
});

/** The payload of a CLOSE. */
export const closePayload = (code: number, reason: Uint8Array | string = ''): Uint8Array =>
  Uint8Array.of(code >> 8, code & 0xff, ...(typeof reason === 'string' ? utf8(reason) : reason));

const LOCAL_INDEX = 0x1001;

/**
 * A client that has a session with a service like any other, and then says in it whatever a test wants: it is made of
 * the pieces of src/core, without the parts that keep to the rules.
 */
export class ModifiedClient {
  readonly ws: WebSocket;
  readonly closed: RelayClient['closed'];
  /** What came inside the session: each numbered record once, and of the others those that say something. */
  readonly records = new EventQueue<ReceivedRecord>();
  readonly identity: Identity;
  /** Where it writes to. */
  readonly peer: Uint8Array;
  /** Whether it keeps to one rule at least: that what came is acknowledged. */
  acknowledges = true;
  readonly #keys: TransportKeys;
  /** Sequence numbers that each channel has used, and those that came, by id and by which end has opened it. */
  readonly #sequences = new Map<string, number>();
  readonly #expected = new Map<string, number>();

  private constructor(client: RelayClient, peer: Uint8Array, keys: TransportKeys) {
    this.ws = client.ws;
    this.closed = client.closed;
    this.identity = client.identity;
    this.peer = peer;
    this.#keys = keys;
    this.ws.on('message', data => {
      const frame = decodeFrame(Uint8Array.from(data as Buffer));
      if (frame.type === 'envelope') this.#receive(frame.body);
    });
  }

  /** Registers with a service that is dialled itself: that is the session. `stolen`: whose identity it has. */
  static async direct(url: string, stolen?: Identity): Promise<ModifiedClient> {
    const client = await RelayClient.connect(url, stolen ? { identity: stolen } : {});
    return new ModifiedClient(client, peerAddress(client.serverKey, 0), client.keys);
  }

  /** Registers with a relay and makes a session with whoever listens at a key. `stolen`: whose identity it has. */
  static async relayed(url: string, publicKey: Uint8Array, stolen?: Identity): Promise<ModifiedClient> {
    const client = await RelayClient.connect(url, stolen ? { identity: stolen } : {});
    const { crypto, keyPair } = client.identity;
    const prologue = sessionPrologue(keyPair.publicKey, publicKey);
    const state = new HandshakeState({
      crypto,
      pattern: 'IK',
      initiator: true,
      prologue,
      s: keyPair,
      rs: publicKey,
    });
    const payload = encodeInitiationPayload(Date.now(), crypto.randomBytes(16));
    const initiation = encodeInitiation(LOCAL_INDEX, state.writeMessage(payload));
    client.send(encodeEnvelope(peerAddress(publicKey, 0), initiation));
    const frame = await client.frames.next();
    if (frame.type !== 'envelope') throw new Error(`a ${frame.type} instead of an answer`);
    const body = decodeSealedBody(frame.body);
    if (body.type !== 'response') throw new Error(`${body.type} instead of an answer`);
    state.readMessage(body.noise);
    return new ModifiedClient(client, frame.address, sessionKeys(state, body.senderIndex, true));
  }

  /** Listens at a relay like a service; `next` gives the sessions that others make with it. */
  static async listen(url: string): Promise<{ publicKey: string; next: () => Promise<ModifiedClient> }> {
    const client = await RelayClient.connect(url);
    client.send(encodeListen(true));
    // What the relay answers next, it answers after it has seen LISTEN.
    client.send(encodeEnvelope(peerAddress(client.serverKey, 0), Uint8Array.of(0)));
    await client.frames.next();
    return { publicKey: client.identity.publicKey, next: () => ModifiedClient.#answer(client) };
  }

  static async #answer(client: RelayClient): Promise<ModifiedClient> {
    const frame = await client.frames.next();
    if (frame.type !== 'envelope') throw new Error(`a ${frame.type} instead of a handshake`);
    const body = decodeSealedBody(frame.body);
    if (body.type !== 'initiation') throw new Error(`${body.type} instead of a handshake`);
    const { crypto, keyPair } = client.identity;
    const prologue = sessionPrologue(frame.address.subarray(0, 32), keyPair.publicKey);
    const state = new HandshakeState({ crypto, pattern: 'IK', initiator: false, prologue, s: keyPair });
    state.readMessage(body.noise);
    const response = state.writeMessage(encodeResponsePayload());
    client.send(encodeEnvelope(frame.address, encodeResponse(LOCAL_INDEX, body.senderIndex, response)));
    return new ModifiedClient(client, frame.address, sessionKeys(state, body.senderIndex, false));
  }

  /** Seals any plaintext and sends it. */
  seal(plaintext: Uint8Array): void {
    this.ws.send(encodeEnvelope(this.peer, transportMessage(this.#keys, plaintext)));
  }

  /** How OPEN_ACCEPT names the session. */
  get sessionName(): string {
    return sessionName(this.#keys.handshakeHash);
  }

  /** What names a channel that this end has opened, to the other end of the session and to nobody else. */
  lineage(channelId = 1): Lineage {
    const { crypto, publicKeyBytes } = this.identity;
    return new Lineage(crypto, this.#keys, publicKeyBytes, channelId);
  }

  /** The payload of a RESUME in this session, for what has this lineage. */
  proof(lineage: Lineage): Uint8Array {
    return lineage.encode('opener', this.#keys.handshakeHash);
  }

  /** Sends a record of the channel 1 that takes the next sequence number, but for `changes`. */
  record(items: readonly Item[], changes: Partial<RecordHeader> = {}): void {
    const { channelId = 1, opener = true } = changes;
    const name = nameOf(channelId, opener);
    const sequence = this.#sequences.get(name) ?? 0;
    const acknowledgement = this.acknowledges ? (this.#expected.get(name) ?? 0) : 0;
    const header = { channelId, sequenced: true, opener, sequence, acknowledgement, ...changes };
    if (changes.sequence === undefined && header.sequenced) this.#sequences.set(name, sequence + 1);
    const writer = new RecordWriter(64 + items.reduce((sum, { payload }) => sum + payload.length + 9, 0));
    for (const { opcode, fin, payload } of items) writer.item(opcode, fin, payload);
    this.seal(writer.finish(header));
  }

  /** Asks for a channel. */
  ask(channelId = 1, open: object = {}): void {
    const parameters = { target: '/', protocols: [], window: RECEIVE_WINDOW, ...open };
    this.record([item(Opcode.OPEN, JSON.stringify(parameters))], { channelId });
  }

  /** Opens the channel 1. */
  async open(): Promise<void> {
    this.ask();
    const { items } = await this.records.next();
    if (items[0]?.opcode !== Opcode.OPEN_ACCEPT) throw new Error('not accepted');
  }

  /** The next thing of this kind that comes, as text. What comes before it is dropped. */
  async next(opcode: Opcode): Promise<string> {
    for (;;) {
      const { items } = await this.records.next();
      const found = items.find(each => each.opcode === opcode);
      if (found) return Buffer.from(found.payload).toString();
    }
  }

  #receive(body: Uint8Array): void {
    const plaintext = this.#keys.open(body);
    if (!plaintext || plaintext.length === 0) return;
    const header = decodeRecordHeader(plaintext);
    const items = decodeItems(plaintext);
    if (header.sequenced && !this.#isNext(header)) return;
    if (items.length > 0) this.records.push({ header, items });
  }

  /** Whether a numbered record is the next one. If it is, it is acknowledged. */
  #isNext({ channelId, opener, sequence }: RecordHeader): boolean {
    if (!this.acknowledges) return true;
    const name = nameOf(channelId, !opener);
    const expected = this.#expected.get(name) ?? 0;
    if (sequence !== expected) return false;
    this.#expected.set(name, expected + 1);
    const ours = { channelId, opener: !opener, sequenced: false };
    const header = { ...ours, sequence: this.#sequences.get(name) ?? 0, acknowledgement: expected + 1 };
    this.seal(encodeAcknowledgement(header));
    return true;
  }
}

/** Each end numbers its channels by itself: `ours` are those that this one has opened. */
const nameOf = (channelId: number, ours: boolean): string =>
  `${String(channelId)} ${ours ? 'ours' : 'theirs'}`;

function sessionKeys(state: HandshakeState, remoteIndex: number, initiator: boolean): TransportKeys {
  const { handshakeHash } = state;
  const { send, receive, exporter } = state.split();
  const createdAt = performance.now();
  return new TransportKeys({
    localIndex: LOCAL_INDEX,
    remoteIndex,
    send,
    receive,
    initiator,
    handshakeHash,
    exporter,
    createdAt,
  });
}
