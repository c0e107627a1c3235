import type { Crypto } from '../crypto.js';
import type { SpacePlace } from './join-record.js';
import type { Packet } from './key-packet.js';
import { ReceivedChain } from './sender-key.js';
import { MessageKind, type SpaceMessage } from './space-message.js';
import { openWrapped } from './wrap.js';

/** Generations of one sender whose keys are kept: more than come in the time that the relay lets somebody be behind. */
const MAX_GENERATIONS = 32;

/** Of kind 1 the wrapping key, of kind 2 the chain. The key that a chain begins with is not kept: it would open all again. */
type Keys = { readonly wrappingKey: Uint8Array } | { readonly chain: ReceivedChain };

/** The keys that one sender has given to us. */
export class ReceivedKeys {
  readonly #crypto: Crypto;
  readonly #place: SpacePlace;
  readonly #generations = new Map<number, Keys>();
  /** Generations before this are over. */
  #present = 0;

  constructor(crypto: Crypto, place: SpacePlace) {
    this.#crypto = crypto;
    this.#place = place;
  }

  /** The first that come of a generation count. The keys in `packet` are wiped. */
  add(packet: Packet & { type: 'key' }): void {
    const crypto = this.#crypto;
    const { generation, kind, key, signingKey } = packet;
    if (generation >= this.#present && !this.#generations.has(generation)) {
      if (kind === MessageKind.WRAPPED) this.#generations.set(generation, { wrappingKey: key.slice() });
      else if (signingKey)
        this.#generations.set(generation, { chain: new ReceivedChain(crypto, key, signingKey) });
      if (this.#generations.size > MAX_GENERATIONS) this.#drop(Math.min(...this.#generations.keys()));
    }
    crypto.wipe(key);
  }

  /** Whether it can be told if a message is authentic. Of a generation that is over none is, and none will be. */
  decides({ header: { generation } }: SpaceMessage): boolean {
    return generation < this.#present || this.#generations.has(generation);
  }

  /** The plaintext, or undefined when it is not what the sender has sealed for us. `senderKey`: its X25519 key. */
  open(senderKey: Uint8Array, message: SpaceMessage, wrap: Uint8Array | undefined): Uint8Array | undefined {
    const keys = this.#generations.get(message.header.generation);
    if (!keys) return undefined;
    if ('chain' in keys) return keys.chain.open(this.#place, senderKey, message);
    return wrap && openWrapped(this.#crypto, this.#place, senderKey, message, wrap, keys.wrappingKey);
  }

  /** A message under this generation was authentic, and in its turn: there is none to come under those before. */
  reached(generation: number): void {
    if (generation <= this.#present) return;
    this.#present = generation;
    for (const older of [...this.#generations.keys()]) if (older < generation) this.#drop(older);
  }

  /** True: there were keys. */
  wipe(): boolean {
    const hadKeys = this.#generations.size > 0;
    for (const generation of [...this.#generations.keys()]) this.#drop(generation);
    return hadKeys;
  }

  #drop(generation: number): void {
    const keys = this.#generations.get(generation);
    if (!keys) return;
    this.#generations.delete(generation);
    if ('chain' in keys) keys.chain.wipe();
    else this.#crypto.wipe(keys.wrappingKey);
  }
}
