/** Noise revision 34, sections 5.1 to 5.3, for the two patterns that docs/protocol.md uses. */
import { boxKeyPair, dh, hash, hkdf, type KeyPair, open, seal } from './primitives.js';

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss';

const PATTERNS: Record<'IX' | 'IK', { knowsResponder: boolean; messages: Token[][] }> = {
  IX: {
    knowsResponder: false,
    messages: [
      ['e', 's'],
      ['e', 'ee', 'se', 's', 'es'],
    ],
  },
  IK: {
    knowsResponder: true,
    messages: [
      ['e', 'es', 's', 'ss'],
      ['e', 'ee', 'se'],
    ],
  },
};

const NOTHING = new Uint8Array(0);

export interface NoiseOptions {
  readonly pattern: 'IX' | 'IK';
  readonly initiator: boolean;
  readonly prologue: Uint8Array;
  readonly s: KeyPair;
  /** The secret of the ephemeral key. */
  readonly e: Uint8Array;
  /** The responder's key, for the initiator of IK. */
  readonly rs?: Uint8Array;
}

export interface TransportKeyPair {
  readonly send: Buffer;
  readonly receive: Buffer;
  /** What else both ends have of the handshake: a secret, and the hash of what was said. */
  readonly exporter: Buffer;
  readonly handshakeHash: Buffer;
}

export class Noise {
  remoteStatic: Buffer | undefined;
  remoteEphemeral: Buffer | undefined;
  readonly #initiator: boolean;
  readonly #s: KeyPair;
  readonly #e: KeyPair;
  readonly #messages: Token[][];
  #h: Buffer;
  #chainingKey: Buffer;
  #key: Buffer | undefined;
  #nonce = 0;

  constructor(options: NoiseOptions) {
    const { knowsResponder, messages } = PATTERNS[options.pattern];
    this.#initiator = options.initiator;
    this.#s = options.s;
    this.#e = boxKeyPair(options.e);
    this.#messages = [...messages];
    this.#h = Buffer.alloc(64);
    this.#h.write(`Noise_${options.pattern}_25519_ChaChaPoly_BLAKE2b`, 'ascii');
    this.#chainingKey = this.#h;
    this.#mixHash(options.prologue);
    if (options.rs) this.remoteStatic = Buffer.from(options.rs);
    if (knowsResponder) this.#mixHash(this.#initiator ? this.remoteStatic! : this.#s.publicKey);
  }

  /** The hash of what both have said. */
  get handshakeHash(): Buffer {
    return this.#h;
  }

  write(payload: Uint8Array): Buffer {
    const parts: Buffer[] = [];
    for (const token of this.#messages.shift()!) {
      if (token === 'e') {
        this.#mixHash(this.#e.publicKey);
        parts.push(this.#e.publicKey);
      } else if (token === 's') parts.push(this.#encryptAndHash(this.#s.publicKey));
      else this.#mixKey(token);
    }
    parts.push(this.#encryptAndHash(payload));
    return Buffer.concat(parts);
  }

  read(message: Uint8Array): Buffer {
    let rest = Buffer.from(message);
    const take = (length: number): Buffer => {
      if (rest.length < length) throw new Error('a Noise message that is too short');
      const taken = rest.subarray(0, length);
      rest = rest.subarray(length);
      return taken;
    };
    for (const token of this.#messages.shift()!) {
      if (token === 'e') {
        this.remoteEphemeral = take(32);
        this.#mixHash(this.remoteEphemeral);
      } else if (token === 's') this.remoteStatic = this.#decryptAndHash(take(this.#key ? 48 : 32));
      else this.#mixKey(token);
    }
    return this.#decryptAndHash(rest);
  }

  split(): TransportKeyPair {
    const [first, second, exporter] = hkdf(this.#chainingKey, NOTHING).map(key => key.subarray(0, 32)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    const [send, receive] = this.#initiator ? [first, second] : [second, first];
    return { send, receive, exporter, handshakeHash: this.#h };
  }

  #mixHash(data: Uint8Array): void {
    this.#h = hash(this.#h, data);
  }

  /** The first letter is the initiator's key, the second the responder's. */
  #mixKey(token: Exclude<Token, 'e' | 's'>): void {
    const [mine, theirs] = this.#initiator ? token : [token[1], token[0]];
    const secret = mine === 'e' ? this.#e : this.#s;
    const shared = dh(secret.secretKey, theirs === 'e' ? this.remoteEphemeral! : this.remoteStatic!);
    const [chainingKey, key] = hkdf(this.#chainingKey, shared);
    this.#chainingKey = chainingKey;
    this.#key = key.subarray(0, 32);
    this.#nonce = 0;
  }

  #encryptAndHash(plaintext: Uint8Array): Buffer {
    const ciphertext = this.#key
      ? seal(this.#key, this.#nonce++, this.#h, plaintext)
      : Buffer.from(plaintext);
    this.#mixHash(ciphertext);
    return ciphertext;
  }

  #decryptAndHash(ciphertext: Buffer): Buffer {
    const plaintext = this.#key ? open(this.#key, this.#nonce++, this.#h, ciphertext) : ciphertext;
    this.#mixHash(ciphertext);
    return plaintext;
  }
}
