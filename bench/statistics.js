// @ts-check

/** @param {readonly number[]} values */
export function median(values) {
  return quantile(values, 0.5);
}

/**
 * The value below which the given part of the values is, between two of them by linear interpolation. NaN without
 * values.
 *
 * @param {ArrayLike<number>} values in any order
 * @param {number} part 0 … 1
 */
export function quantile(values, part) {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return NaN;
  const position = part * (sorted.length - 1);
  const below = Math.floor(position);
  const low = /** @type {number} */ (sorted[below]);
  const high = sorted[below + 1] ?? low;
  return low + (high - low) * (position - below);
}

/**
 * Microseconds of user and system time, from `process.cpuUsage()`.
 *
 * @param {{ user: number, system: number }} usage
 */
export function microseconds({ user, system }) {
  return user + system;
}
