import { fromHex, toHex, utf8 } from '../core/bytes.js';
import type { Aead, Primitives } from './primitives.js';

const EMPTY = new Uint8Array(0);

/**
 * Whether an implementation computes what the specifications say. Asked once, when it is loaded, of what comes from
 * outside of this package and may be built in many ways: one that is unavailable throws, one that is wrong is not used.
 */
export function passesKnownAnswers(primitives: Primitives): boolean {
  try {
    return (
      aeadPasses(primitives) &&
      x25519Passes(primitives) &&
      blake2bPasses(primitives) &&
      ed25519Passes(primitives)
    );
  } catch {
    return false;
  }
}

/** The same for ChaCha20-Poly1305 alone. */
export function aeadPassesKnownAnswers(aead: Aead): boolean {
  try {
    return aeadPasses(aead);
  } catch {
    return false;
  }
}

function aeadPasses(aead: Aead): boolean {
  // RFC 8439 section 2.8.2
  const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
  const nonce = fromHex('070000004041424344454647');
  const ad = fromHex('50515253c0c1c2c3c4c5c6c7');
  const plaintext = utf8(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const expected =
    'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691';
  const out = new Uint8Array(plaintext.length + 19);
  aead.seal(key, nonce, ad, plaintext, out, 2);
  if (toHex(out) !== `0000${expected}00`) return false;
  if (toHex(aead.open(key, nonce, ad, fromHex(expected)) ?? EMPTY) !== toHex(plaintext)) return false;
  const changed = fromHex(expected);
  changed[0] = (changed[0] as number) ^ 1;
  if (aead.open(key, nonce, ad, changed) !== undefined) return false;
  // Nothing, with nothing beside it: what some implementations forget. (Made with two others that agree.)
  const tag = new Uint8Array(16);
  aead.seal(key, nonce, EMPTY, EMPTY, tag, 0);
  return toHex(tag) === NOTHING_SEALED && aead.open(key, nonce, EMPTY, tag)?.length === 0;
}

const NOTHING_SEALED = 'a0784d7a4716f3feb4f64e7f4b39bf04';

function x25519Passes(primitives: Primitives): boolean {
  // RFC 7748 section 6.1
  const alice = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
  const bobsPublic = fromHex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
  return (
    toHex(primitives.x25519PublicKey(alice)) ===
      '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a' &&
    toHex(primitives.x25519(alice, bobsPublic) ?? EMPTY) ===
      '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742' &&
    (primitives.x25519(alice, new Uint8Array(32)) ?? EMPTY).every(byte => byte === 0)
  );
}

function blake2bPasses(primitives: Primitives): boolean {
  // RFC 7693 appendix A; the subkey as Python's hashlib.blake2b computes it.
  const key = Uint8Array.from({ length: 32 }, (_, i) => i);
  return (
    toHex(primitives.hash([utf8('a'), EMPTY, utf8('bc')])) ===
      'ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923' &&
    toHex(primitives.deriveKey(key, 2 ** 40, 'SWSED255')) ===
      '707b01f1bd4019ab53532b62625925d91f9c8ef3123a603e3bf05f3f45a70d1e'
  );
}

function ed25519Passes(primitives: Primitives): boolean {
  // RFC 8032 section 7.1, test 2
  const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
  const publicKey = fromHex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
  const message = Uint8Array.of(0x72);
  const signature = primitives.ed25519Sign(message, seed);
  return (
    toHex(primitives.ed25519PublicKey(seed)) === toHex(publicKey) &&
    toHex(signature) ===
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00' &&
    primitives.ed25519Verify(signature, message, publicKey) &&
    !primitives.ed25519Verify(signature, Uint8Array.of(0x73), publicKey)
  );
}
