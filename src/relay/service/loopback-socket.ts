import { largeBuffers } from '../../core/buffer-pool.js';
import { concat } from '../../core/bytes.js';
import { FRAME_HEADROOM } from '../../websocket/frame.js';
import { withHeadroom } from '../../websocket/headroom.js';
import type { RawSocket } from '../../websocket/raw-socket.js';
import type { RouterConnection } from '../router-connection.js';
import type { RouterPort } from '../router.js';
import { FRAME_OVERHEAD } from '../send-queue.js';

/** The link at one end. */
export interface LoopbackListener {
  /** Frames that the router has brought. They belong to the receiver. */
  frames(frames: readonly Uint8Array[]): void;
  drained(): void;
  /** The router has ended the connection. */
  closed(code: number, reason: string): void;
}

/**
 * The socket of a link whose other end is a port of the router in the same process: `connection` is what the router has.
 *
 * Neither of the two is entered while it is at work. What the router brings is handed on at the end of the turn. What the
 * link sends goes to the router at once, but counts as waiting until the event loop has been round: a link that has much
 * to say to many lets others have their turn.
 */
export class LoopbackSocket implements RawSocket {
  readonly tellsDrained = true;
  readonly connection: RouterConnection;
  readonly #listener: LoopbackListener;
  #port: RouterPort | undefined;
  #arrived: Uint8Array[] = [];
  #arrivedBytes = 0;
  #sentBytes = 0;
  #endOfTurn: NodeJS.Immediate | undefined;
  #isClosed = false;

  constructor(listener: LoopbackListener) {
    this.#listener = listener;
    const bufferedBytes = (): number => this.#arrivedBytes;
    this.connection = {
      send: frame => {
        this.#arrive(frame);
      },
      sendShared: (head, tail) => {
        this.#arrive(concat(head, tail));
      },
      get bufferedBytes() {
        return bufferedBytes();
      },
      close: (code, reason) => {
        if (this.#isClosed) return;
        this.close();
        queueMicrotask(() => {
          listener.closed(code, reason);
        });
      },
    };
  }

  /** What is sent from now on goes to `port`. */
  connect(port: RouterPort): void {
    this.#port = port;
  }

  /** What was sent in this turn of the event loop, about as much as it takes to send it on. */
  get bufferedAmount(): number {
    return this.#sentBytes;
  }

  /** A link sends binary messages only. */
  send(data: string | Uint8Array): void {
    if (typeof data === 'string' || this.#isClosed) return;
    // The router hands frames on together with the room before them.
    const frame = withHeadroom(data.length, largeBuffers).subarray(
      FRAME_HEADROOM,
      FRAME_HEADROOM + data.length,
    );
    frame.set(data);
    this.#sentBytes += data.length + FRAME_OVERHEAD;
    this.#endOfTurn ??= setImmediate(this.#drain);
    this.#port?.receive(frame);
  }

  /** The port is removed: its peers are told that we are gone. */
  close(): void {
    this.#isClosed = true;
    this.#arrived = [];
    this.#arrivedBytes = 0;
    clearImmediate(this.#endOfTurn);
    this.#port?.remove();
  }

  terminate(): void {
    this.close();
  }

  pause(): void {
    // There is no network that could be read later.
  }

  resume(): void {
    // As `pause`.
  }

  #arrive(frame: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#arrived.length === 0) queueMicrotask(this.#deliver);
    this.#arrived.push(frame);
    this.#arrivedBytes += frame.length;
  }

  readonly #deliver = (): void => {
    const frames = this.#arrived;
    this.#arrived = [];
    this.#arrivedBytes = 0;
    if (frames.length > 0) this.#listener.frames(frames);
  };

  readonly #drain = (): void => {
    this.#endOfTurn = undefined;
    this.#sentBytes = 0;
    this.#listener.drained();
  };
}
