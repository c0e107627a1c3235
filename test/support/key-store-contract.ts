import { expect, it } from 'vitest';
import type { KeyStore } from '../../src/link/key-store.js';

/** A seed of 32 bytes that all have this value. */
export const seedOf = (value: number) => new Uint8Array(32).fill(value);

/** What every key store must do. `open` gives another object for the same place each time it is called in one test. */
export function itKeepsOneSeed(open: () => KeyStore): void {
  it('has nothing at first', async () => {
    expect(await open().load()).toBeUndefined();
  });

  it('keeps the seed that it was given', async () => {
    const store = open();
    expect(await store.create(seedOf(7))).toEqual(seedOf(7));
    expect(await store.load()).toEqual(seedOf(7));
  });

  it('keeps the first seed and answers with it', async () => {
    const store = open();
    await store.create(seedOf(1));
    expect(await store.create(seedOf(2))).toEqual(seedOf(1));
    expect(await store.load()).toEqual(seedOf(1));
  });

  it('gives everybody who starts at the same time the same seed', async () => {
    const store = open();
    const kept = await Promise.all(Array.from({ length: 12 }, (_, i) => store.create(seedOf(i + 1))));
    expect(new Set(kept.map(String)).size).toBe(1);
    expect(await store.load()).toEqual(kept[0]);
  });

  it('shares no memory with its callers', async () => {
    const store = open();
    const given = seedOf(7);
    const created = await store.create(given);
    given.fill(0);
    created.fill(0);
    (await store.load())?.fill(0);
    expect(await store.load()).toEqual(seedOf(7));
  });

  it('does not touch the seed that it was given', async () => {
    const given = seedOf(7);
    await open().create(given);
    expect(given).toEqual(seedOf(7));
  });

  it.each([0, 31, 33])('refuses a seed of %i bytes', async length => {
    const store = open();
    await expect(store.create(new Uint8Array(length))).rejects.toMatchObject({ code: 'INVALID_SEED' });
    expect(await store.load()).toBeUndefined();
  });
}
