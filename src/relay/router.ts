import { compareBytes } from '../core/bytes.js';
import { DEFAULT_MAX_FRAME, REPLACED } from '../core/constants.js';
import { SecureWebSocketError } from '../core/errors.js';
import {
  decodeFrame,
  encodeNotice,
  ENVELOPE_HEADER_LENGTH,
  FrameType,
  NoticeReason,
  peerAddress,
  PUBLIC_KEY_LENGTH,
} from '../core/frame.js';
import type { RouterConnection } from './router-connection.js';
import { QueueBudget, SendQueue } from './send-queue.js';

export type { RouterConnection };

/** Bytes that may wait for one destination, unless the options say otherwise. */
export const DEFAULT_MAX_QUEUE_BYTES = 16_777_216;
/** Bytes that may wait for all destinations together, unless the options say otherwise. */
export const DEFAULT_MAX_TOTAL_QUEUE_BYTES = 268_435_456;
/** Peers that one connection's end is told to, unless the options say otherwise. */
export const DEFAULT_MAX_CONTACTS = 4_096;
/** The same, summed over all connections. */
export const DEFAULT_MAX_TOTAL_CONTACTS = 1_048_576;

/** One forwarded envelope, as an observer sees it. */
export interface ObservedEnvelope {
  /** Peer address of the sender, 36 bytes. */
  readonly from: Uint8Array;
  /** Peer address of the connection that it went to, 36 bytes. */
  readonly to: Uint8Array;
  /** The sealed body: a copy. */
  readonly body: Uint8Array;
  /** Length of the whole frame, bytes. */
  readonly size: number;
}

export interface RouterOptions {
  /** Largest frame that is forwarded, bytes, header included. Default 256 KiB. */
  readonly maxFrame?: number | undefined;
  /** Most bytes that may wait for one destination. Default 16 MiB. */
  readonly maxQueueBytes?: number | undefined;
  /**
   * Most bytes that may wait for all destinations together, each frame counted with 512 bytes of overhead.
   * Beyond it a destination gets at most 1/64 of `maxQueueBytes`. Default 256 MiB.
   */
  readonly maxTotalQueueBytes?: number | undefined;
  /** How many peers are told when one connection ends: those it wrote to last. Default 4,096. */
  readonly maxContacts?: number | undefined;
  /** The same, summed over all connections. Default 1,048,576. */
  readonly maxTotalContacts?: number | undefined;
  /** An unpredictable integer from 0 to 2^32 - 1. */
  readonly randomUint32: () => number;
  /** The relay's own public key. Envelopes to it that nobody else takes are answered with REFUSED. */
  readonly ownKey?: Uint8Array | undefined;
  /** Sees every envelope that is forwarded. For demonstrations; must not throw. */
  readonly onEnvelope?: ((envelope: ObservedEnvelope) => void) | undefined;
}

/** What passed through one connection. */
export interface PortStatistics {
  /** Frames and bytes received from the client. */
  readonly framesReceived: number;
  readonly bytesReceived: number;
  /** Envelopes and bytes of envelopes sent to the client. */
  readonly envelopesSent: number;
  readonly bytesSent: number;
}

/** What passed through a router. */
export interface RouterStatistics {
  /** Connections at the moment. */
  readonly connections: number;
  /** Envelopes forwarded, and their bytes. */
  readonly envelopes: number;
  readonly bytes: number;
  /** Notices sent. */
  readonly notices: number;
  /** Keys with at least one listening connection. */
  readonly listeningKeys: number;
  /** Pairs of a connection and a peer that its end will be told to. */
  readonly contacts: number;
  /** Bytes that waited in busy connections when they were last looked at, overhead included. */
  readonly queuedBytes: number;
}

/** The router's end of one connection. */
export interface RouterPort {
  readonly connectionId: number;
  readonly statistics: PortStatistics;
  /**
   * One binary message from the client. `frame` belongs to the router from now on: it is overwritten in place and
   * handed to the destination, with the header of the WebSocket frame that it came in, or as much room, before it.
   * Ignored after `remove`.
   */
  receive(frame: Uint8Array): void;
  /** What waited in the connection has left it, in part or whole. A hint that keeps the account of waiting bytes fresh. */
  drained(): void;
  /** The connection is gone. Safe to call again. */
  remove(): void;
}

/** What the ports of one router share. */
interface RouterState {
  readonly maxFrame: number;
  readonly maxContacts: number;
  readonly maxTotalContacts: number;
  readonly ownKey: Uint8Array | undefined;
  readonly onEnvelope: ((envelope: ObservedEnvelope) => void) | undefined;
  readonly budget: QueueBudget;
  /** By connection id: how nearly every envelope finds its way. */
  readonly ports: Map<number, Port>;
  /** The newest listening port of each key, by the key as a string. Older ones hang on `Port.older`. */
  readonly listening: Map<string, Port>;
  contacts: number;
  envelopes: number;
  bytes: number;
  notices: number;
}

/**
 * Forwards envelopes between registered connections by public key and connection id.
 *
 * Knows nothing of sockets, time or cryptography: what it is told of keys must have been proven before. It cannot
 * read what it forwards; it stamps each envelope with the address of the connection that it came from.
 * Whatever clients do, its memory stays within the bounds of its options.
 */
export class Router {
  readonly #state: RouterState;
  readonly #randomUint32: () => number;

  constructor(options: RouterOptions) {
    this.#randomUint32 = options.randomUint32;
    this.#state = {
      maxFrame: options.maxFrame ?? DEFAULT_MAX_FRAME,
      maxContacts: options.maxContacts ?? DEFAULT_MAX_CONTACTS,
      maxTotalContacts: options.maxTotalContacts ?? DEFAULT_MAX_TOTAL_CONTACTS,
      ownKey: options.ownKey,
      onEnvelope: options.onEnvelope,
      budget: new QueueBudget(
        options.maxQueueBytes ?? DEFAULT_MAX_QUEUE_BYTES,
        options.maxTotalQueueBytes ?? DEFAULT_MAX_TOTAL_QUEUE_BYTES,
      ),
      ports: new Map(),
      listening: new Map(),
      contacts: 0,
      envelopes: 0,
      bytes: 0,
      notices: 0,
    };
  }

  get statistics(): RouterStatistics {
    const { ports, envelopes, bytes, notices, listening, contacts, budget } = this.#state;
    return {
      connections: ports.size,
      envelopes,
      bytes,
      notices,
      listeningKeys: listening.size,
      contacts,
      queuedBytes: budget.used,
    };
  }

  /**
   * A connection id for `publicKey`. It is `wanted` when nobody has that, or a connection of the same key: the owner of
   * a connection that is half-open must not be locked out by it. Otherwise it is one that no connection has: random,
   * so that it cannot be guessed, and never 0.
   */
  allocateConnectionId(publicKey?: Uint8Array, wanted?: number): number {
    if (wanted !== undefined && isConnectionId(wanted)) {
      const holder = this.#state.ports.get(wanted);
      if (holder === undefined || (publicKey !== undefined && holder.isOf(publicKey))) return wanted;
    }
    for (;;) {
      const id = this.#randomUint32() >>> 0;
      if (id !== 0 && !this.#state.ports.has(id)) return id;
    }
  }

  /**
   * Adds a connection whose client has proven that it holds the secret of `publicKey` (32 bytes). A connection of the
   * same key that has the id is removed, and closed with `REPLACED`: the client has come back, and the old one is dead
   * or about to be.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when another key has the id, it is out of range, or the key is no key
   */
  add(publicKey: Uint8Array, connectionId: number, connection: RouterConnection): RouterPort {
    if (publicKey.length !== PUBLIC_KEY_LENGTH) {
      throw new SecureWebSocketError('INVALID_ARGUMENT', 'A public key has 32 bytes.');
    }
    if (!isConnectionId(connectionId)) {
      throw new SecureWebSocketError('INVALID_ARGUMENT', 'A connection id is an integer from 1 to 2^32 - 1.');
    }
    const holder = this.#state.ports.get(connectionId);
    if (holder !== undefined) {
      if (!holder.isOf(publicKey)) {
        throw new SecureWebSocketError('INVALID_ARGUMENT', 'This connection id is in use.');
      }
      holder.end(REPLACED, 'replaced');
    }
    return new Port(this.#state, publicKey, connectionId, connection);
  }
}

class Port implements RouterPort {
  readonly connectionId: number;
  /** Peer address: what is stamped on all that comes from here. */
  readonly address: Uint8Array;
  readonly #state: RouterState;
  readonly #connection: RouterConnection;
  readonly #queue: SendQueue;
  #removed = false;

  /** The key as a string, once the client listens. Its listening ports form a list from the newest to the oldest. */
  #listeningAt: string | undefined;
  #newer: Port | undefined;
  #older: Port | undefined;

  /** Whom this client wrote to: they know of it, so they may know when it ends. Oldest first. */
  #contacts: Set<Port> | undefined;
  /** Those that have this port among their contacts: for tidying up. */
  #contactOf: Set<Port> | undefined;
  #lastContact: Port | undefined;

  #framesReceived = 0;
  #bytesReceived = 0;
  #envelopesSent = 0;
  #bytesSent = 0;

  constructor(state: RouterState, publicKey: Uint8Array, connectionId: number, connection: RouterConnection) {
    this.connectionId = connectionId;
    // A copy: what has been written through a view lies outside of the heap, which takes twice the memory.
    this.address = peerAddress(publicKey, connectionId).slice();
    this.#state = state;
    this.#connection = connection;
    this.#queue = new SendQueue(connection, state.budget);
    state.ports.set(connectionId, this);
  }

  get statistics(): PortStatistics {
    return {
      framesReceived: this.#framesReceived,
      bytesReceived: this.#bytesReceived,
      envelopesSent: this.#envelopesSent,
      bytesSent: this.#bytesSent,
    };
  }

  receive(frame: Uint8Array): void {
    if (this.#removed) return;
    this.#framesReceived += 1;
    this.#bytesReceived += frame.length;
    if (frame[0] !== FrameType.ENVELOPE || frame.length <= ENVELOPE_HEADER_LENGTH) this.#control(frame);
    else if (frame.length > this.#state.maxFrame) this.#answer(NoticeReason.TOO_LARGE, frame);
    else this.#forward(frame);
  }

  isOf(publicKey: Uint8Array): boolean {
    return compareBytes(this.address.subarray(0, PUBLIC_KEY_LENGTH), publicKey) === 0;
  }

  drained(): void {
    if (!this.#removed && this.#queue.charged !== 0) this.#queue.settle();
  }

  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#state.ports.delete(this.connectionId);
    this.#stopListening();
    this.#queue.release();

    for (const other of this.#contactOf ?? []) {
      other.#contacts?.delete(this);
      if (other.#lastContact === this) other.#lastContact = undefined;
      this.#state.contacts -= 1;
    }
    this.#contactOf = undefined;
    // Taken away first: whoever is told may go in the same moment.
    const contacts = this.#contacts;
    this.#contacts = undefined;
    this.#lastContact = undefined;
    if (contacts === undefined) return;
    this.#state.contacts -= contacts.size;
    for (const other of contacts) other.#contactOf?.delete(this);
    for (const other of contacts) other.#notify(NoticeReason.PEER_GONE, this.address);
  }

  #forward(frame: Uint8Array): void {
    const state = this.#state;
    const destination = this.#find(frame);
    if (destination === undefined) {
      const own = state.ownKey !== undefined && isAddressedTo(frame, state.ownKey);
      this.#answer(own ? NoticeReason.REFUSED : NoticeReason.NOT_HERE, frame);
      return;
    }

    // The envelope goes on in the buffer in which it came. Should it find no room, the notice needs the address as
    // it was dialled, which differs from the destination's own only when it was dialled as "the newest".
    const dialled = connectionIdIn(frame);
    frame.set(this.address, 1);
    if (!destination.#queue.offer(frame, true)) {
      this.#notify(
        NoticeReason.QUEUE_FULL,
        peerAddress(destination.address.subarray(0, PUBLIC_KEY_LENGTH), dialled),
      );
      return;
    }
    destination.#envelopesSent += 1;
    destination.#bytesSent += frame.length;
    state.envelopes += 1;
    state.bytes += frame.length;
    if (destination !== this.#lastContact) this.#remember(destination);
    if (state.onEnvelope !== undefined) {
      state.onEnvelope({
        from: this.address.slice(),
        to: destination.address.slice(),
        // The frame itself is on its way, and its memory is used again.
        body: frame.slice(ENVELOPE_HEADER_LENGTH),
        size: frame.length,
      });
    }
  }

  /** The port that an envelope is addressed to. */
  #find(frame: Uint8Array): Port | undefined {
    const id = connectionIdIn(frame);
    if (id === 0) return this.#state.listening.get(keyName(frame, 1));
    const port = this.#state.ports.get(id);
    // An id alone is not enough: who guesses one must not learn that it exists.
    return port !== undefined && isAddressedTo(frame, port.address) ? port : undefined;
  }

  /** Everything but a deliverable or undeliverable envelope. */
  #control(frame: Uint8Array): void {
    if (frame.length > this.#state.maxFrame) {
      this.end(
        1009,
        `A frame of ${String(frame.length)} bytes is larger than ${String(this.#state.maxFrame)}.`,
      );
      return;
    }
    try {
      const decoded = decodeFrame(frame);
      if (decoded.type !== 'listen') this.end(1002, 'Received a NOTICE frame: only a relay sends these.');
      else if (decoded.listening) this.#listen();
      else this.#stopListening();
    } catch (error) {
      this.end(1002, error instanceof SecureWebSocketError ? error.message : 'Received a malformed frame.');
    }
  }

  #listen(): void {
    this.#stopListening();
    const key = (this.#listeningAt = keyName(this.address.slice(), 0));
    const newest = this.#state.listening.get(key);
    this.#older = newest;
    if (newest !== undefined) newest.#newer = this;
    this.#state.listening.set(key, this);
  }

  #stopListening(): void {
    const key = this.#listeningAt;
    if (key === undefined) return;
    const newer = this.#newer;
    const older = this.#older;
    if (older !== undefined) older.#newer = newer;
    if (newer !== undefined) newer.#older = older;
    else if (older !== undefined) this.#state.listening.set(key, older);
    else this.#state.listening.delete(key);
    this.#listeningAt = this.#newer = this.#older = undefined;
  }

  #remember(destination: Port): void {
    if (destination === this || destination.#removed || this.#removed) return;
    const contacts = (this.#contacts ??= new Set());
    if (!contacts.has(destination)) {
      const state = this.#state;
      if (contacts.size >= state.maxContacts || state.contacts >= state.maxTotalContacts) {
        const oldest = contacts.values().next().value;
        if (oldest === undefined) return;
        contacts.delete(oldest);
        oldest.#contactOf?.delete(this);
        state.contacts -= 1;
      }
      contacts.add(destination);
      (destination.#contactOf ??= new Set()).add(this);
      state.contacts += 1;
    }
    this.#lastContact = destination;
  }

  /** Tells the client what became of an envelope, by the address that it bears. */
  #answer(reason: NoticeReason, envelope: Uint8Array): void {
    this.#notify(reason, envelope.subarray(1, ENVELOPE_HEADER_LENGTH));
  }

  /** A client that does not read its notices gets no more of them. */
  #notify(reason: NoticeReason, address: Uint8Array): void {
    if (this.#removed) return;
    if (this.#queue.offer(encodeNotice(reason, address))) this.#state.notices += 1;
  }

  /** Removes the port and closes its connection, which is heard no more from now on. */
  end(code: number, reason: string): void {
    this.remove();
    this.#connection.close(code, reason);
  }
}

function isConnectionId(value: number): boolean {
  return value >>> 0 === value && value !== 0;
}

/** The connection id of the address in an envelope: `connectionIdOf` without the view. */
function connectionIdIn(frame: Uint8Array): number {
  const at = 1 + PUBLIC_KEY_LENGTH;
  return (
    (((frame[at] as number) << 24) |
      ((frame[at + 1] as number) << 16) |
      ((frame[at + 2] as number) << 8) |
      (frame[at + 3] as number)) >>>
    0
  );
}

/** Whether the key in an envelope's address is the one that `key` begins with. Public keys are no secrets. */
function isAddressedTo(frame: Uint8Array, key: Uint8Array): boolean {
  for (let i = 0; i < PUBLIC_KEY_LENGTH; i++) if (frame[i + 1] !== key[i]) return false;
  return true;
}

/** The 32 bytes from `offset` as a string of as many characters, for a Map. */
function keyName(bytes: Uint8Array, offset: number): string {
  // Four times as fast as spreading the bytes.
  const key = bytes.subarray(offset, offset + PUBLIC_KEY_LENGTH);
  return Reflect.apply(String.fromCharCode, undefined, key) as string;
}
