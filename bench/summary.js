// @ts-check
import { BASELINE } from './adapters/index.js';
import { median } from './statistics.js';

/**
 * @typedef {import('./measurements/index.js').Case} Case
 * @typedef {import('./measurements/index.js').Column} Column
 *
 * @typedef {{ median: number, ratio: number | null, rounds: number[] }} Figure
 *   `ratio`: the median, over the rounds, of the figure divided by that of plain ws (or what else it
 *   is compared with) in the same round; null without it
 * @typedef {{ adapter: string, case: Case, figures: Record<string, Figure> }} Row
 */

/**
 * What all rounds say about one adapter in one case.
 *
 * @param {readonly Column[]} columns
 * @param {Case} of
 * @param {string} adapter
 * @param {ReadonlyMap<string, readonly Record<string, number>[]> | undefined} measured the figures of each adapter, by round
 * @param {string} [compared] with which adapter it is compared
 * @returns {Row}
 */
export function summarize(columns, of, adapter, measured, compared = BASELINE) {
  const valuesOf = (/** @type {string} */ name, /** @type {string} */ figure) =>
    (measured?.get(name) ?? []).map(figures => figures[figure] ?? NaN);
  /** @type {Record<string, Figure>} */
  const figures = {};
  for (const { figure, hasRatio } of columns) {
    const rounds = valuesOf(adapter, figure);
    const baseline = valuesOf(compared, figure);
    const ratios = rounds.map((value, round) => value / (baseline[round] ?? NaN));
    const ratio = hasRatio && baseline.length > 0 ? median(ratios) : null;
    figures[figure] = { median: median(rounds), ratio, rounds };
  }
  return { adapter, case: of, figures };
}
