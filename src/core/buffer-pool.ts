import { MAX_POOLED_BYTES } from './constants.js';

/** Bytes. Smaller ones are cheap to make anew, and are neither kept nor rounded up. */
export const LEAST_POOLED = 32_768;
/** Room beside a power of two: what wraps a record of that length needs some more. */
const EXTRA = 1_024;

/**
 * Large buffers that are used again and again: to get them from the system, cleared, and to collect them costs as much
 * as to encrypt what is in them. Keeps few, and none that is far larger than what was asked for.
 */
export class BufferPool {
  readonly #maxBytes: number;
  /** By length. */
  readonly #free = new Map<number, ArrayBuffer[]>();
  /** What was made here and is in use. */
  readonly #lent = new WeakSet<ArrayBufferLike>();
  #bytes = 0;

  /** `maxBytes`: how many may be kept for later. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are kept at present. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Memory of at least `length` bytes. What is in it is of no meaning. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length < LEAST_POOLED) return new Uint8Array(length);
    const size = sizeFor(length);
    let buffer = this.#free.get(size)?.pop();
    if (buffer) this.#bytes -= size;
    else buffer = new ArrayBuffer(size);
    this.#lent.add(buffer);
    return new Uint8Array(buffer);
  }

  /** A copy in memory of this pool, or in memory of exactly its length where one of the pool would be far larger. */
  copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const { length } = bytes;
    // Not `slice`: that of a Buffer copies nothing.
    if (length < LEAST_POOLED || sizeFor(length) > length + length / 8) return new Uint8Array(bytes);
    const copy = this.take(length).subarray(0, length);
    copy.set(bytes);
    return copy;
  }

  /** Takes a buffer back, which nobody may use any more. Nothing happens to one that did not come from here. */
  give(buffer: ArrayBufferLike): void {
    const size = buffer.byteLength;
    if (size < LEAST_POOLED || !this.#lent.delete(buffer) || !(buffer instanceof ArrayBuffer)) return;
    if (this.#bytes + size > this.#maxBytes) return;
    const free = this.#free.get(size);
    if (free) free.push(buffer);
    else this.#free.set(size, [buffer]);
    this.#bytes += size;
  }
}

/**
 * The pool of this process: for records and the frames that they come and go in. To get memory from the system and to
 * collect it costs more than all else that is done with a large message.
 */
export const largeBuffers = new BufferPool(MAX_POOLED_BYTES);

/** The least power of two that is not below `length`, and some more. */
function sizeFor(length: number): number {
  let size = LEAST_POOLED;
  while (size + EXTRA < length) size *= 2;
  return size + EXTRA;
}
