// @ts-check
/**
 * Does something again and again, at least once, until so many milliseconds have passed.
 *
 * @param {number} duration
 * @param {() => Promise<void>} act
 */
export async function repeatFor(duration, act) {
  const start = performance.now();
  let times = 0;
  let elapsed;
  do {
    await act();
    times += 1;
    elapsed = performance.now() - start;
  } while (elapsed < duration);
  return { times, elapsed };
}
