/** The known name that was most likely meant by `given`, or undefined when none is near. */
export function nearest(given: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  // A third of the characters may be wrong, and at least one.
  let limit = Math.max(1, Math.floor(given.length / 3));
  for (const name of known) {
    // What is cut short is meant more often than what is misspelled.
    if (given.length >= 3 && name.startsWith(given)) return name;
    const distance = editDistance(given, name);
    if (distance > limit) continue;
    best = name;
    limit = distance - 1;
  }
  return best;
}

/**
 * Insertions, deletions, replacements and swaps of neighbours that turn one string into the other (optimal string
 * alignment). Of no more than 64 characters of each: it is asked about names of options.
 */
export function editDistance(from: string, to: string): number {
  const a = from.slice(0, 64);
  const b = to.slice(0, 64);
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, at(before, j - 2) + 1);
      }
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0;
}
