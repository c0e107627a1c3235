import { isUtf8 } from 'node:buffer';
import type { BufferPool } from '../core/buffer-pool.js';
import { readUint32 } from '../core/bytes.js';
import { type CloseStatus, decodeClose } from '../core/close-status.js';
import { FRAME_HEADROOM, MAX_CONTROL_PAYLOAD, Opcode } from './frame.js';
import { withHeadroom } from './headroom.js';
import { applyMask } from './mask.js';

/** A message may come in so many fragments. */
const MAX_FRAGMENTS = 1_024;
/** Memory for a whole frame is taken once a part like this of it is there: who announces much must send it, too. */
const COMMITTED = 8;
const LONGEST_HEADER = 14;

/** What a stream of frames says. */
export interface FrameListener {
  /**
   * A message. `data` belongs to the listener, which may write into it; and into the `FRAME_HEADROOM` bytes before it,
   * or as many as its frame had a header, as that has been read.
   */
  onMessage(data: Uint8Array, isText: boolean): void;
  onPing(data: Uint8Array): void;
  onPong(): void;
  /** Nothing follows. `code`: 1005 when the frame has none. */
  onClose(code: number, reason: string): void;
}

/** The stream breaks RFC 6455, or a bound. Nothing of it is read any more. */
export class FrameError extends Error {
  /** The status code to close with (section 7.4.1). */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface FrameReaderOptions {
  /** Whether frames have to be masked, as those of clients are, or must not be. */
  readonly masked: boolean;
  /** Largest message, bytes. */
  readonly maxPayload: number;
  /** The chunks are used again by whoever reads them: all that is kept of one has to be copied. */
  readonly borrowed: boolean;
  /** Where memory for large frames comes from, and where it goes when nobody uses it any more. */
  readonly memory: BufferPool;
}

/**
 * Reads the frames of RFC 6455 section 5 out of a TCP stream, without extensions. A frame that came in one chunk is
 * unmasked and handed on where it stands; one that came in several is put together while it comes. It never takes memory
 * for more than eight times of what has come.
 */
export class FrameReader {
  maxPayload: number;
  readonly #options: FrameReaderOptions;
  readonly #listener: FrameListener;
  #ended = false;

  /** The beginning of a header whose rest has not come. */
  #header: Uint8Array | undefined;
  #headerFilled = 0;

  // The frame whose header was read last.
  #fin = false;
  #opcode = 0;
  #length = 0;
  /** The masking key, its first byte the highest. */
  #key = 0;

  /** Memory of the frame whose payload is coming, with `FRAME_HEADROOM` bytes at its start; at times less than it needs. */
  #payload: Uint8Array | undefined;
  #filled = 0;

  // The message whose fragments are coming.
  #fragments: Uint8Array[] | undefined;
  #fragmentsLength = 0;
  #isText = false;

  constructor(options: FrameReaderOptions, listener: FrameListener) {
    this.#options = options;
    this.#listener = listener;
    this.maxPayload = options.maxPayload;
  }

  /** Whatever comes is ignored from now on. */
  end(): void {
    this.#ended = true;
    this.#header = this.#payload = this.#fragments = undefined;
  }

  /**
   * The next chunk of the stream. Written into in place; part of it may be handed on, unless it is `borrowed`.
   * @throws FrameError
   */
  read(bytes: Uint8Array): void {
    // No Buffer, of which `slice` would not be a copy.
    const chunk = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    try {
      while (at < chunk.length && !this.#ended) {
        at = this.#payload === undefined ? this.#readFrame(chunk, at) : this.#continueFrame(chunk, at);
      }
    } catch (error) {
      if (error instanceof FrameError) this.end();
      throw error;
    }
  }

  /** Reads a frame from its first byte, as far as it is there. Gives where that ends. */
  #readFrame(chunk: Uint8Array, start: number): number {
    if (this.#header !== undefined) {
      const at = this.#continueHeader(this.#header, chunk, start);
      // Before the payload there is not the whole header: it gets memory of its own.
      return at < 0 ? chunk.length : this.#startPayload(chunk, at);
    }
    const available = chunk.length - start;
    const length = available < 2 ? LONGEST_HEADER : headerLength(chunk[start + 1] as number);
    if (available < length) {
      this.#header = new Uint8Array(LONGEST_HEADER);
      this.#header.set(chunk.subarray(start));
      this.#headerFilled = available;
      return chunk.length;
    }
    this.#readHeader(chunk, start);
    const at = start + length;
    const end = at + this.#length;
    if (end > chunk.length || this.#options.borrowed) return this.#startPayload(chunk, at);
    const payload = chunk.subarray(at, end);
    if (this.#options.masked) applyMask(payload, 0, payload.length, this.#key);
    this.#frame(payload);
    return end;
  }

  /** Adds to a header that came in part. Gives where it ends in this chunk; -1 when it does not. */
  #continueHeader(header: Uint8Array, chunk: Uint8Array, start: number): number {
    let at = start;
    let length = this.#headerFilled < 2 ? LONGEST_HEADER : headerLength(header[1] as number);
    while (this.#headerFilled < length) {
      if (at === chunk.length) return -1;
      header[this.#headerFilled++] = chunk[at++] as number;
      if (this.#headerFilled === 2) length = headerLength(header[1] as number);
    }
    this.#header = undefined;
    this.#readHeader(header, 0);
    return at;
  }

  /** Section 5.2. Checks all that a header can be wrong in. */
  #readHeader(bytes: Uint8Array, start: number): void {
    const first = bytes[start] as number;
    const second = bytes[start + 1] as number;
    if ((first & 0x70) !== 0) throw new FrameError(1002, 'a frame has a reserved bit set');
    const masked = second >= 0x80;
    if (masked !== this.#options.masked) {
      throw new FrameError(1002, masked ? 'a server sent a masked frame' : 'a client sent an unmasked frame');
    }
    const fin = first >= 0x80;
    const opcode = first & 0x0f;
    const field = second & 0x7f;
    let length = field;
    let at = start + 2;
    if (length === 126) {
      length = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      at += 2;
    } else if (length === 127) {
      // 2^53 and more are not exact, and far beyond any limit.
      length = readUint32(bytes, at) * 2 ** 32 + readUint32(bytes, at + 4);
      at += 8;
    }
    if (opcode >= 8) {
      if (opcode > Opcode.PONG) throw new FrameError(1002, 'a frame has an unknown opcode');
      if (!fin || field > MAX_CONTROL_PAYLOAD)
        throw new FrameError(1002, 'a control frame is too long or in fragments');
    } else {
      this.#checkData(opcode, length);
    }
    this.#fin = fin;
    this.#opcode = opcode;
    this.#length = length;
    this.#key = masked ? readUint32(bytes, at) : 0;
  }

  #checkData(opcode: number, length: number): void {
    if (opcode > Opcode.BINARY) throw new FrameError(1002, 'a frame has an unknown opcode');
    const continues = opcode === Opcode.CONTINUATION;
    if (continues !== (this.#fragments !== undefined)) {
      throw new FrameError(
        1002,
        continues ? 'a message is continued that was not begun' : 'a message begins inside another',
      );
    }
    if (length > this.maxPayload - this.#fragmentsLength) {
      throw new FrameError(1009, `a message is larger than ${String(this.maxPayload)} bytes`);
    }
  }

  /** Takes memory for the payload that begins at `start`. */
  #startPayload(chunk: Uint8Array, start: number): number {
    const available = Math.min(chunk.length - start, this.#length);
    this.#payload = this.#take(
      this.#length <= COMMITTED * (available + LONGEST_HEADER) ? this.#length : 2 * available,
    );
    this.#filled = 0;
    return this.#continueFrame(chunk, start);
  }

  /** Adds what this chunk has of a payload. Gives where that ends. */
  #continueFrame(chunk: Uint8Array, start: number): number {
    const filled = this.#filled;
    const end = Math.min(chunk.length, start + this.#length - filled);
    const count = end - start;
    const payload = this.#reserve(filled + count);
    payload.set(chunk.subarray(start, end), FRAME_HEADROOM + filled);
    if (this.#options.masked) {
      applyMask(payload, FRAME_HEADROOM + filled, FRAME_HEADROOM + filled + count, this.#key, filled & 3);
    }
    this.#filled += count;
    if (this.#filled === this.#length) {
      this.#payload = undefined;
      this.#frame(payload.subarray(FRAME_HEADROOM, FRAME_HEADROOM + this.#length));
    }
    return end;
  }

  /** The memory of the payload, with room for so many bytes at least. */
  #reserve(length: number): Uint8Array {
    const payload = this.#payload as Uint8Array;
    if (payload.length >= FRAME_HEADROOM + length) return payload;
    const larger = this.#take(this.#length <= COMMITTED * length ? this.#length : 2 * length);
    larger.set(payload.subarray(0, FRAME_HEADROOM + this.#filled));
    this.#options.memory.give(payload.buffer);
    this.#payload = larger;
    return larger;
  }

  #take(length: number): Uint8Array {
    return withHeadroom(length, this.#options.memory);
  }

  /** A whole frame, unmasked. */
  #frame(payload: Uint8Array): void {
    switch (this.#opcode) {
      case Opcode.PING:
        this.#listener.onPing(payload);
        break;
      case Opcode.PONG:
        this.#listener.onPong();
        break;
      case Opcode.CLOSE:
        this.#close(payload);
        break;
      default:
        this.#data(payload);
    }
  }

  #data(payload: Uint8Array): void {
    const fragments = this.#fragments;
    if (fragments === undefined) {
      this.#isText = this.#opcode === Opcode.TEXT;
      if (this.#fin) this.#message(payload);
      else this.#fragment((this.#fragments = []), payload);
      return;
    }
    this.#fragment(fragments, payload);
    if (!this.#fin) return;
    this.#fragments = undefined;
    const all = new Uint8Array(FRAME_HEADROOM + this.#fragmentsLength);
    let at = FRAME_HEADROOM;
    for (const fragment of fragments) {
      all.set(fragment, at);
      at += fragment.length;
    }
    this.#fragmentsLength = 0;
    this.#message(all.subarray(FRAME_HEADROOM));
  }

  #fragment(fragments: Uint8Array[], payload: Uint8Array): void {
    if (fragments.length === MAX_FRAGMENTS) {
      throw new FrameError(1008, `a message comes in more than ${String(MAX_FRAGMENTS)} fragments`);
    }
    // A small view must not keep a large chunk alive.
    fragments.push(payload.slice());
    this.#fragmentsLength += payload.length;
  }

  #message(data: Uint8Array): void {
    if (this.#isText && !isUtf8(data)) throw new FrameError(1007, 'a text message is not UTF-8');
    this.#listener.onMessage(data, this.#isText);
  }

  /** Section 5.5.1. */
  #close(payload: Uint8Array): void {
    this.end();
    let status: CloseStatus;
    try {
      status = decodeClose(payload);
    } catch {
      throw new FrameError(1002, 'a close frame is not valid');
    }
    this.#listener.onClose(status.code, status.reason);
  }
}

/** Bytes of a header, by its second byte. */
function headerLength(second: number): number {
  const length = second & 0x7f;
  return 2 + (length < 126 ? 0 : length === 126 ? 2 : 8) + (second >= 0x80 ? 4 : 0);
}
