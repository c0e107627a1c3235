import fc from 'fast-check';

/** Any options of a `Backoff` with delays up to `maxDelay` and so many attempts, or any number of them. */
export function reconnectOptions(maxDelay: number, maxAttempts: number) {
  return fc
    .record({
      delays: fc.tuple(fc.nat(maxDelay), fc.nat(maxDelay)),
      maxAttempts: fc.oneof(fc.integer({ min: 1, max: maxAttempts }), fc.constant(Infinity)),
      stableTime: fc.nat(2_000),
    })
    .map(({ delays, ...rest }) => ({
      minDelay: Math.min(...delays),
      maxDelay: Math.max(...delays),
      ...rest,
    }));
}
