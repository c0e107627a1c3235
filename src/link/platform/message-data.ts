import { toHex } from '../../core/bytes.js';

/**
 * Bytes that read as the text they are: where there is no Buffer, handlers written for `ws` can still say
 * `data.toString()`, `` `${data}` `` and `JSON.parse(data)`.
 */
export class MessageData extends Uint8Array<ArrayBufferLike> {
  /**
   * The text that these bytes are the UTF-8 of, U+FFFD in place of what is not UTF-8, as Buffer gives it.
   *
   * @param encoding 'utf8', 'utf-8' or 'hex'.
   * @throws TypeError for any other: quietly decoding as UTF-8 would give a wrong text.
   */
  override toString(encoding = 'utf8'): string {
    switch (encoding.toLowerCase()) {
      case 'utf8':
      case 'utf-8':
        return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this);
      case 'hex':
        return toHex(this);
      default:
        throw new TypeError(`Unknown encoding: ${encoding}. In a browser message data knows utf8 and hex.`);
    }
  }
}
