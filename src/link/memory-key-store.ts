import type { KeyStore } from './key-store.js';
import { copySeed } from './seed.js';

/** Keeps the seed as long as this object lives, and nowhere else: for tests, and for identities that end with the process. */
export class MemoryKeyStore implements KeyStore {
  #seed: Uint8Array | undefined;

  /**
   * @param seed The seed to start with, 32 bytes, copied. Without it the store is empty.
   * @throws SecureWebSocketError `INVALID_SEED`
   */
  constructor(seed?: Uint8Array) {
    if (seed !== undefined) this.#seed = copySeed(seed);
  }

  load(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#seed && copySeed(this.#seed));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- async so that INVALID_SEED is a rejection
  async create(seed: Uint8Array): Promise<Uint8Array> {
    const copy = copySeed(seed);
    this.#seed ??= copy;
    return copySeed(this.#seed);
  }
}
