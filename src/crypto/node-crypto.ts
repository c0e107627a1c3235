import { type Cipher, createCipheriv, createDecipheriv, type Decipher } from 'node:crypto';
import { type Aead, TAG_LENGTH } from './primitives.js';

const ALGORITHM = 'chacha20-poly1305';
const OPTIONS = { authTagLength: TAG_LENGTH } as const;

/**
 * So much goes through OpenSSL at once, bytes. Node gives what comes out in memory of its own: in pieces that are not
 * large, the memory of one serves the next.
 */
const PIECE = 65_536;

/**
 * ChaCha20-Poly1305 of `node:crypto`: OpenSSL, with the vector instructions of the processor. What goes into it is
 * slow for little data and does not show for much. It throws where OpenSSL has no such cipher.
 */
export class NodeAead implements Aead {
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    const cipher = createCipheriv(ALGORITHM, key, nonce, OPTIONS);
    if (ad.length > 0) cipher.setAAD(ad, { plaintextLength: plaintext.length });
    transform(cipher, plaintext, out, offset);
    cipher.final();
    out.set(cipher.getAuthTag(), offset + plaintext.length);
  }

  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    sealed: Uint8Array,
    room?: Uint8Array,
  ): Uint8Array | undefined {
    const length = sealed.length - TAG_LENGTH;
    const decipher = createDecipheriv(ALGORITHM, key, nonce, OPTIONS);
    decipher.setAuthTag(sealed.subarray(length));
    if (ad.length > 0) decipher.setAAD(ad, { plaintextLength: length });
    const plaintext = room ?? new Uint8Array(length);
    transform(decipher, sealed.subarray(0, length), plaintext, 0);
    try {
      decipher.final();
    } catch {
      // What is not authentic is not seen by anybody.
      plaintext.fill(0);
      return undefined;
    }
    return plaintext;
  }
}

/** `out` may be where `input` is. */
function transform(cipher: Cipher | Decipher, input: Uint8Array, out: Uint8Array, offset: number): void {
  for (let at = 0; at < input.length; at += PIECE) {
    const piece = cipher.update(input.subarray(at, at + PIECE));
    out.set(piece, offset + at);
    release(piece);
  }
}

/** Frees memory now, which else the garbage collector would be busy with. (ECMAScript 2024: Node 22 and later.) */
function release(piece: Uint8Array): void {
  const buffer: ArrayBufferLike & { transfer?: (length: number) => unknown } = piece.buffer;
  // A buffer that it only has a part of would be somebody else's, too.
  if (buffer.byteLength === piece.length) buffer.transfer?.(0);
}
