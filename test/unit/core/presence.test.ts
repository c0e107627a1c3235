import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/core/bytes.js';
import {
  decodePresenceReport,
  decodePresenceRequest,
  encodePresenceReport,
  encodePresenceRequest,
  MAX_PRESENCE_KEYS,
  type PresenceReport,
  type PresenceRequest,
  type PresenceState,
} from '../../../src/core/presence.js';
import { expectCode } from '../../support/errors.js';
import { bytes, parsesOrRefuses, runs, tamperings } from '../../support/fuzz.js';

const keys = fc.array(bytes(32, 32).map(toHex), { maxLength: 5 });
const states = fc.constantFrom<PresenceState>('absent', 'present', 'unknown');
const numbers = fc.nat(0xffff_ffff);

const requests: fc.Arbitrary<PresenceRequest> = fc.oneof(
  fc.record({ type: fc.constant('ask' as const), request: numbers, keys }),
  fc.record({ type: fc.constantFrom('watch' as const, 'unwatch' as const), keys }),
);
const reports: fc.Arbitrary<PresenceReport> = fc.oneof(
  fc.record({
    type: fc.constant('answer' as const),
    request: numbers,
    states: fc.array(states, { maxLength: 5 }),
  }),
  fc.record({
    type: fc.constant('changed' as const),
    states: fc.array(fc.tuple(bytes(32, 32).map(toHex), states), { maxLength: 5 }).map(all => new Map(all)),
  }),
);

describe('what is said about presence', () => {
  it('is an operation, then keys and states', () => {
    const key = 'ab'.repeat(32);
    expect(toHex(encodePresenceRequest({ type: 'ask', request: 7, keys: [key] }))).toBe(`0100000007${key}`);
    expect(toHex(encodePresenceRequest({ type: 'watch', keys: [key, key] }))).toBe(`02${key}${key}`);
    expect(toHex(encodePresenceRequest({ type: 'unwatch', keys: [] }))).toBe('03');
    const answer = { type: 'answer', request: 7, states: ['present', 'unknown', 'absent'] } as const;
    expect(toHex(encodePresenceReport(answer))).toBe('8100000007010200');
    const changed = { type: 'changed', states: new Map([[key, 'present' as const]]) } as const;
    expect(toHex(encodePresenceReport(changed))).toBe(`82${key}01`);
  });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(requests, request => {
        expect(decodePresenceRequest(encodePresenceRequest(request))).toEqual(request);
      }),
      runs(200),
    );
    fc.assert(
      fc.property(reports, report => {
        expect(decodePresenceReport(encodePresenceReport(report))).toEqual(report);
      }),
      runs(200),
    );
  });

  it('is about at most 1,000 keys', () => {
    const most = new Array<string>(MAX_PRESENCE_KEYS).fill('00'.repeat(32));
    const watch = encodePresenceRequest({ type: 'watch', keys: most });
    expect(decodePresenceRequest(watch).keys).toHaveLength(MAX_PRESENCE_KEYS);
    const more = encodePresenceRequest({ type: 'watch', keys: [...most, most[0] ?? ''] });
    expectCode(() => decodePresenceRequest(more), 'PROTOCOL_VIOLATION');
    const answer = { type: 'answer' as const, request: 1, states: new Array<'absent'>(1_001).fill('absent') };
    expectCode(() => decodePresenceReport(encodePresenceReport(answer)), 'PROTOCOL_VIOLATION');
  });

  it('is refused when it is malformed', () => {
    for (const message of [[], [0], [4], [1, 0, 0, 0], [1, 0, 0, 0, 0, 1], [2, 1], [0x82], [3, 0]]) {
      expectCode(() => decodePresenceRequest(Uint8Array.from(message)), 'PROTOCOL_VIOLATION');
    }
    for (const message of [[], [1], [0x81, 0, 0, 0], [0x81, 0, 0, 0, 0, 3], [0x82, 1]]) {
      expectCode(() => decodePresenceReport(Uint8Array.from(message)), 'PROTOCOL_VIOLATION');
    }
  });

  it('is parsed or refused, whatever comes', () => {
    fc.assert(
      fc.property(requests, tamperings, (request, tamper) => {
        parsesOrRefuses(
          () => decodePresenceRequest(tamper(encodePresenceRequest(request))),
          'PROTOCOL_VIOLATION',
        );
      }),
      runs(300),
    );
    fc.assert(
      fc.property(reports, tamperings, (report, tamper) => {
        parsesOrRefuses(
          () => decodePresenceReport(tamper(encodePresenceReport(report))),
          'PROTOCOL_VIOLATION',
        );
      }),
      runs(300),
    );
  });
});
