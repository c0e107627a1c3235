import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../../src/core/bytes.js';
import { decodeServerEvent, encodeServerEvent, MAX_SERVER_EVENT } from '../../../src/core/server-event.js';
import { expectCode } from '../../support/errors.js';
import { bytes, runs, tamperings } from '../../support/fuzz.js';

const names = fc.string({ unit: 'grapheme', maxLength: 20 });

describe('an event of the relay’s service', () => {
  it('is kind, name and data', () => {
    expect(toHex(encodeServerEvent('ab', 'c'))).toBe('0102616263');
    expect(toHex(encodeServerEvent('', Uint8Array.of(0xff)))).toBe('0200ff');
  });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(names, fc.oneof(names, bytes(50)), (space, data) => {
        const event = decodeServerEvent(encodeServerEvent(space, data));
        const isText = typeof data === 'string';
        expect(event).toEqual({ space, data: isText ? utf8(data) : data, isText });
      }),
      runs(300),
    );
  });

  it('has at most 1 MiB of data, and a name of at most 255 bytes', () => {
    const largest = new Uint8Array(MAX_SERVER_EVENT);
    expect(decodeServerEvent(encodeServerEvent('', largest))?.data).toHaveLength(MAX_SERVER_EVENT);
    expectCode(() => encodeServerEvent('', new Uint8Array(MAX_SERVER_EVENT + 1)), 'MESSAGE_TOO_LARGE');
    expectCode(() => encodeServerEvent('', 'ö'.repeat(MAX_SERVER_EVENT / 2 + 1)), 'MESSAGE_TOO_LARGE');
    expect(decodeServerEvent(encodeServerEvent('s'.repeat(255), ''))?.space).toHaveLength(255);
    expectCode(() => encodeServerEvent('s'.repeat(256), ''), 'INVALID_ARGUMENT');
  });

  it('is nothing else, whatever comes', () => {
    for (const malformed of [[], [1], [0, 0], [3, 0, 1], [1, 2, 0x61], [1, 1, 0xff, 0x61]]) {
      expect(decodeServerEvent(Uint8Array.from(malformed)), String(malformed)).toBe(undefined);
    }
    fc.assert(
      fc.property(names, bytes(40), tamperings, (space, data, tamper) => {
        const event = decodeServerEvent(tamper(encodeServerEvent(space, data)));
        if (event) expect(event.data.length).toBeLessThanOrEqual(200);
      }),
      runs(500),
    );
  });
});
