import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromUtf8, toHex, utf8 } from '../../../src/core/bytes.js';
import { MAX_CONTROL_MESSAGE, MAX_TOKEN_FRAME, MAX_TOKEN_LENGTH } from '../../../src/core/constants.js';
import { type Control, decodeControl } from '../../../src/core/control.js';
import { decodeFrame, encodeControl, encodeToken, FrameType } from '../../../src/core/frame.js';
import { TRANSPORT_OVERHEAD } from '../../../src/core/transport-keys.js';
import { expectCode } from '../../support/errors.js';
import { bytes, parsesOrRefuses, runs, tamperings } from '../../support/fuzz.js';

const amounts = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map(each => each + 0);
const controls: fc.Arbitrary<Control> = fc.oneof(
  fc.record({ type: fc.constant('RESTARTING' as const), reconnectIn: amounts, tryFor: amounts }),
  fc.record({
    type: fc.constant('THROTTLED' as const),
    limit: fc.constantFrom('frames', 'bytes', 'key_frames', 'key_bytes'),
    perSecond: amounts,
  }),
  fc.record({ type: fc.constant('TOKEN_ACCEPTED' as const), expiresIn: amounts }, { requiredKeys: ['type'] }),
  fc.record({
    type: fc.constant('TOKEN_REFUSED' as const),
    reason: fc.string({ maxLength: 40 }),
    message: fc.string({ maxLength: 60 }),
  }),
);

/** A CONTROL frame with this JSON, whatever it says. */
function frameOf(value: unknown): Uint8Array {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return Uint8Array.of(FrameType.CONTROL, ...utf8(text));
}

const controlIn = (value: unknown) => decodeFrame(frameOf(value));
const nothing = { type: 'control', control: undefined };

describe('CONTROL', () => {
  it('is 04, then JSON', () => {
    const frame = encodeControl({ type: 'TOKEN_ACCEPTED', expiresIn: 5_000 });
    expect(frame[0]).toBe(4);
    expect(fromUtf8(frame.subarray(1))).toBe('{"type":"TOKEN_ACCEPTED","expiresIn":5000}');
  });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(controls, control => {
        expect(decodeFrame(encodeControl(control))).toEqual({ type: 'control', control });
      }),
      runs(300),
    );
  });

  it('may say more than this version knows', () => {
    const known: Control = { type: 'RESTARTING', reconnectIn: 1, tryFor: 2 };
    expect(controlIn({ ...known, because: ['of', 'something'] })).toEqual({
      type: 'control',
      control: known,
    });
    for (const value of [{ type: 'LATER' }, { type: '' }, { type: 'toString' }, { type: '__proto__', x: 1 }])
      expect(controlIn(value)).toEqual(nothing);
    expect(controlIn(' { "type" : "TOKEN_ACCEPTED" } ')).toMatchObject({
      control: { type: 'TOKEN_ACCEPTED' },
    });
  });

  it.each([
    ['RESTARTING without times', { type: 'RESTARTING' }],
    ['RESTARTING without one of them', { type: 'RESTARTING', reconnectIn: 1 }],
    ['RESTARTING without the other', { type: 'RESTARTING', tryFor: 1 }],
    ['RESTARTING in the past', { type: 'RESTARTING', reconnectIn: -1, tryFor: 1 }],
    ['RESTARTING with times that are text', { type: 'RESTARTING', reconnectIn: '1', tryFor: '1' }],
    ['RESTARTING at the end of time', '{"type":"RESTARTING","reconnectIn":1e400,"tryFor":1}'],
    ['THROTTLED without a limit', { type: 'THROTTLED', perSecond: 1 }],
    ['THROTTLED by a limit that is not known', { type: 'THROTTLED', limit: 'words', perSecond: 1 }],
    ['THROTTLED by several', { type: 'THROTTLED', limit: ['frames'], perSecond: 1 }],
    ['THROTTLED without a number', { type: 'THROTTLED', limit: 'frames' }],
    ['THROTTLED below nothing', { type: 'THROTTLED', limit: 'frames', perSecond: -1 }],
    ['TOKEN_ACCEPTED for null', { type: 'TOKEN_ACCEPTED', expiresIn: null }],
    ['TOKEN_ACCEPTED for a negative time', { type: 'TOKEN_ACCEPTED', expiresIn: -5 }],
    ['TOKEN_ACCEPTED for ever and ever', '{"type":"TOKEN_ACCEPTED","expiresIn":1e999}'],
    ['TOKEN_REFUSED without a reason', { type: 'TOKEN_REFUSED', message: 'why' }],
    ['TOKEN_REFUSED without a message', { type: 'TOKEN_REFUSED', reason: 'TOKEN_INVALID' }],
    ['TOKEN_REFUSED for a number', { type: 'TOKEN_REFUSED', reason: 1, message: 'why' }],
  ])('%s says nothing, and breaks nothing', (_, value) => {
    expect(controlIn(value)).toEqual(nothing);
  });

  it.each([
    ['nothing', ''],
    ['half an object', '{"type":"THROTTLED"'],
    ['an array', '[{"type":"THROTTLED"}]'],
    ['null', 'null'],
    ['a string', '"RESTARTING"'],
    ['a number', '4'],
    ['an object without a type', '{}'],
    ['a type that is a number', '{"type":1}'],
    ['a type that is an array', '{"type":["RESTARTING"]}'],
    ['an object and more', '{"type":"X"}{"type":"X"}'],
  ])('with %s is malformed', (_, text) => {
    expectCode(() => controlIn(text), 'FRAME_MALFORMED');
  });

  it('with what is no UTF-8 is malformed', () => {
    const frame = frameOf({ type: 'LATER', text: 'x' });
    frame[frame.indexOf(0x78)] = 0xff;
    expectCode(() => decodeFrame(frame), 'FRAME_MALFORMED');
  });

  it('is read up to its limit, and no further', () => {
    const padded = (length: number) => '{"type":"LATER"}'.padEnd(length);
    expect(controlIn(padded(MAX_CONTROL_MESSAGE))).toEqual(nothing);
    expectCode(() => controlIn(padded(MAX_CONTROL_MESSAGE + 1)), 'FRAME_MALFORMED');
  });

  it('is read or refused, whatever it is', () => {
    const values = fc.oneof(
      fc.jsonValue().map(value => utf8(JSON.stringify(value))),
      fc
        .dictionary(
          fc.constantFrom('type', 'reconnectIn', 'tryFor', 'limit', 'perSecond', 'expiresIn', 'reason'),
          fc.oneof(fc.constantFrom('RESTARTING', 'THROTTLED', 'TOKEN_ACCEPTED'), fc.jsonValue()),
        )
        .map(value => utf8(JSON.stringify(value))),
      bytes(80),
      bytes(2 * MAX_CONTROL_MESSAGE),
    );
    fc.assert(
      fc.property(values, body => {
        const control = decodeControl(body);
        if (control === false || control === undefined) return;
        // Nothing but what was checked.
        expect(decodeControl(utf8(JSON.stringify(control)))).toEqual(control);
      }),
      runs(500),
    );
    fc.assert(
      fc.property(controls, tamperings, (control, tamper) => {
        parsesOrRefuses(() => decodeFrame(tamper(encodeControl(control))), 'FRAME_MALFORMED');
      }),
      runs(300),
    );
  });
});

describe('TOKEN', () => {
  it('is 05, then what was sealed', () => {
    expect(toHex(encodeToken(Uint8Array.of(0xaa, 0xbb)))).toBe('05aabb');
    fc.assert(
      fc.property(bytes(300), sealed => {
        expect(decodeFrame(encodeToken(sealed))).toEqual({ type: 'token', sealed });
      }),
      runs(50),
    );
  });

  it('has room for the longest token, and for not much more', () => {
    const longest = new Uint8Array(utf8('語'.repeat(MAX_TOKEN_LENGTH)).length + TRANSPORT_OVERHEAD);
    expect(decodeFrame(encodeToken(longest))).toMatchObject({ type: 'token' });
    expect(decodeFrame(new Uint8Array(MAX_TOKEN_FRAME).fill(5))).toMatchObject({ type: 'token' });
    expectCode(() => decodeFrame(new Uint8Array(MAX_TOKEN_FRAME + 1).fill(5)), 'FRAME_MALFORMED');
  });
});
