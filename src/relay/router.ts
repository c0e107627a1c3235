import { DEFAULT_MAX_FRAME, REPLACED } from '../core/constants.js';
import { SecureWebSocketError } from '../core/errors.js';
import { PUBLIC_KEY_LENGTH } from '../core/frame.js';
import type { DropReason, LimitName } from './relay-observer.js';
import type { RouterConnection } from './router-connection.js';
import { Port, type RouterState } from './router-port.js';
import { QueueBudget } from './send-queue.js';
import type { ClientSpaces } from './spaces/client-spaces.js';
import type { SpacePort } from './spaces/space-port.js';

export type { RouterConnection };

/** Bytes that may wait for one destination, unless the options say otherwise. */
export const DEFAULT_MAX_QUEUE_BYTES = 16_777_216;
/** Bytes that may wait for all destinations together, unless the options say otherwise. */
export const DEFAULT_MAX_TOTAL_QUEUE_BYTES = 268_435_456;
/** Peers that one connection may send to, unless the options say otherwise. */
export const DEFAULT_MAX_PEERS = 65_536;
/** Pairs of a connection and a peer that its end is told to, over all connections. */
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
  /** So many peers, as long as they are there, one connection may send to; they are told when it ends. Default 65,536. */
  readonly maxPeers?: number | undefined;
  /**
   * The same, summed over all connections. Beyond it a connection that writes to a new peer forgets the one that it has
   * known for longest, which will not be told. Default 1,048,576.
   */
  readonly maxTotalContacts?: number | undefined;
  /** Whether a connection whose queue is full is closed, with 4002. Default: false. */
  readonly closeSlow?: boolean | undefined;
  /** Who may reach whom: public keys, 64 hex digits. Never throws, never rejects. Default: everybody everybody. */
  readonly mayReach?: ((from: string, to: string) => boolean | Promise<boolean>) | undefined;
  /** What limits the handshakes of one connection: asked for once for each that sends any. Default: nothing does. */
  readonly handshakeLimit?: (() => HandshakeAllowance) | undefined;
  /** A connection ran into a limit. Told once for each of the two. */
  readonly limited?: ((limit: LimitName, connection: RouterConnection) => void) | undefined;
  /**
   * The spaces of a client, by its port: asked for when it first has to do with one. Default: there are no spaces, and
   * whoever speaks of one is closed.
   */
  readonly spaces?: ((port: SpacePort, connection: RouterConnection) => ClientSpaces) | undefined;
  /** An unpredictable integer from 0 to 2^32 - 1. */
  readonly randomUint32: () => number;
  /** The relay's own public key. Envelopes to it that nobody else takes are answered with REFUSED. */
  readonly ownKey?: Uint8Array | undefined;
  /** Sees every envelope that is forwarded. For demonstrations; must not throw. */
  readonly onEnvelope?: ((envelope: ObservedEnvelope) => void) | undefined;
}

/** How many handshakes one connection may still send. */
export interface HandshakeAllowance {
  /** `destination`: the 36 bytes of the address as so many characters. */
  allows(destination: string): boolean;
}

/** What is known of a client beside its key. */
export interface PortOptions {
  /** The only keys that it may reach, 64 hex digits. Default: all that `mayReach` allows. */
  readonly peers?: readonly string[] | undefined;
  /** It is the relay itself: everybody may be reached by it, and may reach it, and it counts as no connection. */
  readonly isService?: boolean | undefined;
  /** It shows a fresh token: a transport message under the keys of its registration. Without this it must not. */
  readonly onToken?: ((sealed: Uint8Array) => void) | undefined;
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
  /** Envelopes that were not forwarded. */
  readonly drops: Readonly<Record<DropReason, number>>;
}

/** The router's end of one connection. */
export interface RouterPort {
  readonly connectionId: number;
  /** The client's spaces; undefined where there are none. */
  readonly spaces: ClientSpaces | undefined;
  readonly statistics: PortStatistics;
  /**
   * One binary message from the client. `frame` belongs to the router from now on: it is overwritten in place and
   * handed to the destination, with the header of the WebSocket frame that it came in, or as much room, before it.
   * Ignored after `remove`.
   */
  receive(frame: Uint8Array): void;
  /** From now on, the only keys that the client may reach. Undefined: all that the rules allow. */
  restrict(peers: readonly string[] | undefined): void;
  /** What waited in the connection has left it, in part or whole. A hint that keeps the account of waiting bytes fresh. */
  drained(): void;
  /** The connection is gone. Safe to call again. */
  remove(): void;
  /** Removes the port and closes its connection, which is heard no more from now on. */
  end(code: number, reason: string): void;
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
      maxPeers: options.maxPeers ?? DEFAULT_MAX_PEERS,
      maxTotalContacts: options.maxTotalContacts ?? DEFAULT_MAX_TOTAL_CONTACTS,
      closeSlow: options.closeSlow ?? false,
      mayReach: options.mayReach,
      handshakeLimit: options.handshakeLimit,
      limited: options.limited,
      spaces: options.spaces,
      held: { bytes: 0 },
      drops: noDrops(),
      ownKey: options.ownKey,
      onEnvelope: options.onEnvelope,
      budget: new QueueBudget(
        options.maxQueueBytes ?? DEFAULT_MAX_QUEUE_BYTES,
        options.maxTotalQueueBytes ?? DEFAULT_MAX_TOTAL_QUEUE_BYTES,
      ),
      ports: new Map(),
      listening: new Map(),
      services: 0,
      contacts: 0,
      envelopes: 0,
      bytes: 0,
      notices: 0,
    };
  }

  get statistics(): RouterStatistics {
    const { ports, services, envelopes, bytes, notices, listening, contacts, budget, drops } = this.#state;
    return {
      connections: ports.size - services,
      envelopes,
      bytes,
      notices,
      listeningKeys: listening.size,
      contacts,
      queuedBytes: budget.used,
      drops: { ...drops },
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
  add(
    publicKey: Uint8Array,
    connectionId: number,
    connection: RouterConnection,
    options: PortOptions = NO_OPTIONS,
  ): RouterPort {
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
    return new Port(this.#state, publicKey, connectionId, connection, options);
  }
}

const NO_OPTIONS: PortOptions = {};

/** Nothing was dropped. */
export function noDrops(): Record<DropReason, number> {
  return {
    not_here: 0,
    queue_full: 0,
    refused: 0,
    too_large: 0,
    not_allowed: 0,
    handshakes_limited: 0,
    too_many_peers: 0,
  };
}

function isConnectionId(value: number): boolean {
  return value >>> 0 === value && value !== 0;
}
