/** Smaller ones are cheap to make anew. */
const SMALLEST = 32_768;
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
    if (length < SMALLEST) return new Uint8Array(length);
    const size = sizeFor(length);
    const buffer = this.#free.get(size)?.pop();
    if (!buffer) return new Uint8Array(size);
    this.#bytes -= size;
    return new Uint8Array(buffer);
  }

  /** Takes a buffer back, which nobody may use any more. Those that did not come from here are welcome, or are dropped. */
  give(buffer: ArrayBufferLike): void {
    const size = buffer.byteLength;
    if (!(buffer instanceof ArrayBuffer) || size < SMALLEST || size !== sizeFor(size - EXTRA)) return;
    if (this.#bytes + size > this.#maxBytes) return;
    const free = this.#free.get(size);
    if (free) free.push(buffer);
    else this.#free.set(size, [buffer]);
    this.#bytes += size;
  }
}

/** The least power of two that is not below `length`, and some more. */
function sizeFor(length: number): number {
  let size = SMALLEST;
  while (size + EXTRA < length) size *= 2;
  return size + EXTRA;
}
