import { describe, expect, it } from 'vitest';
import { parseSpaceOptions } from '../../../src/link/space-options.js';

const KEY = 'a1'.repeat(32);

describe('the option "space"', () => {
  it('may be missing, and may say everything', () => {
    expect(parseSpaceOptions(undefined)).toEqual({});
    expect(parseSpaceOptions({})).toEqual({});
    const invitation = 'A'.repeat(182);
    expect(parseSpaceOptions({ admins: [KEY], invitation, senderKeyMembers: 3, senderKeyRate: 0.5 })).toEqual(
      { admins: new Set([KEY]), invitation, senderKeyMembers: 3, senderKeyRate: 0.5 },
    );
    expect(parseSpaceOptions({ admins: undefined, invitation: undefined })).toEqual({});
  });

  it.each([
    [null, 'is an object'],
    ['room', 'is an object'],
    [[], 'is an object'],
    [{ admin: [KEY] }, 'no member "admin": it knows admins, invitation, senderKeyMembers, senderKeyRate'],
    [{ admins: KEY }, 'array of signing keys'],
    [{ admins: [] }, 'array of signing keys'],
    [{ admins: [KEY.toUpperCase()] }, 'array of signing keys'],
    [{ admins: [KEY, 7] }, 'array of signing keys'],
    [{ invitation: 7 }, 'inviteToSpace()'],
    [{ invitation: 'A'.repeat(181) }, 'inviteToSpace()'],
    [{ invitation: '+'.repeat(182) }, 'inviteToSpace()'],
    [{ senderKeyMembers: 0 }, 'more than 0'],
    [{ senderKeyMembers: 1.5 }, 'an integer'],
    [{ senderKeyMembers: '16' }, 'more than 0'],
    [{ senderKeyRate: -1 }, 'more than 0'],
    [{ senderKeyRate: NaN }, 'more than 0'],
  ])('is refused as %j', (value, why) => {
    expect(() => parseSpaceOptions(value)).toThrow(TypeError);
    expect(() => parseSpaceOptions(value)).toThrow(why);
  });
});
