import type { Crypto } from '../core/crypto.js';
import { CheckedCrypto } from './checked-crypto.js';
import { aeadPassesKnownAnswers, passesKnownAnswers } from './known-answers.js';
import { loadLibsodium, loadPrimitives } from './libsodium.js';
import { NodeAead } from './node-crypto.js';
import { withLargeAead } from './sized-aead.js';
import { type SodiumNative, SodiumNativePrimitives } from './sodium-native.js';

// Where node:crypto becomes the faster one, bytes of plaintext. It spends about 3 µs on every message and 0.3 µs on
// each KiB; libsodium as WebAssembly 0.5 µs and 2.1 µs, as machine code 0.5 µs and 0.55 µs. (Node 20, OpenSSL 3.0,
// x86-64 with AVX-512. Without vector instructions the second one comes later; either choice is right.)
const FROM_WEB_ASSEMBLY = 1_536;
// Where the memory that it gives cannot be freed at once, the garbage collector takes more than what is won.
const FROM_SODIUM_NATIVE = 'transfer' in ArrayBuffer.prototype ? 16_384 : Infinity;

/**
 * Loads a back end, or rejects with an `Error` that says why it cannot be had.
 *
 * node:crypto does large messages only. The rest of it was measured and is not faster than WebAssembly: a key must become
 * a `KeyObject` first, which takes 350 µs for a secret key in PKCS #8 against 100 µs for all of X25519. (A JSON Web Key
 * is read faster, and is a string, which cannot be wiped; kept from call to call, a `KeyObject` outlives the key that the
 * caller wipes.) Its BLAKE2b takes twice as long for what Noise hashes, and has no `crypto_kdf`.
 */
export const NODE_BACK_ENDS = {
  libsodium: loadLibsodium,

  async node(): Promise<Crypto> {
    const large = new NodeAead();
    // Not there in builds for FIPS, nor with BoringSSL.
    if (!aeadPassesKnownAnswers(large)) throw new Error('node:crypto has no chacha20-poly1305 here.');
    return new CheckedCrypto('node', withLargeAead(await loadPrimitives(), large, FROM_WEB_ASSEMBLY));
  },

  async 'sodium-native'(): Promise<Crypto> {
    const native = new SodiumNativePrimitives(await importSodiumNative());
    if (!passesKnownAnswers(native)) throw new Error('sodium-native computes something else than libsodium.');
    const large = new NodeAead();
    const primitives = aeadPassesKnownAnswers(large)
      ? withLargeAead(native, large, FROM_SODIUM_NATIVE)
      : native;
    return new CheckedCrypto('sodium-native', primitives);
  },

  async noble(): Promise<Crypto> {
    const { noble } = await import('./noble.js');
    return noble();
  },
} satisfies Record<string, () => Promise<Crypto>>;

/**
 * An optional peer dependency: what bundles a server must neither look for it, nor take its JavaScript without the binary
 * beside it. The name in a variable keeps it out of their sight.
 */
async function importSodiumNative(): Promise<SodiumNative> {
  const name = 'sodium-native';
  const module = (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as {
    default: SodiumNative;
  };
  return module.default;
}
