import { fromHex } from '../../core/bytes.js';
import { Endpoint } from '../../core/endpoint.js';
import { SecureWebSocketError } from '../../core/errors.js';
import {
  connectionIdOf,
  encodeNotice,
  ENVELOPE_HEADER_LENGTH,
  FrameType,
  NoticeReason,
  peerAddress,
} from '../../core/frame.js';
import type { Identity } from '../../core/identity.js';
import { BodyType } from '../../core/sealed-body.js';
import type { ChannelListener } from '../../link/channel-port.js';
import { wallClock } from '../../link/clock.js';
import type { LinkChannel } from '../../link/link-channel.js';
import { Link, type ReservedChannel } from '../../link/link.js';
import { TokenBucket } from '../limits/token-bucket.js';
import type { RelayClient } from '../relay-connection.js';
import type { Router } from '../router.js';
import { LoopbackSocket } from './loopback-socket.js';

/**
 * Handshakes of strangers that are answered per second, and twice as many at once: each takes about as long as a
 * registration. Those of whom there is no answer come again by themselves.
 */
const HANDSHAKES_PER_SECOND = 500;

export interface RelayServiceOptions {
  readonly identity: Identity;
  readonly router: Router;
  /** Largest frame of the relay, bytes. */
  readonly maxFrame: number;
  /** Most connections of the relay: clients with which there may be a session. */
  readonly maxConnections: number;
  /** Something that a client has sealed has arrived and was dealt with. */
  readonly heard: (connectionId: number) => void;
}

/**
 * The relay as a peer: an endpoint of the relay's own identity on a port of its router, so that it talks to clients, and
 * clients to it, as peers do, sealed for nobody else. Nothing is made before it is needed. At the relay's own key it
 * listens while something is offered there.
 */
export class RelayService {
  readonly #options: RelayServiceOptions;
  readonly #offered = new Map<string, (request: ReservedChannel) => void>();
  readonly #handshakes = new TokenBucket(HANDSHAKES_PER_SECOND, 2 * HANDSHAKES_PER_SECOND);
  #link: Link | undefined;
  #isClosed = false;

  constructor(options: RelayServiceOptions) {
    this.#options = options;
  }

  /** From now on clients may open channels with this target at the relay's own key. */
  offer(target: string, take: (request: ReservedChannel) => void): void {
    this.#offered.set(target, take);
    const link = this.#need();
    if (this.#offered.size === 1) link.listen();
    link.reserve(target, { welcomes: anybody, incoming: take });
  }

  /**
   * Opens a channel with a client that is connected. What becomes of it is told to `listener`, later.
   * @throws SecureWebSocketError `ABORTED` when the relay is closed
   */
  open({ publicKey, connectionId }: RelayClient, target: string, listener: ChannelListener): LinkChannel {
    const address = addressOf(publicKey, connectionId);
    return this.#need().open(address, { target, protocols: [], resume: false }, listener);
  }

  /** A client is gone, and nobody has come back under its connection id: its channels end. */
  gone({ publicKey, connectionId }: RelayClient): void {
    // The router tells only whom the client has written to.
    this.#link?.binary(encodeNotice(NoticeReason.PEER_GONE, addressOf(publicKey, connectionId)));
  }

  close(): void {
    this.#isClosed = true;
    this.#link?.close(new SecureWebSocketError('ABORTED', 'The relay was closed.'));
  }

  #need(): Link {
    if (this.#isClosed) throw new SecureWebSocketError('ABORTED', 'The relay is closed.');
    return (this.#link ??= this.#connect());
  }

  #connect(): Link {
    const { identity, router, maxFrame, maxConnections } = this.#options;
    const connectionId = router.allocateConnectionId(identity.publicKeyBytes);
    const socket = new LoopbackSocket({
      frames: frames => {
        this.#receive(link, frames);
      },
      drained: () => {
        link.drained();
      },
      closed: (code, reason) => {
        link.lost(code, reason);
      },
    });
    const link = new Link({
      endpoint: new Endpoint({
        crypto: identity.crypto,
        keyPair: identity.keyPair,
        connectionId,
        maxFrame,
        maxPeers: maxConnections,
        wallClock,
      }),
      socket,
      maxFrame,
      publicKey: identity.publicKey,
      serverPublicKey: identity.publicKey,
      connectionId,
      onClosed: () => {
        this.#lost(link);
      },
    });
    socket.connect(router.add(identity.publicKeyBytes, connectionId, socket.connection, { isService: true }));
    return link;
  }

  /** The router has ended the connection, as it may end any. What is offered is offered again. */
  #lost(link: Link): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    if (this.#isClosed || this.#offered.size === 0) return;
    queueMicrotask(() => {
      if (this.#isClosed || this.#link !== undefined) return;
      const next = this.#need();
      next.listen();
      for (const [target, take] of this.#offered) next.reserve(target, { welcomes: anybody, incoming: take });
    });
  }

  #receive(link: Link, frames: readonly Uint8Array[]): void {
    const now = performance.now();
    const heard = new Set<number>();
    for (const frame of frames) {
      if (frame[0] === FrameType.ENVELOPE) {
        const isInitiation = frame[ENVELOPE_HEADER_LENGTH] === BodyType.HANDSHAKE_INITIATION;
        if (isInitiation && !this.#handshakes.take(1, now)) continue;
        heard.add(connectionIdOf(frame.subarray(1, ENVELOPE_HEADER_LENGTH)));
      }
      link.binary(frame);
    }
    for (const connectionId of heard) this.#options.heard(connectionId);
  }
}

function addressOf(publicKey: string, connectionId: number): Uint8Array {
  return peerAddress(fromHex(publicKey), connectionId);
}

function anybody(): boolean {
  return true;
}
