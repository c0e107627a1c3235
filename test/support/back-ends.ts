import sodiumNative from 'sodium-native';
import sodium from 'libsodium-wrappers';
import type { Crypto } from '../../src/core/crypto.js';
import { CheckedCrypto } from '../../src/crypto/checked-crypto.js';
import { LibsodiumWrapped } from '../../src/crypto/libsodium-wrapped.js';
import { loadPrimitives } from '../../src/crypto/libsodium.js';
import { NODE_BACK_ENDS } from '../../src/crypto/node-back-ends.js';
import { NodeAead } from '../../src/crypto/node-crypto.js';
import { withLargeAead } from '../../src/crypto/sized-aead.js';
import { SodiumNativePrimitives } from '../../src/crypto/sodium-native.js';

const primitives = await loadPrimitives();

/**
 * Every back end as users get it, and every implementation alone: what a size decides is done by each for every size
 * here.
 */
export const BACK_ENDS: readonly Crypto[] = [
  await NODE_BACK_ENDS.libsodium(),
  await NODE_BACK_ENDS.node(),
  await NODE_BACK_ENDS['sodium-native'](),
  await NODE_BACK_ENDS.noble(),
  new CheckedCrypto('libsodium, wrapped', new LibsodiumWrapped(sodium)),
  new CheckedCrypto('node:crypto, all sizes', withLargeAead(primitives, new NodeAead(), 0)),
  new CheckedCrypto('sodium-native, all sizes', new SodiumNativePrimitives(sodiumNative)),
];

/** Every back end with every other one. */
export const BACK_END_PAIRS: readonly (readonly [Crypto, Crypto])[] = BACK_ENDS.flatMap((a, i) =>
  BACK_ENDS.slice(i + 1).map(b => [a, b] as const),
);
