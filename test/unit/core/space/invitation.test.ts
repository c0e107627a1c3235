import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../../../src/core/bytes.js';
import type { Identity } from '../../../../src/core/identity.js';
import { createInvitation, INVITATION_LENGTH, isAdmitted } from '../../../../src/core/space/invitation.js';
import { createJoin, decodeJoin } from '../../../../src/core/space/join-record.js';
import { expectCode } from '../../../support/errors.js';
import { runs, SLOW, tamperings } from '../../../support/fuzz.js';
import { admin, alice, bob, crypto, mallory, MEMBER_ID, NOW, PLACE } from '../../../support/space-pieces.js';

const ADMINS = new Set([admin.signingKey]);
const EXPIRES = NOW + 1_000;
const invitation = createInvitation(admin, PLACE.name, alice.publicKeyBytes, EXPIRES);

interface Case {
  who?: Identity;
  invited?: Uint8Array | undefined;
  space?: string;
  admins?: ReadonlySet<string> | undefined;
  now?: number;
}

function admitted(changes: Case = {}): boolean {
  const its: Case = {
    who: alice,
    invited: invitation,
    space: PLACE.name,
    admins: ADMINS,
    now: NOW,
    ...changes,
  };
  const join = decodeJoin(createJoin(its.who!, PLACE, MEMBER_ID, NOW, its.invited));
  return isAdmitted(crypto, its.space!, join, its.admins, its.now!);
}

describe('an invitation', SLOW, () => {
  it('has its bytes in this order, and signs them with the name', () => {
    const stated = invitation.subarray(0, 72);
    const expires = EXPIRES.toString(16).padStart(16, '0');
    expect(toHex(stated)).toBe(`${alice.publicKey}${expires}${admin.signingKey}`);
    const label = Buffer.from('secure-websocket/1 invitation\0');
    const signature = admin.sign(concat(label, Buffer.from('\0\x05lobby'), stated));
    expect(invitation.subarray(72)).toEqual(signature);
    expect(invitation).toHaveLength(INVITATION_LENGTH);
  });

  it('admits whom it names', () => {
    expect(admitted()).toBe(true);
    const several = new Set([mallory.signingKey, admin.signingKey, bob.signingKey]);
    expect(admitted({ admins: several })).toBe(true);
  });

  it('is not needed where there are no admins, nor by one of them', () => {
    expect(admitted({ invited: undefined, admins: undefined })).toBe(true);
    expect(admitted({ who: mallory, admins: undefined })).toBe(true);
    expect(admitted({ who: admin, invited: undefined })).toBe(true);
  });

  it('is needed by everybody else', () => {
    expect(admitted({ invited: undefined })).toBe(false);
    expect(admitted({ invited: undefined, admins: new Set() })).toBe(false);
    expect(admitted({ admins: new Set() })).toBe(false);
  });

  it('is of no use to another key', () => {
    expect(admitted({ who: bob })).toBe(false);
    expect(admitted({ who: mallory })).toBe(false);
  });

  it('is of no use in another space', () => {
    expect(admitted({ space: 'lobbx' })).toBe(false);
    expect(admitted({ space: 'lobby2' })).toBe(false);
  });

  it('is of no use when no admin has made it', () => {
    const byMallory = createInvitation(mallory, PLACE.name, alice.publicKeyBytes, 0);
    expect(admitted({ invited: byMallory })).toBe(false);
    expect(admitted({ admins: new Set([bob.signingKey]) })).toBe(false);
    // The admin's key, Mallory's signature.
    const forged = createInvitation(
      { publicKeyBytes: admin.publicKeyBytes, signingKey: admin.signingKey, sign: m => mallory.sign(m) },
      PLACE.name,
      alice.publicKeyBytes,
      0,
    );
    expect(admitted({ invited: forged })).toBe(false);
  });

  it('is of no use from the moment on at which it expires', () => {
    expect(admitted({ now: EXPIRES - 1 })).toBe(true);
    expect(admitted({ now: EXPIRES })).toBe(false);
    expect(admitted({ now: EXPIRES + 1 })).toBe(false);
    const forever = createInvitation(admin, PLACE.name, alice.publicKeyBytes, 0);
    expect(admitted({ invited: forever, now: Number.MAX_SAFE_INTEGER })).toBe(true);
  });

  it('is of no use once anything of it has changed', () => {
    fc.assert(
      fc.property(tamperings, tamper => {
        const changed = tamper(invitation);
        fc.pre(toHex(changed) !== toHex(invitation) && changed.length === INVITATION_LENGTH);
        expect(admitted({ invited: changed })).toBe(false);
      }),
      runs(300),
    );
  });

  it.each([
    [
      'a name that is none',
      () => createInvitation(admin, 'a/b', alice.publicKeyBytes, 0),
      'INVALID_ARGUMENT',
    ],
    ['half a millisecond', () => createInvitation(admin, 'a', alice.publicKeyBytes, 0.5), 'INVALID_ARGUMENT'],
    ['a time before 1970', () => createInvitation(admin, 'a', alice.publicKeyBytes, -1), 'INVALID_ARGUMENT'],
    ['no time at all', () => createInvitation(admin, 'a', alice.publicKeyBytes, NaN), 'INVALID_ARGUMENT'],
    [
      'a key of 31 bytes',
      () => createInvitation(admin, 'a', new Uint8Array(31), 0),
      'INVALID_ADDRESS_LENGTH',
    ],
    ['a key of low order', () => createInvitation(admin, 'a', new Uint8Array(32), 0), 'LOW_ORDER_ADDRESS'],
  ] as const)('is not made with %s', (_, make, code) => {
    expectCode(make, code);
  });
});
