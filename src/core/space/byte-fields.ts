import { readUint32, readUint64, writeUint32, writeUint64 } from '../bytes.js';
import { SecureWebSocketError } from '../errors.js';

/** `value` as one byte, or as 4 or 8 bytes in big-endian: parts for `concat`. */
export function uint8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

export function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeUint64(bytes, 0, value);
  return bytes;
}

/** Reads fields one after the other from bytes that somebody else wrote. Byte strings are views, no copies. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** `what` is read, for messages: "a JOINED item". */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Bytes that were not read yet. */
  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  /** @throws SecureWebSocketError `FRAME_MALFORMED`, as all that follow, when it ends before. */
  uint8(): number {
    return this.#bytes[this.#advance(1)] as number;
  }

  uint16(): number {
    const at = this.#advance(2);
    return ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number);
  }

  uint32(): number {
    return readUint32(this.#bytes, this.#advance(4));
  }

  /** Also when the number is above 2^53 - 1, which nobody counts to. */
  uint64(): number {
    const value = readUint64(this.#bytes, this.#advance(8));
    if (value > Number.MAX_SAFE_INTEGER) throw this.malformed('holds a number above 2^53');
    return value;
  }

  take(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** To be called after the last field. */
  end(): void {
    if (this.left > 0) throw this.malformed('is longer than what it holds');
  }

  malformed(how: string): SecureWebSocketError {
    return new SecureWebSocketError('FRAME_MALFORMED', `Received ${this.#what} that ${how}.`);
  }

  #advance(length: number): number {
    if (length > this.left) throw this.malformed('ends too early');
    const at = this.#offset;
    this.#offset += length;
    return at;
  }
}
