import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../../src/core/bytes.js';
import { createInvitation } from '../../../../src/core/space/invitation.js';
import {
  createJoin,
  decodeJoin,
  isJoinAuthentic,
  isJoinLength,
  JOIN_LENGTH,
  MAX_JOIN_LENGTH,
  type Signer,
} from '../../../../src/core/space/join-record.js';
import { expectCode } from '../../../support/errors.js';
import { bytes, parsesOrRefuses, runs, SLOW, tamperings } from '../../../support/fuzz.js';
import {
  admin,
  alice,
  bob,
  crypto,
  mallory,
  MEMBER_ID,
  NOW,
  OTHER_PLACES,
  PLACE,
} from '../../../support/space-pieces.js';

const invitation = createInvitation(admin, PLACE.name, alice.publicKeyBytes, 0);
const plain = createJoin(alice, PLACE, MEMBER_ID, NOW);
const invited = createJoin(alice, PLACE, MEMBER_ID, NOW, invitation);
const isAuthentic = (join: Uint8Array, place = PLACE) => isJoinAuthentic(crypto, place, decodeJoin(join));

describe('a join record', SLOW, () => {
  it('has its bytes in this order', () => {
    const time = NOW.toString(16).padStart(16, '0');
    const head = `${'a1'.repeat(16)}${alice.publicKey}${alice.signingKey}${time}`;
    expect(toHex(plain.subarray(0, -64))).toBe(`${head}0000`);
    expect(toHex(invited.subarray(0, -64))).toBe(`${head}0088${toHex(invitation)}`);
    expect([plain.length, invited.length]).toEqual([JOIN_LENGTH, MAX_JOIN_LENGTH]);
    expect([JOIN_LENGTH, MAX_JOIN_LENGTH]).toEqual([154, 290]);
    expect([153, 154, 155, 289, 290, 291].filter(isJoinLength)).toEqual([154, 290]);
  });

  it('is read as it was made, and is authentic', () => {
    for (const [join, its] of [
      [plain, new Uint8Array(0)],
      [invited, invitation],
    ] as const) {
      expect(decodeJoin(join)).toEqual({
        memberId: MEMBER_ID,
        boxKey: alice.publicKeyBytes,
        signingKey: fromHex(alice.signingKey),
        time: NOW,
        invitation: its,
        bytes: join,
      });
      expect(isAuthentic(join)).toBe(true);
    }
  });

  it('signs what this page of the protocol says, and nothing else', () => {
    const label = Buffer.from('secure-websocket/1 join\0');
    const name = Buffer.from('\0\x05lobby');
    const signature = alice.sign(concat(label, PLACE.relayKey, name, plain.subarray(0, -64)));
    expect(plain.subarray(-64)).toEqual(signature);
  });

  it('is a copy: it holds on to no frame, and no frame changes it', () => {
    const frame = concat(Uint8Array.of(1, 2, 3), plain);
    const join = decodeJoin(frame.subarray(3));
    frame.fill(0);
    expect(join.bytes).toEqual(plain);
    expect(isJoinAuthentic(crypto, PLACE, join)).toBe(true);
    expect(join.bytes.buffer.byteLength).toBe(JOIN_LENGTH);
  });

  it('takes a time of any clock for whole milliseconds, none before 1970', () => {
    const timeOf = (time: number) => decodeJoin(createJoin(alice, PLACE, MEMBER_ID, time)).time;
    expect([timeOf(0), timeOf(NOW + 0.75), timeOf(-5)]).toEqual([0, NOW, 0]);
  });

  it.each(Object.entries(OTHER_PLACES))('is not authentic in %s', (_, place) => {
    expect(isAuthentic(plain, place)).toBe(false);
    expect(isAuthentic(createJoin(alice, place, MEMBER_ID, NOW), place)).toBe(true);
  });

  it('is not authentic when somebody else signs for the key, or signs for a key of another', () => {
    const forged = (signer: Signer) => isAuthentic(createJoin(signer, PLACE, MEMBER_ID, NOW));
    const sign = (message: Uint8Array) => mallory.sign(message);
    expect(forged({ publicKeyBytes: alice.publicKeyBytes, signingKey: alice.signingKey, sign })).toBe(false);
    expect(forged({ publicKeyBytes: bob.publicKeyBytes, signingKey: alice.signingKey, sign })).toBe(false);
  });

  it('is not authentic under a signing key of low order, which any signature would fit', () => {
    const signer: Signer = {
      publicKeyBytes: alice.publicKeyBytes,
      signingKey: `01${'00'.repeat(31)}`,
      sign: () => concat(fromHex(`01${'00'.repeat(31)}`), new Uint8Array(32)),
    };
    expect(isAuthentic(createJoin(signer, PLACE, MEMBER_ID, NOW))).toBe(false);
  });

  it.each([
    ['a member id of 15 bytes', () => createJoin(alice, PLACE, new Uint8Array(15), NOW)],
    ['a member id of 17 bytes', () => createJoin(alice, PLACE, new Uint8Array(17), NOW)],
    ['an invitation of 135 bytes', () => createJoin(alice, PLACE, MEMBER_ID, NOW, invitation.subarray(1))],
    ['an invitation of one byte', () => createJoin(alice, PLACE, MEMBER_ID, NOW, new Uint8Array(1))],
  ])('is not made with %s', (_, make) => {
    expectCode(make, 'INVALID_ARGUMENT');
  });

  it.each([
    ['nothing', ''],
    ['one byte less', toHex(plain.subarray(1))],
    ['one byte more', `${toHex(plain)}00`],
    ['an invitation that is not there', toHex(plain.subarray(0, 88)) + '0088' + toHex(plain.subarray(90))],
    ['an invitation of one byte', toHex(plain.subarray(0, 88)) + '0001ff' + toHex(plain.subarray(90))],
    ['a key of low order', toHex(plain).replace(alice.publicKey, '0'.repeat(64))],
    ['a key that is not canonical', toHex(plain).replace(alice.publicKey, 'f'.repeat(64))],
    ['a time above 2^53', toHex(plain.subarray(0, 80)) + '0020000000000000' + toHex(plain.subarray(88))],
  ])('is malformed with %s', (_, hex) => {
    expectCode(() => decodeJoin(fromHex(hex)), 'FRAME_MALFORMED');
  });

  it('is not authentic, or not read, once anything of it has changed', () => {
    fc.assert(
      fc.property(fc.constantFrom(plain, invited), tamperings, (join, tamper) => {
        const changed = tamper(join);
        fc.pre(toHex(changed) !== toHex(join));
        const record = parsesOrRefuses(() => decodeJoin(changed), 'FRAME_MALFORMED');
        if (record) expect(isJoinAuthentic(crypto, PLACE, record)).toBe(false);
      }),
      runs(400),
    );
  });

  it('reads or refuses anything at all', () => {
    const garbage = fc.oneof(
      bytes(300),
      bytes(JOIN_LENGTH, JOIN_LENGTH),
      bytes(MAX_JOIN_LENGTH, MAX_JOIN_LENGTH),
    );
    fc.assert(
      fc.property(garbage, data => {
        const record = parsesOrRefuses(() => decodeJoin(data), 'FRAME_MALFORMED');
        if (record) expect(isJoinAuthentic(crypto, PLACE, record)).toBe(false);
      }),
      runs(300),
    );
  });
});
