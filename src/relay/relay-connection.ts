import { largeBuffers } from '../core/buffer-pool.js';
import { refuseText } from '../link/accept.js';
import type { RawSocketListener } from '../websocket/raw-socket.js';
import { type ConnectionKind, WebSocketConnection } from '../websocket/web-socket-connection.js';
import type { ClientGrant } from './admission/client-grant.js';
import type { Watched } from './keepalive.js';
import type { Admittance } from './limits/entrance.js';
import type { Throttle } from './limits/throttle.js';
import type { RouterConnection } from './router-connection.js';
import type { RouterPort } from './router.js';
import type { ClientSpaces } from './spaces/client-spaces.js';
import type { HeldWrites, WriteBatch } from './write-batch.js';

/** What is held back is not more than this, bytes: with so much of it, a write more or less costs nothing. */
const MAX_HELD = 65_536;

/** A registered client, as events tell of it. */
export interface RelayClient {
  /** Address of the client: 64 hex digits. */
  readonly publicKey: string;
  readonly connectionId: number;
  /** IP address, where it is known. */
  readonly remoteAddress: string | undefined;
  /** Who the user is, in the words of whoever admitted the client, if anybody did. With `userIds: 'claimed'`: or its own. */
  readonly userId?: string | undefined;
  /** What the client calls its device, signed with its key, if it calls it anything. Nobody has checked it. */
  readonly deviceId?: string | undefined;
}

/** What the connections of one relay share. */
export interface RelayConnectionOwner {
  readonly batch: WriteBatch;
  readonly kind: ConnectionKind;
  /** A frame is larger than any that is read, and the connection is about to be closed. */
  readonly oversized?: (connection: RelayConnection) => void;
  /** The connection is closed, with this status code of RFC 6455. Called once. `client`: if it was registered. */
  readonly closed: (connection: RelayConnection, client: RelayClient | undefined, code: number) => void;
}

/** The kind of connection that a relay has. `maxPayload`: the largest message that it takes, bytes. */
export function relayKind(maxPayload: number): ConnectionKind {
  return { masked: true, borrowed: false, maxPayload, memory: largeBuffers };
}

/**
 * One connection of a relay, from its upgrade until it is closed: between its socket and, once the client is registered,
 * its port of the router. A relay has very many of them, and most are idle: what is not needed then is not kept here.
 */
export class RelayConnection implements RouterConnection, RawSocketListener, Watched, HeldWrites {
  readonly socket: WebSocketConnection;
  readonly admittance: Admittance | undefined;
  /** When it was registered, of the clock of `performance.now()`. */
  registeredAt = 0;
  /** The next one that has the same key, in a list that `ConnectedKeys` keeps. */
  sameKey: RelayConnection | undefined;
  #heard = true;
  readonly #owner: RelayConnectionOwner;
  #port: RouterPort | undefined;
  #client: RelayClient | undefined;
  /** What is between the network and the router, where there are limits. */
  throttle: Throttle | undefined;
  grant: ClientGrant | undefined;
  /** About how many bytes are held back. 0: none are, and the network is not corked. */
  #held = 0;
  #isInBatch = false;

  /** `admittance`: the places that it takes. */
  constructor(owner: RelayConnectionOwner, admittance?: Admittance) {
    this.#owner = owner;
    this.admittance = admittance;
    this.socket = new WebSocketConnection(owner.kind, this);
  }

  /** The client is registered: what it sends goes to `port`. */
  connect(client: RelayClient, port: RouterPort): void {
    this.#client = client;
    this.#port = port;
  }

  get client(): RelayClient | undefined {
    return this.#client;
  }

  /** Nobody expects an answer of a client that is not read. */
  get heard(): boolean {
    return this.#heard || this.throttle?.isHeld === true;
  }

  set heard(value: boolean) {
    this.#heard = value;
  }

  get bufferedBytes(): number {
    return this.socket.bufferedAmount;
  }

  send(bytes: Uint8Array, hasHeadroom = false): void {
    const { socket } = this;
    if (this.#held === 0 && bytes.length < MAX_HELD) this.#hold();
    if (this.#held !== 0) this.#held += bytes.length;
    if (hasHeadroom) socket.sendInPlace(bytes);
    else socket.send(bytes);
    if (this.#held > MAX_HELD) this.flush();
  }

  sendShared(head: Uint8Array, tail: Uint8Array): void {
    const length = head.length + tail.length;
    if (this.#held === 0 && length < MAX_HELD) this.#hold();
    if (this.#held !== 0) this.#held += length;
    this.socket.sendShared(head, tail);
    if (this.#held > MAX_HELD) this.flush();
  }

  flush(): void {
    if (this.#held === 0) return;
    this.#held = 0;
    this.socket.uncork();
  }

  /** The batch is over. */
  endOfTurn(): void {
    this.#isInBatch = false;
    this.flush();
  }

  close(code: number, reason: string): void {
    this.socket.close(code, reason);
  }

  /** The client is heard no more, and the connection is closed. */
  end(code: number, reason: string): void {
    if (this.#port) this.#port.end(code, reason);
    else this.close(code, reason);
  }

  /** The client's spaces, once it is registered, where there are any. */
  get spaces(): ClientSpaces | undefined {
    return this.#port?.spaces;
  }

  /** From now on, the only keys that the client may reach. */
  restrict(peers: readonly string[] | undefined): void {
    this.#port?.restrict(peers);
  }

  ping(): void {
    this.socket.ping();
  }

  terminate(): void {
    this.socket.terminate();
  }

  arrived(bytes: number): void {
    this.#heard = true;
    this.throttle?.arrived(bytes);
    this.#owner.batch.read();
  }

  text(): void {
    refuseText(this.socket);
  }

  binary(frame: Uint8Array): void {
    this.throttle?.frame();
    this.#port?.receive(frame);
  }

  violated(code: number): void {
    if (code === 1009) this.#owner.oversized?.(this);
  }

  drained(): void {
    this.#port?.drained();
  }

  closed(code: number): void {
    this.throttle?.close();
    this.grant?.close();
    this.#port?.remove();
    this.#owner.closed(this, this.#client, code);
  }

  #hold(): void {
    this.#held = 1;
    this.socket.cork();
    if (this.#isInBatch) return;
    this.#isInBatch = true;
    this.#owner.batch.add(this);
  }
}
