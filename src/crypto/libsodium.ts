import type * as LibsodiumWrappers from 'libsodium-wrappers';
import { SecureWebSocketError } from '../core/errors.js';
import { CheckedCrypto } from './checked-crypto.js';
import { passesKnownAnswers } from './known-answers.js';
import { LibsodiumModule } from './libsodium-module.js';
import { LibsodiumWrapped } from './libsodium-wrapped.js';
import { once } from './once.js';
import type { Primitives } from './primitives.js';

/**
 * The back end over `libsodium-wrappers`: WebAssembly, fetched and compiled at the first call.
 * Rejects with `LINK_FAILED` when the module or WebAssembly cannot be had.
 */
export const loadLibsodium = once(async () => new CheckedCrypto('libsodium', await loadPrimitives()));

/** The same without the checks, for back ends that use it for a part of what they do. */
export async function loadPrimitives(): Promise<Primitives> {
  const sodium = await importSodium().catch((cause: unknown) => {
    const message =
      `libsodium could not be loaded (${String(cause)}): the network is away, or WebAssembly is not allowed here. ` +
      "A Content Security Policy allows it with 'wasm-unsafe-eval'; secure-websocket/lite does without.";
    throw new SecureWebSocketError('LINK_FAILED', message, { cause });
  });
  return LibsodiumModule.of(sodium, passesKnownAnswers) ?? new LibsodiumWrapped(sodium);
}

async function importSodium(): Promise<typeof LibsodiumWrappers> {
  // The package's types declare named exports. At run time there is one, the default.
  const module = (await import('libsodium-wrappers')) as unknown as {
    default: typeof LibsodiumWrappers;
  };
  await module.default.ready;
  return module.default;
}
