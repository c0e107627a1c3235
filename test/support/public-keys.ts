import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { isCanonical } from '../../src/core/address.js';
import { toHex } from '../../src/core/bytes.js';

/** The address of somebody who is called `name`: always the same, and never of low order. */
export function keyOf(name: string | number): string {
  const bytes = createHash('sha256').update(String(name)).digest();
  bytes[31]! &= 0x3f;
  return toHex(bytes);
}

/** Any address. */
export const anyKey = (): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    // None of the few points of low order begins like this.
    .map(bytes => Uint8Array.of(0xaa, ...bytes.subarray(1)))
    .filter(isCanonical)
    .map(toHex);

/** One of a few addresses: for what must meet the same again. */
export const someKey = (): fc.Arbitrary<string> => fc.integer({ min: 0, max: 3 }).map(keyOf);
