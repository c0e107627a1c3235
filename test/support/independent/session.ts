/** The keys of a session: one generation for each handshake, as docs/protocol.md describes them. */
import { Noise, type TransportKeyPair } from './noise.js';
import { type KeyPair, open, seal } from './primitives.js';
import { sessionPrologue, u32, u64, writeSealedBody } from './wire.js';

const NO_AD = new Uint8Array(0);

/** The keys that one handshake agreed on. */
export class Generation {
  readonly localIndex: number;
  readonly remoteIndex: number;
  /** Whether a transport message has arrived under these keys. */
  isConfirmed: boolean;
  readonly keys: TransportKeyPair;
  #sendCounter = 0;
  #highest: number;

  constructor(
    keys: TransportKeyPair,
    localIndex: number,
    remoteIndex: number,
    highest = -1,
    isConfirmed = true,
  ) {
    this.keys = keys;
    this.localIndex = localIndex;
    this.remoteIndex = remoteIndex;
    this.#highest = highest;
    this.isConfirmed = isConfirmed;
  }

  /** A TRANSPORT body. */
  seal(record: Uint8Array): Buffer {
    const counter = this.#sendCounter++;
    const ciphertext = seal(this.keys.send, counter, NO_AD, record);
    return writeSealedBody({ type: 'TRANSPORT', receiverIndex: this.remoteIndex, counter, ciphertext });
  }

  open(counter: number, ciphertext: Uint8Array): Buffer {
    const record = open(this.keys.receive, counter, NO_AD, ciphertext);
    if (counter <= this.#highest) throw new Error('a counter that does not rise');
    this.#highest = counter;
    this.isConfirmed = true;
    return record;
  }
}

export interface Initiation {
  readonly localIndex: number;
  readonly noise: Noise;
  readonly body: Buffer;
}

export function initiate(
  s: KeyPair,
  e: Uint8Array,
  peer: Uint8Array,
  localIndex: number,
  hint: { time: number; sessionId: Uint8Array },
): Initiation {
  const prologue = sessionPrologue(s.publicKey, peer);
  const noise = new Noise({ pattern: 'IK', initiator: true, prologue, s, e, rs: peer });
  const message = noise.write(Buffer.concat([u64(hint.time), hint.sessionId, u32(0)]));
  return {
    localIndex,
    noise,
    body: writeSealedBody({ type: 'HANDSHAKE_INITIATION', senderIndex: localIndex, noise: message }),
  };
}

/** What the responder's message makes of an initiation. */
export function complete(initiation: Initiation, response: Uint8Array, remoteIndex: number): Generation {
  if (initiation.noise.read(response).length < 4) throw new Error('a response without capabilities');
  return new Generation(initiation.noise.split(), initiation.localIndex, remoteIndex);
}

/** Answers an initiation that is said to come from `source`. */
export function answer(
  s: KeyPair,
  e: Uint8Array,
  source: Uint8Array,
  message: Uint8Array,
  indexes: { local: number; remote: number },
): { generation: Generation; body: Buffer } {
  const prologue = sessionPrologue(source, s.publicKey);
  const noise = new Noise({ pattern: 'IK', initiator: false, prologue, s, e });
  if (noise.read(message).length < 28) throw new Error('an initiation with a short payload');
  if (!noise.remoteStatic!.equals(source)) throw new Error('the source is not who it says');
  const response = noise.write(u32(0));
  return {
    generation: new Generation(noise.split(), indexes.local, indexes.remote, -1, false),
    body: writeSealedBody({
      type: 'HANDSHAKE_RESPONSE',
      senderIndex: indexes.local,
      receiverIndex: indexes.remote,
      noise: response,
    }),
  };
}
