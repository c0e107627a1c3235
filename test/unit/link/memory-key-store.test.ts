import { describe, expect, it } from 'vitest';
import { MemoryKeyStore } from '../../../src/link/memory-key-store.js';
import { itKeepsOneSeed, seedOf } from '../../support/key-store-contract.js';

describe('MemoryKeyStore', () => {
  itKeepsOneSeed(() => new MemoryKeyStore());

  it('can start with a seed, of which it has a copy', async () => {
    const given = Buffer.alloc(32, 5);
    const store = new MemoryKeyStore(given);
    given.fill(0);
    expect(await store.load()).toEqual(seedOf(5));
    expect(await store.create(seedOf(6))).toEqual(seedOf(5));
  });

  it('does not start with what is no seed', () => {
    expect(() => new MemoryKeyStore(new Uint8Array(31))).toThrow(
      expect.objectContaining({ code: 'INVALID_SEED' }),
    );
  });
});
