import type { WebSocket } from 'ws';
import { utf8 } from '../../src/core/bytes.js';
import { RECEIVE_WINDOW } from '../../src/core/constants.js';
import { decodeFrame, encodeEnvelope, encodeListen, peerAddress } from '../../src/core/frame.js';
import { encodeInitiationPayload, encodeResponsePayload } from '../../src/core/handshake-payload.js';
import type { Identity } from '../../src/core/identity.js';
import { HandshakeState } from '../../src/core/noise/handshake-state.js';
import { sessionPrologue } from '../../src/core/prologue.js';
import {
  decodeItems,
  decodeRecordHeader,
  type Item,
  Opcode,
  type RecordHeader,
  RecordWriter,
} from '../../src/core/record.js';
import { decodeSealedBody, encodeInitiation, encodeResponse } from '../../src/core/sealed-body.js';
import { TransportKeys } from '../../src/core/transport-keys.js';
import { EventQueue } from './event-queue.js';
import { RelayClient } from './relay-client.js';

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
  /** What came inside the session, unless it was empty. */
  readonly records = new EventQueue<ReceivedRecord>();
  readonly identity: Identity;
  /** Where it writes to. */
  readonly peer: Uint8Array;
  readonly #keys: TransportKeys;
  /** Sequence numbers that each channel has used. */
  readonly #sequences = new Map<number, number>();

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

  /** Registers with a service that is dialled itself: that is the session. */
  static async direct(url: string): Promise<ModifiedClient> {
    const client = await RelayClient.connect(url);
    return new ModifiedClient(client, peerAddress(client.serverKey, 0), client.keys);
  }

  /** Registers with a relay and makes a session with whoever listens at a key. */
  static async relayed(url: string, publicKey: Uint8Array): Promise<ModifiedClient> {
    const client = await RelayClient.connect(url);
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
    this.ws.send(encodeEnvelope(this.peer, ...this.#keys.seal(plaintext)));
  }

  /** Sends a record of the channel 1 that takes the next sequence number, but for `changes`. */
  record(items: readonly Item[], changes: Partial<RecordHeader> = {}): void {
    const channelId = changes.channelId ?? 1;
    const sequence = this.#sequences.get(channelId) ?? 0;
    const header = { channelId, sequenced: true, opener: true, sequence, acknowledgement: 0, ...changes };
    if (changes.sequence === undefined && header.sequenced) this.#sequences.set(channelId, sequence + 1);
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
    this.records.push({ header: decodeRecordHeader(plaintext), items: decodeItems(plaintext) });
  }
}

function sessionKeys(state: HandshakeState, remoteIndex: number, initiator: boolean): TransportKeys {
  const { handshakeHash } = state;
  const { send, receive } = state.split();
  const createdAt = performance.now();
  return new TransportKeys({
    localIndex: LOCAL_INDEX,
    remoteIndex,
    send,
    receive,
    initiator,
    handshakeHash,
    createdAt,
  });
}
