import type { SecureWebSocketError } from '../core/errors.js';
import { createQuietDeferred } from './deferred.js';
import type { DomWritableStream } from './dom-types.js';
import { notOpen } from './ending-errors.js';
import { inNextTask } from './tasks.js';

/** What a socket lets its `WritableStream` do. */
export interface WritableSocket<Chunk> {
  /** Whether `send` sends. */
  isOpen(): boolean;
  /** Resolves when more may be sent, which is not before the socket is open; rejects when nothing more will be. */
  drained(): Promise<void>;
  /** Sends one message. May throw. */
  send(chunk: Chunk): void;
  /** Closes the socket behind what was sent. */
  close(): void;
}

/** The part of `WritableStreamDefaultController` (Streams Standard section 5.4) that is used. */
interface WritableController {
  /** Missing in older engines. */
  readonly signal?: {
    readonly reason: unknown;
    addEventListener(type: 'abort', listener: () => void): void;
  };
  error(reason: unknown): void;
}

type WritableStreamClass = new <Chunk>(sink: {
  start(controller: WritableController): void;
  write(chunk: Chunk): Promise<void>;
  close(): Promise<void>;
  abort(reason: unknown): void;
}) => DomWritableStream<Chunk>;

/** What is sent through a socket as a `WritableStream`: a write is done when the network has taken nearly all of it. */
export class MessageWritable<Chunk> {
  readonly stream: DomWritableStream<Chunk>;
  readonly #socket: WritableSocket<Chunk>;
  #controller!: WritableController;
  #isClosing = false;
  /** Settled when the socket is closed, rejected when it failed. */
  readonly #closed = createQuietDeferred();

  /** `aborted` is told when the writer gives up, and why. */
  constructor(socket: WritableSocket<Chunk>, aborted: (reason: unknown) => void) {
    this.#socket = socket;
    const { WritableStream } = globalThis as unknown as { readonly WritableStream: WritableStreamClass };
    this.stream = new WritableStream<Chunk>({
      start: controller => {
        this.#controller = controller;
        // `abort` of the sink has to wait for the write that is under way, and that may wait for the peer.
        controller.signal?.addEventListener('abort', () => {
          aborted(controller.signal?.reason);
        });
      },
      write: chunk => this.#write(chunk),
      close: () => this.#close(),
      abort: aborted,
    });
  }

  /** The socket is closed, because of `failure` if it failed. */
  end(failure: SecureWebSocketError | undefined): void {
    if (failure !== undefined) {
      this.#closed.reject(failure);
      if (!this.#isClosing) this.#controller.error(failure);
      return;
    }
    this.#closed.resolve();
    // Later: a pipe whose source ends with the socket, such as its own `readable`, has a task to close this end well.
    inNextTask(() => {
      if (!this.#isClosing) this.#controller.error(notOpen());
    });
  }

  async #write(chunk: Chunk): Promise<void> {
    await this.#socket.drained();
    if (!this.#socket.isOpen()) throw notOpen();
    this.#socket.send(chunk);
    await this.#socket.drained();
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    // To close a socket that is not open yet is to give it up. Why it does not come to that, `#closed` tells.
    if (!this.#socket.isOpen()) await this.#socket.drained().catch(() => undefined);
    this.#socket.close();
    await this.#closed.promise;
  }
}
