import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fromUtf8 } from '../../../src/core/bytes.js';
import { MAX_TOKEN_LENGTH } from '../../../src/core/constants.js';
import { decodeFrame } from '../../../src/core/frame.js';
import { TokenRenewal } from '../../../src/link/token-renewal.js';
import { runs } from '../../support/fuzz.js';
import { transportKeys } from '../../support/transport-keys.js';
import { transportMessage } from '../../support/transport-message.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

type Provided = string | undefined | Promise<string | undefined>;

function setUp(provide: () => Provided = () => 'fresh') {
  const asked: number[] = [];
  const shown: { token: string | undefined; at: number }[] = [];
  const since = performance.now();
  const keys = transportKeys(true);
  const relayKeys = transportKeys(false);
  const now = (): number => Math.round(performance.now() - since);
  const renewal = new TokenRenewal(
    () => {
      asked.push(now());
      return provide();
    },
    keys,
    bytes => {
      const frame = decodeFrame(bytes);
      if (frame.type !== 'token') throw new Error(frame.type);
      const token = relayKeys.open(frame.sealed);
      shown.push({ token: token && fromUtf8(token), at: now() });
    },
  );
  return { renewal, asked, shown, keys };
}

const pass = async (time: number): Promise<void> => {
  await vi.advanceTimersByTimeAsync(time);
};

describe('a fresh token', () => {
  it.each([
    // Half a minute before the end, or after four fifths of the time, whichever is later.
    [600_000, 570_000],
    [150_000, 120_000],
    [60_000, 48_000],
    [10_000, 8_000],
    [1_250, 1_000],
  ])('for one that is good for %i ms is shown after %i', async (expiresIn, after) => {
    const { renewal, asked, shown } = setUp();
    renewal.accepted(expiresIn);
    await pass(after - 1);
    expect(asked).toEqual([]);
    await pass(1);
    expect(shown).toEqual([{ token: 'fresh', at: after }]);
  });

  it.each([0, 1, 100, 1_000])(
    'is never shown more often than once a second: not for %i ms either',
    async expiresIn => {
      const { renewal, shown } = setUp();
      renewal.accepted(expiresIn);
      await pass(999);
      expect(shown).toEqual([]);
      await pass(1);
      expect(shown).toHaveLength(1);
    },
  );

  it('is not shown where none is needed', async () => {
    const { renewal, asked } = setUp();
    renewal.accepted(undefined);
    await pass(1e9);
    expect(asked).toEqual([]);
    // Neither after one that is good for ever took the place of one that was not.
    renewal.accepted(60_000);
    renewal.accepted(undefined);
    await pass(1e9);
    expect(asked).toEqual([]);
  });

  it('is shown when a token is good for longer than timers can wait', async () => {
    const { renewal, shown } = setUp();
    renewal.accepted(60 * 86_400_000);
    await pass(86_400_000);
    expect(shown).toEqual([]);
    await pass(60 * 86_400_000);
    expect(shown).toHaveLength(1);
  });

  it('is followed by the next, counted from when it was accepted', async () => {
    let n = 0;
    const { renewal, shown } = setUp(() => `token ${String(++n)}`);
    renewal.accepted(10_000);
    await pass(8_500);
    renewal.accepted(20_000);
    await pass(15_999);
    expect(shown).toHaveLength(1);
    await pass(1);
    expect(shown).toEqual([
      { token: 'token 1', at: 8_000 },
      { token: 'token 2', at: 24_500 },
    ]);
    // As long as nobody has answered, nothing is shown.
    await pass(1e6);
    expect(shown).toHaveLength(2);
  });

  it('may be long, and in any script', async () => {
    const longest = '語'.repeat(MAX_TOKEN_LENGTH);
    const { renewal, shown } = setUp(() => longest);
    renewal.accepted(10_000);
    await pass(8_000);
    expect(shown).toEqual([{ token: longest, at: 8_000 }]);
  });

  it('may take its time', async () => {
    let give!: (token: string) => void;
    const { renewal, shown } = setUp(() => new Promise<string>(resolve => (give = resolve)));
    renewal.accepted(10_000);
    await pass(9_000);
    expect(shown).toEqual([]);
    give('late');
    await pass(0);
    expect(shown).toEqual([{ token: 'late', at: 9_000 }]);
  });
});

describe('a token that is not accepted', () => {
  it('is followed by others while the one before is good, and not in a hurry', async () => {
    const { renewal, shown } = setUp();
    renewal.accepted(60_000);
    await pass(48_000);
    for (let n = 0; n < 3; n++) {
      renewal.refused();
      await pass(2_999);
      expect(shown).toHaveLength(1 + n);
      await pass(1);
      expect(shown).toHaveLength(2 + n);
    }
  });

  it('is not followed by the next sooner than after a second, or later than after 7.5 s', async () => {
    for (const [expiresIn, delay] of [
      [1_000, 1_000],
      [3_600_000, 7_500],
    ] as const) {
      const { renewal, shown } = setUp();
      renewal.accepted(expiresIn);
      await pass(Math.max(1_000, expiresIn * 0.8, expiresIn - 30_000));
      expect(shown).toHaveLength(1);
      renewal.refused();
      await pass(delay - 1);
      expect(shown).toHaveLength(1);
      await pass(1);
      expect(shown).toHaveLength(2);
      renewal.stop();
    }
  });

  it.each<[string, () => Provided]>([
    ['there is none', () => undefined],
    ['it is too long', () => 'x'.repeat(MAX_TOKEN_LENGTH + 1)],
    ['it is no string', () => 7 as unknown as string],
    [
      'the function throws',
      () => {
        throw new Error('no');
      },
    ],
    ['the function fails', () => Promise.reject(new Error('no'))],
  ])('is not even shown when %s, and the function is asked again', async (_, provide) => {
    const { renewal, asked, shown } = setUp(provide);
    renewal.accepted(60_000);
    await pass(48_000 + 3_000 + 3_000);
    expect(asked).toEqual([48_000, 51_000, 54_000]);
    expect(shown).toEqual([]);
  });
});

describe('a renewal that is over', () => {
  it('shows nothing, asks nobody, and has no keys', async () => {
    const { renewal, asked, keys } = setUp();
    renewal.accepted(10_000);
    renewal.stop();
    renewal.stop();
    renewal.accepted(10_000);
    renewal.refused();
    await pass(1e6);
    expect(asked).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
    expect(() => transportMessage(keys, new Uint8Array(1))).toThrow();
  });

  it('does not show what was given too late', async () => {
    let give!: (token: string | undefined) => void;
    for (const late of ['late', undefined]) {
      const { renewal, shown } = setUp(() => new Promise(resolve => (give = resolve)));
      renewal.accepted(10_000);
      await pass(9_000);
      renewal.stop();
      give(late);
      await pass(1e6);
      expect(shown).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    }
  });
});

it('whatever a relay says, tokens are shown at most once a second, and while one is good', async () => {
  const answers = fc.array(
    fc.oneof(
      fc.constant('refused' as const),
      fc.constant('silence' as const),
      fc.oneof(fc.nat(5_000), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true })),
    ),
    { minLength: 1, maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(answers, async list => {
      const { renewal, shown } = setUp();
      renewal.accepted(2_000);
      for (const answer of list) {
        if (answer === 'refused') renewal.refused();
        else if (answer !== 'silence') renewal.accepted(answer);
        await pass(700);
      }
      renewal.stop();
      const gaps = shown.slice(1).map(({ at }, n) => at - (shown[n]?.at ?? 0));
      expect(gaps.filter(gap => gap < 1_000)).toEqual([]);
      expect(shown.every(({ token }) => token === 'fresh')).toBe(true);
    }),
    runs(60),
  );
});
