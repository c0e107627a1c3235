import { describe, expect, it } from 'vitest';
import { Identity } from '../../../src/core/identity.js';
import { loadLibsodium } from '../../../src/crypto/libsodium.js';
import type { KeyStore } from '../../../src/link/key-store.js';
import { loadIdentity } from '../../../src/link/load-identity.js';
import { MemoryKeyStore } from '../../../src/link/memory-key-store.js';
import { seedOf } from '../../support/key-store-contract.js';

describe('loadIdentity', () => {
  it('gives the identity that is kept', async () => {
    const identity = await loadIdentity(new MemoryKeyStore(seedOf(3)));
    expect(identity.publicKey).toBe((await Identity.fromSeed(seedOf(3))).publicKey);
  });

  it('makes one at the first start and finds it at the next', async () => {
    const store = new MemoryKeyStore();
    const first = await loadIdentity(store);
    expect((await store.load())?.length).toBe(32);
    expect((await loadIdentity(store)).publicKey).toBe(first.publicKey);
    expect((await loadIdentity(new MemoryKeyStore())).publicKey).not.toBe(first.publicKey);
  });

  it('ends with the identity of whoever was first', async () => {
    // Another tab keeps its seed between our load and our create.
    const store: KeyStore = {
      load: () => Promise.resolve(undefined),
      create: () => Promise.resolve(seedOf(9)),
    };
    expect((await loadIdentity(store)).publicKey).toBe((await Identity.fromSeed(seedOf(9))).publicKey);
  });

  it('uses the back end that it is given', async () => {
    const sodium = await loadLibsodium();
    const used: (string | symbol)[] = [];
    const crypto = new Proxy(sodium, {
      get(target, property) {
        used.push(property);
        const value: unknown = Reflect.get(target, property);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    expect((await loadIdentity(new MemoryKeyStore(), crypto)).crypto).toBe(crypto);
    expect(used).toContain('randomBytes');
    expect((await loadIdentity(new MemoryKeyStore(seedOf(1)), crypto)).crypto).toBe(crypto);
  });

  it('fails as the store fails', async () => {
    const failure = new Error('the keychain is locked');
    const store: KeyStore = {
      load: () => Promise.reject(failure),
      create: () => Promise.reject(new Error('must not be called')),
    };
    await expect(loadIdentity(store)).rejects.toBe(failure);
  });

  it('refuses what a store gives in place of a seed', async () => {
    const store: KeyStore = {
      load: () => Promise.resolve(new Uint8Array(16)),
      create: seed => Promise.resolve(seed),
    };
    await expect(loadIdentity(store)).rejects.toMatchObject({ code: 'INVALID_SEED' });
  });
});
