// @ts-check
/** Milliseconds of doing the same before it is measured, so that the code is compiled. */
const LONGEST = 300;
/** ... in processes that have just begun. */
const LONGEST_FIRST = 1_500;

/**
 * @param {{ isNew: boolean }} parties
 * @param {{ duration: number }} options a short measurement is not worth a long warm-up
 */
export function warmUpOf({ isNew }, { duration }) {
  return isNew ? Math.min(LONGEST_FIRST, 5 * duration) : Math.min(LONGEST, duration);
}
