/**
 * A small client, written from docs/protocol.md alone: nothing of src is used. It proves that the document suffices,
 * and is strict: whatever the other end does that the document forbids ends the link with an error.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { EventQueue } from './event-queue.js';
import { type Carrier, type Forge, IndependentChannel, type Offer } from './independent/channel.js';
import { type Keys, keysOf } from './independent/primitives.js';
import { type Registered, Registration } from './independent/registration.js';
import { answer, complete, Generation, initiate, type Initiation } from './independent/session.js';
import {
  envelope,
  item,
  listenFrame,
  OPCODE,
  parseLocation,
  peerAddress,
  readRecord,
  readSealedBody,
  readServerFrame,
  RECORD_OVERHEAD,
  type SealedBody,
  type WireRecord,
  writeRecord,
} from './independent/wire.js';

export interface IndependentClientOptions {
  readonly seed?: Uint8Array;
  /** The key that the server must have, in hex. */
  readonly serverKey?: string;
  /** The window of every channel, to make flow control work hard. */
  readonly window?: number;
  /** The connection id that it had before. */
  readonly connectionId?: number;
  /** Channels that peers have opened and may resume, by lineage: those of the client that was there before. */
  readonly resumables?: Map<string, IndependentChannel>;
}

interface Peer {
  /** 36 bytes. */
  readonly address: Buffer;
  /** For receiving. */
  readonly generations: Map<number, Generation>;
  /** For sending. */
  current: Generation;
  /** Keyed by who opened it, and the id. */
  readonly channels: Map<string, IndependentChannel>;
}

interface Pending {
  readonly initiation: Initiation;
  /** 36 bytes; connection id 0 when it is not known yet. */
  readonly dialled: Buffer;
  resolve(peer: Peer): void;
}

/** Whether a record gets lost on its way. */
type Loss = (direction: 'in' | 'out', record: WireRecord) => boolean;

/** The only NOTICE that ends nothing. */
const QUEUE_FULL = 2;

const channelKey = (mine: boolean, id: number): string => `${mine ? 'mine' : 'theirs'} ${id}`;

export class IndependentClient {
  readonly keys: Keys;
  readonly registered: Registered;
  /** Channels that peers open. To be accepted or refused. */
  readonly incoming = new EventQueue<IndependentChannel>();
  readonly notices = new EventQueue<{ reason: number; address: Buffer }>();
  /** Initiations that were answered, as they come: the peers' addresses. */
  readonly answered = new EventQueue<Buffer>();
  /** Resolves when the link has ended: with an error if this end could not go on. */
  readonly ended: Promise<Error | undefined>;
  /** Channels that peers have opened and may resume, by lineage. */
  readonly resumables: Map<string, IndependentChannel>;
  /** Loses records, for tests. */
  loses: Loss = () => false;
  /** Changes the payload of every RESUME that answers one, for tests. */
  forge: Forge | undefined;
  readonly #socket: WebSocket;
  readonly #window: number | undefined;
  readonly #peers = new Map<string, Peer>();
  readonly #pending = new Map<number, Pending>();
  /** Indices of sessions that are over. */
  readonly #retired = new Set<number>();
  #error: Error | undefined;
  #nextChannelId = 1;

  /** Dials the part of `url` that a client dials, and registers. */
  static async connect(url: string, options: IndependentClientOptions = {}): Promise<IndependentClient> {
    const keys = keysOf(options.seed ?? randomBytes(32));
    const { dialled, server } = parseLocation(url);
    const socket = new WebSocket(dialled, { perMessageDeflate: false });
    const { serverKey, connectionId } = options;
    const registration = new Registration({
      keys,
      ephemeral: randomBytes(32),
      location: server,
      now: Date.now(),
      ...(serverKey !== undefined && { serverKey }),
      ...(connectionId !== undefined && { connectionId }),
    });
    try {
      const registered = await register(socket, registration);
      return new IndependentClient(socket, keys, registered, options);
    } catch (error) {
      socket.terminate();
      throw error;
    }
  }

  private constructor(
    socket: WebSocket,
    keys: Keys,
    registered: Registered,
    options: IndependentClientOptions,
  ) {
    this.#socket = socket;
    this.keys = keys;
    this.registered = registered;
    this.#window = options.window;
    this.resumables = options.resumables ?? new Map<string, IndependentChannel>();
    socket.on('message', (data, isBinary) => {
      if (this.#error) return;
      try {
        if (!isBinary) throw new Error('a text message after registration');
        this.#receive(data as Buffer);
      } catch (error) {
        this.#error = error as Error;
        socket.close(1002);
      }
    });
    this.ended = new Promise(resolve => {
      socket.on('close', () => {
        for (const peer of [...this.#peers.values()]) this.#forget(peer);
        resolve(this.#error);
      });
    });
  }

  get address(): string {
    return this.keys.box.publicKey.toString('hex');
  }

  get #ownAddress(): Buffer {
    return peerAddress(this.keys.box.publicKey, this.registered.connectionId);
  }

  /** Listens at the own key, or no longer. LISTEN has no answer; a pong tells that it was read. */
  async listen(flag = true): Promise<void> {
    this.#socket.send(listenFrame(flag));
    const pong = once(this.#socket, 'pong');
    this.#socket.ping();
    await pong;
  }

  /** A channel with the server of this link, whose registration is the first session. */
  openDirect(offer: Offer): IndependentChannel {
    return this.#open(this.#adoptServer(), offer);
  }

  /** A channel with whoever listens at `key`, in a session of its own. */
  async dial(key: string, offer: Offer): Promise<IndependentChannel> {
    const peer = await this.#handshake(peerAddress(Buffer.from(key, 'hex'), 0));
    return this.#open(peer, offer);
  }

  /** A second channel, in the session that there is. */
  openAnother(key: string, offer: Offer): IndependentChannel {
    return this.#open(this.#peerOf(key), offer);
  }

  /** Goes on with a channel that it has opened, with whoever listens at `key`; `forge` changes what RESUME says. */
  async resume(channel: IndependentChannel, key: string, forge?: Forge): Promise<void> {
    const peer = await this.#handshake(peerAddress(Buffer.from(key, 'hex'), 0));
    this.#resume(peer, channel, forge);
  }

  /** The same, with the server of this link. */
  resumeDirect(channel: IndependentChannel, forge?: Forge): void {
    this.#resume(this.#adoptServer(), channel, forge);
  }

  /** Gives up the session with `key`; its channels are to be resumed in another. */
  suspend(key: string): void {
    const peer = this.#peerOf(key);
    for (const channel of peer.channels.values()) {
      if (channel.resumeWindow > 0) channel.reliability.report(item(OPCODE.RESET, Buffer.from('SUSPENDED')));
    }
    this.#forget(peer);
  }

  /** Sends something that does not decrypt, as a relay could. */
  garble(key: string): void {
    const peer = this.#peerOf(key);
    const body = peer.current.seal(Buffer.alloc(0));
    body[body.length - 1]! ^= 1;
    this.#envelope(peer.address, body);
  }

  /** New keys for the session with `key`; channels go on. */
  async renew(key: string): Promise<void> {
    await this.#handshake(this.#peerOf(key).address);
  }

  close(): Promise<Error | undefined> {
    this.#socket.close(1000);
    return this.ended;
  }

  /** Ends without a word. */
  terminate(): void {
    this.#socket.terminate();
  }

  #peerOf(key: string): Peer {
    const found = [...this.#peers.values()].find(({ address }) => address.toString('hex').startsWith(key));
    if (!found) throw new Error(`no session with ${key}`);
    return found;
  }

  #adoptServer(): Peer {
    const address = peerAddress(this.registered.serverKey, 0);
    return this.#adopt(address, new Generation(this.registered.transport, 0, 0, 0));
  }

  #open(peer: Peer, offer: Offer): IndependentChannel {
    const channel = this.#channel(peer, this.#nextChannelId++, true);
    channel.open(offer);
    return channel;
  }

  #resume(peer: Peer, channel: IndependentChannel, forge?: Forge): void {
    const id = this.#nextChannelId++;
    peer.channels.set(channelKey(true, id), channel);
    channel.resume(this.#carrier(peer), id, forge);
  }

  /** What the peer wants to go on with, if that is known here and proven. */
  #resumed(peer: Peer, record: WireRecord, generation: Generation): void {
    const channel = this.resumables.get(record.items[0]!.payload.subarray(0, 16).toString('hex'));
    const carrier = this.#carrier(peer);
    if (!channel?.isProven(record, generation.keys)) {
      carrier.send(resetOf(record, 'CHANNEL_LOST'));
      return;
    }
    for (const { channels } of this.#peers.values()) {
      for (const [key, other] of channels) if (other === channel) channels.delete(key);
    }
    peer.channels.set(channelKey(false, record.channelId), channel);
    channel.resumed(record, carrier, this.forge);
  }

  /** The session with a peer is over. */
  #forget(peer: Peer): void {
    this.#peers.delete(peer.address.toString('hex'));
    for (const index of peer.generations.keys()) this.#retired.add(index);
    for (const channel of peer.channels.values()) channel.lost();
  }

  #carrier(peer: Peer): Carrier {
    return {
      maxRecord: this.registered.maxFrame - RECORD_OVERHEAD,
      keys: () => peer.current.keys,
      send: record => {
        if (!this.loses('out', readRecord(record))) this.#envelope(peer.address, peer.current.seal(record));
      },
      abandoned: () => {
        this.#forget(peer);
      },
    };
  }

  #channel(peer: Peer, id: number, opener: boolean): IndependentChannel {
    const channel = new IndependentChannel({
      id,
      opener,
      openerKey: opener ? this.keys.box.publicKey : peer.address.subarray(0, 32),
      carrier: this.#carrier(peer),
      ...(this.#window !== undefined && { window: this.#window }),
    });
    peer.channels.set(channelKey(opener, id), channel);
    return channel;
  }

  #handshake(dialled: Buffer): Promise<Peer> {
    const index = randomBytes(4).readUInt32BE() || 1;
    const initiation = initiate(this.keys.box, randomBytes(32), dialled.subarray(0, 32), index, {
      time: Date.now(),
      sessionId: randomBytes(16),
    });
    return new Promise(resolve => {
      this.#pending.set(index, { initiation, dialled, resolve });
      this.#envelope(dialled, initiation.body);
    });
  }

  #envelope(address: Buffer, body: Buffer): void {
    const frame = envelope(address, body);
    if (frame.length > this.registered.maxFrame) throw new Error('a frame above the limit');
    this.#socket.send(frame);
  }

  #receive(bytes: Buffer): void {
    const frame = readServerFrame(bytes);
    if (frame.type === 'NOTICE') {
      this.notices.push({ reason: frame.reason, address: Buffer.from(frame.address) });
      const peer = this.#peers.get(frame.address.toString('hex'));
      if (peer && frame.reason !== QUEUE_FULL) this.#forget(peer);
      return;
    }
    // It stays until it is closed, whatever the relay is about to do.
    if (frame.type === 'CONTROL') return;
    const body = readSealedBody(frame.body);
    const source = Buffer.from(frame.address);
    if (body.type === 'HANDSHAKE_INITIATION') this.#answer(source, body);
    else if (body.type === 'HANDSHAKE_RESPONSE') this.#complete(source, body);
    else this.#transport(source, body);
  }

  #answer(source: Buffer, body: SealedBody & { type: 'HANDSHAKE_INITIATION' }): void {
    const own = [...this.#pending].find(([, { dialled }]) => dialled.equals(source));
    if (own) {
      if (Buffer.compare(this.#ownAddress, source) < 0) return;
      this.#pending.delete(own[0]);
    }
    const { generation, body: response } = answer(
      this.keys.box,
      randomBytes(32),
      source.subarray(0, 32),
      body.noise,
      { local: randomBytes(4).readUInt32BE() || 1, remote: body.senderIndex },
    );
    const peer = this.#peers.get(source.toString('hex'));
    if (peer) peer.generations.set(generation.localIndex, generation);
    else this.#adopt(source, generation);
    if (peer && own) own[1].resolve(peer);
    this.#envelope(source, response);
    this.answered.push(source);
  }

  #complete(source: Buffer, body: SealedBody & { type: 'HANDSHAKE_RESPONSE' }): void {
    const pending = this.#pending.get(body.receiverIndex);
    if (!pending) throw new Error('a response to nothing');
    if (!source.subarray(0, 32).equals(pending.dialled.subarray(0, 32)))
      throw new Error('the answer of another');
    this.#pending.delete(body.receiverIndex);
    const peer = this.#adopt(source, complete(pending.initiation, body.noise, body.senderIndex));
    this.#envelope(source, peer.current.seal(Buffer.alloc(0)));
    pending.resolve(peer);
  }

  #transport(source: Buffer, body: SealedBody & { type: 'TRANSPORT' }): void {
    const peer = this.#peers.get(source.toString('hex'));
    const generation = peer?.generations.get(body.receiverIndex);
    if (this.#retired.has(body.receiverIndex)) return;
    if (!peer || !generation) throw new Error('a message under keys that were never agreed');
    if (!generation.isConfirmed) peer.current = generation;
    const plaintext = generation.open(body.counter, body.ciphertext);
    if (plaintext.length === 0) return;
    const record = readRecord(plaintext);
    if (this.loses('in', record)) return;
    const [first] = record.items;
    if (first?.opcode === OPCODE.RESUME && record.opener) {
      this.#resumed(peer, record, generation);
      return;
    }
    const known = peer.channels.get(channelKey(!record.opener, record.channelId));
    if (known) {
      known.receive(record, generation.keys);
      this.#remember(known);
      return;
    }
    const waits = record.sequenced || record.items.some(({ opcode }) => opcode === OPCODE.PROBE);
    if (first?.opcode !== OPCODE.OPEN) {
      if (waits) this.#carrier(peer).send(resetOf(record, 'CHANNEL_RESET'));
      return;
    }
    const channel = this.#channel(peer, record.channelId, false);
    channel.receive(record, generation.keys);
    this.#remember(channel);
    this.incoming.push(channel);
  }

  #remember(channel: IndependentChannel): void {
    if (!channel.isOpener && channel.lineageId !== undefined) this.resumables.set(channel.lineageId, channel);
  }

  /** The keys become current; those before them still receive. */
  #adopt(address: Buffer, generation: Generation): Peer {
    const key = address.toString('hex');
    const peer = this.#peers.get(key) ?? {
      address,
      generations: new Map<number, Generation>(),
      current: generation,
      channels: new Map<string, IndependentChannel>(),
    };
    peer.generations.set(generation.localIndex, generation);
    peer.current = generation;
    this.#peers.set(key, peer);
    return peer;
  }
}

/** What is said about a channel that is not there. */
const resetOf = ({ channelId, opener, acknowledgement }: WireRecord, code: string): Buffer =>
  writeRecord({
    channelId,
    sequenced: false,
    opener: !opener,
    sequenceNumber: acknowledgement,
    acknowledgement: 0,
    items: [item(OPCODE.RESET, Buffer.from(code, 'ascii'))],
  });

/** Resolves once REGISTER_SUCCESS has been checked. */
function register(socket: WebSocket, registration: Registration): Promise<Registered> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      reject(error);
    };
    let hasAnswered = false;
    socket.on('error', fail);
    socket.on('close', code => {
      fail(new Error(`closed with ${code} during registration`));
    });
    socket.on('message', (data, isBinary) => {
      try {
        if (isBinary) throw new Error('a binary message before registration');
        const text = (data as Buffer).toString();
        if (!hasAnswered) {
          hasAnswered = true;
          socket.send(registration.answer(text));
          return;
        }
        const registered = registration.finish(text);
        socket.removeAllListeners();
        socket.on('error', () => undefined);
        resolve(registered);
      } catch (error) {
        fail(error as Error);
      }
    });
  });
}
