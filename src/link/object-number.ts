const numbers = new WeakMap<object, number>();
let last = 0;

/** Tells objects apart in a text: the same number for the same object, 0 for none. */
export function objectNumber(value: object | undefined): number {
  if (value === undefined) return 0;
  let number = numbers.get(value);
  if (number === undefined) numbers.set(value, (number = ++last));
  return number;
}
