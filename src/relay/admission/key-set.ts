import { parseAddress } from '../../core/address.js';
import { eachLine, type Lines } from './list-lines.js';

/** Public keys, a million and more: 32 characters each rather than 64, and the text they came from can go. */
export class KeySet {
  readonly #keys = new Set<string>();

  /**
   * One key per line, 64 hex digits; `#` begins a comment. The same key twice is no error.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` naming the line and what is wrong with it
   */
  static async parse(name: string, lines: Lines): Promise<KeySet> {
    const set = new KeySet();
    await eachLine(name, lines, line => {
      set.#keys.add(compact(parseAddress(line)));
    });
    return set;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** @param publicKey 64 hex digits */
  has(publicKey: string): boolean {
    return this.#keys.has(compact(Buffer.from(publicKey, 'hex')));
  }
}

/** A string of one byte per character: a part of a longer string would keep the whole of that alive. */
function compact(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
