import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../../src/core/bytes.js';
import {
  BODY_OFFSET,
  decodeSpaceMessage,
  encodeHeader,
  encodeSpaceMessage,
  HEADER_LENGTH,
  signedOf,
  spaceMessageLength,
  wrapBinding,
} from '../../../../src/core/space/space-message.js';
import { expectCode } from '../../../support/errors.js';
import { bytes, flipped, parsesOrRefuses, runs, tamperings } from '../../../support/fuzz.js';
import { alice, bob, crypto, headerOf, headers, OTHER_PLACES, PLACE } from '../../../support/space-pieces.js';

const SIGNATURE = new Uint8Array(64).fill(0x51);
const BODY = new Uint8Array(20).fill(0xb0);
const whole = (kind: 1 | 2 = 1, changes = {}) =>
  encodeSpaceMessage(encodeHeader(headerOf({ kind, ...changes })), BODY, kind === 2 ? SIGNATURE : undefined);
const altered = (message: Uint8Array, at: number, hex: string): Uint8Array => {
  const changed = message.slice();
  changed.set(fromHex(hex), at);
  return changed;
};

describe('a space message', () => {
  it('has a header of 97 bytes in this order', () => {
    const hex = toHex(encodeHeader(headerOf({ kind: 2, sequence: 0x0102030405 })));
    expect(hex).toBe(
      [
        '02',
        'a1'.repeat(16),
        '0000000102030405',
        'e0'.repeat(8),
        '0000000000000014',
        '0000000000000003',
        '10'.repeat(32),
        '00000002',
        '00000004',
        '0000000000000003',
      ].join(''),
    );
    expect(hex.length / 2).toBe(HEADER_LENGTH);
    expect(HEADER_LENGTH).toBe(97);
  });

  it('has header, length, body and, of kind 2, a signature', () => {
    expect(toHex(whole(1).subarray(97))).toBe(`00000014${'b0'.repeat(20)}`);
    expect(toHex(whole(2).subarray(97))).toBe(`00000014${'b0'.repeat(20)}${'51'.repeat(64)}`);
  });

  it('is read as it was written, in views', () => {
    fc.assert(
      fc.property(headers, bytes(200, 16), bytes(64, 64), (header, body, its) => {
        const signature = header.kind === 2 ? its : undefined;
        const message = encodeSpaceMessage(encodeHeader(header), body, signature);
        const read = decodeSpaceMessage(message);
        expect(read).toEqual({ header, headerBytes: encodeHeader(header), body, signature });
        expect(read.body.buffer).toBe(message.buffer);
        expect(spaceMessageLength(concat(message, its))).toBe(message.length);
      }),
      runs(200),
    );
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['a header alone', encodeHeader(headerOf())],
    ['no body', whole().subarray(0, BODY_OFFSET)],
    ['a body shorter than a tag', concat(encodeHeader(headerOf()), fromHex('0000000f'), new Uint8Array(15))],
    [
      'a body shorter than a tag, and a signature',
      encodeSpaceMessage(encodeHeader(headerOf({ kind: 2 })), BODY.subarray(5), SIGNATURE),
    ],
    ['a tag that is not counted', altered(whole(), 97, '0000000f')],
    ['a body that ends too early', whole().subarray(0, -1)],
    ['a body of 4 GiB', altered(whole(), 97, 'ffffffff')],
    ['one byte more', concat(whole(), Uint8Array.of(0))],
    ['a signature that nobody wants', concat(whole(1), SIGNATURE)],
    ['no signature', whole(2).subarray(0, -64)],
    ['half a signature', whole(2).subarray(0, -32)],
    ['kind 0', altered(whole(), 0, '00')],
    ['kind 3', altered(whole(), 0, '03')],
    ['sequence 0', altered(whole(), 17, '0000000000000000')],
    ['a sequence above 2^53', altered(whole(), 17, '0020000000000000')],
    ['an offset above 2^53', altered(whole(), 33, 'ffffffffffffffff')],
    ['a version above 2^53', altered(whole(), 41, '0020000000000000')],
    ['generation 0', altered(whole(), 81, '00000000')],
    ['a generation that begins at 0', altered(whole(), 89, '0000000000000000')],
    ['a generation that begins after it', altered(whole(), 89, '0000000000000008')],
  ])('is malformed with %s', (_, message) => {
    expectCode(() => decodeSpaceMessage(message), 'FRAME_MALFORMED');
  });

  it('reads or refuses anything at all, and reads no more than was there', () => {
    const originals = fc.constantFrom(whole(1), whole(2));
    const changed = fc.tuple(originals, tamperings).map(([message, tamper]) => tamper(message));
    fc.assert(
      fc.property(fc.oneof(bytes(300), changed), data => {
        const read = parsesOrRefuses(() => decodeSpaceMessage(data), 'FRAME_MALFORMED');
        if (!read) return;
        expect(encodeHeader(read.header)).toEqual(read.headerBytes);
        expect(encodeSpaceMessage(read.headerBytes, read.body, read.signature)).toEqual(data);
      }),
      runs(500),
    );
  });
});

describe('what holds a message together', () => {
  const header = encodeHeader(headerOf());
  const binding = (
    label: 'wrap' | 'message',
    changes: Partial<Record<'key' | 'header' | 'body', Uint8Array>> = {},
    place = PLACE,
  ) => {
    const { key = alice.publicKeyBytes, header: its = header, body = BODY } = changes;
    return label === 'wrap'
      ? wrapBinding(crypto, place, key, its, body).subarray(0, 32)
      : signedOf(crypto, place, key, its, body);
  };

  it('is a digest for wraps, and for signatures all of it with the digest of the body', () => {
    const digest = crypto.hash(BODY).subarray(0, 32);
    const rest = concat(PLACE.relayKey, Buffer.from('\0\x05lobby'), alice.publicKeyBytes, header, digest);
    const label = (text: string) => Buffer.from(`secure-websocket/1 ${text}\0`);
    expect(binding('wrap')).toEqual(crypto.hash(label('wrap'), rest).subarray(0, 32));
    expect(toHex(binding('message'))).toBe(toHex(concat(label('space message'), rest)));
  });

  it.each(['wrap', 'message'] as const)('%s: depends on space, relay, sender, header and body', label => {
    const others = [
      binding(label),
      binding(label, { key: bob.publicKeyBytes }),
      binding(label, { body: flipped(7)(BODY) }),
      binding(label, { body: BODY.subarray(1) }),
      ...Object.values(OTHER_PLACES).map(place => binding(label, {}, place)),
      ...Array.from({ length: HEADER_LENGTH }, (_, at) => binding(label, { header: flipped(at)(header) })),
    ];
    expect(new Set(others.map(toHex)).size).toBe(others.length);
  });
});
