// @ts-check
/** So many at a time: below what relays take from one address before its clients are registered. */
export const CONCURRENCY = 16;

/**
 * Does something for each item, some at a time.
 *
 * @template T
 * @param {readonly T[]} items
 * @param {(item: T) => Promise<unknown>} act
 * @param {number} [most] at a time
 */
export async function concurrently(items, act, most = CONCURRENCY) {
  const left = items.values();
  const work = async () => {
    for (const item of left) await act(item);
  };
  await Promise.all(Array.from({ length: most }, work));
}
