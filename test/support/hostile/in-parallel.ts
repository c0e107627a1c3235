/** Does something `count` times, at most `limit` of them at once. Gives what came of each, in order. */
export async function inParallel<Result>(
  count: number,
  limit: number,
  action: (index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      results[index] = await action(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, limit) }, lane));
  return results;
}
