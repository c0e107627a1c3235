import { GENERATION_MESSAGES, GENERATION_TIME } from '../constants.js';
import type { Crypto } from '../crypto.js';
import type { SpacePlace } from './join-record.js';
import type { Packet } from './key-packet.js';
import { SenderChain } from './sender-key.js';
import { encodeMulticast } from './space-frame.js';
import type { Member } from './space-members.js';
import { type MessageHeader, MessageKind } from './space-message.js';
import { sealWrapped } from './wrap.js';

export interface GenerationOptions {
  readonly crypto: Crypto;
  readonly place: SpacePlace;
  readonly senderKey: Uint8Array;
  readonly number: number;
  readonly kind: MessageKind;
  /** Of the roster that it is for. */
  readonly version: number;
  readonly readers: readonly Member[];
  /** Sequence number of the first message under it. */
  readonly first: number;
  readonly createdAt: number;
}

/**
 * The keys of this end for exactly one roster: whoever comes later is not given them, and whoever goes has none of those
 * that come after.
 */
export class SendingGeneration {
  readonly number: number;
  readonly kind: MessageKind;
  readonly version: number;
  readonly readers: readonly Member[];
  /** Their member ids. */
  readonly readerIds: ReadonlySet<string>;
  readonly #options: GenerationOptions;
  readonly #chain: SenderChain | undefined;
  readonly #wrappingKeys = new Map<string, Uint8Array>();
  #sealed = 0;
  #lastSequence = 0;

  constructor(options: GenerationOptions) {
    const { crypto, kind, readers } = options;
    this.#options = options;
    this.number = options.number;
    this.kind = kind;
    this.version = options.version;
    this.readers = readers;
    this.readerIds = new Set(readers.map(({ id }) => id));
    if (kind === MessageKind.SENDER_KEY) this.#chain = new SenderChain(crypto);
    else for (const { id } of readers) this.#wrappingKeys.set(id, crypto.randomBytes(32));
  }

  /** Whether another message may be sealed under it. Nothing is sealed twice under the same keys. */
  serves(sequence: number, now: number): boolean {
    const { createdAt } = this.#options;
    return (
      this.#sealed < GENERATION_MESSAGES && now < createdAt + GENERATION_TIME && sequence > this.#lastSequence
    );
  }

  /** What a reader needs; undefined for everybody else. `first`: where what we say begins for it. */
  packetFor(id: string, first: number): Packet | undefined {
    const { number: generation } = this.#options;
    if (!this.readerIds.has(id)) return undefined;
    if (this.#chain) {
      const { chainKey, signingKey } = this.#chain;
      return { type: 'key', kind: MessageKind.SENDER_KEY, generation, first, key: chainKey, signingKey };
    }
    const key = this.#wrappingKeys.get(id);
    return key && { type: 'key', kind: MessageKind.WRAPPED, generation, first, key: key.slice() };
  }

  /** The MULTICAST frame that carries `plaintext`, and the message in it. */
  seal(
    membership: number,
    view: Pick<MessageHeader, 'sender' | 'sequence' | 'epoch' | 'seen' | 'viewHash'>,
    plaintext: Uint8Array,
  ): { frame: Uint8Array; message: Uint8Array } {
    const { crypto, place, senderKey, number: generation, first } = this.#options;
    const chain = this.#chain;
    const header: MessageHeader = {
      ...view,
      kind: this.kind,
      version: this.version,
      generation,
      iteration: chain?.iteration ?? 0,
      first,
    };
    this.#sealed++;
    this.#lastSequence = view.sequence;
    if (chain) {
      const message = chain.seal(place, senderKey, header, plaintext);
      return { message, frame: encodeMulticast(membership, message, []) };
    }
    const recipients = this.readers.flatMap(({ id, number }) => {
      const key = this.#wrappingKeys.get(id);
      return key ? [{ number, key }] : [];
    });
    const { message, wraps } = sealWrapped(crypto, place, senderKey, header, plaintext, recipients);
    return { message, frame: encodeMulticast(membership, message, wraps) };
  }

  wipe(): void {
    const { crypto } = this.#options;
    this.#chain?.wipe();
    for (const key of this.#wrappingKeys.values()) crypto.wipe(key);
    this.#wrappingKeys.clear();
  }
}
