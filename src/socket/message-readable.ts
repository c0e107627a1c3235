import { ITEM_OVERHEAD } from '../core/constants.js';
import type { SecureWebSocketError } from '../core/errors.js';
import type { DomReadableStream } from './dom-types.js';
import type { FlowGate } from './flow-gate.js';

/** When the messages in the stream that nobody has read come to so many bytes the peer is slowed down: 256 KiB. */
export const READABLE_HIGH_WATER_MARK = 262_144;

/** A message as streams have it: text as a string, binary as bytes. */
export type StreamedMessage = string | Uint8Array;

/** The part of `ReadableStreamDefaultController` (Streams Standard section 4.6) that is used. */
interface ReadableController {
  readonly desiredSize: number | null;
  enqueue(chunk: StreamedMessage): void;
  close(): void;
  error(reason: unknown): void;
}

type ReadableStreamClass = new (
  source: {
    start(controller: ReadableController): void;
    pull(): void;
    cancel(reason: unknown): void;
  },
  strategy: { readonly highWaterMark: number; size(chunk: StreamedMessage): number },
) => DomReadableStream<StreamedMessage>;

/** The messages of a socket as a `ReadableStream`. While it is full, the peer is slowed down. */
export class MessageReadable {
  readonly stream: DomReadableStream<StreamedMessage>;
  readonly #flow: FlowGate;
  #controller!: ReadableController;
  /** What the message that is being put in counts for. */
  #size = 0;
  /** False when nothing is put in any more: the reader, or the socket's owner, wants nothing more, or it is closed. */
  #isTaking = true;
  #isCancelled = false;
  /** Why the socket failed, until all that came before has been read. */
  #failure: SecureWebSocketError | undefined;

  /** `cancelled` is told when the reader wants no more, and why. */
  constructor(flow: FlowGate, cancelled: (reason: unknown) => void) {
    this.#flow = flow;
    const { ReadableStream } = globalThis as unknown as { readonly ReadableStream: ReadableStreamClass };
    this.stream = new ReadableStream(
      {
        start: controller => {
          this.#controller = controller;
        },
        pull: () => {
          this.#flow.release('stream');
          if (this.#failure !== undefined) this.#fail(this.#failure);
        },
        cancel: reason => {
          this.#isCancelled = true;
          this.stop();
          cancelled(reason);
        },
      },
      { highWaterMark: READABLE_HIGH_WATER_MARK, size: () => this.#size },
    );
  }

  /** One more message, of so many bytes. */
  push(message: StreamedMessage, bytes: number): void {
    if (!this.#isTaking) return;
    this.#size = bytes + ITEM_OVERHEAD;
    this.#controller.enqueue(message);
    if ((this.#controller.desiredSize ?? 0) <= 0) this.#flow.hold('stream');
  }

  /** What still comes is not wanted, and slows nobody down. */
  stop(): void {
    this.#isTaking = false;
    this.#flow.release('stream');
  }

  /** The socket is closed: the stream ends, or fails with `failure`, behind what has not been read. */
  end(failure: SecureWebSocketError | undefined): void {
    this.stop();
    if (this.#isCancelled) return;
    if (failure === undefined) this.#controller.close();
    else this.#fail(failure);
  }

  /** An error takes effect at once, and would throw away what was received before it: it waits until that was read. */
  #fail(failure: SecureWebSocketError): void {
    if (this.#controller.desiredSize === READABLE_HIGH_WATER_MARK) this.#controller.error(failure);
    else this.#failure = failure;
  }
}
