import { compareBytes, toHex } from '../core/bytes.js';
import { TOO_SLOW } from '../core/constants.js';
import { SecureWebSocketError } from '../core/errors.js';
import {
  decodeFrame,
  encodeNotice,
  ENVELOPE_HEADER_LENGTH,
  type Frame,
  FrameType,
  NoticeReason,
  peerAddress,
  PUBLIC_KEY_LENGTH,
} from '../core/frame.js';
import { BodyType } from '../core/sealed-body.js';
import { HeldEnvelopes, type HeldTotal } from './held-envelopes.js';
import type { DropReason, LimitName } from './relay-observer.js';
import type { RouterConnection } from './router-connection.js';
import type {
  HandshakeAllowance,
  ObservedEnvelope,
  PortOptions,
  PortStatistics,
  RouterPort,
} from './router.js';
import { type QueueBudget, SendQueue } from './send-queue.js';
import type { ClientSpaces } from './spaces/client-spaces.js';
import type { SpacePort } from './spaces/space-port.js';

/** What the ports of one router share. */
export interface RouterState {
  readonly maxFrame: number;
  readonly maxPeers: number;
  readonly maxTotalContacts: number;
  readonly closeSlow: boolean;
  readonly mayReach: ((from: string, to: string) => boolean | Promise<boolean>) | undefined;
  readonly handshakeLimit: (() => HandshakeAllowance) | undefined;
  readonly limited: ((limit: LimitName, connection: RouterConnection) => void) | undefined;
  readonly spaces: ((port: SpacePort, connection: RouterConnection) => ClientSpaces) | undefined;
  readonly held: HeldTotal;
  readonly drops: Record<DropReason, number>;
  readonly ownKey: Uint8Array | undefined;
  readonly onEnvelope: ((envelope: ObservedEnvelope) => void) | undefined;
  readonly budget: QueueBudget;
  /** By connection id: how nearly every envelope finds its way. */
  readonly ports: Map<number, Port>;
  /** The newest listening port of each key, by the key as a string. Older ones hang on `Port.older`. */
  readonly listening: Map<string, Port>;
  /** Ports of the relay itself. */
  services: number;
  contacts: number;
  envelopes: number;
  bytes: number;
  notices: number;
}

/** How a notice that an envelope was dropped is counted. */
const DROPS: Readonly<Partial<Record<NoticeReason, DropReason>>> = {
  [NoticeReason.NOT_HERE]: 'not_here',
  [NoticeReason.QUEUE_FULL]: 'queue_full',
  [NoticeReason.REFUSED]: 'refused',
  [NoticeReason.TOO_LARGE]: 'too_large',
  [NoticeReason.NOT_ALLOWED]: 'not_allowed',
  [NoticeReason.HANDSHAKES_LIMITED]: 'handshakes_limited',
  [NoticeReason.TOO_MANY_PEERS]: 'too_many_peers',
};

/** One connection of a router. */
export class Port implements RouterPort, SpacePort {
  readonly connectionId: number;
  /** Peer address: what is stamped on all that comes from here. */
  readonly address: Uint8Array;
  readonly #state: RouterState;
  readonly #connection: RouterConnection;
  readonly #queue: SendQueue;
  readonly #isService: boolean;
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

  #peers: ReadonlySet<string> | undefined;
  readonly #onToken: ((sealed: Uint8Array) => void) | undefined;
  #handshakes: HandshakeAllowance | undefined;
  /** Envelopes to keys of which is not known yet whether they may be reached. */
  #held: HeldEnvelopes | undefined;
  /** The key in hex, once it is asked for. */
  #hexKey: string | undefined;
  /** The limits that were told. */
  #limited: Set<LimitName> | undefined;
  /** Once it has to do with one. */
  #spaces: ClientSpaces | undefined;

  constructor(
    state: RouterState,
    publicKey: Uint8Array,
    connectionId: number,
    connection: RouterConnection,
    { peers, onToken, isService = false }: PortOptions,
  ) {
    this.connectionId = connectionId;
    this.#isService = isService;
    this.#onToken = onToken;
    this.#peers = peers && new Set(peers);
    // A copy: what has been written through a view lies outside of the heap, which takes twice the memory.
    this.address = peerAddress(publicKey, connectionId).slice();
    this.#state = state;
    this.#connection = connection;
    this.#queue = new SendQueue(connection, state.budget);
    state.ports.set(connectionId, this);
    if (isService) state.services += 1;
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
    else if (frame.length > this.#state.maxFrame) {
      this.#ranInto('frame_size');
      this.#answer(NoticeReason.TOO_LARGE, frame);
    } else this.#forward(frame);
  }

  isOf(publicKey: Uint8Array): boolean {
    return compareBytes(this.address.subarray(0, PUBLIC_KEY_LENGTH), publicKey) === 0;
  }

  restrict(peers: readonly string[] | undefined): void {
    this.#peers = peers && new Set(peers);
  }

  drained(): void {
    if (this.#queue.charged !== 0) this.#queue.settle();
    this.#spaces?.drained();
  }

  get spaces(): ClientSpaces | undefined {
    if (this.#removed) return undefined;
    return (this.#spaces ??= this.#state.spaces?.(this, this.#connection));
  }

  get queuedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  offer(frame: Uint8Array): boolean {
    return !this.#removed && this.#queue.offer(frame);
  }

  offerShared(head: Uint8Array, tail: Uint8Array): boolean {
    return !this.#removed && this.#queue.offerShared(head, tail);
  }

  remove(): void {
    this.#detach();
    this.#queue.release();
  }

  /** Nobody reaches it any more. What waits in its connection still does, and counts, until that is gone. */
  #detach(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#state.ports.delete(this.connectionId);
    if (this.#isService) this.#state.services -= 1;
    this.#stopListening();
    this.#held?.release();
    this.#held = undefined;
    this.#spaces?.remove();

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

  /** `wasHeld`: it is known by now that the destination may be reached, and the frame has no headroom. */
  #forward(frame: Uint8Array, wasHeld = false): void {
    const state = this.#state;
    const destination = this.#find(frame);
    if (destination === undefined) {
      const own = state.ownKey !== undefined && isAddressedTo(frame, state.ownKey);
      this.#answer(own ? NoticeReason.REFUSED : NoticeReason.NOT_HERE, frame);
      return;
    }
    // Who writes to itself wants to know whether its link carries anything.
    if (destination !== this) {
      // Peers may have been written to while it was held.
      if (wasHeld ? !this.#hasRoomFor(destination, frame) : !this.#passes(destination, frame)) return;
    }

    // The envelope goes on in the buffer in which it came. Should it find no room, the notice needs the address as
    // it was dialled, which differs from the destination's own only when it was dialled as "the newest".
    const dialled = connectionIdIn(frame);
    frame.set(this.address, 1);
    if (!destination.#queue.offer(frame, !wasHeld)) {
      this.#drop(
        NoticeReason.QUEUE_FULL,
        peerAddress(destination.address.subarray(0, PUBLIC_KEY_LENGTH), dialled),
      );
      destination.#ranInto('queue');
      if (state.closeSlow) destination.end(TOO_SLOW, 'too slow');
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

  /** Whether an envelope may go on now. If not, it was dropped, or is held until that is known. */
  #passes(destination: Port, frame: Uint8Array): boolean {
    const state = this.#state;
    if (!this.#hasRoomFor(destination, frame)) return false;
    if (state.handshakeLimit !== undefined && !this.#isService && isHandshake(frame)) {
      this.#handshakes ??= state.handshakeLimit();
      if (!this.#handshakes.allows(addressName(frame))) {
        this.#ranInto('handshakes');
        this.#answer(NoticeReason.HANDSHAKES_LIMITED, frame);
        return false;
      }
    }
    if (state.mayReach === undefined && this.#peers === undefined) return true;
    if (this.#isService || destination.#isService) return true;
    return this.#maySendTo(destination, frame);
  }

  /** Whether it is one of the peers, or may become one. If not, the envelope was dropped. */
  #hasRoomFor(destination: Port, frame: Uint8Array): boolean {
    if (
      destination === this.#lastContact ||
      this.#isService ||
      destination.#isService ||
      this.#contacts === undefined ||
      this.#contacts.size < this.#state.maxPeers ||
      this.#contacts.has(destination)
    ) {
      return true;
    }
    this.#ranInto('peers');
    this.#answer(NoticeReason.TOO_MANY_PEERS, frame);
    return false;
  }

  #maySendTo(destination: Port, frame: Uint8Array): boolean {
    const to = destination.#key;
    if (this.#held?.holds(to) === true) {
      this.#hold(to, frame);
      return false;
    }
    if (this.#held?.isFull === true) {
      this.#answer(NoticeReason.QUEUE_FULL, frame);
      return false;
    }
    const answer = this.#isAllowed(destination);
    if (answer === true) return true;
    if (answer === false) {
      this.#answer(NoticeReason.NOT_ALLOWED, frame);
      return false;
    }
    this.#hold(to, frame);
    void answer.then(isAllowed => {
      for (const held of this.#held?.take(to) ?? []) {
        if (isAllowed) this.#forward(held, true);
        else this.#answer(NoticeReason.NOT_ALLOWED, held);
      }
    });
    return false;
  }

  /** Who may be reached, may be answered: whoever may write to us hears from us, too. */
  #isAllowed(destination: Port): boolean | Promise<boolean> {
    // Members of a space hear each other through it anyway; what they have to tell each other for that goes this way.
    if (destination.#spaces !== undefined && this.#spaces?.sharesWith(destination.#spaces) === true)
      return true;
    const there = this.#mayInitiate(destination);
    if (there === true || this.#contactOf?.has(destination) !== true) return there;
    const back = destination.#mayInitiate(this);
    if (there === false || back === true) return back;
    return there.then(isAllowed => isAllowed || back);
  }

  #mayInitiate(destination: Port): boolean | Promise<boolean> {
    if (this.#peers?.has(destination.#key) === false) return false;
    return this.#state.mayReach?.(this.#key, destination.#key) ?? true;
  }

  #hold(to: string, frame: Uint8Array): void {
    this.#held ??= new HeldEnvelopes(this.#state.held);
    if (!this.#held.hold(to, frame)) this.#answer(NoticeReason.QUEUE_FULL, frame);
  }

  get #key(): string {
    return (this.#hexKey ??= toHex(this.address.subarray(0, PUBLIC_KEY_LENGTH)));
  }

  #ranInto(limit: LimitName): void {
    if (this.#limited?.has(limit) === true) return;
    (this.#limited ??= new Set()).add(limit);
    this.#state.limited?.(limit, this.#connection);
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
    // A message to a space is refused, and its sender stays.
    if (frame.length > this.#state.maxFrame && frame[0] !== FrameType.MULTICAST) {
      this.#ranInto('frame_size');
      this.end(
        1009,
        `A frame of ${String(frame.length)} bytes is larger than ${String(this.#state.maxFrame)}.`,
      );
      return;
    }
    try {
      const decoded = decodeFrame(frame);
      if (decoded.type === 'token' && this.#onToken !== undefined) this.#onToken(decoded.sealed);
      else if (decoded.type === 'token') this.end(1002, 'Received a TOKEN frame: no token is expected here.');
      else if (decoded.type === 'space' || decoded.type === 'multicast') this.#space(decoded);
      else if (decoded.type !== 'listen') this.end(1002, 'Received a frame that only a relay sends.');
      else if (decoded.listening) this.#listen();
      else this.#stopListening();
    } catch (error) {
      this.end(1002, error instanceof SecureWebSocketError ? error.message : 'Received a malformed frame.');
    }
  }

  /** @throws SecureWebSocketError when the client does what it must not */
  #space(frame: Extract<Frame, { type: 'space' | 'multicast' }>): void {
    const { spaces } = this;
    if (spaces === undefined) this.end(1002, 'Received a frame of a space: there are none here.');
    else if (frame.type === 'space') spaces.receive(frame.membership, frame.operation, frame.body);
    else spaces.receiveMulticast(frame.membership, frame.body);
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
      if (state.contacts >= state.maxTotalContacts) {
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
    this.#drop(reason, envelope.subarray(1, ENVELOPE_HEADER_LENGTH));
  }

  #drop(reason: NoticeReason, address: Uint8Array): void {
    const counted = DROPS[reason];
    if (counted !== undefined) this.#state.drops[counted] += 1;
    this.#notify(reason, address);
  }

  /** A client that does not read its notices gets no more of them. */
  #notify(reason: NoticeReason, address: Uint8Array): void {
    if (this.#removed) return;
    if (this.#queue.offer(encodeNotice(reason, address))) this.#state.notices += 1;
  }

  end(code: number, reason: string): void {
    this.#detach();
    this.#connection.close(code, reason);
  }
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
  return asCharacters(bytes.subarray(offset, offset + PUBLIC_KEY_LENGTH));
}

/** The address in an envelope as a string of as many characters. */
function addressName(frame: Uint8Array): string {
  return asCharacters(frame.subarray(1, ENVELOPE_HEADER_LENGTH));
}

function asCharacters(bytes: Uint8Array): string {
  // Four times as fast as spreading the bytes.
  return Reflect.apply(String.fromCharCode, undefined, bytes) as string;
}

function isHandshake(frame: Uint8Array): boolean {
  const type = frame[ENVELOPE_HEADER_LENGTH];
  return type === BodyType.HANDSHAKE_INITIATION || type === BodyType.HANDSHAKE_RESPONSE;
}
