/** What tells channels of one session apart: the two ends number theirs apart. */
export function nameOf({ id, opener }: { readonly id: number; readonly opener: boolean }): string {
  return opener ? `+${String(id)}` : `-${String(id)}`;
}
