import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, SecureWebSocketError } from '../../../src/core/errors.js';
import {
  Backoff,
  isTerminal,
  isTerminalCloseCode,
  isTerminalLinkCode,
  parseReconnect,
  PeerReturn,
} from '../../../src/link/reconnect-policy.js';
import { reconnectOptions } from '../../support/reconnect-options.js';

const DEFAULTS = { minDelay: 500, maxDelay: 20_000, maxAttempts: Infinity, stableTime: 10_000 };

describe('the option reconnect', () => {
  it.each([undefined, false])('%s means no reconnection', value => {
    expect(parseReconnect(value)).toBeUndefined();
  });

  it('has defaults', () => {
    expect(parseReconnect(true)).toEqual(DEFAULTS);
    expect(parseReconnect({})).toEqual(DEFAULTS);
    expect(parseReconnect({ minDelay: undefined, maxAttempts: undefined })).toEqual(DEFAULTS);
  });

  it('takes what is given, and copies it', () => {
    const given = { minDelay: 0, maxDelay: 0, maxAttempts: 1, stableTime: 0 };
    const parsed = parseReconnect(given);
    expect(parsed).toEqual(given);
    given.maxAttempts = 7;
    expect(parsed?.maxAttempts).toBe(1);
    expect(parseReconnect({ minDelay: 3, maxDelay: 3.5, maxAttempts: Infinity, stableTime: 9 })).toEqual({
      minDelay: 3,
      maxDelay: 3.5,
      maxAttempts: Infinity,
      stableTime: 9,
    });
  });

  it('moves the default of one delay out of the way of the other', () => {
    expect(parseReconnect({ maxDelay: 100 })).toMatchObject({ minDelay: 100, maxDelay: 100 });
    expect(parseReconnect({ minDelay: 60_000 })).toMatchObject({ minDelay: 60_000, maxDelay: 60_000 });
  });

  it.each<[unknown, string]>([
    [null, 'not null'],
    [1, 'not a number'],
    ['yes', 'not a string'],
    [[], 'not an array'],
    [() => true, 'not a function'],
  ])('is not %j', (value, message) => {
    expect(() => parseReconnect(value)).toThrow(TypeError);
    expect(() => parseReconnect(value)).toThrow(`"reconnect" is true, false or an object, ${message}`);
  });

  it.each(['minDelay', 'maxDelay', 'stableTime'])('takes for %s only finite times', name => {
    const range = `"reconnect.${name}" is a finite number of milliseconds, at least 0, not `;
    for (const [value, shown] of [
      [-1, '-1'],
      [NaN, 'NaN'],
      [Infinity, 'Infinity'],
      ['500', 'a string'],
      [null, 'null'],
      [true, 'a boolean'],
    ] as const) {
      expect(() => parseReconnect({ [name]: value })).toThrow(new TypeError(range + shown));
    }
  });

  it.each([0, -1, 1.5, NaN, -Infinity, '3', null, 3n])('takes %s for no number of attempts', value => {
    expect(() => parseReconnect({ maxAttempts: value })).toThrow(TypeError);
    expect(() => parseReconnect({ maxAttempts: value })).toThrow(
      '"reconnect.maxAttempts" is an integer of at least 1, or Infinity, not ',
    );
  });

  it('takes no minDelay above maxDelay', () => {
    expect(() => parseReconnect({ minDelay: 2, maxDelay: 1 })).toThrow(
      new TypeError('"reconnect.minDelay" must not be more than "maxDelay", which is 1, not 2'),
    );
  });

  it.each(['mindelay', 'retries', 'constructor', '__proto__'])('has no member %s', name => {
    const value = JSON.parse(`{"${name}": 1}`) as unknown;
    expect(() => parseReconnect(value)).toThrow(
      new TypeError(
        `"reconnect" has no member "${name}": it knows minDelay, maxDelay, maxAttempts, stableTime`,
      ),
    );
  });
});

describe('Backoff', () => {
  const largest = (options = {}) => new Backoff({ ...DEFAULTS, ...options }, () => 1);
  const take = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next());

  it('doubles the limit of the delay up to maxDelay', () => {
    expect(take(largest(), 8)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
  });

  it('spreads delays over all that is below the limit', () => {
    const values = [0, 0.25, 0.5];
    const backoff = new Backoff(DEFAULTS, () => values.shift()!);
    expect(take(backoff, 3)).toEqual([0, 250, 1000]);
  });

  it('does not overflow', () => {
    for (const minDelay of [0, 1e-300, 500, Number.MAX_VALUE]) {
      const backoff = largest({ minDelay, maxDelay: Number.MAX_VALUE });
      const delays = take(backoff, 3000) as number[];
      expect(delays.filter(delay => !Number.isFinite(delay))).toEqual([]);
      expect(delays.at(-1)).toBe(minDelay === 0 ? 0 : Math.min(Number.MAX_VALUE, minDelay * 2 ** 1023));
      expect(backoff.attempt).toBe(3000);
    }
  });

  it('allows maxAttempts, and then none however often it is asked', () => {
    const backoff = largest({ maxAttempts: 2 });
    expect(backoff.attempt).toBe(0);
    expect(take(backoff, 4)).toEqual([500, 1000, undefined, undefined]);
    expect(backoff.attempt).toBe(2);
  });

  it('starts anew after a connection that lasted stableTime', () => {
    const backoff = largest({ maxAttempts: 3 });
    take(backoff, 3);
    backoff.connected(5);
    expect(backoff.attempt).toBe(3);
    backoff.lost(10_005);
    expect(backoff.attempt).toBe(0);
    expect(take(backoff, 4)).toEqual([500, 1000, 2000, undefined]);
  });

  it('goes on after one that did not', () => {
    const backoff = largest({ maxAttempts: 3 });
    take(backoff, 2);
    backoff.connected(5);
    backoff.lost(10_004);
    expect(take(backoff, 2)).toEqual([2000, undefined]);
  });

  it('takes every connection by itself', () => {
    const backoff = largest();
    take(backoff, 2);
    backoff.connected(0);
    backoff.lost(9000);
    backoff.lost(100_000);
    expect(backoff.attempt).toBe(2);
    backoff.connected(100_000);
    backoff.lost(109_000);
    expect(backoff.attempt).toBe(2);
  });

  it('counts a connection from when it came to be, though it is told again', () => {
    const backoff = largest();
    take(backoff, 2);
    backoff.connected(0);
    backoff.connected(9000);
    backoff.lost(10_000);
    expect(backoff.attempt).toBe(0);
  });

  it('keeps to its limits whatever happens', () => {
    const options = reconnectOptions(30_000, 12);
    const steps = fc.array(
      fc.record({
        step: fc.constantFrom('next', 'next', 'next', 'connection'),
        lasts: fc.nat(4000),
        random: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { maxLength: 100 },
    );
    fc.assert(
      fc.property(options, steps, (given, all) => {
        let random = 0;
        const backoff = new Backoff(given, () => random);
        let now = 0;
        let granted = 0;
        for (const { step, lasts, ...rest } of all) {
          ({ random } = rest);
          if (step === 'connection') {
            backoff.connected(now);
            now += lasts;
            backoff.lost(now);
            if (lasts >= given.stableTime) granted = 0;
          } else {
            const delay = backoff.next();
            if (granted === given.maxAttempts) {
              expect(delay).toBeUndefined();
            } else {
              expect(delay).toBe(random * Math.min(given.maxDelay, given.minDelay * 2 ** granted));
              expect(delay).toBeGreaterThanOrEqual(0);
              expect(delay).toBeLessThanOrEqual(given.maxDelay);
              granted++;
            }
          }
          expect(backoff.attempt).toBe(granted);
        }
      }),
    );
  });
});

describe('isTerminal', () => {
  const failure = (code: ErrorCode) => new SecureWebSocketError(code, 'why');

  it.each<ErrorCode>([
    'LINK_FAILED',
    'LINK_LOST',
    'REGISTRATION_TIMEOUT',
    'TOO_MANY_CONNECTIONS',
    'PEER_NOT_HERE',
    'PEER_GONE',
    'PEER_QUEUE_FULL',
    'SESSION_TIMEOUT',
    'SESSION_FAILED',
    'SESSION_EXPIRED',
    'NONCE_EXHAUSTED',
    'SPACE_FULL',
  ])('another attempt may mend %s', code => {
    expect(isTerminal(failure(code))).toBe(false);
  });

  // Anybody on the way can bring these about: that must not be enough to end a connection for good.
  it.each<ErrorCode>([
    'DECRYPT_FAILED',
    'NOISE_MESSAGE_MALFORMED',
    'ZERO_SHARED_SECRET',
    'FRAME_MALFORMED',
    'FRAME_TOO_LARGE',
    'SOURCE_MISMATCH',
    'REPLAYED',
  ])('what is forged with %s ends nothing for good', code => {
    expect(isTerminal(failure(code))).toBe(false);
  });

  it.each<ErrorCode>([
    'INVALID_ARGUMENT',
    'INVALID_SEED',
    'INVALID_ADDRESS_LENGTH',
    'INVALID_ADDRESS_CHARACTER',
    'NON_CANONICAL_ADDRESS',
    'LOW_ORDER_ADDRESS',
    'PLAINTEXT_REFUSED',
    'KEY_STORE_UNREADABLE',
    'KEY_STORE_UNSAFE',
    'KEY_STORE_CORRUPT',
    'KEY_STORE_UNAVAILABLE',
    'KEY_STORE_EXISTS',
    'REGISTRATION_MALFORMED',
    'REGISTRATION_REFUSED',
    'VERSION_MISMATCH',
    'SERVER_KEY_MISMATCH',
    'SERVER_KEY_CHANGED',
    'ADDRESS_NOT_CLAIMED',
    'DIALLED_ELSEWHERE',
    'DEVICE_INFORMATION_INVALID',
    'DEVICE_INFORMATION_EXPIRED',
    'PEER_REFUSED',
    'RECORD_MALFORMED',
    'PROTOCOL_VIOLATION',
    'FLOW_CONTROL',
    'MESSAGE_TOO_LARGE',
    'INVALID_UTF8',
    'PROTOCOL_NOT_OFFERED',
    'BLOB_UNREADABLE',
    'BUFFER_FULL',
    'SPACE_REFUSED',
    'SPACE_NOT_ALLOWED',
    'TOO_MANY_SPACES',
    'SPACE_REMOVED',
    'ROSTER_MISMATCH',
    'SPACE_ORDER',
    'CHANNEL_RESET',
    'CHANNEL_LOST',
    'REPLACED',
    'CLOSE_TIMEOUT',
    'ABORTED',
  ])('no attempt mends %s', code => {
    expect(isTerminal(failure(code))).toBe(true);
    expect(isTerminal(failure(code), 503)).toBe(true);
  });

  it('takes a refusal for final unless its status says that it passes', () => {
    const refused = failure('CHANNEL_REFUSED');
    for (const status of [408, 425, 429, 500, 502, 503, 504])
      expect(isTerminal(refused, status), String(status)).toBe(false);
    for (const status of [0, 200, 302, 400, 401, 403, 404, 409, 410, 426, 501, 505, NaN])
      expect(isTerminal(refused, status), String(status)).toBe(true);
    expect(isTerminal(refused)).toBe(true);
  });
});

describe('close codes', () => {
  // All that a 16-bit field can hold, and what stands for a close without a code.
  const codes = Array.from({ length: 65_536 }, (_, code) => code);

  it('of a sealed CLOSE are final unless the peer says that it will be there again', () => {
    expect(codes.filter(code => !isTerminalCloseCode(code))).toEqual([1001, 1012, 1013]);
  });

  it('of a link are not, unless it would turn us away again', () => {
    expect(codes.filter(isTerminalLinkCode)).toEqual([1008, 4001, 4004]);
  });
});

describe('PeerReturn', () => {
  it('gives the right process twice the time that the channel has been suspended', () => {
    const peer = new PeerReturn(1000);
    // Suspended for 4 s, so 8 more.
    expect(peer.unknown(5000)).toBe(false);
    expect(peer.unknown(12_999)).toBe(false);
    expect(peer.unknown(13_000)).toBe(true);
    expect(peer.unknown(13_001)).toBe(true);
  });

  it('waits 2 s at least', () => {
    const peer = new PeerReturn(1000);
    expect(peer.unknown(1000)).toBe(false);
    expect(peer.unknown(2999)).toBe(false);
    expect(peer.unknown(3000)).toBe(true);
  });

  it('waits 20 s at most', () => {
    const peer = new PeerReturn(0);
    expect(peer.unknown(3_600_000)).toBe(false);
    expect(peer.unknown(3_619_999)).toBe(false);
    expect(peer.unknown(3_620_000)).toBe(true);
  });
});
