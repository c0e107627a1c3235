import { largeBuffers } from './buffer-pool.js';
import { MIN_FRAGMENT } from './constants.js';
import { SecureWebSocketError } from './errors.js';
import { type Item, Opcode } from './record.js';

/** Bytes that are to be kept: a copy, unless they are most of their record. A small view must not keep a large one alive. */
export function compact(payload: Uint8Array): Uint8Array {
  return payload.buffer.byteLength > 2 * payload.length ? payload.slice() : payload;
}

interface Fragment {
  readonly payload: Uint8Array;
  /** Nothing else is in its memory. */
  readonly isAlone: boolean;
}

/** Puts fragments together again (RFC 6455 section 5.4), up to a bound. */
export class MessageAssembler {
  maxPayload: number;
  #fragments: Fragment[] = [];
  #length = 0;
  /** Of the message under way; undefined between messages. */
  #isText: boolean | undefined;

  /** `maxPayload`: the most that a message may have, bytes. */
  constructor(maxPayload: number) {
    this.maxPayload = maxPayload;
  }

  /** Bytes that have come of a message that is not complete. */
  get length(): number {
    return this.#length;
  }

  /**
   * Takes a data item; gives the message that is complete with it, if one is.
   * @throws SecureWebSocketError `PROTOCOL_VIOLATION` when fragments come in no sensible order, `MESSAGE_TOO_LARGE`
   */
  add(item: Item): { data: Uint8Array; isText: boolean } | undefined {
    const continues = item.opcode === Opcode.CONTINUATION;
    if (continues !== (this.#isText !== undefined)) {
      const what = continues ? 'continued a message that it had not begun' : 'began a message inside another';
      throw new SecureWebSocketError('PROTOCOL_VIOLATION', `The peer ${what}.`);
    }
    this.#length += item.payload.length;
    if (this.#length > this.maxPayload) {
      const most = String(this.maxPayload);
      throw new SecureWebSocketError(
        'MESSAGE_TOO_LARGE',
        `A message of the peer is larger than ${most} bytes (maxPayload).`,
      );
    }
    const isText = this.#isText ?? item.opcode === Opcode.TEXT;
    if (item.fin && !continues) {
      this.#length = 0;
      return { data: item.payload, isText };
    }
    if (!item.fin && item.payload.length < MIN_FRAGMENT) {
      throw new SecureWebSocketError('PROTOCOL_VIOLATION', 'The peer sent a fragment that is too small.');
    }
    this.#isText = isText;
    const { payload, isAlone = false } = item;
    const kept = compact(payload);
    this.#fragments.push({ payload: kept, isAlone: isAlone && kept === payload });
    if (isAlone && kept !== payload) largeBuffers.give(payload.buffer);
    if (!item.fin) return undefined;
    const data = new Uint8Array(this.#length);
    let at = 0;
    for (const fragment of this.#fragments) {
      data.set(fragment.payload, at);
      at += fragment.payload.length;
      if (fragment.isAlone) largeBuffers.give(fragment.payload.buffer);
    }
    this.clear();
    return { data, isText };
  }

  clear(): void {
    this.#fragments = [];
    this.#length = 0;
    this.#isText = undefined;
  }
}
