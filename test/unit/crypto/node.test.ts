import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Crypto } from '../../../src/core/crypto.js';
import type { SecureWebSocketError } from '../../../src/core/errors.js';

const NAMES = ['libsodium', 'node', 'sodium-native', 'noble'];
const FOLDER = '../../../src/crypto';

beforeEach(() => {
  vi.resetModules();
});

afterEach(() => {
  vi.unstubAllEnvs();
  for (const file of ['sodium-native.js', 'node-crypto.js', 'noble.js']) vi.doUnmock(`${FOLDER}/${file}`);
});

/** As a process does that starts now. */
async function load(wanted?: string): Promise<Crypto> {
  vi.stubEnv('SECURE_WEBSOCKET_CRYPTO', wanted);
  const { loadCrypto } = await import('../../../src/crypto/node.js');
  return loadCrypto();
}

/** Lets everything that `name` of a file computes be wrong, or its use throw. */
function spoil(file: string, name: string, method: string, instead: () => unknown): void {
  vi.doMock(`${FOLDER}/${file}`, async original => {
    const module = await original<Record<string, new () => object>>();
    class Spoilt extends module[name]! {}
    Object.defineProperty(Spoilt.prototype, method, { value: instead });
    return { ...module, [name]: Spoilt };
  });
}

const fail = (): never => {
  throw new Error('not on this machine');
};

describe('The back end in Node', () => {
  it.each(NAMES)('is %s when the environment says so', async name => {
    expect((await load(name)).name).toBe(name);
  });

  it.each([undefined, ''])('is otherwise the fastest one that is here', async wanted => {
    expect((await load(wanted)).name).toBe('sodium-native');
  });

  it('is loaded once', async () => {
    const { loadCrypto } = await import('../../../src/crypto/node.js');
    expect(loadCrypto()).toBe(loadCrypto());
  });

  it.each([
    ['throws', fail],
    ['opens what is not authentic', () => new Uint8Array(16)],
  ])('is node when sodium-native %s', async (_, instead) => {
    spoil('sodium-native.js', 'SodiumNativePrimitives', 'open', instead);
    expect((await load()).name).toBe('node');
  });

  it('is node when sodium-native computes wrong secrets', async () => {
    spoil('sodium-native.js', 'SodiumNativePrimitives', 'x25519', () => new Uint8Array(32));
    expect((await load()).name).toBe('node');
  });

  it.each([
    ['throws', fail],
    ['seals nothing', () => undefined],
  ])('is libsodium when neither is there: chacha20-poly1305 of node:crypto %s', async (_, instead) => {
    spoil('sodium-native.js', 'SodiumNativePrimitives', 'open', fail);
    spoil('node-crypto.js', 'NodeAead', 'seal', instead);
    expect((await load()).name).toBe('libsodium');
  });

  it('is sodium-native alone when chacha20-poly1305 of node:crypto is missing', async () => {
    spoil('node-crypto.js', 'NodeAead', 'seal', fail);
    const crypto = await load();
    expect(crypto.name).toBe('sodium-native');
    const large = new Uint8Array(100_000);
    const sealed = crypto.aeadEncrypt(new Uint8Array(32), new Uint8Array(12), new Uint8Array(0), large);
    expect(crypto.aeadOpen(new Uint8Array(32), new Uint8Array(12), sealed)).toEqual(large);
  });

  it.each(['wasm', 'Node', 'toString', '__proto__'])('is none called %s', async name => {
    const error: unknown = await load(name).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'SecureWebSocketError', code: 'INVALID_ARGUMENT' });
    const { message } = error as SecureWebSocketError;
    for (const text of ['SECURE_WEBSOCKET_CRYPTO', `"${name}"`, ...NAMES]) expect(message).toContain(text);
  });

  it('is not another one than the environment names, and is looked for again', async () => {
    spoil('node-crypto.js', 'NodeAead', 'seal', fail);
    vi.stubEnv('SECURE_WEBSOCKET_CRYPTO', 'node');
    const { loadCrypto } = await import('../../../src/crypto/node.js');
    const error: unknown = await loadCrypto().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      cause: { message: 'node:crypto has no chacha20-poly1305 here.' },
    });
    const { message } = error as SecureWebSocketError;
    for (const text of ['SECURE_WEBSOCKET_CRYPTO', '"node"', ...NAMES]) expect(message).toContain(text);
    vi.stubEnv('SECURE_WEBSOCKET_CRYPTO', 'libsodium');
    expect((await loadCrypto()).name).toBe('libsodium');
  });
});
