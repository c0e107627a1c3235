import { applyMask } from '../link/mask.js';

/**
 * Takes the masking off what a client of RFC 6455 sends (section 5.3), in the chunks of the TCP stream and before a
 * WebSocket implementation sees them: the payload is unmasked in place, and the masking key is set to zero, which is a
 * key like any other. What is left of the stream means exactly what it meant before.
 *
 * It is there for speed alone. `ws` unmasks one byte after the other, unless it finds a native module to do it, and that
 * is two thirds of what a relay of large messages does; here it is four bytes at a time, which takes a fifth.
 *
 * It reads no more of a frame than its lengths. Whether the stream is valid is for the implementation behind to say: in
 * one that is not, nothing here is worse than the bytes were.
 */
export class Unmasker {
  #part: 'opcode' | 'length' | 'extended length' | 'key' | 'payload' = 'opcode';
  /** Bytes of the extended length or of the key that are still to come. */
  #missing = 0;
  #masked = false;
  /** Bytes of the payload that are still to come. */
  #length = 0;
  /** The masking key, its first byte the highest. */
  #key = 0;
  /** The byte of the key that the next byte of the payload was masked with. */
  #at = 0;

  /** The next chunk of the stream, changed in place. */
  unmask(chunk: Uint8Array): void {
    let i = 0;
    while (i < chunk.length) {
      switch (this.#part) {
        case 'opcode':
          i++;
          this.#part = 'length';
          break;
        case 'length':
          this.#startLength(chunk[i++] as number);
          break;
        case 'extended length':
          // 2^53 and more are not exact. No implementation takes such a frame.
          this.#length = this.#length * 256 + (chunk[i++] as number);
          if (--this.#missing === 0) this.#endLength();
          break;
        case 'key':
          this.#key = (this.#key << 8) | (chunk[i] as number);
          chunk[i++] = 0;
          if (--this.#missing === 0) this.#startPayload();
          break;
        case 'payload':
          i = this.#payload(chunk, i);
      }
    }
  }

  #startLength(byte: number): void {
    this.#masked = byte >= 0x80;
    const length = byte & 0x7f;
    if (length < 126) {
      this.#length = length;
      this.#endLength();
    } else {
      this.#length = 0;
      this.#missing = length === 126 ? 2 : 8;
      this.#part = 'extended length';
    }
  }

  #endLength(): void {
    if (this.#masked) {
      this.#key = 0;
      this.#missing = 4;
      this.#part = 'key';
    } else {
      this.#startPayload();
    }
  }

  #startPayload(): void {
    this.#at = 0;
    this.#part = this.#length === 0 ? 'opcode' : 'payload';
  }

  /** Gives where the payload ends in this chunk. */
  #payload(chunk: Uint8Array, start: number): number {
    const end = Math.min(chunk.length, start + this.#length);
    if (this.#masked) {
      applyMask(chunk, start, end, this.#key, this.#at);
      this.#at = (this.#at + end - start) & 3;
    }
    this.#length -= end - start;
    if (this.#length === 0) this.#part = 'opcode';
    return end;
  }
}
