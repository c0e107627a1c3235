import { toHex, utf8 } from '../../src/core/bytes.js';
import type { Crypto } from '../../src/core/crypto.js';
import { Identity } from '../../src/core/identity.js';
import { loadLibsodium } from '../../src/crypto/libsodium.js';
import { seededCrypto } from './virtual-network.js';

/** Every clock that tells the time of day. */
export const WALL_CLOCK = 1_750_000_000_000;
export const RELAY_LOCATION = 'wss://relay.example';
export const MAX_FRAME = 262_144;

/** One use of ChaCha20-Poly1305. */
interface Sealing {
  readonly key: Uint8Array;
  readonly plaintext: Uint8Array;
}

/** An identity whose "random" bytes follow from its name, and that remembers what it drew and what it sealed. */
export class Party {
  readonly name: string;
  readonly identity: Identity;
  #ephemerals: Uint8Array[] = [];
  /** Sealed inside handshakes, with additional data: static keys and payloads. */
  #handshakes: Sealing[] = [];
  /** Transport messages, which have no additional data. */
  #transports: Sealing[] = [];
  #taken = 0;

  static async create(name: string): Promise<Party> {
    const sodium = await loadLibsodium();
    const seed = sodium.hash(utf8(`secure-websocket test vectors: ${name}`)).slice(0, 32);
    return new Party(name, seed);
  }

  private constructor(name: string, seed: Uint8Array) {
    this.name = name;
    this.identity = new Identity(this.#recording(seededCrypto(name)), seed);
  }

  /** Forgets what was drawn and sealed. */
  forget(): void {
    this.#ephemerals = [];
    this.#handshakes = [];
    this.#transports = [];
    this.#taken = 0;
  }

  /** The secret of the first ephemeral key. */
  get ephemeralSecret(): string {
    return toHex(existing(this.#ephemerals[0]));
  }

  get handshakePlaintexts(): string[] {
    return this.#handshakes.map(({ plaintext }) => toHex(plaintext));
  }

  /** The key of the transport messages. */
  get transportKey(): string {
    return toHex(existing(this.#transports[0]).key);
  }

  /** What was sealed into the next transport message, in the order in which they were made. */
  nextTransport(): Sealing {
    return existing(this.#transports[this.#taken++]);
  }

  #recording(crypto: Crypto): Crypto {
    return {
      ...crypto,
      // Copies throughout: secrets are wiped after use.
      randomBytes: length => {
        const bytes = crypto.randomBytes(length);
        if (length === 32) this.#ephemerals.push(bytes.slice());
        return bytes;
      },
      aeadEncrypt: (key, nonce, ad, plaintext) => {
        const list = ad.length === 0 ? this.#transports : this.#handshakes;
        list.push({ key: key.slice(), plaintext: plaintext.slice() });
        return crypto.aeadEncrypt(key, nonce, ad, plaintext);
      },
      aeadSeal: (key, nonce, plaintext, out, offset) => {
        this.#transports.push({ key: key.slice(), plaintext: plaintext.slice() });
        crypto.aeadSeal(key, nonce, plaintext, out, offset);
      },
    };
  }
}

function existing<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing of the kind was drawn or sealed');
  return value;
}
