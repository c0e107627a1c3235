// @ts-check
/**
 * @param {number} value
 * @param {number} digits after the point
 */
export function formatNumber(value, digits) {
  if (!Number.isFinite(value)) return '—';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {number | null} ratio */
export function formatRatio(ratio) {
  if (ratio === null || !Number.isFinite(ratio)) return '—';
  const digits = ratio >= 100 ? 0 : ratio >= 10 ? 1 : ratio >= 0.1 ? 2 : 4;
  return ratio.toFixed(digits);
}
