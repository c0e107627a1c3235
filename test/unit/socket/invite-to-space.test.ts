import { describe, expect, it } from 'vitest';
import { fromBase64Url, fromHex, readUint64, toHex } from '../../../src/core/bytes.js';
import { Identity } from '../../../src/core/identity.js';
import { inviteToSpace } from '../../../src/socket/invite-to-space.js';

describe('inviteToSpace', () => {
  it('names the one who is invited, the admin and the time, in 182 characters', async () => {
    const admin = await Identity.generate();
    const { publicKey } = await Identity.generate();
    for (const [expires, until] of [
      [undefined, 0],
      [1_900_000_000_000, 1_900_000_000_000],
      [new Date(1_900_000_000_000), 1_900_000_000_000],
    ] as const) {
      const invitation = inviteToSpace(admin, { space: 'room', publicKey, expires });
      expect(invitation).toMatch(/^[\w-]{182}$/);
      const bytes = fromBase64Url(invitation) as Uint8Array;
      expect(toHex(bytes.subarray(0, 32))).toBe(publicKey);
      expect(readUint64(bytes, 32)).toBe(until);
      expect(bytes.subarray(40, 72)).toEqual(fromHex(admin.signingKey));
    }
  });

  it('refuses what cannot be', async () => {
    const admin = await Identity.generate();
    const { publicKey } = admin;
    const codeOf = (options: Parameters<typeof inviteToSpace>[1]): string => {
      try {
        inviteToSpace(admin, options);
      } catch (error) {
        return (error as { code: string }).code;
      }
      return 'none';
    };
    expect(codeOf({ space: '', publicKey })).toBe('INVALID_ARGUMENT');
    expect(codeOf({ space: 'a/b', publicKey })).toBe('INVALID_ARGUMENT');
    expect(codeOf({ space: 'room', publicKey: 'me' })).toBe('INVALID_ADDRESS_LENGTH');
    expect(codeOf({ space: 'room', publicKey: '0'.repeat(64) })).toBe('LOW_ORDER_ADDRESS');
    for (const expires of [0, -1, NaN, new Date(NaN)]) {
      expect(codeOf({ space: 'room', publicKey, expires })).toBe('INVALID_ARGUMENT');
    }
  });
});
