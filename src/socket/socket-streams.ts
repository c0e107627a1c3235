import type { SecureWebSocketError } from '../core/errors.js';
import type { DomReadableStream, DomWritableStream } from './dom-types.js';
import type { FlowGate } from './flow-gate.js';
import { MessageReadable, type StreamedMessage } from './message-readable.js';
import { MessageWritable, type WritableSocket } from './message-writable.js';

/** What a socket lets its streams do. */
export interface StreamedSocket<Chunk> extends WritableSocket<Chunk> {
  /** Closes the socket behind what was sent. Throws for a code or a reason that cannot be sent. */
  close(code?: number, reason?: string): void;
}

/** The two streams of a socket, each made when it is first asked for. */
export class SocketStreams<Chunk> {
  readonly #socket: StreamedSocket<Chunk>;
  readonly #flow: FlowGate;
  #readable: MessageReadable | undefined;
  #writable: MessageWritable<Chunk> | undefined;
  /** How the socket ended, once it has. */
  #end: { readonly failure: SecureWebSocketError | undefined } | undefined;

  constructor(socket: StreamedSocket<Chunk>, flow: FlowGate) {
    this.#socket = socket;
    this.#flow = flow;
  }

  /** The messages that are received from now on. */
  get readable(): DomReadableStream<StreamedMessage> {
    if (this.#readable === undefined) {
      this.#readable = new MessageReadable(this.#flow, reason => {
        closeFor(this.#socket, reason);
      });
      if (this.#end !== undefined) this.#readable.end(this.#end.failure);
    }
    return this.#readable.stream;
  }

  /** Takes what is to be sent. */
  get writable(): DomWritableStream<Chunk> {
    if (this.#writable === undefined) {
      this.#writable = new MessageWritable(this.#socket, reason => {
        closeFor(this.#socket, reason);
      });
      if (this.#end !== undefined) this.#writable.end(this.#end.failure);
    }
    return this.#writable.stream;
  }

  /** Whether messages are for the stream, and no longer for listeners. */
  get isReceiving(): boolean {
    return this.#readable !== undefined;
  }

  /** Puts a message of so many bytes into the stream. */
  receive(message: StreamedMessage, bytes: number): void {
    this.#readable?.push(message, bytes);
  }

  /** What still comes is not wanted. */
  stopReceiving(): void {
    this.#readable?.stop();
  }

  /** The socket is closed, because of `failure` if it failed. Has an effect once. */
  end(failure: SecureWebSocketError | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { failure };
    this.#readable?.end(failure);
    this.#writable?.end(failure);
  }
}

/**
 * Closes as `WebSocketStream` does for the reason of a `cancel` or an `abort`: with the code and the text of a
 * `WebSocketError` (or of what looks like one), and without any for other reasons, or when they cannot be sent.
 */
function closeFor(socket: StreamedSocket<never>, cause: unknown): void {
  const { closeCode, reason } = (cause ?? {}) as { readonly closeCode?: unknown; readonly reason?: unknown };
  if (typeof closeCode !== 'number') {
    socket.close();
    return;
  }
  try {
    socket.close(closeCode, typeof reason === 'string' ? reason : '');
  } catch {
    socket.close();
  }
}
