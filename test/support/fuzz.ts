import fc from 'fast-check';
import { expect } from 'vitest';
import { type ErrorCode, SecureWebSocketError } from '../../src/core/errors.js';

/**
 * Parameters of a property that runs `usually` times. The environment variable FAST_CHECK_RUNS multiplies that, for a
 * long search: FAST_CHECK_RUNS=100 runs every property a hundred times as often.
 */
export function runs<Ts>(usually: number): fc.Parameters<Ts> {
  const factor = Number(process.env['FAST_CHECK_RUNS'] ?? '1');
  return { numRuns: Math.max(1, Math.ceil(usually * factor)) };
}

/** Generous: many runs, perhaps on a busy machine. */
export const SLOW = { timeout: 60_000 * Math.max(1, Number(process.env['FAST_CHECK_RUNS'] ?? '1')) };

export const bytes = (maxLength: number, minLength = 0): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });

/** What a hostile network makes of some bytes: a flipped bit, an end cut off, bytes added, or something else altogether. */
export type Tampering = (original: Uint8Array) => Uint8Array;

export const tamperings: fc.Arbitrary<Tampering> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.nat(), fc.nat(7)).map(([at, bit]) => flipped(at, bit)) },
  // The beginning, where types, lengths and keys are, more often than its share.
  { weight: 4, arbitrary: fc.tuple(fc.nat(40), fc.nat(7)).map(([at, bit]) => flipped(at, bit)) },
  {
    weight: 2,
    arbitrary: fc.nat().map(
      (length): Tampering =>
        original =>
          original.slice(0, length % Math.max(1, original.length)),
    ),
  },
  {
    weight: 1,
    arbitrary: bytes(40, 1).map(
      (more): Tampering =>
        original =>
          Uint8Array.of(...original, ...more),
    ),
  },
  {
    weight: 1,
    arbitrary: bytes(200).map(
      (other): Tampering =>
        () =>
          other,
    ),
  },
);

/** Flips one bit, wherever the length allows. */
export function flipped(at: number, bit = 0): Tampering {
  return original => {
    const changed = original.slice();
    if (changed.length > 0) changed[at % changed.length]! ^= 1 << bit;
    return changed;
  };
}

/** Runs `parse`, which may succeed, or throw a SecureWebSocketError with one of `codes`, and nothing else. */
export function parsesOrRefuses<T>(parse: () => T, ...codes: ErrorCode[]): T | undefined {
  try {
    return parse();
  } catch (error) {
    expect(error).toBeInstanceOf(SecureWebSocketError);
    expect(codes).toContain((error as SecureWebSocketError).code);
    return undefined;
  }
}
