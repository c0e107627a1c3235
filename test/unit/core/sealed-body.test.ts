import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../../src/core/bytes.js';
import {
  BodyType,
  decodeSealedBody,
  encodeInitiation,
  encodeResponse,
  type SealedBody,
} from '../../../src/core/sealed-body.js';
import { TRANSPORT_HEADER_LENGTH } from '../../../src/core/transport-keys.js';
import { expectCode } from '../../support/errors.js';
import { bytes, parsesOrRefuses, runs, tamperings } from '../../support/fuzz.js';

const indices = fc.oneof(fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff), fc.nat());
/** IK: message 1 is e (32), s (48), tag of the payload (16); message 2 is e (32), tag (16). */
const LEAST = { initiation: 96, response: 48 };
const MOST_NOISE = 65_535;

const noiseOf = (body: SealedBody): Uint8Array => {
  if (body.type === 'transport') throw new Error('a transport message has no handshake in it');
  return body.noise;
};

describe('exact bytes', () => {
  it('HANDSHAKE_INITIATION: 01, sender index, Noise message', () => {
    const noise = new Uint8Array(LEAST.initiation).fill(0xaa);
    expect(toHex(encodeInitiation(0x01020304, noise))).toBe(`0101020304${'aa'.repeat(96)}`);
  });

  it('HANDSHAKE_RESPONSE: 02, sender index, receiver index, Noise message', () => {
    const noise = new Uint8Array(LEAST.response).fill(0xbb);
    expect(toHex(encodeResponse(0x01020304, 0xfffefdfc, noise))).toBe(`0201020304fffefdfc${'bb'.repeat(48)}`);
  });

  it('TRANSPORT: 04, receiver index, counter, ciphertext', () => {
    expect(BodyType.TRANSPORT).toBe(0x04);
    expect(TRANSPORT_HEADER_LENGTH).toBe(13);
    const body = Uint8Array.of(0x04, 0x80, 0, 0, 1, ...new Uint8Array(8), ...new Uint8Array(16));
    expect(decodeSealedBody(body)).toEqual({ type: 'transport', receiverIndex: 0x8000_0001 });
  });
});

describe('decodeSealedBody', () => {
  it('reads what was written', () => {
    fc.assert(
      fc.property(indices, indices, bytes(300, 96), (sender, receiver, noise) => {
        const initiation = decodeSealedBody(encodeInitiation(sender, noise));
        expect(initiation).toMatchObject({ type: 'initiation', senderIndex: sender });
        expect([...noiseOf(initiation)]).toEqual([...noise]);
        const response = decodeSealedBody(encodeResponse(sender, receiver, noise));
        expect(response).toMatchObject({ type: 'response', senderIndex: sender, receiverIndex: receiver });
        expect([...noiseOf(response)]).toEqual([...noise]);
      }),
      runs(100),
    );
  });

  it('takes the shortest and the longest Noise message there can be, and not one byte less or more', () => {
    const initiation = (length: number) => decodeSealedBody(encodeInitiation(1, new Uint8Array(length)));
    const response = (length: number) => decodeSealedBody(encodeResponse(1, 2, new Uint8Array(length)));
    for (const length of [LEAST.initiation, MOST_NOISE]) {
      expect(noiseOf(initiation(length))).toHaveLength(length);
    }
    for (const length of [LEAST.response, MOST_NOISE]) expect(noiseOf(response(length))).toHaveLength(length);
    for (const length of [LEAST.initiation - 1, MOST_NOISE + 1]) {
      expectCode(() => initiation(length), 'FRAME_MALFORMED');
    }
    for (const length of [LEAST.response - 1, MOST_NOISE + 1]) {
      expectCode(() => response(length), 'FRAME_MALFORMED');
    }
  });

  it('takes a transport message from the tag of nothing on', () => {
    const transport = (length: number) =>
      decodeSealedBody(concat(Uint8Array.of(0x04), new Uint8Array(length - 1)));
    expectCode(() => transport(28), 'FRAME_MALFORMED');
    expect(transport(29)).toEqual({ type: 'transport', receiverIndex: 0 });
    expect(transport(16_777_216)).toEqual({ type: 'transport', receiverIndex: 0 });
  });

  it.each([0x00, 0x03, 0x05, 0x80, 0xff])('refuses the unknown type %d', type => {
    expectCode(() => decodeSealedBody(concat(Uint8Array.of(type), new Uint8Array(200))), 'FRAME_MALFORMED');
  });

  it('refuses nothing at all', () => {
    expectCode(() => decodeSealedBody(new Uint8Array(0)), 'FRAME_MALFORMED');
  });

  it('reads or refuses anything, tampered with or made up, as views of it', () => {
    const bodies = fc.oneof(
      bytes(200, 96).map(noise => encodeInitiation(1, noise)),
      bytes(200, 48).map(noise => encodeResponse(1, 2, noise)),
      bytes(60, 28).map(rest => Uint8Array.of(0x04, ...rest)),
      fc.tuple(fc.nat(6), bytes(120)).map(([type, rest]) => Uint8Array.of(type, ...rest)),
    );
    fc.assert(
      fc.property(bodies, tamperings, (body, tamper) => {
        const changed = tamper(body);
        const result = parsesOrRefuses(() => decodeSealedBody(changed), 'FRAME_MALFORMED');
        if (result && result.type !== 'transport') expect(result.noise.buffer).toBe(changed.buffer);
      }),
      runs(500),
    );
  });
});
