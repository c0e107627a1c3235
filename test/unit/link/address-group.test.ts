import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressGroup } from '../../../src/link/address-group.js';

describe('the group of an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::5', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
    ['', ''],
    ['not an address', 'not an address'],
  ])('%s → %s', (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });

  it('is the same for every way to write an IPv6 address, and differs with its network only', () => {
    const hextets = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(hextets, fc.nat(7), fc.boolean(), fc.boolean(), (groups, changed, padded, upper) => {
        const full = groups.map(group => group.toString(16).padStart(padded ? 4 : 1, '0')).join(':');
        const written = upper ? full.toUpperCase() : full;
        const shortest = new URL(`http://[${full}]`).hostname.slice(1, -1);
        expect(addressGroup(written)).toBe(addressGroup(shortest));
        const other = groups.map((group, i) => (i === changed ? group ^ 1 : group).toString(16)).join(':');
        expect(addressGroup(other) === addressGroup(full)).toBe(changed >= 4);
      }),
    );
  });

  it('comes back for any text that a proxy might pass on', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:.%]*$/)), text => {
        expect(typeof addressGroup(text)).toBe('string');
      }),
    );
  });
});
