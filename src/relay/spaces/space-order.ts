import type { Crypto } from '../../core/crypto.js';
import {
  firstLogHash,
  joinedDigest,
  leftDigest,
  messageDigest,
  nextLogHash,
} from '../../core/space/space-log.js';
import type { SpacePlace } from '../../core/space/space-place.js';
import type { SpaceHistory } from './space-history.js';
import { type ItemContent, SpaceItem } from './space-item.js';

/** In which order everything happens in one space: a chain of items, of which the latest are kept. */
export class SpaceOrder {
  readonly #crypto: Crypto;
  readonly history: SpaceHistory;
  #logHash: Uint8Array;

  /** `epoch`: 8 bytes. */
  constructor(crypto: Crypto, place: SpacePlace, epoch: Uint8Array, history: SpaceHistory) {
    this.#crypto = crypto;
    this.history = history;
    this.#logHash = firstLogHash(crypto, place, epoch);
  }

  /** Offset of the latest item. 0: there was none. */
  get last(): number {
    return this.history.last;
  }

  /** The hash of all items. */
  get logHash(): Uint8Array {
    return this.#logHash;
  }

  append(content: ItemContent, now: number): SpaceItem {
    const offset = this.last + 1;
    this.#logHash = nextLogHash(this.#crypto, this.#logHash, offset, this.#digest(content));
    const item = new SpaceItem(this.history, now, content);
    this.history.push(item);
    return item;
  }

  #digest(content: ItemContent): Uint8Array {
    const crypto = this.#crypto;
    switch (content.type) {
      case 'joined': {
        const { version, rosterHash, member } = content;
        return joinedDigest(crypto, version, rosterHash, member.number, member.join);
      }
      case 'left': {
        const { version, rosterHash, number, reason } = content;
        return leftDigest(crypto, version, rosterHash, number, reason);
      }
      case 'message':
        return messageDigest(crypto, content.message);
    }
  }
}
