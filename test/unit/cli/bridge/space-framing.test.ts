import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentOf, parseSpaceRequest } from '../../../../src/cli/bridge/space-framing.js';
import { runs } from '../../../support/fuzz.js';

describe('what a client asks for', () => {
  it('is understood', () => {
    expect(parseSpaceRequest('{"type":"message","data":"hello"}')).toEqual({
      type: 'message',
      data: 'hello',
    });
    expect(parseSpaceRequest('{"type":"message","data":""}')).toEqual({ type: 'message', data: '' });
    expect(parseSpaceRequest('{"type":"message","base64":"AP8=","more":1}')).toEqual({
      type: 'message',
      data: Buffer.from([0, 255]),
    });
    expect(parseSpaceRequest('{"type":"members"}')).toEqual({ type: 'members' });
  });

  it.each([
    ['', 'not JSON'],
    ['hello', 'not JSON'],
    ['"hello"', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['[]', 'its "type" is neither "message" nor "members"'],
    ['{"type":"leave"}', 'its "type" is neither "message" nor "members"'],
    ['{"type":"message"}', 'it needs either "data" or "base64"'],
    ['{"type":"message","data":"a","base64":"AA=="}', 'it needs either "data" or "base64"'],
    ['{"type":"message","data":1}', 'its "data" is no string'],
    ['{"type":"message","base64":1}', 'its "base64" is none'],
    ['{"type":"message","base64":"A"}', 'its "base64" is none'],
    ['{"type":"message","base64":"AA"}', 'its "base64" is none'],
    ['{"type":"message","base64":"A-_A"}', 'its "base64" is none'],
  ])('or is not: %s', (text, problem) => {
    expect(parseSpaceRequest(text)).toBe(problem);
  });

  it('whatever it is, nothing worse comes of it', () => {
    const value = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record(
          {
            type: fc.oneof(fc.constantFrom('message', 'members'), fc.jsonValue()),
            data: fc.jsonValue(),
            base64: fc.jsonValue(),
          },
          { requiredKeys: [] },
        )
        .map(each => JSON.stringify(each)),
    );
    fc.assert(
      fc.property(value, text => {
        const request = parseSpaceRequest(text);
        if (typeof request !== 'string') expect(['message', 'members']).toContain(request.type);
      }),
      runs(1_000),
    );
  });

  it('is what it is told, when that is sent again', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array()), data => {
        const request = parseSpaceRequest(JSON.stringify({ type: 'message', ...contentOf(data) }));
        const expected = typeof data === 'string' ? data : Buffer.from(data);
        expect(request).toEqual({ type: 'message', data: expected });
      }),
      runs(300),
    );
    const bytes = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);
    expect(contentOf(bytes)).toEqual({ base64: 'AQI=' });
    expect(contentOf(bytes.slice().buffer)).toEqual({ base64: 'AQI=' });
  });
});
