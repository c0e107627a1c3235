/** How often each of several things happened. */
export type Tally = Record<string, number>;

export function count(tally: Tally, what: string, times = 1): void {
  tally[what] = (tally[what] ?? 0) + times;
}

export function tallyOf(items: Iterable<string>): Tally {
  const tally: Tally = {};
  for (const item of items) count(tally, item);
  return tally;
}

/** Adds `more` to `tally`. */
export function addTally(tally: Tally, more: Tally): void {
  for (const [what, times] of Object.entries(more)) count(tally, what, times);
}

/** `3 × http 429, 1 × ws 1008`. */
export function tallyText(tally: Tally): string {
  const parts = Object.entries(tally)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, times]) => `${times} × ${what}`);
  return parts.length === 0 ? 'nothing' : parts.join(', ');
}
