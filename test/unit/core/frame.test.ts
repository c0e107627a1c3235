import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.js';
import {
  connectionIdOf,
  decodeFrame,
  encodeEnvelope,
  encodeListen,
  encodeNotice,
  ENVELOPE_HEADER_LENGTH,
  LISTEN_LENGTH,
  NOTICE_LENGTH,
  NoticeReason,
  PEER_ADDRESS_LENGTH,
  peerAddress,
} from '../../../src/core/frame.js';
import { expectCode } from '../../support/errors.js';
import { bytes, parsesOrRefuses, runs, tamperings } from '../../support/fuzz.js';

const KEY_HEX = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const KEY = fromHex(KEY_HEX);
const connectionIds = fc.oneof(fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff), fc.nat());
const reasons = fc.constantFrom(...Object.values(NoticeReason));

describe('a peer address', () => {
  it('is the key, then the connection id in big-endian', () => {
    expect(toHex(peerAddress(KEY, 0x01020304))).toBe(`${KEY_HEX}01020304`);
    expect(toHex(peerAddress(KEY, 0xffff_fffe))).toBe(`${KEY_HEX}fffffffe`);
    expect(peerAddress(KEY, 0)).toHaveLength(PEER_ADDRESS_LENGTH);
  });

  it('round-trips any connection id, and shares no memory with the key', () => {
    fc.assert(
      fc.property(connectionIds, id => {
        const address = peerAddress(KEY, id);
        expect(connectionIdOf(address)).toBe(id);
        expect(address.buffer).not.toBe(KEY.buffer);
      }),
    );
  });
});

describe('exact bytes', () => {
  it('ENVELOPE: 01, address, body', () => {
    const frame = encodeEnvelope(peerAddress(KEY, 7), Uint8Array.of(0xaa, 0xbb, 0xcc));
    expect(toHex(frame)).toBe(`01${KEY_HEX}00000007aabbcc`);
    expect(ENVELOPE_HEADER_LENGTH).toBe(37);
  });

  it.each([
    [NoticeReason.NOT_HERE, '01'],
    [NoticeReason.QUEUE_FULL, '02'],
    [NoticeReason.REFUSED, '03'],
    [NoticeReason.TOO_LARGE, '04'],
    [NoticeReason.PEER_GONE, '05'],
  ])('NOTICE: 02, reason %d, address', (reason, hex) => {
    expect(toHex(encodeNotice(reason, peerAddress(KEY, 7)))).toBe(`02${hex}${KEY_HEX}00000007`);
    expect(NOTICE_LENGTH).toBe(38);
  });

  it('LISTEN: 03, then 1 or 0', () => {
    expect(toHex(encodeListen(true))).toBe('0301');
    expect(toHex(encodeListen(false))).toBe('0300');
    expect(LISTEN_LENGTH).toBe(2);
  });
});

describe('decodeFrame', () => {
  it('reads what was written', () => {
    fc.assert(
      fc.property(bytes(32, 32), connectionIds, bytes(200, 1), (key, id, body) => {
        const frame = decodeFrame(encodeEnvelope(peerAddress(key, id), body));
        if (frame.type !== 'envelope') throw new Error(frame.type);
        expect([...frame.address]).toEqual([...peerAddress(key, id)]);
        expect(frame.body).toEqual(body);
      }),
      runs(100),
    );
    fc.assert(
      fc.property(reasons, bytes(32, 32), connectionIds, (reason, key, id) => {
        const address = peerAddress(key, id);
        expect(decodeFrame(encodeNotice(reason, address))).toEqual({ type: 'notice', reason, address });
      }),
      runs(50),
    );
    for (const listening of [true, false]) {
      expect(decodeFrame(encodeListen(listening))).toEqual({ type: 'listen', listening });
    }
  });

  it('reads SPACE and MULTICAST: membership, then operation and body, or all else', () => {
    fc.assert(
      fc.property(connectionIds, fc.nat(255), bytes(200), (id, operation, body) => {
        const membership = Math.max(1, id);
        const head = Uint8Array.of(membership >>> 24, membership >>> 16, membership >>> 8, membership);
        const space = { type: 'space', membership, operation, body };
        expect(decodeFrame(Uint8Array.of(6, ...head, operation, ...body))).toEqual(space);
        expect(decodeFrame(Uint8Array.of(7, ...head, ...body))).toEqual({
          type: 'multicast',
          membership,
          body,
        });
      }),
      runs(100),
    );
  });

  it('copies nothing: the parts are views', () => {
    const bytesOfFrame = encodeEnvelope(peerAddress(KEY, 7), Uint8Array.of(1));
    const frame = decodeFrame(bytesOfFrame);
    if (frame.type !== 'envelope') throw new Error(frame.type);
    expect(frame.address.buffer).toBe(bytesOfFrame.buffer);
    expect(frame.body.buffer).toBe(bytesOfFrame.buffer);
  });

  it('respects the window of a view', () => {
    const large = new Uint8Array(100).fill(0xee);
    large.set(encodeEnvelope(peerAddress(KEY, 7), Uint8Array.of(1)), 10);
    expect(decodeFrame(large.subarray(10, 48))).toEqual({
      type: 'envelope',
      address: peerAddress(KEY, 7),
      body: Uint8Array.of(1),
    });
  });

  it.each([
    ['nothing', ''],
    ['an unknown type 0', '00'],
    ['an unknown type 4', `04${KEY_HEX}0000000711`],
    ['an unknown type 255', `ff${KEY_HEX}0000000711`],
    ['an ENVELOPE that is its type byte', '01'],
    ['an ENVELOPE that ends inside the address', `01${KEY_HEX}000000`],
    ['an ENVELOPE without a body', `01${KEY_HEX}00000007`],
    ['a NOTICE that is its type byte', '02'],
    ['a NOTICE without an address', '0201'],
    ['a NOTICE one byte short', `0201${KEY_HEX}000000`],
    ['a NOTICE one byte long', `0201${KEY_HEX}0000000700`],
    ['a NOTICE with reason 0', `0200${KEY_HEX}00000007`],
    ['a NOTICE with reason 9', `0209${KEY_HEX}00000007`],
    ['a NOTICE with reason 255', `02ff${KEY_HEX}00000007`],
    ['a LISTEN without a flag', '03'],
    ['a LISTEN with flag 2', '0302'],
    ['a LISTEN with two flags', '030101'],
    ['a SPACE without a membership', '06000000'],
    ['a SPACE without an operation', '0600000001'],
    ['a SPACE of the membership 0', '060000000001'],
    ['a MULTICAST without a membership', '07000000'],
    ['a MULTICAST of the membership 0', '0700000000'],
    ['an unknown type 8', '080000000101'],
  ])('refuses %s', (_, hex) => {
    expectCode(() => decodeFrame(fromHex(hex)), 'FRAME_MALFORMED');
  });

  it('reads or refuses anything at all', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          bytes(80),
          fc.tuple(fc.nat(8), bytes(80)).map(([type, rest]) => Uint8Array.of(type, ...rest)),
        ),
        garbage => {
          parsesOrRefuses(() => decodeFrame(garbage), 'FRAME_MALFORMED');
        },
      ),
      runs(500),
    );
  });

  it('reads of a frame that was tampered with no more than was there', () => {
    const frames = fc.oneof(
      bytes(60, 1).map(body => encodeEnvelope(peerAddress(KEY, 9), body)),
      reasons.map(reason => encodeNotice(reason, peerAddress(KEY, 9))),
      fc.boolean().map(encodeListen),
    );
    fc.assert(
      fc.property(frames, tamperings, (frame, tamper) => {
        const changed = tamper(frame);
        const result = parsesOrRefuses(() => decodeFrame(changed), 'FRAME_MALFORMED');
        if (result?.type === 'envelope') {
          expect([changed[0], ...result.address, ...result.body]).toEqual([...changed]);
        } else if (result?.type === 'notice') {
          expect([changed[0], result.reason, ...result.address]).toEqual([...changed]);
        }
      }),
      runs(500),
    );
  });
});
