import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../src/core/bytes.js';
import {
  decodeInitiationPayload,
  encodeInitiationPayload,
  encodeResponsePayload,
  INITIATION_PAYLOAD_LENGTH,
} from '../../../src/core/handshake-payload.js';
import { expectCode } from '../../support/errors.js';
import { bytes, parsesOrRefuses, runs } from '../../support/fuzz.js';

const SESSION_ID = fromHex('00112233445566778899aabbccddeeff');

describe('the payload of a handshake initiation', () => {
  it('is time, session id and capabilities, 28 bytes', () => {
    const payload = encodeInitiationPayload(0x0102_0304_0506, SESSION_ID);
    expect(toHex(payload)).toBe(`0000010203040506${toHex(SESSION_ID)}00000000`);
    expect(INITIATION_PAYLOAD_LENGTH).toBe(28);
  });

  it('round-trips every time from 0 to 2^53, whole milliseconds', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), bytes(16, 16), (time, sessionId) => {
        const payload = decodeInitiationPayload(encodeInitiationPayload(time, sessionId));
        expect(payload).toEqual({ time, sessionId, capabilities: 0 });
      }),
      runs(200),
    );
    expect(decodeInitiationPayload(encodeInitiationPayload(12.9, SESSION_ID)).time).toBe(12);
  });

  it.each([-1, -Infinity, Number.NaN])('says something even of a clock that shows %d', time => {
    expect(decodeInitiationPayload(encodeInitiationPayload(time, SESSION_ID)).time).toBe(0);
  });

  it('takes a time above 2^53: it is a hint, and no reason to refuse', () => {
    const payload = encodeInitiationPayload(0, SESSION_ID);
    payload.fill(0xff, 0, 8);
    expect(decodeInitiationPayload(payload).time).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
  });

  it('takes unknown capabilities, and more than it knows', () => {
    const payload = concat(encodeInitiationPayload(1, SESSION_ID), Uint8Array.of(1, 2, 3));
    payload.fill(0xff, 24, 28);
    expect(decodeInitiationPayload(payload)).toEqual({
      time: 1,
      sessionId: SESSION_ID,
      capabilities: 0xffff_ffff,
    });
  });

  it('copies the session id: the message it came in may be reused', () => {
    const payload = encodeInitiationPayload(1, SESSION_ID);
    const { sessionId } = decodeInitiationPayload(payload);
    payload.fill(0);
    expect(sessionId).toEqual(SESSION_ID);
  });

  it('refuses one that is too short, at every length', () => {
    const payload = encodeInitiationPayload(1, SESSION_ID);
    for (let length = 0; length < payload.length; length++) {
      expectCode(() => decodeInitiationPayload(payload.subarray(0, length)), 'NOISE_MESSAGE_MALFORMED');
    }
  });

  it('reads or refuses anything', () => {
    fc.assert(
      fc.property(bytes(80), garbage => {
        parsesOrRefuses(() => decodeInitiationPayload(garbage), 'NOISE_MESSAGE_MALFORMED');
      }),
      runs(200),
    );
  });
});

it('the payload of a handshake response is capabilities, 4 bytes', () => {
  expect(encodeResponsePayload()).toEqual(new Uint8Array(4));
});
