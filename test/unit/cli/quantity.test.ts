import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/cli/exit-code.js';
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../../../src/cli/quantity.js';

describe('a duration', () => {
  it.each([
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['10s', 10_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ])('%s is %d ms', (text, value) => {
    expect(parseDuration(text)).toBe(value);
  });

  it.each([
    ['10', 'needs a unit: 10s for seconds, 10ms, or m, h, d.'],
    ['00', 'needs a unit: 00s for seconds, 00ms, or m, h, d.'],
    ['1.5s', 'must be a duration such as 10s, 500ms, 5m, 2h or 1d, not "1.5s".'],
    ['-1s', 'must be a duration'],
    ['10 s', 'must be a duration'],
    ['10S', 'must be a duration'],
    ['s', 'must be a duration'],
    ['', 'must be a duration'],
    ['1w', 'must be a duration'],
    ['9007199254740992ms', 'must be a duration'],
  ])('%j is none', (text, message) => {
    expect(() => parseDuration(text)).toThrow(UsageError);
    expect(() => parseDuration(text)).toThrow(message);
  });

  it('is read as it is written', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), value => {
        expect(parseDuration(formatDuration(value))).toBe(value);
      }),
    );
    expect([90_000, 3_600_000, 1_500].map(formatDuration)).toEqual(['90s', '1h', '1500ms']);
  });
});

describe('bytes', () => {
  it.each([
    ['0', 0],
    ['262144', 262_144],
    ['12B', 12],
    ['256KiB', 262_144],
    ['1MiB', 1_048_576],
    ['2GiB', 2_147_483_648],
    ['64KB', 64_000],
    ['64kB', 64_000],
    ['3MB', 3_000_000],
    ['1TB', 1e12],
  ])('%s are %d', (text, value) => {
    expect(parseBytes(text)).toBe(value);
  });

  it.each([
    '',
    '1k',
    '1Mb',
    '1mib',
    '1.5MiB',
    '-1',
    '1 MiB',
    '0x10',
    '1e3',
    '9007199254740992',
    '9999999TiB',
  ])('%j are none', text => {
    expect(() => parseBytes(text)).toThrow(
      new UsageError(`must be bytes such as 262144, 256KiB, 1MiB or 64KB, not "${text}".`),
    );
  });

  it('are read as they are written', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), value => {
        expect(parseBytes(formatBytes(value))).toBe(value);
      }),
    );
    expect([0, 1_000, 1_536, 262_144, 2 ** 30].map(formatBytes)).toEqual([
      '0',
      '1000',
      '1536',
      '256KiB',
      '1GiB',
    ]);
  });
});

it('any other text is an error, and a short one', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({ unit: fc.constantFrom(...'0123456789smhdKMGTiB.-'), maxLength: 300 }),
      ),
      text => {
        for (const parse of [parseDuration, parseBytes]) {
          try {
            expect(parse(text)).toSatisfy((value: number) => Number.isSafeInteger(value) && value >= 0);
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
            expect((error as Error).message.length).toBeLessThan(250);
          }
        }
      },
    ),
  );
});
